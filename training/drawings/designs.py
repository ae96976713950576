"""Designs: logos, icons, abstract paintings, patterns, surfaces."""

import math
from random import Random

import numpy as np
from PIL import Image, ImageDraw

from training.drawings.paint import (
    DARK,
    INK,
    LIGHT,
    Colour,
    Point,
    blend,
    clouds,
    colour,
    contrast,
    generator_of_noise,
    palette,
    picture_of,
)
from training.drawings.writing import FACES, Canvas, font, words


def logo(generator: Random) -> Image.Image:
    """A mark of few shapes, and a name under it or beside it."""
    ground = colour(generator, generator.choice((LIGHT, (0.98, 1.0), DARK, (0.3, 0.7))))
    canvas = Canvas(generator, (720, generator.choice((720, 480, 600))), ground)
    colours = [blend(c, contrast(ground), 0.2) for c in palette(generator, 3)]
    middle = (canvas.width / 2, canvas.height * 0.4)
    _mark(canvas, middle, canvas.height * generator.uniform(0.15, 0.26), colours)
    if generator.random() < 0.85:
        name = words(generator, generator.choice((1, 1, 2)), generator.choice(("latin", "english")))
        name = generator.choice((name.upper(), name.title(), name.lower()))
        typeface = generator.choice(FACES)
        size = min(110, 560 / font(typeface, 100).getlength(name) * 100)
        at = (canvas.width / 2, canvas.height * 0.78)
        canvas.write(at, name, size, contrast(ground), face=typeface, anchor="mm")
    return canvas.image


