"""Computers' screens: windows, editors, terminals."""

from random import Random

from PIL import Image

from training.drawings.paint import (
    DARK,
    GREY,
    Colour,
    blend,
    colour,
    contrast,
    gradient,
    palette,
    scenery,
)
from training.drawings.writing import (
    BOLD,
    MONO,
    Canvas,
    amount,
    clock,
    paragraph,
    sentence,
    words,
)


def desktop(generator: Random) -> Image.Image:
    """Windows over a background, a bar of tasks: forms, lists, a page of the web."""
    dark = generator.random() < 0.3
    canvas = Canvas(generator, generator.choice(((1120, 630), (1000, 700))), (0, 0, 0))
    canvas.image.paste(gradient(generator, canvas.image.size, palette(generator, 2)))
    paper = colour(generator, DARK if dark else (0.95, 1.0), 0.15)
    full = generator.random() < 0.4
    for _ in range(1 if full else generator.randint(1, 4)):
        left, top = (0, 0) if full else (generator.randint(0, 330), generator.randint(0, 180))
        right = canvas.width if full else left + generator.randint(480, 800)
        bottom = canvas.height if full else top + generator.randint(330, 480)
        _window(canvas, (left, top, right, bottom), paper)
    if generator.random() < 0.8:
        y = generator.choice((0, canvas.height - 40))
        canvas.card((0, y, canvas.width, y + 40), blend(paper, (60, 65, 75), 0.6))
        for i in range(generator.randint(4, 12)):
            canvas.card((12 + i * 46, y + 7, 38 + i * 46, y + 33), colour(generator, (0.3, 0.8)), 5)
        canvas.write(
            (canvas.width - 20, y + 10), clock(generator), 18, (250, 250, 250), anchor="ra"
        )
    return canvas.image


