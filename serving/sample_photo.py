"""A sample photo that needs no photographer: a sunset over the sea, drawn with code."""

import math
import random
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

SIZE = (1080, 810)
HORIZON = 480
SUN = (640, 430)

Colour = tuple[int, int, int]

SKY: list[tuple[float, Colour]] = [
    (0.0, (46, 58, 104)),
    (0.45, (150, 96, 120)),
    (0.8, (244, 140, 78)),
    (1.0, (255, 206, 120)),
]
SEA: list[tuple[float, Colour]] = [(0.0, (206, 122, 84)), (0.3, (92, 74, 96)), (1.0, (22, 28, 52))]


def draw_sunset() -> Image.Image:
    """The same 1080 × 810 RGB picture every time."""
    picture = Image.new("RGB", SIZE)
    draw = ImageDraw.Draw(picture)
    _gradient(draw, SKY, 0, HORIZON)
    _gradient(draw, SEA, HORIZON, SIZE[1])
    _sun(picture)
    _clouds(picture, random.Random(3))
    _glitter(picture, random.Random(5))
    _hills(picture)
    return picture.filter(ImageFilter.GaussianBlur(0.8))


def save_sunset(path: Path) -> Path:
    """Draw it into a JPEG file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draw_sunset().save(path, quality=90)
    return path


def _gradient(
    draw: ImageDraw.ImageDraw, stops: list[tuple[float, Colour]], top: int, bottom: int
) -> None:
    for y in range(top, bottom):
        draw.line([(0, y), (SIZE[0], y)], fill=_colour(stops, (y - top) / (bottom - top)))


def _colour(stops: list[tuple[float, Colour]], at: float) -> Colour:
    for (low, first), (high, second) in pairwise(stops):
        if at <= high:
            share = (at - low) / (high - low)
            red, green, blue = (
                round(a + (b - a) * share) for a, b in zip(first, second, strict=True)
            )
            return red, green, blue
    return stops[-1][1]


def _sun(picture: Image.Image) -> None:
    """A glow in rings, each a little brighter than the one around it, and the disc itself."""
    glow = Image.new("L", SIZE)
    draw = ImageDraw.Draw(glow)
    for radius in range(420, 0, -4):
        strength = round(210 * math.exp(-radius / 110))
        draw.ellipse(_circle(*SUN, radius), fill=strength)
    draw.rectangle((0, HORIZON, *SIZE), fill=0)
    picture.paste((255, 214, 140), mask=glow)
    disc = Image.new("L", SIZE)
    ImageDraw.Draw(disc).ellipse(_circle(*SUN, 46), fill=255)
    ImageDraw.Draw(disc).rectangle((0, HORIZON, *SIZE), fill=0)
    picture.paste((255, 244, 204), mask=disc)


def _clouds(picture: Image.Image, dice: random.Random) -> None:
    """Streaks of many flat ellipses, darker above and lit from below."""
    for _ in range(9):
        mask = Image.new("L", SIZE)
        draw = ImageDraw.Draw(mask)
        x, y = dice.uniform(0, SIZE[0]), dice.uniform(40, HORIZON - 130)
        for _ in range(60):
            dx, dy = dice.gauss(0, 130), dice.gauss(0, 9)
            width, height = dice.uniform(30, 90), dice.uniform(4, 12)
            box = (x + dx - width, y + dy - height, x + dx + width, y + dy + height)
            draw.ellipse(box, fill=90)
        mask = mask.filter(ImageFilter.GaussianBlur(8))
        picture.paste((255, 170, 120), (0, 5), mask)
        picture.paste((96, 70, 100), (0, 0), mask)


def _glitter(picture: Image.Image, dice: random.Random) -> None:
    """The sun's road on the water: short strokes, longer and wider apart towards us."""
    draw = ImageDraw.Draw(picture)
    for y in range(HORIZON + 2, SIZE[1], 3):
        near = (y - HORIZON) / (SIZE[1] - HORIZON)
        for _ in range(10):
            x = SUN[0] + dice.gauss(0, 18 + 90 * near)
            half = dice.uniform(4, 14 + 30 * near)
            light = dice.uniform(0.35, 1.0) * (1 - 0.6 * near)
            colour = (round(255 * light), round(206 * light), round(130 * light))
            draw.line([(x - half, y), (x + half, y)], fill=colour, width=2)


def _hills(picture: Image.Image) -> None:
    """A headland on the left, and its reflection as a darker band."""
    draw = ImageDraw.Draw(picture)
    ridge = [
        (x, HORIZON - 62 * math.exp(-((x / 230) ** 2)) - 7 * math.sin(x / 19))
        for x in range(0, 420, 6)
    ]
    draw.polygon([(0, HORIZON), *ridge, (420, HORIZON)], fill=(38, 32, 48))


def _circle(x: float, y: float, radius: float) -> tuple[float, float, float, float]:
    return x - radius, y - radius, x + radius, y + radius
