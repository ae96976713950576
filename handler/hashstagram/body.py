"""Body: a request's photos and fields, in whatever form they came."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from multipart import MultipartError, MultipartParser, ParserLimitReached, parse_options_header

from hashstagram.errors import InvalidRequestError

MAX_PHOTOS = 16
MAX_PARTS = 64
# More than any request of ours needs. Python's lists and dictionaries take many times the room
# of the text that they are read from.
MAX_JSON_VALUES = 2000

# "data" is what TorchServe's own examples call it.
_PHOTO_FIELDS = ("image", "data", "photo", "file")
_LIST_FIELD = "images"  # of JSON
_FORM_HINT = (
    "The photo came as a web form's text. Send its bytes (curl -T photo.jpg URL), "
    "or a multipart field (curl -F image=@photo.jpg URL)."
)
_NO_PHOTO = (
    "There is no photo in the request. Send its bytes as the body, as the multipart field "
    '"image", or in base64 as {"image": "…"} with Content-Type: application/json.'
)

# A str is base64. A bytearray is the server's own: it is copied only when its turn comes.
Photo = bytes | bytearray | str


@dataclass(frozen=True)
class Body:
    """What a request carries.

    Args:
        photos: at least one, at most MAX_PHOTOS.
        fields: what else it holds, by name; a list where a name stands more than once.
        several: whether the caller expects a list of results.
    """

    photos: tuple[Photo, ...]
    fields: Mapping[str, Any] = field(default_factory=dict)
    several: bool = False

    def __post_init__(self) -> None:
        """Refuse a body without photos, or with too many."""
        if not self.photos or not any(self.photos):
            raise InvalidRequestError(_NO_PHOTO)
        if len(self.photos) > MAX_PHOTOS:
            raise InvalidRequestError(
                f"A request may hold {MAX_PHOTOS} photos. Send the others in another one."
            )

    @classmethod
    def parse(cls, body: bytes | bytearray, content_type: str) -> "Body":
        """Read what the caller sent as it came.

        Raises:
            InvalidRequestError: it is not what its content type says, or holds no photo.
        """
        media_type, options = parse_options_header(content_type)
        if media_type == "multipart/form-data":
            return cls._of_multipart(body, options.get("boundary", ""))
        if media_type == "application/json":
            return cls.of_json(_parse_json(body))
        return cls((body,))  # curl calls a photo a web form, browsers call it what they think

    @classmethod
    def of_row(cls, row: Mapping[str, Any], content_type: str) -> "Body":
        """Read what TorchServe has already taken apart.

        Args:
            row: field name to bytes, or {"body": bytes, or what a JSON body was parsed to}.
            content_type: the request's.

        Raises:
            InvalidRequestError: as `parse`.
        """
        if content_type.startswith("application/x-www-form-urlencoded"):
            raise InvalidRequestError(_FORM_HINT)
        fields = dict(row)
        fields.pop("model_name", None)  # of the address /invocations?model_name=, not for us
        body = fields.pop("body", b"")
        if content_type.startswith("application/json") and isinstance(body, bytearray):
            raise InvalidRequestError("The body is not valid JSON.")  # it came as it was sent
        if isinstance(body, dict):
            return cls.of_json(fields | body)
        named = [fields.pop(name) for name in _PHOTO_FIELDS if name in fields]
        photos = [photo for photo in named if photo]
        if not photos and isinstance(body, bytes | bytearray):
            photos = [body]
        return cls(tuple(photos), fields, several=len(photos) > 1)

    @classmethod
    def of_json(cls, body: Any) -> "Body":
        """Read {"image": base64} or {"images": [base64, …]}, with options beside it.

        Raises:
            InvalidRequestError: it has no such field.
        """
        if not isinstance(body, dict):
            raise InvalidRequestError(_NO_PHOTO)
        several = isinstance(body.get(_LIST_FIELD), list)
        named = [body[name] for name in _PHOTO_FIELDS if body.get(name)][:1]
        photos = body[_LIST_FIELD] if several else named
        if not all(isinstance(photo, str | bytes | bytearray) for photo in photos):
            raise InvalidRequestError(_NO_PHOTO)
        fields = {name: body[name] for name in body if name not in (*_PHOTO_FIELDS, _LIST_FIELD)}
        return cls(tuple(photos), fields, several=several)

    @classmethod
    def _of_multipart(cls, body: bytes | bytearray, boundary: str) -> "Body":
        photos, fields = [], []
        for name, filename, content in _parts(body, boundary):
            if filename or name in _PHOTO_FIELDS:
                photos.append(content)
            elif filename is None:  # an empty name is a file input that was left empty
                fields.append((name, content))
        return cls(tuple(photos), collect(fields), several=len(photos) > 1)


def collect(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Name to value; to the list of its values where a name stands more than once."""
    values: dict[str, list[Any]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {name: held if len(held) > 1 else held[0] for name, held in values.items()}


def _parts(body: bytes | bytearray, boundary: str) -> list[tuple[str, str | None, bytes]]:
    """Name, file name and content of a form's parts.

    Raises:
        InvalidRequestError: the form is malformed, or has too many parts.
    """
    parser = MultipartParser(
        BytesIO(body),
        boundary,
        len(body),
        strict=True,
        part_limit=MAX_PARTS,
        spool_limit=len(body) + 1,  # nothing goes to the disk
        memory_limit=len(body) + 1,
    )
    try:
        return [(part.name, part.filename, part.raw) for part in parser]
    except ParserLimitReached as err:
        raise InvalidRequestError(
            f"The form is too large. It may have {MAX_PARTS} parts, with short headers."
        ) from err
    except (MultipartError, ValueError, LookupError) as err:
        raise InvalidRequestError(
            "The multipart form is malformed or cut off. Send it as curl -F image=@photo.jpg does."
        ) from err


def _parse_json(body: bytes | bytearray) -> Any:
    if sum(body.count(mark) for mark in (b",", b"[", b"{")) > MAX_JSON_VALUES:
        raise InvalidRequestError("The JSON body holds too many values. Send fewer.")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as err:
        raise InvalidRequestError("The body is not valid JSON.") from err