def icons(generator: Random) -> Image.Image:
    """Marks in rows, as a sheet of symbols or stickers."""
    canvas = Canvas(generator, (720, generator.choice((720, 540))), colour(generator, LIGHT))
    colours, columns = palette(generator, 4), generator.randint(2, 6)
    step = canvas.width / columns
    for i in range(columns * int(canvas.height // step)):
        at = (step * (i % columns + 0.5), step * (i // columns + 0.5))
        if generator.random() < 0.5:
            canvas.dot(at, step * 0.42, generator.choice(colours))
        _mark(canvas, at, step * 0.28, colours)
    return canvas.image


def abstract(generator: Random) -> Image.Image:
    """Paint without a subject: strokes, poured colours, blocks, splashes or shapes."""
    size = generator.choice(((720, 720), (900, 640), (640, 860)))
    colours = palette(generator, generator.randint(2, 5))
    canvas = Canvas(generator, size, generator.choice((*colours, (245, 242, 235))))
    generator.choice((_strokes, _poured, _blocks, _splashes, _shapes))(canvas, colours)
    return canvas.image


def pattern(generator: Random) -> Image.Image:
    """One motif again and again, in rows or shifted rows."""
    canvas = Canvas(
        generator, (720, generator.choice((720, 540, 900))), colour(generator, (0.0, 1.0))
    )
    colours, step = palette(generator, 3), generator.uniform(40, 180)
    motif = generator.choice((_disc, _diamond, _rings, _mark, _mark, _zigzag, _stripe, _checks))
    shifted = generator.random() < 0.5
    for row in range(int(canvas.height / step) + 2):
        for column in range(int(canvas.width / step) + 2):
            x = (column - 0.5 * (shifted and row % 2)) * step
            motif(canvas, (x, row * step), step * 0.4, colours)
    if generator.random() < 0.3:
        canvas.image = canvas.image.rotate(generator.uniform(0, 90)).crop(
            (150, 150, 570, 570 - 180 * (canvas.height < 600))
        )
    return canvas.image


def mandala(generator: Random) -> Image.Image:
    """Rings of petals, dots and arcs around a middle."""
    ground = colour(generator, generator.choice((LIGHT, DARK, (0.2, 0.6))))
    canvas = Canvas(generator, (720, 720), ground)
    colours = (
        palette(generator, generator.randint(1, 4))
        if generator.random() < 0.7
        else [contrast(ground)]
    )
    outlined, radius = generator.random() < 0.5, 340.0
    while radius > 90:
        count, shade = generator.choice((6, 8, 12, 16, 24)), generator.choice(colours)
        depth, form = generator.uniform(30, 90), generator.randrange(3)
        for i in range(count):
            turn = 2 * math.pi * i / count
            outer, width = _polar((360, 360), radius, turn), math.pi / count
            if form == 0:
                canvas.dot(_polar((360, 360), radius - depth / 2, turn), depth / 4, shade)
                continue
            sides = [
                _polar((360, 360), radius - depth / 2, turn + s * width * 0.8) for s in (1, -1)
            ]
            inner = _polar((360, 360), radius - depth, turn)
            corners = [outer, sides[0], inner, sides[1]] if form == 1 else [outer, *sides]
            canvas.draw.polygon(corners, None if outlined else shade, shade, 4)
        radius -= depth
        if generator.random() < 0.5:
            ring = (360 - radius, 360 - radius, 360 + radius, 360 + radius)
            canvas.draw.ellipse(ring, outline=shade, width=4)
    return canvas.image


def texture(generator: Random) -> Image.Image:
    """A surface seen close: plaster, marble, wood's rings, weave."""
    size, noise = (720, generator.choice((720, 540))), generator_of_noise(generator)
    y, x = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32)
    rough, form = clouds(generator, size, 8, generator.uniform(0.6, 0.9)), generator.randrange(4)
    grain = noise.random(size[::-1], dtype=np.float32)
    if form == 0:
        field = 0.8 * rough + 0.2 * grain
    elif form == 1:
        field = np.abs(np.sin(x / 90 + 9 * rough)) ** 0.4
    elif form == 2:
        field = 0.5 + 0.3 * np.sin(0.02 * x + (y + 240 * rough) / 9) + 0.2 * grain
    else:
        step = generator.uniform(3, 9)
        field = 0.4 + 0.3 * np.sin(x / step) * np.sin(y / step) + 0.3 * rough
    base = colour(generator, (0.25, 0.75), 0.6)
    colours = [blend(base, (0, 0, 0), 0.5), base, blend(base, (255, 255, 255), 0.5)]
    return picture_of(np.clip(field, 0, 1), colours)


def minimal(generator: Random) -> Image.Image:
    """One or two plain shapes on much empty ground."""
    ground = colour(generator, generator.choice((LIGHT, LIGHT, (0.3, 0.9), DARK)))
    canvas = Canvas(generator, generator.choice(((720, 720), (640, 900))), ground)
    for shade in palette(generator, generator.choice((1, 1, 2))):
        at = (
            canvas.width * generator.uniform(0.3, 0.7),
            canvas.height * generator.uniform(0.3, 0.7),
        )
        shape = generator.choice((_disc, _diamond, _rings, _stripe, _arch))
        shape(canvas, at, generator.uniform(50, 170), [shade])
    return canvas.image


def _polar(middle: Point, radius: float, turn: float) -> Point:
    return middle[0] + radius * math.cos(turn), middle[1] + radius * math.sin(turn)


def _strokes(canvas: Canvas, colours: list[Colour]) -> None:
    """Broad bent strokes over each other, with the brush's hairs."""
    generator = canvas.generator
    for _ in range(generator.randint(30, 200)):
        shade, (x, y) = generator.choice(colours), (generator.random(), generator.random())
        turn, width = generator.uniform(0, 2 * math.pi), generator.uniform(10, 70)
        length, bend = generator.uniform(60, 420), generator.uniform(-0.04, 0.04)
        for hair in range(round(width / 3)):
            at, way = (x * canvas.width + hair * 3, y * canvas.height), turn
            path = [at]
            for _ in range(12):
                at = _polar(at, length / 12, way)
                way += bend
                path.append(at)
            tone = blend(
                shade, generator.choice(((0, 0, 0), (255, 255, 255))), generator.random() * 0.2
            )
            canvas.draw.line(path, tone, 4)


def _poured(canvas: Canvas, colours: list[Colour]) -> None:
    """Colours that flowed into each other: noise bent by noise."""
    size, turns = canvas.image.size, canvas.generator.uniform(2, 8)
    field = clouds(canvas.generator, size, 5) + 0.3 * clouds(canvas.generator, size, 6)
    bent = (0.5 + 0.5 * np.sin(turns * math.pi * field)).astype(np.float32)
    canvas.image.paste(picture_of(bent, colours))


def _blocks(canvas: Canvas, colours: list[Colour]) -> None:
    """Rectangles that divide the ground, with or without black bars."""
    generator, bars = canvas.generator, canvas.generator.choice((0, 0, 8, 14))
    boxes = [(0.0, 0.0, float(canvas.width), float(canvas.height))]
    for _ in range(generator.randint(3, 25)):
        left, top, right, bottom = boxes.pop(generator.randrange(len(boxes)))
        cut = generator.uniform(0.25, 0.75)
        if right - left > bottom - top:
            middle = left + cut * (right - left)
            boxes += [(left, top, middle, bottom), (middle, top, right, bottom)]
        else:
            middle = top + cut * (bottom - top)
            boxes += [(left, top, right, middle), (left, middle, right, bottom)]
    for box in boxes:
        shade = generator.choice((*colours, (245, 242, 235)))
        canvas.draw.rectangle(box, shade, INK if bars else None, bars)


def _splashes(canvas: Canvas, colours: list[Colour]) -> None:
    """Drops and thrown lines of paint."""
    generator = canvas.generator
    for _ in range(generator.randint(40, 250)):
        x, y = generator.uniform(0, canvas.width), generator.uniform(0, canvas.height)
        shade, radius = generator.choice(colours), generator.expovariate(1 / 14)
        canvas.dot((x, y), radius, shade)
        if generator.random() < 0.3:
            path, way = [(x, y)], generator.uniform(0, 6.3)
            for _ in range(20):
                way += generator.uniform(-0.5, 0.5)
                path.append(_polar(path[-1], 30, way))
            canvas.draw.line(path, shade, generator.randint(2, 8), joint="curve")


def _shapes(canvas: Canvas, colours: list[Colour]) -> None:
    """Circles, triangles and bars that shine through each other."""
    generator = canvas.generator
    for _ in range(generator.randint(5, 40)):
        mask = Image.new("L", canvas.image.size)
        at = (generator.uniform(0, canvas.width), generator.uniform(0, canvas.height))
        radius, corners = generator.uniform(20, 260), generator.choice((3, 4, 5, 40, 40))
        outline = [
            _polar(at, radius, generator.random() * 0.2 + 2 * math.pi * i / corners)
            for i in range(corners)
        ]
        ImageDraw.Draw(mask).polygon(outline, generator.randint(90, 240))
        canvas.image.paste(generator.choice(colours), mask=mask)


def _disc(canvas: Canvas, at: Point, radius: float, colours: list[Colour]) -> None:
    canvas.dot(at, radius, colours[0])


def _diamond(canvas: Canvas, at: Point, radius: float, colours: list[Colour]) -> None:
    canvas.draw.polygon([_polar(at, radius, i * math.pi / 2) for i in range(4)], colours[-1])


def _rings(canvas: Canvas, at: Point, radius: float, colours: list[Colour]) -> None:
    for i in range(3):
        reach = radius * (1 - i / 3)
        box = (at[0] - reach, at[1] - reach, at[0] + reach, at[1] + reach)
        canvas.draw.ellipse(box, outline=colours[i % len(colours)], width=max(2, round(radius / 8)))


def _zigzag(canvas: Canvas, at: Point, radius: float, colours: list[Colour]) -> None:
    (x, y), step = at, radius * 1.25
    path = [(x - step, y), (x, y - step * 0.6), (x + step, y)]
    canvas.draw.line(path, colours[0], max(2, round(radius / 3)), joint="curve")


def _stripe(canvas: Canvas, at: Point, radius: float, colours: list[Colour]) -> None:
    (x, y) = at
    canvas.card((x - radius * 1.25, y, x + radius * 1.25, y + radius * 0.8), colours[-1])


def _checks(canvas: Canvas, at: Point, radius: float, colours: list[Colour]) -> None:
    (x, y), side = at, radius * 1.25
    canvas.card((x, y, x + side, y + side), colours[0])
    canvas.card((x + side, y + side, x + 2 * side, y + 2 * side), colours[-1])


def _arch(canvas: Canvas, at: Point, radius: float, colours: list[Colour]) -> None:
    (x, y) = at
    canvas.dot(at, radius, colours[0])
    canvas.card((x - radius, y, x + radius, y + radius * 1.5), colours[0])


def _mark(canvas: Canvas, at: Point, radius: float, colours: list[Colour]) -> None:
    """A few shapes that make one sign: petals, a cut disc, stacked bars, a star."""
    generator, form, count = canvas.generator, canvas.generator.randrange(5), 5
    if form == 0:
        for i in range(count):
            canvas.dot(
                _polar(at, radius * 0.6, 2 * math.pi * i / count),
                radius * 0.35,
                colours[i % len(colours)],
            )
    elif form == 1:
        box = (at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius)
        start = generator.uniform(0, 360)
        canvas.draw.pieslice(box, start, start + generator.uniform(180, 330), colours[0])
    elif form == 2:
        for i in range(3):
            left, top = at[0] - radius + i * radius * 0.7, at[1] + radius - (i + 1) * radius * 0.6
            canvas.card(
                (left, top, left + radius * 0.5, at[1] + radius),
                colours[i % len(colours)],
                radius / 8,
            )
    elif form == 3:
        points = generator.randint(4, 9)
        star = [
            _polar(at, radius * (1 - 0.55 * (i % 2)), math.pi * i / points)
            for i in range(2 * points)
        ]
        canvas.draw.polygon(star, colours[0])
    else:
        canvas.draw.polygon(
            [_polar(at, radius, math.pi * (i * 2 / 3 - 0.5)) for i in range(3)], colours[0]
        )
        canvas.dot((at[0], at[1] + radius * 0.1), radius * 0.3, colours[-1])
