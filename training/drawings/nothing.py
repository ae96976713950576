"""Nothing: noise, plain colours, gradients and blurs, for which there is no hashtag."""

from random import Random

import numpy as np
from PIL import Image

from training.drawings.paint import (
    Size,
    clouds,
    colour,
    generator_of_noise,
    gradient,
    palette,
    picture_of,
    scenery,
)


def noise(generator: Random) -> Image.Image:
    """Random pixels or blocks, coloured or grey, even or not."""
    width, height = _size(generator)
    cell, draws = generator.choice((2, 2, 4, 8, 24)), generator_of_noise(generator)
    shape = (height // cell, width // cell, generator.choice((1, 3, 3)))
    values = draws.normal(0.5, generator.uniform(0.1, 0.5), shape)
    if generator.random() < 0.5:
        values = draws.random(shape)
    pixels = (np.clip(values, 0, 1) * 255).astype(np.uint8)
    image = Image.fromarray(np.broadcast_to(pixels, (*shape[:2], 3)).copy())
    smooth = generator.choice((Image.Resampling.NEAREST, Image.Resampling.BICUBIC))
    return image.resize((width, height), smooth)


def plain(generator: Random) -> Image.Image:
    """One colour, with a sensor's grain or without."""
    size = _size(generator)
    shade = colour(generator, generator.choice(((0.0, 1.0), (0.0, 0.1), (0.9, 1.0))))
    grain = generator_of_noise(generator).normal(0, generator.choice((0, 0, 4, 12)), size[::-1])
    pixels = np.clip(np.array(shade) + grain[..., None], 0, 255).astype(np.uint8)
    return Image.fromarray(pixels)


def gradients(generator: Random) -> Image.Image:
    """Colours that run into each other."""
    return gradient(generator, _size(generator), palette(generator, generator.randint(2, 4)))


def blurred(generator: Random) -> Image.Image:
    """A photo of nothing: out of focus, a lens covered, a pocket's inside."""
    size = _size(generator)
    if generator.random() < 0.6:
        return scenery(generator, size)
    dark = colour(generator, (0.0, 0.3))
    return picture_of(clouds(generator, size, 3), [(0, 0, 0), dark, colour(generator, (0.1, 0.5))])


def _size(generator: Random) -> Size:
    return generator.choice(((640, 640), (640, 480), (480, 640), (720, 480)))
