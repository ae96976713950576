import base64
import json
from pathlib import Path
from typing import Any

import pytest

from hashstagram.errors import AbandonedError, InvalidRequestError
from hashstagram.options import Options
from hashstagram.request import RecommendRequest, photo_bytes, request_id
from hashstagram.spool import FOLDER
from hashstagram.tag_filter import TagFilter

PHOTO = b"\xff\xd8 photo"
BASE64 = base64.b64encode(PHOTO).decode()
JSON = {"X-Content-Type": "application/json; charset=utf-8"}
KNOWN = "is unknown. .* k, threshold, exclude, include"
FORM = {"X-Content-Type": 'multipart/form-data; boundary="b"'}


def form(*parts: tuple[str, bytes], end: bytes = b"--b--\r\n") -> dict[str, bytearray]:
    """A multipart body as the front passes it on; a part is what follows `name=`, and content."""
    body = b""
    for disposition, content in parts:
        head = f"--b\r\nContent-Disposition: form-data; name={disposition}\r\n\r\n"
        body += head.encode() + content + b"\r\n"
    return {"body": bytearray(body + end)}


def sent(body: object) -> dict[str, bytearray]:
    """A JSON body as the front passes it on."""
    return {"body": bytearray(json.dumps(body).encode())}


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the front and the worker share."""
    monkeypatch.setenv(FOLDER, str(tmp_path))
    return tmp_path


def one(
    k: int = 5,
    threshold: float = 0.0,
    exclude: tuple[str, ...] = (),
    include: tuple[str, ...] = (),
    photo: bytes | str = PHOTO,
) -> RecommendRequest:
    return RecommendRequest((photo,), Options(k, threshold, TagFilter(exclude, include)))


def many(*photos: bytes | str, **options: Any) -> RecommendRequest:
    return RecommendRequest(photos, Options(**options), several=True)


DIRECT: dict[str, tuple[dict[str, Any], dict[str, Any], RecommendRequest]] = {
    "raw": ({"body": bytearray(PHOTO)}, {}, one()),
    "multipart": (
        {"image": bytearray(PHOTO), "k": bytearray(b"3"), "threshold": bytearray(b"0.5")},
        {"image": {"content-type": "image/jpeg"}},
        one(3, 0.5),
    ),
    "json": (
        {"body": {"image": BASE64, "k": 2, "threshold": 0.25}},
        {"Content-Type": "application/json"},
        one(2, 0.25, photo=BASE64),
    ),
    "torchserves-field": ({"data": bytearray(PHOTO)}, {}, one()),
    "empty-field": ({"image": b"", "photo": PHOTO}, {}, one()),
    "two-fields": ({"image": PHOTO, "photo": b"2", "k": b"3"}, {}, many(PHOTO, b"2", k=3)),
    "query": ({"body": PHOTO, "k": bytearray(b"7")}, {}, one(7)),
    "header-in-any-case": (
        {"body": PHOTO, "k": bytearray(b"7")},
        {"x-TOP-k": "1", "X-THRESHOLD": "0.9"},
        one(1, 0.9),
    ),
    # A multipart part named like a header arrives as a dict in the header's place.
    "part-named-like-a-header": (
        {"body": PHOTO},
        {"x-top-k": {"content-type": "text/plain"}, "x-request-id": {"content-type": "x"}},
        one(),
    ),
    "what-is-parsed-already": ({"image": PHOTO}, JSON, one()),
}

THROUGH_THE_FRONT: dict[str, tuple[dict[str, Any], dict[str, Any], RecommendRequest]] = {
    "raw": ({"body": bytearray(PHOTO)}, {"X-Content-Type": "image/jpeg"}, one()),
    "curl-data-binary": (
        {"body": bytearray(PHOTO)},
        {"X-Content-Type": "application/x-www-form-urlencoded"},
        one(),
    ),
    "query": ({"body": PHOTO}, {"X-Query": "k=7&threshold=.5&exclude=a"}, one(7, 0.5, ("a",))),
    "header-before-query": ({"body": PHOTO}, {"X-Query": "k=7", "X-Top-K": "1"}, one(1)),
    "query-before-field": (
        sent({"image": BASE64, "k": 3}),
        JSON | {"X-Query": "k=7"},
        one(7, photo=BASE64),
    ),
    "json": (sent({"image": BASE64, "k": 2}), JSON, one(2, photo=BASE64)),
    "json-photos": (sent({"images": [BASE64, "§"], "k": 2}), JSON, many(BASE64, "§", k=2)),
    "json-one-in-a-list": (sent({"images": [BASE64]}), JSON, many(BASE64)),
    "form": (form(('"image"', PHOTO), ('"k"', b"3")), FORM, one(3)),
    "form-file-of-any-name": (form(('"x"; filename="a.jpg"', PHOTO)), FORM, one()),
    "form-photos": (
        form(('"x"; filename="a"', PHOTO), ('"x"; filename="b"', b"2"), ('"exclude"', b"a")),
        FORM,
        many(PHOTO, b"2", tag_filter=TagFilter(("a",))),
    ),
    "form-repeated-field": (
        form(('"image"', PHOTO), ('"exclude"', b"a"), ('"exclude"', b"b")),
        FORM,
        one(exclude=("a", "b")),
    ),
    "form-empty-file-input": (form(('"a"; filename=""', b""), ('"image"', PHOTO)), FORM, one()),
    "tags": (
        sent({"image": BASE64, "exclude": ["#A", "b*,c"], "include": "x, #y ,,"}),
        JSON,
        one(exclude=("A", "b*", "c"), include=("x", "y"), photo=BASE64),
    ),
    "tags-in-headers": (
        {"body": PHOTO},
        {"X-Exclude": "a,b", "X-Include": "c", "X-Query": "exclude=z"},
        one(exclude=("a", "b"), include=("c",)),
    ),
    "tags-repeated-in-the-query": (
        {"body": PHOTO},
        {"X-Query": "exclude=a&exclude=%C3%9F"},
        one(exclude=("a", "ß")),
    ),
}

BAD: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "empty-body": ({"body": bytearray()}, {}, "no photo"),
    "no-body": ({}, {}, "no photo"),
    "no-image-field": ({"holiday": PHOTO}, {}, "no photo"),
    "empty-image-field": ({"image": bytearray()}, {}, "no photo"),
    "json-list": ({"body": [1]}, {}, "no photo"),
    "json-image-number": ({"body": {"image": 5}}, {}, "no photo"),
    "json-images-number": (sent({"images": [5]}), JSON, "no photo"),
    "json-images-empty": (sent({"images": []}), JSON, "no photo"),
    "json-images-blank": (sent({"images": [""]}), JSON, "no photo"),
    "json-images-many": (sent({"images": [BASE64] * 17}), JSON, "may hold 16 photos"),
    "json-bomb": (sent([[]] * 9000), JSON, "too many values"),
    "json-deep": ({"body": b'{"image":' + b"[" * 1999}, JSON, "valid JSON"),
    "json-no-utf8": ({"body": b'{"image": "\xff"}'}, JSON, "valid JSON"),
    "json-long-number": ({"body": b'{"k": ' + b"1" * 5000 + b"}"}, JSON, "valid JSON"),
    "text-body": ({"body": "hello"}, {}, "no photo"),
    "no-json": ({"body": bytearray(b"{")}, {"Content-Type": "application/json"}, "valid JSON"),
    "urlencoded": (
        {"image": PHOTO},
        {"content-type": "application/x-www-form-urlencoded"},
        "curl -T",
    ),
    "form-cut-off": (form(('"image"', PHOTO), end=b""), FORM, "malformed"),
    "form-without-boundary": (
        form(('"image"', PHOTO)),
        {"X-Content-Type": "multipart/form-data"},
        "malformed",
    ),
    "form-without-photo": (form(('"k"', b"3")), FORM, "no photo"),
    "form-empty-file": (form(('"image"; filename="a"', b"")), FORM, "no photo"),
    "form-part-without-name": (form(('""; x="', PHOTO)), FORM, "malformed|no photo"),
    "form-many-parts": (form(*[('"x"', b"")] * 5000), FORM, "64 parts"),
    "form-long-header": (form(('"' + "x" * 9000 + '"', b"")), FORM, "too large|malformed"),
    "form-many-photos": (form(*[('"image"', PHOTO)] * 17), FORM, "may hold 16 photos"),
    "query-no-utf8": ({"body": PHOTO}, {"X-Query": "exclude=%ff"}, "UTF-8"),
    "query-long": ({"body": PHOTO}, {"X-Query": "&".join("a=1" for _ in range(101))}, "100"),
    "query-misspelt": ({"body": PHOTO}, {"X-Query": "treshold=0.3"}, f"'treshold' {KNOWN}"),
    "query-capital": ({"body": PHOTO}, {"X-Query": "K=3"}, f"'K' {KNOWN}"),
    "query-photo": ({"body": PHOTO}, {"X-Query": "image=a"}, f"'image' {KNOWN}"),
    "query-line-break": ({"body": PHOTO}, {"X-Query": "a%0D%0Ab=1"}, r"'a\\r\\nb' is unknown"),
    "direct-query-misspelt": ({"body": PHOTO, "kk": b"3"}, {}, f"'kk' {KNOWN}"),
    "json-misspelt": (sent({"images": [BASE64], "exlude": "a"}), JSON, f"'exlude' {KNOWN}"),
    "direct-json-misspelt": ({"body": {"image": BASE64, "top_k": 3}}, {}, f"'top_k' {KNOWN}"),
    "json-long-name": (sent({"image": BASE64, "x" * 5000: 1}), JSON, f"^'{'x' * 100}' {KNOWN}"),
    "form-misspelt": (form(('"image"', PHOTO), ('"tresh"', b"1")), FORM, f"'tresh' {KNOWN}"),
    "form-like-a-header": (form(('"image"', PHOTO), ('"x-top-k"', b"1")), FORM, "'x-top-k' is"),
    "direct-form-misspelt": ({"image": PHOTO, "kk": b"3"}, {}, f"'kk' {KNOWN}"),
    "k-zero": ({"body": PHOTO}, {"X-Top-K": "0"}, "k must be a whole number from 1 to 100"),
    "k-many": ({"body": PHOTO}, {"X-Top-K": "101"}, "k must be"),
    "k-text": ({"body": PHOTO}, {"X-Top-K": "five"}, "k must be"),
    "k-huge": ({"body": PHOTO}, {"X-Top-K": "1" * 5000}, "k must be"),
    "k-twice": ({"body": PHOTO}, {"X-Query": "k=1&k=2"}, "k must be"),
    "k-true": ({"body": {"image": BASE64, "k": True}}, {}, "k must be"),
    "k-fraction": ({"body": {"image": BASE64, "k": 1.5}}, {}, "k must be"),
    "k-list": ({"body": {"image": BASE64, "k": [1]}}, {}, "k must be"),
    "k-no-utf8": ({"body": PHOTO, "k": b"\xff"}, {}, "k must be"),
    "threshold-nan": ({"body": PHOTO}, {"X-Threshold": "nan"}, "threshold must be a number"),
    "threshold-two": ({"body": PHOTO}, {"X-Threshold": "2"}, "threshold must be"),
    "threshold-infinite": ({"body": {"image": BASE64, "threshold": 1e999}}, {}, "threshold"),
    "exclude-number": (sent({"image": BASE64, "exclude": [1]}), JSON, "exclude must be"),
    "exclude-no-utf8": ({"body": PHOTO, "exclude": b"\xff"}, {}, "exclude must be"),
    "exclude-many": (
        {"body": PHOTO},
        {"X-Exclude": ",".join(map(str, range(201)))},
        "exclude may name 200",
    ),
    "include-long": ({"body": PHOTO}, {"X-Include": "a" * 101}, "include may name"),
}


@pytest.mark.parametrize(("row", "headers", "expected"), DIRECT.values(), ids=DIRECT)
def test_every_form_of_request(
    row: dict[str, Any], headers: dict[str, Any], expected: RecommendRequest
) -> None:
    assert RecommendRequest.from_row(row, headers) == expected


@pytest.mark.parametrize(
    ("row", "headers", "expected"), THROUGH_THE_FRONT.values(), ids=THROUGH_THE_FRONT
)
def test_every_form_of_request_through_the_front(
    row: dict[str, Any], headers: dict[str, Any], expected: RecommendRequest
) -> None:
    whole = {"X-Content-Type": ""} | headers | {"Content-Type": "application/octet-stream"}
    assert RecommendRequest.from_row(row, whole) == expected


@pytest.mark.parametrize(
    ("row", "headers", "expected"), THROUGH_THE_FRONT.values(), ids=THROUGH_THE_FRONT
)
def test_every_form_of_request_by_a_file(
    row: dict[str, Any], headers: dict[str, Any], expected: RecommendRequest, spool: Path
) -> None:
    file = spool / "0000000007"
    file.write_bytes(row["body"])
    whole = headers | {"Content-Type": "application/octet-stream", "X-Body-File": str(file)}
    assert RecommendRequest.from_row({"body": bytearray()}, whole) == expected


@pytest.mark.parametrize(("row", "headers", "message"), BAD.values(), ids=BAD)
def test_a_bad_request_says_what_to_do(
    row: dict[str, Any], headers: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidRequestError, match=message) as caught:
        RecommendRequest.from_row(row, headers)
    assert caught.value.body()["code"] == 400


@pytest.mark.parametrize(
    "path",
    ["/etc/hostname", "secret", "../secret", "", "/", "..", "7/..", "0000000007\0", "٧", "9" * 300],
    ids=ascii,
)
def test_a_path_leads_nowhere_but_into_the_spool(path: str, spool: Path) -> None:
    (spool / "secret").write_bytes(PHOTO)
    (spool / "0000000007").write_bytes(PHOTO)
    with pytest.raises(InvalidRequestError, match="for the front alone"):
        RecommendRequest.from_row({"body": PHOTO}, {"X-Body-File": path})


def test_a_body_that_is_gone_has_nobody_who_waits_for_it(spool: Path) -> None:
    with pytest.raises(AbandonedError) as caught:
        RecommendRequest.from_row({"body": PHOTO}, {"X-Body-File": "0000000007"})
    assert caught.value.body()["code"] == 408


def test_without_a_front_no_path_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER, raising=False)
    (tmp_path / "0000000007").write_bytes(PHOTO)
    with pytest.raises(InvalidRequestError, match="for the front alone"):
        RecommendRequest.from_row({"body": PHOTO}, {"X-Body-File": str(tmp_path / "0000000007")})


@pytest.mark.parametrize(
    ("given", "taken"),
    [("a-B.9_", "a-B.9_")]
    + [(bad, None) for bad in ("", "a" * 65, "a\r\nb", "a\n", "<script>", "ä")],
    ids=repr,
)
def test_a_request_id_is_taken_where_it_can_do_no_harm(given: str, taken: str | None) -> None:
    assert request_id({"X-Request-ID": given}) == taken


@pytest.mark.parametrize("text", [BASE64, "data:image/jpeg;base64," + BASE64], ids=["plain", "url"])
def test_text_is_base64(text: str) -> None:
    assert photo_bytes(text) == photo_bytes(PHOTO) == PHOTO


@pytest.mark.parametrize("text", ["%%%", "§", "AAA", BASE64 + "\n"], ids=repr)
def test_bad_base64_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="base64"):
        photo_bytes(text)
