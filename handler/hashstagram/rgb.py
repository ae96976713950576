"""RGB: pictures of any of Pillow's modes to upright RGB, a band at a time."""

from collections.abc import Iterator
from functools import cache

import numpy as np
from PIL import Image, ImageCms

BAND = 1 << 20  # pixels that are converted at once: it bounds the memory of the steps between
FULL_SCALES = (1.0, 255.0, 65535.0)  # what stands for white, where a mode leaves it open

# What undoes each EXIF orientation; 1 is upright.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def upright_rgb(image: Image.Image, factor: int = 1) -> Image.Image:
    """An upright RGB picture: transparency on white, 16 bits scaled to 8, orientation undone.

    Args:
        image: it is loaded by this, if it is not yet.
        factor: the picture is averaged down by this factor on the way.
    """
    image.load()
    turn = TURNS.get(orientation(image))
    if image.mode != "RGB" or image.has_transparency_data or factor > 1:
        image = _converted(image, factor)
    return image if turn is None else image.transpose(turn)  # the small picture, not the large


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; broken EXIF is none."""
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # as many classes of them as there are ways to break EXIF
        return 1


def _converted(image: Image.Image, factor: int) -> Image.Image:
    width, height = image.size
    result = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    white = _white(image)
    for top, bottom in _bands(width, height, factor):
        band = _to_rgb(image.crop((0, top, width, bottom)), white)
        result.paste(band.reduce(factor) if factor > 1 else band, (0, top // factor))
    return result


def _bands(width: int, height: int, factor: int) -> Iterator[tuple[int, int]]:
    """Tops and bottoms, of a height that the factor divides."""
    rows = max(1, BAND // (width * factor)) * factor
    for top in range(0, height, rows):
        yield top, min(top + rows, height)


def _white(image: Image.Image) -> float:
    """The value that stands for white in a picture of numbers."""
    if image.mode.startswith("I;16"):
        return 65535.0
    if image.mode not in ("I", "F"):
        return 255.0
    highest = float(np.nan_to_num(image.getextrema()[1], posinf=1.0))
    return next((scale for scale in FULL_SCALES if highest <= scale), highest)


def _to_rgb(image: Image.Image, white: float) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        # Pillow would clip these to 255 instead of scaling them.
        values = np.nan_to_num(np.asarray(image, dtype=np.float32)) * (255.0 / white)
        return Image.fromarray(values.clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode == "LAB":
        return _lab().apply(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


@cache
def _lab() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(
        ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB"
    )
