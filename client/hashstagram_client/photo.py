"""Photo: what a caller has in hand, to the bytes that travel."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from hashstagram_client.errors import UndecodablePhotoError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    Photo: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO | Image | NDArray[Any]

KINDS = "a path, an http(s) URL, bytes, a binary file, a PIL image or a NumPy array of uint8"


def to_bytes(photo: "Photo", *, shrink: bool, download: Callable[[str], bytes]) -> bytes:
    """The bytes of an image file, smaller than the photo's own where that changes no answer.

    Raises:
        OSError: the path cannot be read.
        TypeError: the photo is none of KINDS, or Pillow is missing for the last two.
        UndecodablePhotoError: there are no bytes.
    """
    image = _image(photo)
    if image is not None:
        from hashstagram_client.shrink import encode

        return encode(image, shrink=shrink)
    data = _read(photo, download)
    if not data:
        raise UndecodablePhotoError(
            "there is nothing in this file (0 bytes)", status=422, kind="EmptyPhotoError"
        )
    if shrink:
        from hashstagram_client.shrink import smaller

        data = smaller(data)
    return data


def name_of(photo: "Photo") -> str | None:
    """What a photo is called: its path or URL; None for what has no name."""
    return os.fspath(photo) if isinstance(photo, str | os.PathLike) else None


def _read(photo: Any, download: Callable[[str], bytes]) -> bytes:
    if isinstance(photo, bytes | bytearray | memoryview):
        return bytes(photo)
    if isinstance(photo, str) and photo.lower().startswith(("http://", "https://")):
        return download(photo)
    if isinstance(photo, str | os.PathLike):
        return Path(photo).read_bytes()
    if hasattr(photo, "read"):
        data = photo.read()
        if isinstance(data, bytes):
            return data
        raise TypeError("open the photo's file in binary mode: open(path, 'rb')")
    raise TypeError(f"a photo is {KINDS}, not {photo!r}")


def _image(photo: Any) -> "Image | None":
    """The picture that the caller holds in memory, if that is what the photo is."""
    if hasattr(photo, "getexif"):
        image: Image = photo
        return image
    if not hasattr(photo, "__array_interface__"):
        return None
    try:
        from PIL import Image as images
    except ImportError as err:
        raise TypeError("arrays need Pillow: pip install pillow") from err
    if photo.dtype != "uint8":
        raise TypeError(f"a picture is an array of uint8, not of {photo.dtype}")
    return images.fromarray(photo)
