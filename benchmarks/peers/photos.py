"""Photos: JPEGs of three sizes, drawn, as heavy as real ones; several that differ for each size.

640 and 1080 pixels are square, as networks for photos save them; 4032 × 3024 is what a phone
takes, and every fourth of those was held upright: stored on its side, with EXIF's orientation.
"""

from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from serving.sample_photo import draw_sunset

SIZES = {640: (640, 640), 1080: (1080, 1080), 4032: (4032, 3024)}
QUALITY = {640: 82, 1080: 88, 4032: 94}  # which gives about 60 kB, 250 kB and 4 MB
COUNT = 4
ORIENTATION = 0x0112  # EXIF's, and what it is for a phone that was held upright
QUARTER_TURN = 6


def save_photos(width: int, folder: Path) -> list[Path]:
    """All photos of one width, in files, which are drawn once."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{width}-{number}.jpg" for number in range(COUNT)]
    for number, path in enumerate(paths):
        if not path.exists():
            upright = width == max(SIZES) and number == COUNT - 1
            picture = draw(*SIZES[width], number)
            path.write_bytes(jpeg(picture, QUALITY[width], on_its_side=upright))
    return paths


def draw(width: int, height: int, number: int) -> Image.Image:
    """A part of the sunset, in other colours each time, with detail at every scale, and grain."""
    dice = np.random.default_rng(number)
    sunset = draw_sunset()
    if number % 2:
        sunset = ImageOps.mirror(sunset)
    left = dice.uniform(0, 0.3) * sunset.width
    box = (left, 0, left + 0.7 * sunset.width, sunset.height)
    picture = sunset.resize((width, height), Image.Resampling.BICUBIC, box=box)
    pixels = np.asarray(picture, np.float32) * dice.uniform(0.6, 1.2, 3).astype(np.float32)
    pixels += _detail(width, height, dice)[..., None]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _detail(width: int, height: int, dice: np.random.Generator) -> npt.NDArray[np.float32]:
    """Noise whose waves are the weaker the shorter they are, as in nature, down to the grain."""
    total = 4 * dice.standard_normal((height, width), np.float32)
    scale = 4
    while scale < width // 3:
        grid = dice.normal(0, 3 * scale**0.35, (height // scale + 2, width // scale + 2))
        patch = Image.fromarray(grid.astype(np.float32))
        total += np.asarray(patch.resize((width, height), Image.Resampling.BICUBIC))
        scale *= 4
    return total


def jpeg(picture: Image.Image, quality: int, *, on_its_side: bool = False) -> bytes:
    """The file; one that lies on its side is turned by whoever shows it."""
    exif = Image.Exif()
    if on_its_side:
        exif[ORIENTATION] = QUARTER_TURN
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=quality, subsampling="4:2:0", exif=exif)
    return buffer.getvalue()
