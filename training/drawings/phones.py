"""Telephones' screens, as people keep them in a screenshot."""

import math
from random import Random

from PIL import Image

from training.drawings.paint import (
    DARK,
    GREY,
    LIGHT,
    Colour,
    Point,
    blend,
    colour,
    contrast,
    gradient,
    palette,
    scenery,
)
from training.drawings.writing import (
    BOLD,
    PLAIN,
    SANS,
    Canvas,
    clock,
    paragraph,
    script_of,
    sentence,
    words,
)

BLUE = (10, 122, 255)


def chat(generator: Random) -> Image.Image:
    """Messages in bubbles, left and right, and a field to type into."""
    canvas, ink = _phone(generator)
    face, script = generator.choice(((PLAIN, "english"), (SANS, script_of(generator))))
    mine = generator.choice((BLUE, (52, 199, 89), (220, 248, 198), colour(generator, (0.4, 0.8))))
    theirs = blend(canvas.image.getpixel((5, 300)), GREY, 0.25)  # type: ignore[arg-type]
    _bar(canvas, words(generator, 2, "latin").title(), ink)
    y, size = 160.0, generator.choice((22, 26))
    while y < canvas.height - 150:
        right, text = (
            generator.random() < 0.5,
            sentence(generator, script, generator.choice((6, 18))),
        )
        width = generator.uniform(180, 380)
        left = canvas.width - width - 20 if right else 70
        shade = mine if right else theirs
        bottom = canvas.fill((left + 16, y + 12, width - 32), text, size, shade, face=face)
        canvas.card((left, y, left + width, bottom + 8), shade, 22)
        canvas.fill((left + 16, y + 12, width - 32), text, size, contrast(shade), face=face)
        if not right:
            canvas.dot((38, bottom - 14), 22, colour(generator, (0.3, 0.8)))
        y = bottom + generator.choice((16, 24, 50))
    canvas.card((20, canvas.height - 100, canvas.width - 20, canvas.height - 40), theirs, 28)
    return canvas.image


