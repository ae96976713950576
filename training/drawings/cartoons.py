"""Cartoons: flat scenes, heads, comics, line drawings."""

import math
from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from training.drawings.paint import (
    INK,
    Colour,
    Point,
    blend,
    clouds,
    colour,
)
from training.drawings.writing import PLAIN, Canvas, font, lines, sentence


def cartoon(generator: Random) -> Image.Image:
    """A flat scene in few colours with one or two figures before it, outlined or not."""
    size = generator.choice(((720, 720), (900, 640), (640, 900)))
    canvas = Canvas(generator, size, colour(generator, (0.55, 0.95)))
    outline = generator.choice((0, 0, 4, 7))
    _backdrop(canvas, outline)
    for i in range(generator.choice((0, 1, 1, 1, 2, 3))):
        scale = canvas.height * generator.uniform(0.3, 0.45) / (1 + 0.3 * i)
        at = (canvas.width * generator.uniform(0.2, 0.8), canvas.height * 0.55)
        _figure(canvas, at, scale, outline)
    return canvas.image


def face(generator: Random) -> Image.Image:
    """A character's head alone on a plain colour."""
    canvas = Canvas(generator, (720, generator.choice((720, 860))), colour(generator, (0.3, 1.0)))
    at = (canvas.width / 2, canvas.height * 0.5)
    _head(canvas, at, generator.uniform(170, 290), generator.choice((0, 6, 10)))
    return canvas.image


def comic(generator: Random) -> Image.Image:
    """Panels with figures and balloons, in colour or in black and white."""
    canvas = Canvas(
        generator, generator.choice(((720, 1000), (1000, 420), (760, 760))), (252, 250, 244)
    )
    columns, rows = generator.choice(((2, 3), (3, 2), (2, 2), (3, 1), (1, 3)))
    grey = generator.random() < 0.35
    for panel in range(columns * rows):
        left, top = panel % columns / columns, panel // columns / rows
        wide, high = canvas.width / columns - 16, canvas.height / rows - 16
        inner = Canvas(generator, (round(wide), round(high)), colour(generator, (0.7, 1.0)))
        if generator.random() < 0.6:
            _backdrop(inner, 3)
        for _ in range(generator.choice((1, 1, 2))):
            at = (wide * generator.uniform(0.2, 0.8), high * 0.6)
            _figure(inner, at, high * generator.uniform(0.3, 0.5), 4)
        _balloon(inner)
        inner.draw.rectangle((0, 0, wide - 1, high - 1), outline=INK, width=5)
        image = inner.image.convert("L").convert("RGB") if grey else inner.image
        canvas.image.paste(image, (round(left * canvas.width + 8), round(top * canvas.height + 8)))
    return canvas.image


def line_drawing(generator: Random) -> Image.Image:
    """Pencil or ink on paper: a figure, a head or a plant, without colour."""
    paper = generator.choice(((255, 255, 255), (250, 245, 232), (235, 232, 226)))
    canvas = Canvas(generator, generator.choice(((720, 720), (700, 900))), (255, 255, 255))
    subject = generator.choice((_figure, _head, _plant, _plant))
    at = (canvas.width / 2, canvas.height * 0.55)
    subject(canvas, at, generator.uniform(170, 260), generator.choice((3, 5, 8)))
    edges = canvas.image.convert("L").filter(ImageFilter.FIND_EDGES)
    edges = edges.point([min(255, 4 * value) for value in range(256)])
    frame = (0, 0, canvas.width - 1, canvas.height - 1)
    ImageDraw.Draw(edges).rectangle(frame, outline=0, width=4)
    edges = edges.filter(ImageFilter.GaussianBlur(generator.uniform(0.5, 1.5)))
    grain = clouds(generator, canvas.image.size, 8, 0.9) * 0.7 + 0.3
    mask = Image.fromarray((np.asarray(edges, np.float32) * grain).astype(np.uint8))
    drawing = Canvas(generator, canvas.image.size, paper)
    ink = generator.choice((INK, (60, 60, 64), (40, 50, 120), (120, 60, 40)))
    if generator.random() < 0.5:
        _hatch(drawing, ink)
    drawing.image.paste(ink, mask=mask.filter(ImageFilter.MaxFilter(3)))
    return drawing.image


