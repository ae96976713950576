"""What callers get over HTTP from a live worker."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from hashstagram.recommender import Recommender
from hashstagram_client import HashtagClient
from serving.instance import Instance
from tests.conftest import clean_environment, has_bfloat16

pytestmark = pytest.mark.serving

Post = Callable[..., requests.Response]


@pytest.fixture
def post(instance: Instance) -> Post:
    def post(
        data: Any = None,
        *,
        path: str = "/predictions/hashtags",
        headers: Any = None,
        **options: Any,
    ) -> requests.Response:
        sent = {"Authorization": f"Bearer {instance.key('inference')}"} | (headers or {})
        return requests.post(
            instance.inference + path, data=data, headers=sent, timeout=30, **options
        )

    return post


def tags(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [hashtag["tag"] for hashtag in answer.json()["hashtags"]]


def test_the_answer_has_the_contracts_form(post: Post, jpeg: bytes) -> None:
    answer = post(jpeg)
    body = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert set(body) == {"model", "version", "request_id", "hashtags", "abstained"}
    assert (body["model"], body["version"]) == ("hashtags", "1.0")
    assert body["request_id"] == answer.headers["x-request-id"]
    scores = [hashtag["score"] for hashtag in body["hashtags"]]
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)
    assert set(body["hashtags"][0]) == {"tag", "score"}


def test_curl_client_cli_and_recommender_agree(
    instance: Instance, served_bundle: Path, jpeg: bytes, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(jpeg)
    key = instance.key("inference")
    curl = subprocess.run(
        [
            *("curl", "-sS", "-H", f"Authorization: Bearer {key}", "-T", photo),
            f"{instance.inference}/predictions/hashtags",
        ],
        capture_output=True,
        check=True,
    )
    by_curl = [(h["tag"], h["score"]) for h in json.loads(curl.stdout)["hashtags"]]
    with HashtagClient(instance.inference, key) as client:
        by_client = [(h.tag, h.score) for h in client.recommend(photo).hashtags]
    command = [sys.executable, "-m", "hashstagram_client.cli", str(photo), "--json"]
    cli = subprocess.run(
        [*command, "--url", instance.inference, "--token", key],
        capture_output=True,
        check=True,
        env=clean_environment(),
    )
    by_cli = [(h["tag"], h["score"]) for h in json.loads(cli.stdout)["hashtags"]]
    [hashtags] = Recommender.from_pretrained(served_bundle).recommend([jpeg])
    rounding = 0.01 if has_bfloat16() else 1e-3
    in_process = [(h.tag, pytest.approx(h.score, abs=rounding)) for h in hashtags]
    assert by_curl == by_client == by_cli
    assert by_curl == in_process


def test_every_form_of_request_gives_the_same_tags(post: Post, jpeg: bytes) -> None:
    encoded = base64.b64encode(jpeg).decode()
    raw = tags(post(jpeg))
    assert tags(post(jpeg, headers={"Content-Type": "image/jpeg"})) == raw
    assert tags(post(files={"image": ("p.jpg", jpeg, "image/jpeg")})) == raw
    assert tags(post(json={"image": encoded})) == raw
    assert tags(post(json={"image": f"data:image/jpeg;base64,{encoded}"})) == raw


def test_k_and_threshold_everywhere(post: Post, jpeg: bytes) -> None:
    encoded = base64.b64encode(jpeg).decode()
    octets = {"Content-Type": "application/octet-stream"}
    ten = post(jpeg, headers={"x-top-k": "10"}).json()["hashtags"]
    assert len(ten) == 10
    best = [hashtag["tag"] for hashtag in ten[:2]]
    assert tags(post(jpeg, headers={"X-Top-K": "2"})) == best
    assert tags(post(files={"image": jpeg}, data={"k": "2"})) == best
    assert tags(post(json={"image": encoded, "k": 2})) == best
    assert tags(post(jpeg, path="/models/hashtags/invoke?k=2", headers=octets)) == best
    threshold = str((ten[1]["score"] + ten[2]["score"]) / 2)
    assert tags(post(jpeg, headers={"X-Threshold": threshold})) == best
    assert tags(post(jpeg, headers={"X-Threshold": "1"})) == []


def through_front(content_type: str, **headers: str) -> dict[str, str]:
    """The headers that our front sends, so that TorchServe's own decoders see no body."""
    return {
        "Content-Type": "application/octet-stream",
        "X-Content-Type": content_type,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }


def as_form(*files: tuple[str, bytes]) -> tuple[bytes, str]:
    """A form's body and content type."""
    prepared = requests.Request("POST", "http://x", files=[(n, (n, d)) for n, d in files]).prepare()
    assert isinstance(prepared.body, bytes)
    return prepared.body, prepared.headers["Content-Type"]


