"""The page over HTTP: what it answers, to whom, and what it keeps."""

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from serving.page import Page

pytestmark = pytest.mark.serving

HASHTAGS = "/page/hashtags"


def post(page: Page, path: str = HASHTAGS, data: Any = b"", **headers: str) -> requests.Response:
    """As our own page sends it, but for these headers."""
    sent = {"Sec-Fetch-Site": "same-origin", "Origin": page.url} | headers
    sent = {name.replace("_", "-"): value for name, value in sent.items() if value}
    return requests.post(page.url + path, data=data, headers=sent, timeout=60)


def is_error(answer: requests.Response, status: int) -> bool:
    body = answer.json()
    assert answer.status_code == body["code"] == status, answer.text
    assert set(body) == {"code", "type", "message"}
    assert not re.search(r"127\.0\.0|/tmp|Traceback|\d+\.\d+\.\d+", answer.text)
    return True


def test_a_photo_gets_more_hashtags_than_are_shown(served_page: Page, jpeg: bytes) -> None:
    body = post(served_page, data=jpeg).json()
    tags = [hashtag["tag"] for hashtag in body["hashtags"]]
    assert len(tags) == len(set(tags)) == 10  # all that the little bundle has
    assert [hashtag["text"] for hashtag in body["hashtags"]] == [f"#{tag.title()}" for tag in tags]
    scores = [hashtag["score"] for hashtag in body["hashtags"]]
    assert scores == sorted(scores, reverse=True)
    assert {"model", "version", "abstained"} <= set(body)


def test_an_explanation_is_of_the_hashtag_that_was_asked_for(
    served_page: Page, jpeg: bytes
) -> None:
    last = post(served_page, data=jpeg).json()["hashtags"][-1]["tag"]
    body = post(served_page, f"/page/explanations?tag={last}", jpeg).json()
    assert body["tag"] == last
    assert body["heat_map"].startswith("iVBOR")
    assert is_error(post(served_page, "/page/explanations", jpeg), 400)


