"""RecommendRequest: one request row, as a model server delivers it, to photos and options."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from hashstagram.body import Body, Photo, collect
from hashstagram.errors import InvalidRequestError
from hashstagram.options import Options
from hashstagram.spool import read_body

_OPTION_HEADERS = {
    "k": "x-top-k",
    "threshold": "x-threshold",
    "exclude": "x-exclude",
    "include": "x-include",
}
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_MAX_QUERY_FIELDS = 100


@dataclass(frozen=True)
class RecommendRequest:
    """What one caller asks for.

    Args:
        photos: image files' bytes, or their base64 as text: see `photo_bytes`.
        options: how the answer shall be.
        several: whether the answer is a list of results, one for each photo.
    """

    photos: tuple[Photo, ...]
    options: Options = field(default_factory=Options)
    several: bool = False

    @classmethod
    def from_row(cls, row: Mapping[str, Any], headers: Mapping[str, Any]) -> "RecommendRequest":
        """Read photos and options; headers win over the query, which wins over fields.

        Our front sends every body as bytes, or leaves it in a file and names that in X-Body-File;
        the caller's content type comes in X-Content-Type and the query in X-Query. Without a front
        the model server has parsed the body.

        Args:
            row: field name to bytes, or {"body": bytes, or what a JSON body was parsed to}.
            headers: the request's headers in any case; values that are no text are not headers.

        Raises:
            InvalidRequestError: there is no photo, or an option is out of its range.
            AbandonedError: the front no longer waits.
        """
        sent = {name.lower(): value for name, value in headers.items() if isinstance(value, str)}
        body = _body(row, sent)
        in_headers = {name: sent[h] for name, h in _OPTION_HEADERS.items() if h in sent}
        return cls(
            photos=body.photos,
            options=Options.of({**body.fields, **_query(sent.get("x-query", "")), **in_headers}),
            several=body.several,
        )


def request_id(headers: Mapping[str, Any]) -> str | None:
    """The X-Request-Id among headers, if it is one that may stand in answers and logs."""
    sent = {name.lower(): value for name, value in headers.items()}.get("x-request-id")
    return sent if isinstance(sent, str) and _REQUEST_ID.fullmatch(sent) else None


def share_of(photos: int) -> float:
    """How much of one photo's limits each of several may use: together, four times as much."""
    return min(1.0, 4 / photos)


def photo_bytes(photo: Photo) -> bytes:
    """A photo's bytes; text is base64, also as a data URL.

    Raises:
        InvalidRequestError: it is not valid base64.
    """
    if not isinstance(photo, str):
        return bytes(photo)
    encoded = photo.partition(",")[2] if photo.startswith("data:") else photo
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as err:
        raise InvalidRequestError("The photo is not valid base64.") from err


def _body(row: Mapping[str, Any], headers: Mapping[str, str]) -> Body:
    if "x-body-file" in headers:
        return Body.parse(read_body(headers["x-body-file"]), headers.get("x-content-type", ""))
    body = row.get("body")
    if "x-content-type" in headers and isinstance(body, bytes | bytearray):
        return Body.parse(body, headers["x-content-type"])
    return Body.of_row(row, headers.get("content-type", ""))


def _query(query: str) -> dict[str, Any]:
    try:
        return collect(parse_qsl(query, errors="strict", max_num_fields=_MAX_QUERY_FIELDS))
    except ValueError as err:
        raise InvalidRequestError(
            f"The query is not valid UTF-8, or has more than {_MAX_QUERY_FIELDS} parameters."
        ) from err
