"""Paint: colours, and the grounds that drawings stand on."""

import colorsys
import math
from collections.abc import Sequence
from random import Random

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Size = tuple[int, int]
Point = tuple[float, float]
Box = tuple[float, float, float, float]
Field = npt.NDArray[np.float32]  # (height, width)

INK = (28, 26, 30)
GREY = (142, 142, 147)
# Ranges of lightness.
LIGHT = (0.86, 1.0)
DARK = (0.0, 0.16)
MIDDLE = (0.35, 0.65)


def colour(generator: Random, lightness: tuple[float, float], vivid: float = 1.0) -> Colour:
    """A colour of any hue.

    Args:
        generator: chance.
        lightness: its range, from 0 (black) to 1 (white).
        vivid: the highest saturation.
    """
    hue, saturation = generator.random(), vivid * generator.random() ** 0.7
    return _rgb(hue, generator.uniform(*lightness), saturation)


def palette(generator: Random, count: int) -> list[Colour]:
    """Colours that go together: near or opposite hues, different lightness."""
    hue, spread = generator.random(), generator.choice((0.05, 0.1, 0.33, 0.5))
    return [
        _rgb(hue + spread * i, generator.uniform(0.2, 0.85), generator.uniform(0.3, 0.95))
        for i in range(count)
    ]


def _rgb(hue: float, lightness: float, saturation: float) -> Colour:
    red, green, blue = colorsys.hls_to_rgb(hue % 1, lightness, saturation)
    return round(255 * red), round(255 * green), round(255 * blue)


def contrast(ground: Colour) -> Colour:
    """Black or white, whichever is read on this ground."""
    return (20, 20, 20) if sum(ground) > 400 else (245, 245, 245)


def blend(first: Colour, second: Colour, share: float) -> Colour:
    """A colour between two."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def generator_of_noise(generator: Random) -> np.random.Generator:
    """NumPy's generator, for whole arrays."""
    return np.random.default_rng(generator.getrandbits(32))


def picture_of(field: Field, colours: Sequence[Colour]) -> Image.Image:
    """A field of values from 0 to 1 in colours, which divide that range evenly."""
    stops = np.linspace(0, 1, len(colours))
    channels = [np.interp(field, stops, [c[i] for c in colours]) for i in range(3)]
    return Image.fromarray(np.stack(channels, axis=2).astype(np.uint8))


def gradient(generator: Random, size: Size, colours: Sequence[Colour]) -> Image.Image:
    """Colours that run into each other, straight at any angle or round."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width] / max(size)
    if generator.random() < 0.25:
        field = np.hypot(x - generator.random(), y - generator.random())
    else:
        angle = generator.choice((0, math.pi / 2, generator.uniform(0, math.pi)))
        field = x * math.cos(angle) + y * math.sin(angle)
    return picture_of(_normal(field.astype(np.float32)), colours)


def clouds(generator: Random, size: Size, octaves: int = 6, roughness: float = 0.55) -> Field:
    """Fractal noise from 0 to 1: each octave is finer and fainter."""
    noise = generator_of_noise(generator)
    field: Field = np.zeros(size[::-1], np.float32)
    for octave in range(1, octaves + 1):
        grid = noise.random((2**octave + 1, 2**octave + 1), dtype=np.float32)
        layer = Image.fromarray(grid).resize(size, Image.Resampling.BICUBIC)
        field += np.asarray(layer) * roughness**octave
    return _normal(field)


def _normal(field: Field) -> Field:
    low, high = field.min(), field.max()
    normal: Field = (field - low) / max(float(high - low), 1e-6)
    return normal


def scenery(generator: Random, size: Size) -> Image.Image:
    """What might be a photo out of focus: uneven light, a horizon perhaps, discs of light."""
    image = picture_of(clouds(generator, size, 5), palette(generator, 3))
    if generator.random() < 0.6:
        ground = picture_of(clouds(generator, size, 6, 0.7), palette(generator, 2))
        image.paste(ground, (0, round(size[1] * generator.uniform(0.4, 0.8))))
    lights = Image.new("L", size)
    draw = ImageDraw.Draw(lights)
    for _ in range(generator.choice((0, 0, 15, 40))):
        x, y, radius = generator.random(), generator.random(), generator.uniform(8, 50)
        disc = (
            x * size[0] - radius,
            y * size[1] - radius,
            x * size[0] + radius,
            y * size[1] + radius,
        )
        draw.ellipse(disc, fill=generator.randint(60, 200))
    image.paste(colour(generator, (0.7, 0.95)), mask=lights)
    return image.filter(ImageFilter.GaussianBlur(generator.uniform(3, 25)))


def photographed(generator: Random, page: Image.Image) -> Image.Image:
    """A page as a camera sees it: on a table, at an angle, in uneven light."""
    width, height = page.size
    size = (round(width * 1.25), round(height * 1.25))
    table = picture_of(clouds(generator, size, 7, 0.8), [colour(generator, MIDDLE, 0.5)] * 2)
    table = Image.blend(table, picture_of(clouds(generator, size), [(0, 0, 0), (90, 80, 70)]), 0.4)
    jitter = [generator.uniform(0, 0.14) for _ in range(8)]
    corners = [
        (jitter[0] * width, jitter[1] * height),
        (size[0] - jitter[2] * width, jitter[3] * height),
        (size[0] - jitter[4] * width, size[1] - jitter[5] * height),
        (jitter[6] * width, size[1] - jitter[7] * height),
    ]
    edges = [(0, 0), (width, 0), (width, height), (0, height)]
    coefficients = _perspective(corners, edges)
    warp = (size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC)
    mask = Image.new("L", page.size, 255).transform(*warp)
    table.paste((10, 10, 10), (12, 16), mask.filter(ImageFilter.GaussianBlur(14)))
    table.paste(page.transform(*warp), mask=mask)
    light = gradient(generator, size, [(255, 255, 255), colour(generator, (0.55, 0.9), 0.4)])
    lit = np.asarray(table, np.float32) * np.asarray(light, np.float32) / 255
    return Image.fromarray(lit.astype(np.uint8))


def _perspective(
    corners: Sequence[tuple[float, float]], edges: Sequence[tuple[float, float]]
) -> list[float]:
    """The eight coefficients by which Pillow reads a page's edges at a picture's corners."""
    rows, values = [], []
    for (x, y), (u, v) in zip(corners, edges, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    solution: list[float] = np.linalg.solve(np.array(rows), np.array(values)).tolist()
    return solution
