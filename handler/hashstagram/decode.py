"""Decode: an image file's bytes to an upright RGB picture, whatever the file does.

The one function that training, evaluation and serving share.
"""

from contextlib import nullcontext
from threading import Lock

import pillow_heif
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from hashstagram.errors import (
    HashstagramError,
    ImageTooLargeError,
    InvalidImageError,
    UnsupportedImageError,
)
from hashstagram.rgb import upright_rgb
from hashstagram.screening import BoundedReader, decodes_in_one_scan, screen

pillow_heif.register_heif_opener(depth_images=False, aux_images=False)
PngImagePlugin.MAX_TEXT_MEMORY = 4_000_000  # bytes of a PNG's unpacked texts; nobody reads them

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")  # MPO opens as JPEG
MAX_PIXELS = 50_000_000
MAX_JPEG_PIXELS = 120_000_000  # the largest phone photos have 108 megapixels
MAX_MEMORY = 140_000_000  # bytes, of the file and of all that decoding it needs at once
HUNGRY = 30_000_000  # bytes; pictures that need more are decoded one at a time, of all threads
MAX_THUMBNAIL = 1_500  # pixels, of its longer side
LARGE = 8_000_000  # pixels; pictures above are averaged down before anything else is done

# Bytes a pixel at the peak, measured; other formats need what the picture itself needs.
_BYTES = {"WEBP": 16, "AVIF": 11, "HEIF": 10}
_ALONE = Lock()
_DAMAGED = "The image is truncated or damaged. Save it again and send the new file."


def decode_image(data: bytes, *, min_side: int | None = None, share: float = 1) -> Image.Image:
    """Decode image bytes to an upright RGB picture.

    Args:
        data: the file's bytes, in one of FORMATS.
        min_side: the picture may come at a fraction of its size as long as its shorter side
            keeps at least this many pixels: several times faster for a phone photo.
        share: how much of the limits on pixels this one may use, where it is one of many.

    Raises:
        UnsupportedImageError: the bytes are not an image in one of FORMATS.
        ImageTooLargeError: too many pixels; found before anything is decoded.
        InvalidImageError: the image is truncated or broken.
    """
    # Pillow raises nearly every class of exception on broken files, MemoryError included.
    try:
        screen(data, MAX_PIXELS)
        return _decode(data, min_side, share)
    except HashstagramError:
        raise
    except UnidentifiedImageError as err:
        if _is_named(data):
            raise InvalidImageError(_DAMAGED) from err
        raise UnsupportedImageError(
            f"This is not an image that can be read. Send one of {', '.join(FORMATS)}."
        ) from err
    except Image.DecompressionBombError as err:
        raise ImageTooLargeError("The image has too many pixels. Send a smaller one.") from err
    except Exception as err:
        raise InvalidImageError(_DAMAGED) from err


def _decode(data: bytes, min_side: int | None, share: float) -> Image.Image:
    image = Image.open(BoundedReader(data), formats=FORMATS)
    pixels = image.width * image.height
    most = MAX_JPEG_PIXELS if image.format in ("JPEG", "MPO") else MAX_PIXELS
    needed = 2 * len(data) + _coefficients(image, data)
    if min_side is not None:
        _draft(image, min_side)
    factor = _factor(image, min_side)
    needed += _memory(image, factor)
    if pixels > most * share or needed > MAX_MEMORY:
        raise ImageTooLargeError(
            f"The image has {pixels / 1e6:.0f} megapixels, which is too many for its format. "
            "Send a smaller one, or a baseline JPEG."
        )
    with _ALONE if needed > HUNGRY else nullcontext():
        picture = upright_rgb(image, factor)
        if picture is not image:
            image.close()  # while nobody else may begin
        return picture


def _draft(image: Image.Image, min_side: int) -> None:
    """Have a JPEG decoded at a fraction of its size, or the thumbnail in place of a HEIC photo."""
    scale = min_side / min(image.size)
    if any(side > MAX_THUMBNAIL for side in image.info.get("thumbnails", ())):
        return  # draft() would decode it here and now
    if scale < 1:  # draft() takes the smallest size that is not below the one asked for
        image.draft("RGB", (round(image.width * scale), round(image.height * scale)))


def _factor(image: Image.Image, min_side: int | None) -> int:
    """How far a large picture may be averaged down: detail enough is left for the resize."""
    if min_side is None or image.width * image.height <= LARGE:
        return 1
    return max(1, min(image.size) // (2 * min_side))


def _memory(image: Image.Image, factor: int) -> float:
    """Bytes for a picture while it is decoded, and for what is made of it."""
    own = 1 if image.mode in ("1", "L", "P") else 2 if image.mode.startswith("I;16") else 4
    if image.format == "TIFF":
        own *= 2  # the picture, and a strip that may hold all of it or its rotation
    return image.width * image.height * (_BYTES.get(str(image.format), own) + 4 / factor**2)


def _coefficients(image: Image.Image, data: bytes) -> float:
    """Bytes of the coefficients that a JPEG of several scans keeps, at any scale."""
    if image.format not in ("JPEG", "MPO") or decodes_in_one_scan(data):
        return 0
    layers = [(horizontal, vertical) for _, horizontal, vertical, _ in image.layer]  # type: ignore[attr-defined]
    widest = max(h for h, _ in layers) * max(v for _, v in layers)
    blocks = sum(h * v for h, v in layers) / widest
    return float(image.width * image.height * 2 * blocks)


def _is_named(data: bytes) -> bool:
    """Whether the first bytes are those of one of the formats, however it goes on."""
    accepts = (Image.OPEN[name][1] for name in FORMATS)
    return any(accept is not None and accept(data[:16]) is True for accept in accepts)