def settings(generator: Random) -> Image.Image:
    """A list: symbols, names, switches, arrows, small print."""
    canvas, ink = _phone(generator)
    _bar(canvas, words(generator, 1).capitalize(), ink)
    step, face = generator.choice((64, 84, 110)), generator.choice((PLAIN, SANS))
    symbols, switches = generator.random() < 0.7, generator.random() < 0.6
    for row in range((canvas.height - 230) // step):
        y = 150 + row * step
        if generator.random() < 0.08:
            canvas.write((30, y + step * 0.5), words(generator, 2).upper(), 18, GREY, face=face)
            continue
        if symbols:
            shade = colour(generator, (0.4, 0.65))
            canvas.card(
                (24, y + 12, 24 + step - 26, y + step - 14), shade, generator.choice((10, 40))
            )
        text = words(generator, generator.randint(1, 4)).capitalize()
        left = step + 16 if symbols else 30
        canvas.write((left, y + step * 0.22), text, 26, ink, face=face)
        if step > 70:
            canvas.write((left, y + step * 0.58), sentence(generator)[:38], 18, GREY, face=face)
        if switches and generator.random() < 0.6:
            _switch(canvas, (canvas.width - 90, y + step * 0.3))
        else:
            canvas.write((canvas.width - 30, y + step * 0.3), ">", 24, GREY, anchor="ra")
        canvas.draw.line((left, y + step, canvas.width, y + step), blend(ink, GREY, 0.8))
    return canvas.image


def feed(generator: Random) -> Image.Image:
    """Posts of a social network: a face's disc, lines of text, a picture, counts."""
    canvas, ink = _phone(generator)
    _bar(canvas, words(generator, 1).lower(), ink)
    y = 150.0
    while y < canvas.height - 120:
        canvas.dot((56, y + 40), 32, colour(generator, (0.3, 0.8)))
        canvas.write((104, y + 8), words(generator, 2, "latin").title(), 24, ink, face=BOLD)
        canvas.write((104, y + 40), "@" + words(generator, 1, "latin"), 19, GREY)
        text = paragraph(generator, generator.randint(1, 3))
        y = canvas.fill((24, y + 86, canvas.width - 48), text, 25, ink) + 10
        if generator.random() < 0.5:
            size = (canvas.width - 48, generator.randint(150, 420))
            canvas.image.paste(scenery(generator, size), (24, round(y)))
            y += size[1] + 12
        for column in range(4):
            canvas.write((40 + column * 130, y), str(generator.randint(0, 999)), 20, GREY)
        canvas.draw.line((0, y + 40, canvas.width, y + 40), blend(ink, GREY, 0.8))
        y += 60
    return canvas.image


def street_map(generator: Random) -> Image.Image:
    """Streets, blocks, water, parks, names, a route with its pin; on a telephone or alone."""
    alone = generator.random() < 0.4
    canvas = Canvas(generator, (800, 640), (0, 0, 0)) if alone else _phone(generator)[0]
    night = generator.random() < 0.2
    land, road, park, water = (
        ((36, 47, 62), (56, 65, 79), (38, 60, 63), (23, 38, 60))
        if night
        else ((240, 238, 232), (255, 255, 255), (200, 230, 190), (165, 205, 240))
    )
    canvas.card((0, 0, canvas.width, canvas.height), land)
    for shade in (park, park, water):
        _blob(canvas, shade, generator.uniform(60, 300))
    way, step = generator.uniform(-0.6, 0.6), generator.choice((50, 80, 120))
    for turn in (way, way + math.pi / 2 + generator.uniform(-0.1, 0.1)):
        for i in range(-20, 21):
            width = generator.choice((4, 6, 6, 10, 20))
            shade = (250, 215, 130) if width == 20 and not night else road
            _line_across(canvas, turn, i * step + generator.uniform(-15, 15), shade, width)
    ink = (200, 205, 210) if night else (90, 95, 100)
    for _ in range(generator.randint(8, 25)):
        at = (generator.uniform(0, canvas.width), generator.uniform(0, canvas.height))
        canvas.write(at, words(generator, 1, "latin").title(), generator.choice((16, 20, 28)), ink)
    if generator.random() < 0.6:
        x, y, route = canvas.width * 0.3, canvas.height * 0.8, []
        for _ in range(7):
            route.append((x, y))
            x, y = x + generator.uniform(-20, 90), y - generator.uniform(0, 90)
        canvas.draw.line(route, BLUE, 10, joint="curve")
        canvas.dot(route[0], 14, BLUE)
        canvas.dot(route[-1], 18, (230, 60, 50))
    if not alone:
        canvas.card((24, 70, canvas.width - 24, 136), (255, 255, 255), 33)
        canvas.write((60, 88), words(generator, 2).capitalize(), 26, GREY)
    return canvas.image


def home_screen(generator: Random) -> Image.Image:
    """Symbols in a grid over a picture, the time, a dock."""
    canvas, _ = _phone(generator, wallpaper=True)
    top = 120
    if generator.random() < 0.4:
        canvas.write((canvas.width / 2, 130), clock(generator), 110, (255, 255, 255), anchor="ma")
        top = 320
    columns, step = 4, (canvas.width - 40) / 4
    corner = generator.choice((18, 18, 45, 4))
    locked = generator.random() < 0.15
    for row in range(0 if locked else int((canvas.height - top - 40) // (step + 12))):
        for column in range(columns if generator.random() < 0.9 else 2):
            x, y = 36 + column * step, top + row * (step + 12)
            shade = colour(generator, (0.25, 0.97))
            canvas.card((x, y, x + 90, y + 90), shade, corner)
            _symbol(canvas, (x + 45, y + 45), contrast(shade))
            name = words(generator, 1).capitalize()
            canvas.write((x + 45, y + 96), name, 18, (255, 255, 255), anchor="ma")
    return canvas.image


def _phone(generator: Random, wallpaper: bool = False) -> tuple[Canvas, Colour]:
    """An empty screen with its status bar, and the ink to write on it."""
    size = (560, generator.choice((996, 1120, 1212)))
    ground = colour(generator, generator.choice((LIGHT, LIGHT, DARK)), 0.3)
    ground = generator.choice((ground, (255, 255, 255), (0, 0, 0)))
    picture: Image.Image | Colour = ground
    if wallpaper:
        picture = generator.choice(
            (gradient(generator, size, palette(generator, 3)), scenery(generator, size))
        )
    canvas, ink = Canvas(generator, size, picture), contrast(ground)
    bar = (255, 255, 255) if wallpaper else ink
    canvas.write((36, 14), clock(generator), 22, bar, face=BOLD)
    for i in range(4):
        canvas.card((400 + i * 9, 34 - 5 * i, 406 + i * 9, 38), bar)
    canvas.draw.rectangle((470, 18, 514, 38), outline=bar, width=2)
    canvas.card((473, 21, 473 + generator.randint(4, 38), 35), bar)
    return canvas, ink


def _bar(canvas: Canvas, title: str, ink: Colour) -> None:
    """The title between an arrow and a symbol, and a bar of symbols at the bottom."""
    canvas.write((24, 74), "<", 36, BLUE)
    canvas.write((canvas.width / 2, 76), title, 30, ink, face=BOLD, anchor="ma")
    canvas.dot((canvas.width - 44, 94), 16, GREY)
    canvas.draw.line((0, 130, canvas.width, 130), blend(ink, GREY, 0.8), 2)


def _switch(canvas: Canvas, at: Point) -> None:
    (x, y), on = at, canvas.generator.random() < 0.6
    canvas.card((x, y, x + 62, y + 36), (52, 199, 89) if on else (200, 200, 205), 18)
    canvas.dot((x + (44 if on else 18), y + 18), 15, (255, 255, 255))


def _symbol(canvas: Canvas, at: Point, ink: Colour) -> None:
    """What is on an app's tile: a letter, a disc, a ring, a triangle or bars."""
    (x, y), form = at, canvas.generator.randrange(5)
    if form == 0:
        canvas.write(at, words(canvas.generator, 1)[0].upper(), 60, ink, face=BOLD, anchor="mm")
    elif form == 1:
        canvas.dot(at, 26, ink)
    elif form == 2:
        canvas.draw.ellipse((x - 26, y - 26, x + 26, y + 26), outline=ink, width=8)
    elif form == 3:
        canvas.draw.polygon([(x - 18, y - 24), (x + 28, y), (x - 18, y + 24)], ink)
    else:
        for i in range(3):
            canvas.card((x - 26, y - 20 + i * 18, x + 26, y - 12 + i * 18), ink)


def _blob(canvas: Canvas, shade: Colour, radius: float) -> None:
    """An uneven round patch."""
    generator = canvas.generator
    x, y = generator.uniform(0, canvas.width), generator.uniform(0, canvas.height)
    corners = []
    for i in range(12):
        reach = radius * generator.uniform(0.6, 1.3)
        corners.append(
            (x + reach * math.cos(i * math.pi / 6), y + reach * math.sin(i * math.pi / 6))
        )
    canvas.draw.polygon(corners, shade)


def _line_across(canvas: Canvas, angle: float, offset: float, shade: Colour, width: int) -> None:
    """A line through the whole picture, so far from its middle."""
    along, beside = (math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle))
    x, y = canvas.width / 2 + beside[0] * offset, canvas.height / 2 + beside[1] * offset
    ends = (x - 1500 * along[0], y - 1500 * along[1], x + 1500 * along[0], y + 1500 * along[1])
    canvas.draw.line(ends, shade, width)
