"""Photos made smaller before they travel, with Pillow where it is installed.

The model looks at a square of 192 to 224 pixels. What a phone takes has twenty times its side:
sending that is most of the waiting on a slow line. `python -m benchmarks.client shrink` measures
what shrinking saves and that the answers stay.
"""

import warnings
from io import BytesIO
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

SHORTER_SIDE = 448  # pixels; twice the model's, so that what it makes of the photo stays the same
WORTHWHILE = 1.25  # times SHORTER_SIDE: below it little is to be gained
SMALL_FILE = 65_536  # bytes; not worth the work
MOST_PIXELS = 50_000_000  # to be decoded; beyond that it takes seconds
QUALITY = 90  # of the JPEG
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # others the server looks at

_filters = Lock()  # Python keeps one set of warning filters for all threads


def smaller(data: bytes) -> bytes:
    """An image file made smaller, or the same bytes where there is nothing to gain.

    The shorter side becomes SHORTER_SIDE; orientation is applied, colour profile and transparency
    are kept, other metadata, such as the place, stays at home. What Pillow cannot read, or not
    soon, goes as it is: the server has the say.
    """
    if len(data) <= SMALL_FILE:
        return data
    try:
        with _opened(data) as image:
            if not _is_large(image):
                return data
            # A JPEG is decoded at a half, a quarter or an eighth: twice the size is enough.
            image.draft(image.mode, _target(image, 2 * SHORTER_SIDE))
            if image.width * image.height > MOST_PIXELS:
                return data
            shrunk = _file(_resized(image))
    except (Exception, MemoryError):  # on broken files Pillow raises nearly every class
        return data
    return min(data, shrunk, key=len)


def encode(image: "Image", *, shrink: bool) -> bytes:
    """A picture in memory to a file: made smaller, or as a PNG, which loses nothing of it."""
    if shrink and _is_large(image):
        return _file(_resized(image))
    return _png(image)


def _opened(data: bytes) -> "Image":
    """The image, not decoded yet; Pillow's warning of many pixels is not for our callers."""
    from PIL import Image

    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(BytesIO(data), formats=FORMATS)


def _is_large(image: "Image") -> bool:
    return min(image.size) > SHORTER_SIDE * WORTHWHILE


def _target(image: "Image", side: int) -> tuple[int, int]:
    scale = side / min(image.size)
    return round(image.width * scale), round(image.height * scale)


def _resized(image: "Image") -> "Image":
    """Upright, in gray or RGB, with alpha where there was transparency.

    Raises:
        ValueError: a mode that the server knows better how to convert, such as CMYK.
    """
    from PIL import Image, ImageOps

    if image.has_transparency_data:
        image = image.convert("RGBA")
    elif image.mode in ("P", "1"):
        image = image.convert("RGB")
    elif image.mode not in ("L", "RGB"):
        raise ValueError(f"mode {image.mode} is left to the server")
    size = _target(image, SHORTER_SIDE)
    return ImageOps.exif_transpose(image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))


def _file(image: "Image") -> bytes:
    if image.mode == "RGBA":
        return _png(image)
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, icc_profile=image.info.get("icc_profile"))
    return buffer.getvalue()


def _png(image: "Image") -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG", exif=image.getexif(), icc_profile=image.info.get("icc_profile"))
    return buffer.getvalue()