def code(generator: Random) -> Image.Image:
    """An editor with coloured code, line numbers, a list of files perhaps."""
    dark = generator.random() < 0.7
    ground = colour(generator, (0.08, 0.18) if dark else (0.96, 1.0), 0.3)
    canvas = Canvas(generator, generator.choice(((1000, 640), (800, 800), (640, 900))), ground)
    colours = [colour(generator, (0.6, 0.8) if dark else (0.25, 0.45)) for _ in range(4)]
    ink, size = contrast(ground), generator.choice((17, 20, 24, 30))
    left = generator.choice((0, 0, 200))
    if left:
        canvas.card((0, 0, left, canvas.height), blend(ground, GREY, 0.15))
        for i in range(canvas.height // 30):
            indent = generator.choice((14, 30, 46))
            canvas.write((indent, 10 + i * 30), words(generator, 1) + ".py", 18, GREY)
    if generator.random() < 0.5:
        canvas.card((left, 0, canvas.width, 36), blend(ground, GREY, 0.25))
        for i, light in enumerate(((255, 95, 86), (255, 189, 46), (39, 201, 63))):
            canvas.dot((left + 22 + i * 24, 18), 7, light)
    indent, y, number = 0, 46.0, generator.randint(1, 300)
    while y < canvas.height - size:
        canvas.write((left + 44, y), str(number), size * 0.9, GREY, face=MONO, anchor="ra")
        x, blank = left + 64 + indent * size * 2.4, generator.random() < 0.12
        for token in [] if blank else _statement(generator):
            shade = generator.choice([*colours, ink, ink])
            canvas.write((x, y), token, size, shade, face=MONO)
            x += (len(token) + 1) * size * 0.602
        indent = max(0, min(4, indent + generator.choice((-1, 0, 0, 0, 1))))
        y, number = y + size * 1.4, number + 1
    return canvas.image


def terminal(generator: Random) -> Image.Image:
    """Commands and what they print, one font, mostly light on dark."""
    ground = generator.choice(((0, 0, 0), (30, 30, 30), (48, 10, 36), (0, 43, 54), (253, 246, 227)))
    canvas = Canvas(generator, generator.choice(((1000, 640), (800, 600))), ground)
    ink, size, y = contrast(ground), generator.choice((16, 18, 22, 28)), 14.0
    ink = (60, 230, 90) if ground == (0, 0, 0) and generator.random() < 0.4 else ink
    prompt = generator.choice((f"{words(generator, 1)}@host:~$ ", "$ ", "> ", "# "))
    while y < canvas.height * generator.choice((0.95, 0.95, 0.5)):
        command = f"{words(generator, 1)} --{words(generator, 1)} {words(generator, 1)}"
        canvas.write((12, y), prompt + command, size, (110, 200, 120), face=MONO)
        y += size * 1.3
        for _ in range(generator.randint(0, 9)):
            line = f"{amount(generator):>12}  {words(generator, generator.randint(1, 9))}"
            canvas.write((12, y), line, size, ink, face=MONO)
            y += size * 1.3
    return canvas.image


def _window(canvas: Canvas, box: tuple[int, int, int, int], paper: Colour) -> None:
    """A window: title, menu, then a list, a page or a form."""
    generator, (left, top, right, bottom) = canvas.generator, box
    ink, accent = contrast(paper), colour(generator, (0.3, 0.6))
    canvas.card((left, top, right, bottom), paper, 8)
    canvas.card((left, top, right, top + 34), blend(paper, GREY, 0.35), 8)
    canvas.write((left + 16, top + 8), words(generator, 3).capitalize(), 18, ink)
    for i in range(3):
        canvas.dot((right - 20 - 26 * i, top + 17), 7, blend(ink, GREY, 0.5))
    canvas.write((left + 16, top + 42), words(generator, 6).title(), 16, ink)
    y, form = top + 76.0, generator.choice(("list", "page", "form"))
    side = left + 150 if generator.random() < 0.5 else left
    if side > left:
        canvas.card((left, top + 70, side, bottom), blend(paper, GREY, 0.15))
        for i in range((bottom - top - 90) // 28):
            canvas.write((left + 14, top + 80 + i * 28), words(generator, 1), 16, ink)
    if form == "page":
        y = canvas.fill((side + 20, y, right - side - 40), sentence(generator), 34, ink, face=BOLD)
        if generator.random() < 0.6:
            picture = scenery(generator, (max(50, (right - side) // 3), 130))
            canvas.image.paste(picture, (right - picture.width - 20, round(y)))
            right -= picture.width + 20
    while y < bottom - 34:
        if form == "page":
            text = paragraph(generator, 4)
            y = (
                canvas.fill((side + 20, y, right - side - 40), text, 16, ink, bottom=bottom - 10)
                + 12
            )
        elif form == "list":
            canvas.card((side + 18, y + 2, side + 36, y + 20), colour(generator, (0.4, 0.7)), 3)
            canvas.write((side + 48, y), words(generator, 2), 17, ink)
            canvas.write((right - 20, y), amount(generator), 17, GREY, anchor="ra")
            y += 28
        else:
            canvas.write((side + 20, y), words(generator, 2).capitalize(), 17, ink)
            field = (side + 170, y - 2, right - 24, y + 24)
            canvas.draw.rectangle(field, outline=blend(ink, GREY, 0.6))
            y += 42
    if form == "form":
        canvas.card((right - 120, bottom - 44, right - 20, bottom - 12), accent, 5)
        canvas.write((right - 70, bottom - 28), "OK", 18, contrast(accent), anchor="mm")


def _statement(generator: Random) -> list[str]:
    """The words of a line of code."""
    name, other = words(generator, 1), words(generator, 1)
    return generator.choice(
        (
            ["def", f"{name}_{other}({words(generator, 1)}):"],
            ["if", name, "==", f'"{other}":'],
            ["return", f"{name}({other})"],
            ["for", name, "in", f"{other}s:"],
            [name, "=", f"{other}[{generator.randint(0, 99)}]"],
            [f"self.{name}", "=", other, "+", str(generator.randint(0, 999))],
            ["import", f"{name}.{other}"],
            ["#", *words(generator, generator.randint(3, 9)).split()],
            [f"{name}.{other}(", f'"{words(generator, 2)}",', words(generator, 1), ")"],
            ["}"],
        )
    )
