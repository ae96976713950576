"""Charts: tables, plots, slides."""

import math
from random import Random

from PIL import Image

from training.drawings.paint import (
    DARK,
    INK,
    LIGHT,
    MIDDLE,
    Box,
    Colour,
    blend,
    colour,
    contrast,
    generator_of_noise,
    palette,
    photographed,
    scenery,
)
from training.drawings.writing import (
    FACES,
    SANS,
    SERIFS,
    Canvas,
    amount,
    sentence,
    words,
)


def table(generator: Random) -> Image.Image:
    """Rows and columns: a spreadsheet, a calendar, a timetable, a form."""
    canvas = Canvas(generator, generator.choice(((720, 1000), (1000, 720))), (255, 255, 255))
    accent, face = colour(generator, (0.2, 0.8)), generator.choice((SANS, "Aileron", "cmss10"))
    columns, step = generator.randint(3, 7), generator.choice((26, 34, 48))
    wide, top = canvas.width / columns, generator.choice((0, 0, 90))
    if top:
        canvas.write((30, 30), sentence(generator), 32, INK, face=face)
    striped, ruled = generator.random() < 0.5, generator.random() < 0.7
    for row in range((canvas.height - top) // step):
        y = top + row * step
        shade = accent if row == 0 else blend(accent, (255, 255, 255), 0.85 if row % 2 else 1)
        if row == 0 or striped:
            canvas.card((0, y, canvas.width, y + step), shade)
        if ruled:
            canvas.draw.line((0, y, canvas.width, y), (205, 205, 210))
        for column in range(columns):
            text = words(generator, 1) if row == 0 or column == 0 else amount(generator)
            ink = contrast(accent) if row == 0 else INK
            if row == 0 or generator.random() < 0.85:
                canvas.write((column * wide + 6, y + step * 0.2), text, step * 0.5, ink, face=face)
    for column in range(columns if ruled else 0):
        canvas.draw.line((column * wide, top, column * wide, canvas.height), (205, 205, 210))
    return canvas.image if generator.random() < 0.75 else photographed(generator, canvas.image)


def chart(generator: Random) -> Image.Image:
    """Bars, lines, dots or a pie, with axes and a legend."""
    dark = generator.random() < 0.25
    ground = colour(generator, DARK if dark else (0.95, 1.0), 0.3)
    canvas = Canvas(generator, (960, generator.choice((600, 720, 960))), ground)
    if generator.random() < 0.8:
        title = words(generator, generator.randint(2, 6)).capitalize()
        canvas.write((60, 30), title, 40, contrast(ground), face=generator.choice(FACES[:6]))
    _plot(canvas, (90, 110, 900, canvas.height - 70), contrast(ground))
    return canvas.image


def slide(generator: Random) -> Image.Image:
    """A talk's slide: a heading, bullets, a chart or a picture beside them."""
    ground = colour(generator, generator.choice((LIGHT, LIGHT, DARK, MIDDLE)))
    canvas = Canvas(generator, (960, generator.choice((540, 720))), ground)
    accent, ink = colour(generator, (0.3, 0.6)), contrast(ground)
    face = generator.choice((SANS, "Aileron", "cmss10", *SERIFS))
    if generator.random() < 0.5:
        canvas.card(
            generator.choice(((0, 0, 960, 110), (0, 0, 24, 999), (0, 500, 960, 999))), accent
        )
    heading = words(generator, generator.randint(2, 5)).capitalize()
    if generator.random() < 0.2:  # the first slide
        canvas.fill((100, 170, 760), heading, 76, ink, face=face, anchor="ma")
        return canvas.image
    canvas.write((60, 36), heading, 50, ink, face=face)
    y, beside = 150.0, generator.choice(("nothing", "chart", "picture"))
    for _ in range(generator.randint(2, 6)):
        canvas.dot((75, y + 14), 7, accent)
        width = 820 if beside == "nothing" else 400
        y = 14 + canvas.fill((100, y, width), sentence(generator), 28, ink, face=face, bottom=520)
    if beside == "chart":
        _plot(canvas, (580, 160, 910, 460), ink)
    elif beside == "picture":
        canvas.image.paste(scenery(generator, (360, 300)), (560, 160))
    return canvas.image


def _plot(canvas: Canvas, box: Box, ink: Colour) -> None:
    """A plot in a box: axes with marks, then one of its forms."""
    generator, (left, top, right, bottom) = canvas.generator, box
    colours = palette(generator, 5)
    form = generator.choice((_bar_plot, _bar_plot, _line_plot, _line_plot, _dot_plot, _pie_plot))
    if form is not _pie_plot:
        faint = blend(ink, (128, 128, 128), 0.7)
        for i in range(6):
            y = bottom - (bottom - top) * i / 6
            canvas.draw.line((left, y, right, y), faint, 1)
            canvas.write((left - 8, y), str(i * 20), 20, ink, anchor="rm")
            x = left + (right - left) * (i + 0.5) / 6
            canvas.write((x, bottom + 10), words(generator, 1)[:7], 20, ink, anchor="ma")
        canvas.draw.line((left, top, left, bottom, right, bottom), ink, 3)
    form(canvas, box, colours)


def _bar_plot(canvas: Canvas, box: Box, colours: list[Colour]) -> None:
    left, top, right, bottom = box
    groups, series = canvas.generator.randint(3, 12), canvas.generator.choice((1, 1, 2, 3))
    wide = (right - left) / groups
    for i in range(groups * series):
        x = left + wide * (i // series + 0.1 + 0.8 * (i % series) / series)
        y = bottom - (bottom - top) * canvas.generator.uniform(0.05, 1)
        canvas.card((x, y, x + 0.75 * wide / series, bottom), colours[i % series])


def _line_plot(canvas: Canvas, box: Box, colours: list[Colour]) -> None:
    left, top, right, bottom = box
    noise, points = generator_of_noise(canvas.generator), canvas.generator.choice((8, 30, 150))
    for shade in colours[: canvas.generator.randint(1, 4)]:
        walk = noise.normal(canvas.generator.uniform(-0.1, 0.2), 1, points).cumsum()
        walk = (walk - walk.min()) / (walk.max() - walk.min())
        curve = [
            (left + (right - left) * i / (points - 1), bottom - (bottom - top) * float(value))
            for i, value in enumerate(walk)
        ]
        if canvas.generator.random() < 0.15:
            canvas.draw.polygon([(left, bottom), *curve, (right, bottom)], shade)
        canvas.draw.line(curve, shade, canvas.generator.choice((3, 5)))


def _dot_plot(canvas: Canvas, box: Box, colours: list[Colour]) -> None:
    left, top, right, bottom = box
    for shade in colours[: canvas.generator.randint(1, 4)]:
        x, y = canvas.generator.uniform(0.2, 0.8), canvas.generator.uniform(0.2, 0.8)
        for _ in range(canvas.generator.randint(20, 90)):
            across, up = canvas.generator.gauss(x, 0.1), canvas.generator.gauss(y, 0.1)
            at = (left + (right - left) * across, bottom - (bottom - top) * up)
            canvas.dot(at, canvas.generator.choice((5, 6, 7)), shade)


def _pie_plot(canvas: Canvas, box: Box, colours: list[Colour]) -> None:
    left, top, right, bottom = box
    radius, angle = min(right - left, bottom - top) / 2, -90.0
    middle = ((left + right) / 2, (top + bottom) / 2)
    circle = (middle[0] - radius, middle[1] - radius, middle[0] + radius, middle[1] + radius)
    sizes = [canvas.generator.uniform(0.3, 2) for _ in colours]
    for size, shade in zip(sizes, colours, strict=True):
        turn = 360 * size / sum(sizes)
        canvas.draw.pieslice(circle, angle, angle + turn, shade)
        way = math.radians(angle + turn / 2)
        at = (
            middle[0] + 0.65 * radius * math.cos(way),
            middle[1] + 0.65 * radius * math.sin(way),
        )
        canvas.write(at, f"{turn / 3.6:.0f}%", 24, contrast(shade), anchor="mm")
        angle += turn
    if canvas.generator.random() < 0.4:
        canvas.dot(middle, radius * 0.5, contrast((0, 0, 0)))
