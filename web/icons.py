"""Icons: a hash whose middle is a setting sun, drawn into the built page.

Run: python -m web.icons FOLDER
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

SIDE = 1024  # drawn large, made smaller
DUSK, GLOW = (70, 32, 92), (244, 108, 66)
PAPER, SUN = (255, 248, 238), (255, 214, 120)
RADIUS = 230  # of the square's corners


def draw(*, margin: float, rounded: bool) -> Image.Image:
    """The icon, 1024 pixels square.

    Args:
        margin: share of the side between the hash and the edge.
        rounded: with clear corners, else full to the edge, for devices that cut a shape of theirs.
    """
    icon = _sky()
    pen = ImageDraw.Draw(icon)
    _hash(pen, round(margin * SIDE))
    if rounded:
        shape = Image.new("L", icon.size)
        ImageDraw.Draw(shape).rounded_rectangle((0, 0, SIDE - 1, SIDE - 1), RADIUS, fill=255)
        icon.putalpha(shape)
    return icon


def _sky() -> Image.Image:
    sky = Image.new("RGB", (1, SIDE))
    for y in range(SIDE):
        part = y / SIDE
        red, green, blue = (round(a + (b - a) * part) for a, b in zip(DUSK, GLOW, strict=True))
        sky.putpixel((0, y), (red, green, blue))
    return sky.resize((SIDE, SIDE))


def _hash(pen: ImageDraw.ImageDraw, margin: int) -> None:
    """Four strokes, the upright ones leaning; a sun where they cross."""
    inner = SIDE - 2 * margin
    stroke, lean = round(inner * 0.115), round(inner * 0.09)
    middle = SIDE // 2
    radius = round(inner * 0.105)
    for part in (0.33, 0.67):
        at = margin + round(inner * part)
        _line(pen, (at + lean, margin, at - lean, SIDE - margin), stroke)
        _line(pen, (margin, at, SIDE - margin, at), stroke)
    pen.ellipse((middle - radius, middle - radius, middle + radius, middle + radius), fill=SUN)


def _line(pen: ImageDraw.ImageDraw, ends: tuple[int, int, int, int], width: int) -> None:
    """A stroke with round ends."""
    pen.line(ends, fill=PAPER, width=width)
    half = width // 2
    for x, y in (ends[:2], ends[2:]):
        pen.ellipse((x - half, y - half, x + half, y + half), fill=PAPER)


def main(argv: Sequence[str] | None = None) -> int:
    """Write all sizes."""
    [folder] = map(Path, sys.argv[1:] if argv is None else argv)
    folder.mkdir(parents=True, exist_ok=True)
    plain = draw(margin=0.24, rounded=True)
    full = draw(margin=0.28, rounded=False)
    for icon, name, side in (
        (plain, "icon-96.png", 96),
        (plain, "icon-192.png", 192),
        (plain, "icon-512.png", 512),
        (full, "icon-maskable-512.png", 512),
        (full, "icon-apple-180.png", 180),
    ):
        small = icon.resize((side, side), Image.Resampling.LANCZOS)
        small.save(folder / name, optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
