"""RecommendRequest: one request row, as a model server delivers it, to a photo and options."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from hashstagram.errors import InvalidRequestError

MAX_K = 100

N = TypeVar("N", int, float)

# "data" is what TorchServe's own examples call it.
_PHOTO_FIELDS = ("image", "data", "photo", "file")
_OPTION_HEADERS = {"k": "x-top-k", "threshold": "x-threshold"}
_FORM_HINT = (
    "The photo came as a web form's text. Send its bytes (curl -T photo.jpg URL), "
    "or a multipart field (curl -F image=@photo.jpg URL)."
)


@dataclass(frozen=True)
class RecommendRequest:
    """What one caller asks for.

    Args:
        photo: the image file's bytes.
        k: how many hashtags, 1 to MAX_K.
        threshold: the lowest score that is still answered, 0 to 1.
    """

    photo: bytes
    k: int = 5
    threshold: float = 0.0

    @classmethod
    def from_row(cls, row: Mapping[str, Any], headers: Mapping[str, Any]) -> "RecommendRequest":
        """Read a raw body, multipart fields or JSON; options in headers win over fields.

        Args:
            row: field name to bytes, or {"body": bytes, or what a JSON body was parsed to}.
            headers: the request's headers in any case; values that are no text are not headers.

        Raises:
            InvalidRequestError: there is no photo, or an option is out of its range.
        """
        sent = {name.lower(): value for name, value in headers.items() if isinstance(value, str)}
        _check_content_type(sent.get("content-type", ""), row)
        fields = _fields(row)
        options = {
            name: sent.get(header, fields.get(name)) for name, header in _OPTION_HEADERS.items()
        }
        return cls(
            photo=_photo(fields),
            k=_number(options["k"], "k", int, default=5, low=1, high=MAX_K),
            threshold=_number(options["threshold"], "threshold", float, default=0.0, low=0, high=1),
        )


def _check_content_type(content_type: str, row: Mapping[str, Any]) -> None:
    if content_type.startswith("application/x-www-form-urlencoded"):
        raise InvalidRequestError(_FORM_HINT)
    if content_type.startswith("application/json") and isinstance(row.get("body"), bytearray):
        # The server hands over what it could not parse as it came.
        raise InvalidRequestError("The body is not valid JSON.")


def _fields(row: Mapping[str, Any]) -> dict[str, Any]:
    """Form fields and the fields of a JSON body, side by side."""
    fields = dict(row)
    if isinstance(fields.get("body"), dict):
        fields |= fields.pop("body")
    return fields


def _photo(fields: Mapping[str, Any]) -> bytes:
    name = next((name for name in _PHOTO_FIELDS if fields.get(name)), "body")
    photo = fields.get(name)
    if isinstance(photo, bytes | bytearray) and photo:
        return bytes(photo)
    if isinstance(photo, str) and name != "body":  # a body that is text is no base64 of ours
        return _from_base64(photo, name)
    raise InvalidRequestError(
        "There is no photo in the request. Send its bytes as the body, as the multipart field "
        '"image", or in base64 as {"image": "…"} with Content-Type: application/json.'
    )


def _from_base64(text: str, name: str) -> bytes:
    if text.startswith("data:"):  # a data URL: data:image/jpeg;base64,…
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as err:
        raise InvalidRequestError(f'The field "{name}" is not valid base64.') from err


def _number(value: Any, name: str, kind: type[N], *, default: N, low: N, high: N) -> N:
    if value is None:
        return default
    try:
        number = kind(value.decode() if isinstance(value, bytes | bytearray) else value)
        whole = kind is not int or not isinstance(value, float)
        if isinstance(value, bool) or not whole or not low <= number <= high:
            raise ValueError
    except (TypeError, ValueError, OverflowError) as err:
        article = "a whole number" if kind is int else "a number"
        raise InvalidRequestError(f"{name} must be {article} from {low} to {high}.") from err
    return number