def _oval(canvas: Canvas, at: Point, size: Point, shade: Colour, outline: int) -> None:
    (x, y), (width, height) = at, size
    box = (x - width, y - height, x + width, y + height)
    canvas.draw.ellipse(box, shade, INK if outline else None, outline)


def _backdrop(canvas: Canvas, outline: int) -> None:
    """Hills, houses, clouds or a room's wall in flat colours."""
    generator, width, height = canvas.generator, canvas.width, canvas.height
    for base in (0.6, 0.75):
        swing, shade = generator.uniform(0, 0.1), colour(generator, (0.3, 0.8))
        waves = generator.uniform(0.5, 3)
        ridge = [
            (width * i / 24, height * (base + swing * math.sin(waves * i / 4 + base * 20)))
            for i in range(25)
        ]
        canvas.draw.polygon([*ridge, (width, height), (0, height)], shade)
        if outline:
            canvas.draw.line(ridge, INK, outline)
    for _ in range(generator.choice((0, 0, 3, 5))):
        x, y, side = (
            generator.uniform(0, width),
            height * 0.62,
            width * generator.uniform(0.06, 0.14),
        )
        canvas.draw.rectangle(
            (x, y - generator.uniform(1, 2) * side, x + side, y), colour(generator, (0.4, 0.9)),
            INK if outline else None, outline,
        )  # fmt: skip
    for _ in range(generator.choice((0, 2, 4))):
        x, y = generator.uniform(0, width), generator.uniform(0.05, 0.3) * height
        for puff in range(3):
            _oval(
                canvas,
                (x + puff * width * 0.05, y),
                (width * 0.05, height * 0.03),
                (255, 255, 255),
                0,
            )


def _figure(canvas: Canvas, at: Point, scale: float, outline: int) -> None:
    """A body with limbs under a large head."""
    generator, (x, y) = canvas.generator, at
    shirt, trousers = colour(generator, (0.3, 0.8)), colour(generator, (0.15, 0.6))
    for side in (-1, 1):
        foot = (x + side * scale * generator.uniform(0.1, 0.4), y + scale * 1.3)
        hand = (
            x + side * scale * generator.uniform(0.5, 0.9),
            y + scale * generator.uniform(-0.2, 0.7),
        )
        for start, end, shade in (
            ((x, y + scale * 0.6), foot, trousers),
            ((x, y + scale * 0.2), hand, shirt),
        ):
            if outline:
                canvas.draw.line((start, end), INK, round(scale * 0.2) + 2 * outline)
            canvas.draw.line((start, end), shade, round(scale * 0.2))
    _oval(canvas, (x, y + scale * 0.45), (scale * 0.32, scale * 0.45), shirt, outline)
    _head(canvas, (x, y - scale * 0.3), scale * generator.uniform(0.35, 0.55), outline)