# Our HEIC writer turns the picture itself where its metadata ask for that.
@pytest.mark.parametrize(("fmt", "size"), [("HEIF", (320, 240)), ("TIFF", (240, 320))])
def test_a_preview_is_upright_and_bare(
    served_page: Page,
    picture: Image.Image,
    encode: Callable[..., bytes],
    fmt: str,
    size: tuple[int, int],
) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a secret"
    answer = post(served_page, "/page/preview", encode(picture, fmt, exif=exif))
    assert answer.headers["content-type"] == "image/jpeg"
    shown = Image.open(BytesIO(answer.content))
    assert shown.size == size
    assert not shown.getexif()
    assert b"secret" not in answer.content


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, "another site"),
        ({"Sec-Fetch-Site": "same-site"}, "a neighbour on the same domain"),
        ({"Sec-Fetch-Site": "none"}, "typed in"),
        ({"Sec-Fetch-Site": "", "Origin": "https://evil.example"}, "an old browser, another site"),
        ({"Sec-Fetch-Site": "", "Origin": "null"}, "a sandboxed frame"),
        ({"Sec-Fetch-Site": "", "Origin": ""}, "no browser"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_only_the_page_itself_may_send(
    served_page: Page, jpeg: bytes, headers: dict[str, str], why: str
) -> None:
    for path in (HASHTAGS, "/page/explanations?tag=dog", "/page/preview", "/page/feedback"):
        assert is_error(post(served_page, path, jpeg, **headers), 403)
    shared = post(served_page, "/share", jpeg, **headers)
    assert shared.status_code == (200 if headers["Sec-Fetch-Site"] == "none" else 403)


def test_without_fetch_metadata_the_origin_counts(served_page: Page, jpeg: bytes) -> None:
    assert post(served_page, data=jpeg, Sec_Fetch_Site="", **{"Sec-Fetch-Site": ""}).ok


def test_other_names_of_this_machine_are_refused(served_page: Page, jpeg: bytes) -> None:
    """A site whose name was made to lead here is of its own origin, as browsers see it."""
    evil = {"Host": "evil.example", "Origin": "http://evil.example"}
    assert is_error(post(served_page, data=jpeg, **evil), 400)
    assert requests.get(served_page.url.replace("127.0.0.1", "localhost"), timeout=60).ok


def test_what_was_shared_past_the_service_worker_is_lost(served_page: Page, jpeg: bytes) -> None:
    answer = requests.post(
        f"{served_page.url}/share",
        files={"photos": jpeg},
        headers={"Sec-Fetch-Site": "none"},
        allow_redirects=False,
        timeout=60,
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/?shared=lost")


def test_every_answer_has_the_policy(served_page: Page) -> None:
    for path in ("/", "/service-worker.js", "/manifest.webmanifest", "/nothing", HASHTAGS):
        headers = requests.get(served_page.url + path, timeout=60).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"


def test_bad_photos_are_refused_in_words(
    served_page: Page, jpeg: bytes, encode: Callable[..., bytes]
) -> None:
    assert is_error(post(served_page), 400)
    assert is_error(post(served_page, data=bytes(20 * 1024 * 1024 + 1)), 413)
    flat = encode(Image.new("1", (9000, 9000)), "PNG")
    assert is_error(post(served_page, data=flat), 413)
    assert is_error(post(served_page, data=b"no photo at all"), 415)
    assert is_error(post(served_page, data=jpeg[:-2000]), 422)
    assert is_error(post(served_page, "/page/preview", jpeg[:-2000]), 422)
    assert is_error(requests.get(served_page.url + HASHTAGS, timeout=60), 405)
    assert is_error(requests.get(f"{served_page.url}/static/../page.py", timeout=60), 404)


def test_a_service_that_is_away_is_said_to_be(forlorn_page: Page, jpeg: bytes) -> None:
    assert is_error(post(forlorn_page, data=jpeg), 503)
    assert requests.get(forlorn_page.url, timeout=60).ok


def test_the_page_is_light(served_page: Page) -> None:
    """250 kB, not packed, with all that it asks for before there is a photo."""
    html = requests.get(served_page.url, timeout=60)
    weight = len(html.content)
    for path in set(re.findall(r'(?:src|href)="(/[^"]+\.\w+)"', html.text)):
        answer = requests.get(served_page.url + path, timeout=60)
        assert answer.ok, path
        weight += 0 if "apple" in path else len(answer.content)
    assert weight <= 250_000


def test_the_page_can_be_installed_and_shared_with(served_page: Page) -> None:
    manifest = requests.get(f"{served_page.url}/manifest.webmanifest", timeout=60).json()
    for icon in manifest["icons"]:
        answer = requests.get(served_page.url + icon["src"], timeout=60)
        size = Image.open(BytesIO(answer.content)).size
        assert f"{size[0]}x{size[1]}" == icon["sizes"]
    assert manifest["share_target"]["action"] == "/share"
    shell = requests.get(f"{served_page.url}/service-worker.js", timeout=60).text
    for path in json.loads(re.sub(r".*SHELL = (.*?);.*", r"\1", shell, flags=re.DOTALL)):
        assert requests.get(served_page.url + path, timeout=60).ok


OPINION = {"model": "hashtags", "version": "1.0", "kept": ["dog"], "dropped": ["sky", "Straße"]}


def send_opinion(page: Page, opinion: object, photo: bytes | None = None) -> requests.Response:
    files = {"opinion": (None, json.dumps(opinion))} | ({"photo": ("p", photo)} if photo else {})
    origin = {"Sec-Fetch-Site": "same-origin"}
    return requests.post(f"{page.url}/page/feedback", files=files, headers=origin, timeout=60)


def test_feedback_is_off_unless_switched_on(served_page: Page) -> None:
    assert is_error(send_opinion(served_page, OPINION), 404)
    assert 'id="feedback"' not in requests.get(served_page.url, timeout=60).text


def test_feedback_is_kept_and_the_photo_only_where_it_was_sent(
    page_with_feedback: tuple[Page, Path], picture: Image.Image, encode: Callable[..., bytes]
) -> None:
    page, file = page_with_feedback
    exif = Image.Exif()
    exif[0x010E] = "a secret"
    assert send_opinion(page, OPINION).ok
    assert send_opinion(page, OPINION, encode(picture, exif=exif)).ok
    assert is_error(send_opinion(page, OPINION, b"no photo"), 415)
    assert file.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(file)) as database:
        rows = database.execute("SELECT model, version, kept, dropped, photo FROM feedback")
        bare, full = rows.fetchall()[-2:]
    assert bare == ("hashtags", "1.0", '["dog"]', '["sky", "Straße"]', None)
    assert full[:4] == bare[:4]
    assert Image.open(BytesIO(full[4])).size == (320, 240)
    assert b"secret" not in full[4]


@pytest.mark.parametrize(
    "opinion",
    [
        [],
        {},
        OPINION | {"kept": "dog"},
        OPINION | {"kept": [1]},
        OPINION | {"kept": ["x" * 101]},
        OPINION | {"dropped": ["a"] * 101},
        OPINION | {"model": "a\nb"},
    ],
    ids=["list", "empty", "text", "number", "long", "many", "lines"],
)
def test_feedback_out_of_form_is_refused(
    page_with_feedback: tuple[Page, Path], opinion: object
) -> None:
    assert is_error(send_opinion(page_with_feedback[0], opinion), 400)