def test_every_form_through_the_front(post: Post, jpeg: bytes) -> None:
    raw = tags(post(jpeg))
    encoded = base64.b64encode(jpeg).decode()
    form, form_type = as_form(("photo", jpeg))
    assert tags(post(jpeg, headers=through_front("application/x-www-form-urlencoded"))) == raw
    assert tags(post(form, headers=through_front(form_type))) == raw
    headers = through_front("application/json", X_Query=f"k=2&exclude={raw[0]}")
    assert tags(post(json.dumps({"image": encoded}), headers=headers)) == raw[1:3]


def test_the_callers_request_id_comes_back(post: Post, jpeg: bytes) -> None:
    answer = post(jpeg, headers={"X-Request-Id": "trip-7"})
    assert answer.json()["request_id"] == "trip-7"


def test_several_photos_each_get_their_own_answer(
    post: Post, picture: Image.Image, encode: Callable[..., bytes]
) -> None:
    photos = [encode(picture.rotate(20 * turn), "PNG") for turn in range(15)]
    alone = [tags(post(photo)) for photo in photos]
    form, form_type = as_form(*[("f", photo) for photo in photos[:7]], ("g", b"broken"))
    results = post(form, headers=through_front(form_type)).json()["results"]
    assert [[h["tag"] for h in each["hashtags"]] for each in results[:7]] == alone[:7]
    assert [each["status"] for each in results] == [200] * 7 + [415]
    assert results[7]["error"]["type"] == "UnsupportedImageError"
    encoded = [base64.b64encode(photo).decode() for photo in photos]
    body = json.dumps({"images": [*encoded[:9], "§", *encoded[9:]]})
    results = post(body, headers=through_front("application/json")).json()["results"]
    assert results.pop(9)["status"] == 400
    assert [[h["tag"] for h in each["hashtags"]] for each in results] == alone


BAD = {
    "text": ({"data": b"hello"}, 415, "UnsupportedImageError"),
    "empty": ({"data": b""}, 400, "InvalidRequestError"),
    "k-zero": ({"headers": {"X-Top-K": "0"}}, 400, "InvalidRequestError"),
    "threshold-text": ({"headers": {"X-Threshold": "high"}}, 400, "InvalidRequestError"),
    "no-json": (
        {"data": b"{", "headers": {"Content-Type": "application/json"}},
        400,
        "InvalidRequestError",
    ),
    "cut-off-form": (
        {
            "data": b"--b\r\nContent-Disposition: form-data; name=image\r\n\r\nx",
            "headers": through_front("multipart/form-data; boundary=b"),
        },
        400,
        "InvalidRequestError",
    ),
    "json-through-the-front": (
        {"data": b"{\xff", "headers": through_front("application/json")},
        400,
        "InvalidRequestError",
    ),
    "query": (
        {"headers": through_front("image/jpeg", X_Query="k=many")},
        400,
        "InvalidRequestError",
    ),
    "no-base64": ({"json": {"image": "§"}}, 400, "InvalidRequestError"),
    "json-without-image": ({"json": {"photo": "x"}}, 400, "InvalidRequestError"),
    "unknown-model": ({"path": "/predictions/none"}, 404, "ModelNotFoundException"),
    "no-token": ({"headers": {"Authorization": ""}}, 400, "InvalidKeyException"),
}


@pytest.mark.parametrize(("request_", "status", "kind"), BAD.values(), ids=BAD)
def test_bad_requests_get_a_json_4xx(
    post: Post, jpeg: bytes, request_: dict[str, Any], status: int, kind: str
) -> None:
    if not request_.keys() & {"data", "json"}:
        request_ = {"data": jpeg, **request_}
    answer = post(**request_)
    body = answer.json()
    assert (answer.status_code, body["code"], body["type"]) == (status, status, kind)
    assert body["message"]
    assert "Traceback" not in answer.text
    assert " at 0x" not in answer.text


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
def test_a_request_without_a_body_says_what_to_send(instance: Instance, method: str) -> None:
    answer = requests.request(
        method,
        f"{instance.inference}/predictions/hashtags",
        headers={"Authorization": f"Bearer {instance.key('inference')}"},
        timeout=30,
    )
    assert (answer.status_code, answer.json()["type"]) == (400, "InvalidRequestError")


def test_a_form_of_5000_parts_is_refused(post: Post) -> None:
    part = b"--b\r\nContent-Disposition: form-data; name=image\r\n\r\nx\r\n"
    headers = through_front("multipart/form-data; boundary=b")
    answer = post(part * 5000 + b"--b--\r\n", headers=headers)
    assert answer.status_code == 400
    assert "64 parts" in answer.json()["message"]


def test_parts_named_like_headers_change_nothing(post: Post, jpeg: bytes) -> None:
    files = {"image": jpeg, "x-request-id": b"evil", "describe": b"True"}
    answer = post(files=files)
    assert (answer.status_code, answer.json()["type"]) == (400, "InvalidRequestError")
    assert answer.headers["x-request-id"] != "evil"
    form, form_type = as_form(("image", jpeg))
    evil = form.replace(b'name="image"', b'name="content-type"')
    assert len(tags(post(evil, headers=through_front(form_type)))) == 5