def _head(canvas: Canvas, at: Point, radius: float, outline: int) -> None:
    """A head of any colour: ears or hair, eyes, nose, mouth."""
    generator, (x, y) = canvas.generator, at
    skin = colour(generator, (0.45, 0.9))
    hair, dark = colour(generator, (0.05, 0.6)), (20, 18, 20)
    ears = generator.choice(("none", "round", "pointed", "hair"))
    for side in (-1, 1) if ears in ("round", "pointed") else ():
        tip = (x + side * radius * 0.8, y - radius * 1.2)
        if ears == "round":
            _oval(
                canvas,
                (x + side * radius * 0.75, y - radius * 0.75),
                (radius * 0.35,) * 2,
                skin,
                outline,
            )
        else:
            base = (
                (x + side * radius * 0.2, y - radius * 0.8),
                (x + side * radius * 0.95, y - radius * 0.2),
            )
            canvas.draw.polygon([tip, *base], skin, INK if outline else None, max(1, outline))
    if ears == "hair":
        _oval(canvas, (x, y - radius * 0.25), (radius * 1.12, radius * 1.05), hair, outline)
    _oval(canvas, at, (radius, radius * generator.uniform(0.85, 1.1)), skin, outline)
    eye, apart = radius * generator.uniform(0.1, 0.3), radius * generator.uniform(0.3, 0.45)
    for side in (-1, 1):
        where = (x + side * apart, y - radius * 0.15)
        if eye > radius * 0.15:
            _oval(canvas, where, (eye, eye * generator.uniform(1, 1.3)), (255, 255, 255), outline)
        canvas.dot((where[0] + eye * 0.2, where[1]), eye * 0.5, dark)
    _oval(canvas, (x, y + radius * 0.2), (radius * 0.1, radius * 0.08), blend(skin, dark, 0.5), 0)
    mouth = (x - radius * 0.4, y, x + radius * 0.4, y + radius * generator.uniform(0.4, 0.75))
    if generator.random() < 0.4:
        canvas.draw.chord(mouth, 0, 180, (150, 30, 40), INK, max(2, outline))
    else:
        canvas.draw.arc(mouth, 20, 160, dark, max(3, round(radius * 0.05)))


def _plant(canvas: Canvas, at: Point, scale: float, outline: int) -> None:
    """A stem with leaves, bent a little."""
    generator, (x, y) = canvas.generator, at
    for _ in range(generator.randint(1, 4)):
        bend, foot, stem = generator.uniform(-0.5, 0.5), x + generator.uniform(-60, 60), []
        for i in range(20):
            stem.append((foot + bend * scale * (i / 14) ** 2, y + scale - i * scale * 0.1))
        canvas.draw.line(stem, (90, 90, 90), outline)
        for i in range(3, 20, 2):
            turn, reach = generator.uniform(0.2, 0.8) * generator.choice((-1, 1)), scale * 0.4
            tip = (stem[i][0] + reach * math.sin(turn * 2), stem[i][1] - reach * math.cos(turn))
            middle = ((stem[i][0] + tip[0]) / 2, (stem[i][1] + tip[1]) / 2)
            leaf = [stem[i], (middle[0] - 14, middle[1] - 8), tip, (middle[0] + 14, middle[1] + 8)]
            canvas.draw.polygon(leaf, (200, 200, 200), (60, 60, 60))


def _hatch(canvas: Canvas, ink: Colour) -> None:
    """Short slanted strokes that stand for a shadow."""
    generator, faint = canvas.generator, blend(ink, (255, 255, 255), 0.4)
    x, y = generator.uniform(0.2, 0.6) * canvas.width, generator.uniform(0.3, 0.7) * canvas.height
    for i in range(generator.randint(15, 50)):
        length = generator.uniform(50, 120)
        canvas.draw.line((x + i * 6, y, x + i * 6 + length * 0.5, y - length), faint, 2)


def _balloon(canvas: Canvas) -> None:
    generator = canvas.generator
    text, size = sentence(generator, longest=generator.choice((4, 8))).upper(), canvas.width / 14
    width = canvas.width * generator.uniform(0.5, 0.8)
    left, high = generator.uniform(8, canvas.width - width - 8), canvas.height * 0.4
    tall = min(
        high, (len(lines(text, font(PLAIN, max(6, round(size))), width * 0.75)) * 1.2 + 1) * size
    )
    tail = (left + width * 0.5, tall + canvas.height * 0.12)
    canvas.draw.polygon(
        [(left + width * 0.4, tall * 0.8), tail, (left + width * 0.5, tall * 0.8)], (255, 255, 255)
    )
    canvas.draw.rounded_rectangle(
        (left, 8, left + width, 8 + tall), tall / 2.5, (255, 255, 255), INK, 3
    )
    box = (left + width * 0.12, 8 + size * 0.5, width * 0.76)
    canvas.fill(box, text, size, INK, anchor="ma", leading=1.2, bottom=8 + tall)
