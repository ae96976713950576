import base64
from typing import Any

import pytest

from hashstagram.errors import InvalidRequestError
from hashstagram.request import RecommendRequest

PHOTO = b"\xff\xd8 photo"
BASE64 = base64.b64encode(PHOTO).decode()

GOOD: dict[str, tuple[dict[str, Any], dict[str, Any], RecommendRequest]] = {
    "raw": ({"body": bytearray(PHOTO)}, {}, RecommendRequest(PHOTO)),
    "multipart": (
        {"image": bytearray(PHOTO), "k": bytearray(b"3"), "threshold": bytearray(b"0.5")},
        {"image": {"content-type": "image/jpeg"}},
        RecommendRequest(PHOTO, 3, 0.5),
    ),
    "json": (
        {"body": {"image": BASE64, "k": 2, "threshold": 0.25}},
        {"Content-Type": "application/json"},
        RecommendRequest(PHOTO, 2, 0.25),
    ),
    "torchserves-field": ({"data": bytearray(PHOTO)}, {}, RecommendRequest(PHOTO)),
    "data-url": (
        {"body": {"image": "data:image/jpeg;base64," + BASE64}},
        {},
        RecommendRequest(PHOTO),
    ),
    "query": ({"body": PHOTO, "k": bytearray(b"7")}, {}, RecommendRequest(PHOTO, 7)),
    "header-in-any-case": (
        {"body": PHOTO, "k": bytearray(b"7")},
        {"x-TOP-k": "1", "X-THRESHOLD": "0.9"},
        RecommendRequest(PHOTO, 1, 0.9),
    ),
    # A multipart part named like a header arrives as a dict in the header's place.
    "part-named-like-a-header": (
        {"body": PHOTO},
        {"x-top-k": {"content-type": "text/plain"}},
        RecommendRequest(PHOTO),
    ),
}

BAD: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "empty-body": ({"body": bytearray()}, {}, "no photo"),
    "no-image-field": ({"holiday": PHOTO}, {}, "no photo"),
    "empty-image-field": ({"image": bytearray()}, {}, "no photo"),
    "json-list": ({"body": [1]}, {}, "no photo"),
    "json-image-number": ({"body": {"image": 5}}, {}, "no photo"),
    "text-body": ({"body": "hello"}, {}, "no photo"),
    "no-json": ({"body": bytearray(b"{")}, {"Content-Type": "application/json"}, "valid JSON"),
    "not-base64": ({"body": {"image": "%%%"}}, {}, "base64"),
    "form": (
        {"image": PHOTO},
        {"content-type": "application/x-www-form-urlencoded"},
        "curl -T",
    ),
    "k-zero": ({"body": PHOTO}, {"X-Top-K": "0"}, "k must be a whole number from 1 to 100"),
    "k-many": ({"body": PHOTO}, {"X-Top-K": "101"}, "k must be"),
    "k-text": ({"body": PHOTO}, {"X-Top-K": "five"}, "k must be"),
    "k-true": ({"body": {"image": BASE64, "k": True}}, {}, "k must be"),
    "k-fraction": ({"body": {"image": BASE64, "k": 1.5}}, {}, "k must be"),
    "k-list": ({"body": {"image": BASE64, "k": [1]}}, {}, "k must be"),
    "k-no-utf8": ({"body": PHOTO, "k": b"\xff"}, {}, "k must be"),
    "threshold-nan": ({"body": PHOTO}, {"X-Threshold": "nan"}, "threshold must be a number"),
    "threshold-two": ({"body": PHOTO}, {"X-Threshold": "2"}, "threshold must be"),
    "threshold-infinite": ({"body": {"image": BASE64, "threshold": 1e999}}, {}, "threshold"),
}


@pytest.mark.parametrize(("row", "headers", "expected"), GOOD.values(), ids=GOOD)
def test_every_form_of_request(
    row: dict[str, Any], headers: dict[str, Any], expected: RecommendRequest
) -> None:
    assert RecommendRequest.from_row(row, headers) == expected


@pytest.mark.parametrize(("row", "headers", "message"), BAD.values(), ids=BAD)
def test_a_bad_request_says_what_to_do(
    row: dict[str, Any], headers: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidRequestError, match=message) as caught:
        RecommendRequest.from_row(row, headers)
    assert caught.value.body()["code"] == 400