def test_no_line_break_reaches_a_header(post: Post, jpeg: bytes) -> None:
    evil = "a\r\nX-Evil: 1"
    photo = base64.b64encode(jpeg).decode()
    headers = through_front("application/json", X_Query="exclude=a%0d%0aX-Evil:%201&k=%0d%0a5")
    for body, status in (({}, 200), ({"include": evil}, 200), ({evil: 1}, 400)):
        answer = post(json.dumps({"image": photo} | body), headers=headers)
        assert answer.status_code == status
        assert "X-Evil" not in answer.headers


def test_a_misspelt_option_is_named_wherever_it_stands(post: Post, jpeg: bytes) -> None:
    photo = base64.b64encode(jpeg).decode()
    octets = {"Content-Type": "application/octet-stream"}
    answers = [
        post(jpeg, headers=through_front("image/jpeg", X_Query="treshold=0.3")),
        post(jpeg, path="/models/hashtags/invoke?treshold=0.3", headers=octets),
        post(json={"image": photo, "treshold": 0.3}),
        post(files={"image": jpeg}, data={"treshold": "0.3"}),
    ]
    for answer in answers:
        assert answer.status_code == 400
        assert answer.json()["message"].startswith("'treshold' is unknown. ")


@pytest.mark.parametrize("path", ["/invocations", "/invocations?model_name=hashtags&k=2"])
def test_torchserves_other_address_takes_photos_too(post: Post, jpeg: bytes, path: str) -> None:
    octets = {"Content-Type": "application/octet-stream"}
    assert tags(post(jpeg, path=path, headers=octets))


def test_the_longest_answer_arrives(
    post: Post, picture: Image.Image, encode: Callable[..., bytes]
) -> None:
    photos = [base64.b64encode(encode(picture)).decode()] * 16
    body = json.dumps({"images": photos, "k": 100})
    results = post(body, headers=through_front("application/json")).json()["results"]
    assert [len(each["hashtags"]) for each in results] == [10] * 16  # all there are


def test_a_truncated_photo_gets_its_own_422(post: Post, jpeg: bytes) -> None:
    answer = post(jpeg[: len(jpeg) // 2])
    assert (answer.status_code, answer.json()["type"]) == (422, "InvalidImageError")


def test_one_bad_photo_in_a_batch_harms_nobody(
    post: Post, picture: Image.Image, encode: Callable[..., bytes]
) -> None:
    good = [encode(picture.rotate(51 * turn), "PNG") for turn in range(7)]
    alone = [tags(post(photo)) for photo in good]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            bad = pool.submit(post, b"broken")
            answers = list(pool.map(post, good))
            assert [tags(answer) for answer in answers] == alone
            assert bad.result().status_code == 415


def test_all_bad_photos_in_a_batch(post: Post) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, [b"broken"] * 8))
    assert [answer.status_code for answer in answers] == [415] * 8


def test_a_describe_header_harms_nobody(post: Post, jpeg: bytes) -> None:
    with ThreadPoolExecutor(8) as pool:
        plain = [pool.submit(post, jpeg) for _ in range(6)]
        described = pool.submit(post, jpeg, headers={"describe": "True"})
        assert all(tags(answer.result()) for answer in plain)
    assert described.result().json()["architecture"] == "shufflenet_v2_x0_5"


def test_the_management_api_describes_the_model(instance: Instance) -> None:
    answer = requests.get(
        f"{instance.management}/models/hashtags?customized=true",
        headers={"Authorization": f"Bearer {instance.key('management')}"},
        timeout=30,
    )
    described = answer.json()[0]["customizedMetadata"]
    assert len(described["tags"]) == 10


def test_models_cannot_be_registered_over_http(instance: Instance) -> None:
    answer = requests.post(
        f"{instance.management}/models?url=hashtags.mar",
        headers={"Authorization": f"Bearer {instance.key('management')}"},
        timeout=30,
    )
    assert answer.status_code == 405


def test_the_client_takes_every_form_of_photo(
    instance: Instance, picture: Image.Image, encode: Callable[..., bytes], tmp_path: Path
) -> None:
    png = encode(picture, "PNG")
    (tmp_path / "p.png").write_bytes(png)
    with HashtagClient(instance.inference, instance.key("inference")) as client:
        photos = [tmp_path / "p.png", str(tmp_path / "p.png"), png, bytearray(png), BytesIO(png)]
        answers = [client.recommend(photo, k=3) for photo in (*photos, picture)]
    assert len({answer.hashtags for answer in answers}) == 1
    assert len(answers[0].hashtags) == 3
    assert answers[0].text == " ".join(f"#{h.tag}" for h in answers[0].hashtags)
    assert answers[0].model == "hashtags"
