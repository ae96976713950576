"""Papers: quotes, posters, documents, letters, receipts, codes to be scanned."""

from random import Random

from PIL import Image, ImageFilter

from training.drawings.paint import (
    DARK,
    INK,
    LIGHT,
    MIDDLE,
    Box,
    Colour,
    blend,
    clouds,
    colour,
    contrast,
    generator_of_noise,
    gradient,
    palette,
    photographed,
    picture_of,
    scenery,
)
from training.drawings.writing import (
    BOLD,
    FACES,
    MONO,
    SANS,
    Canvas,
    font,
    lines,
    paragraph,
    script_of,
    sentence,
    words,
)

PAGE = (720, 1000)


def quote(generator: Random) -> Image.Image:
    """A sentence on a plain colour or a gradient, as people post it."""
    ground = colour(generator, generator.choice((LIGHT, DARK, MIDDLE, (0.0, 1.0))))
    if generator.random() < 0.25:
        ground = generator.choice(((255, 255, 255), (0, 0, 0)))
    canvas = Canvas(generator, _square(generator), ground)
    if generator.random() < 0.3:
        colours = [blend(c, ground, 0.5) for c in palette(generator, 2)]
        canvas.image.paste(gradient(generator, canvas.image.size, colours))
    _quote(canvas, contrast(ground) if generator.random() < 0.7 else _ink(generator, ground))
    return canvas.image


def quote_on_photo(generator: Random) -> Image.Image:
    """A sentence on a picture out of focus, made darker or lighter so that it can be read."""
    size = _square(generator)
    veil = generator.choice(((0, 0, 0), (255, 255, 255)))
    ground = Image.blend(
        scenery(generator, size), Image.new("RGB", size, veil), generator.uniform(0.2, 0.6)
    )
    canvas = Canvas(generator, size, ground)
    _quote(canvas, contrast(veil))
    return canvas.image


def poster(generator: Random) -> Image.Image:
    """A few words as large as they go, a line each, with bars of colour."""
    width, height = _square(generator)
    ground = colour(generator, (0.0, 1.0))
    canvas = Canvas(generator, (width, height), ground)
    face, ink = generator.choice(FACES), _ink(generator, ground)
    if generator.random() < 0.4:
        canvas.card((0, height * generator.uniform(0.85, 0.95), width, height), ink)
    text = words(generator, generator.randint(1, 5)).upper().split()
    y = height * generator.uniform(0.05, 0.15)
    for word in text:
        widest = width * 85 / font(face, 100).getlength(word)
        size = min(widest, height * 0.28, height * 0.6 / len(text))
        canvas.write((width / 2, y), word, size, ink, face=face, anchor="ma")
        y += 1.1 * size
    return canvas.image


def document(generator: Random) -> Image.Image:
    """A printed page: heading, paragraphs in one or two columns, a grey figure perhaps."""
    canvas = _page(generator)
    face = generator.choice((SANS, "cmr10", "STIXGeneral", "DejaVuSerif"))
    script, size = script_of(generator, face=face), generator.choice((13, 15, 18, 22, 28))
    y = canvas.fill(
        (70, generator.uniform(50, 120), 580), sentence(generator, script), size * 1.8, INK,
        face=BOLD if face == SANS else face, anchor=generator.choice(("la", "ma")),
    )  # fmt: skip
    columns, top = generator.choice((1, 1, 2)), y + size
    for column in range(columns):
        width, y = 580 / columns - 15, top
        while y < 900:
            left = 70 + column * 580 / columns
            if generator.random() < 0.12:
                canvas.card((left, y, left + width, y + 120), colour(generator, (0.6, 0.9), 0.4))
                y += 120 + size
            text = paragraph(generator, generator.randint(2, 6), script)
            y = size + canvas.fill((left, y, width), text, size, INK, face=face, bottom=930)
            if generator.random() < 0.05 and columns == 1:
                break
    return _as_seen(canvas)


def letter(generator: Random) -> Image.Image:
    """A page written by hand, on lines, squares or nothing."""
    canvas = _page(generator)
    rule = blend((120, 150, 200), (255, 255, 255), generator.uniform(0.2, 0.7))
    ink = generator.choice(((25, 30, 110), INK, (70, 60, 60), (150, 30, 40)))
    step = generator.choice((36, 46, 60))
    ruling = generator.choice(("lines", "squares", "none"))
    for i in range(1000 // step if ruling != "none" else 0):
        canvas.draw.line((0, i * step, 720, i * step), rule, 2)
        if ruling == "squares":
            canvas.draw.line((i * step, 0, i * step, 1000), rule, 2)
    for row in range(2, generator.randint(6, 1000 // step)):
        x, end = generator.uniform(60, 90), generator.uniform(420, 660)
        while x < end and generator.random() > 0.03:
            x = canvas.scrawl((x, row * step - 6), step * 0.7, generator.randint(2, 9), ink)
            x += step * 0.35
    return _as_seen(canvas)


def receipt(generator: Random) -> Image.Image:
    """A shop's slip: name, goods and prices, a sum, a bar code."""
    canvas = Canvas(generator, (420, generator.randint(600, 1000)), (250, 249, 246))
    face = generator.choice((MONO, MONO, "cmtt10"))
    y = canvas.fill((30, 40, 360), words(generator, 2).upper(), 34, INK, face=face, anchor="ma")
    y = canvas.fill((30, y, 360), sentence(generator), 16, INK, face=face, anchor="ma") + 20
    while y < canvas.height - 210:
        item = words(generator, generator.randint(1, 3), generator.choice(("latin", "english")))
        canvas.write((30, y), item[:20].upper(), 19, INK, face=face)
        canvas.write((390, y), f"{generator.uniform(0.3, 60):.2f}", 19, INK, face=face, anchor="ra")
        y += 28
    canvas.draw.line((30, y, 390, y), INK, 2)
    canvas.write((30, y + 10), "TOTAL", 30, INK, face=face)
    total = f"{generator.uniform(5, 400):.2f}"
    canvas.write((390, y + 10), total, 30, INK, face=face, anchor="ra")
    _bars(canvas, (60, y + 70, 360, y + 150))
    return _as_seen(canvas, 0.7)


def code_to_scan(generator: Random) -> Image.Image:
    """A square code or a bar code, alone or with a line of text."""
    ground = (255, 255, 255) if generator.random() < 0.7 else colour(generator, LIGHT)
    canvas = Canvas(generator, (720, generator.choice((720, 900))), ground)
    if generator.random() < 0.35:
        _bars(canvas, (100, 200, 620, 500))
        canvas.write((360, 515), str(generator.randrange(10**12)), 50, INK, face=MONO, anchor="ma")
    else:
        _matrix(canvas, generator.choice((21, 25, 33, 45)), generator.uniform(40, 160))
    if generator.random() < 0.5:
        canvas.write((360, canvas.height - 110), sentence(generator), 32, INK, anchor="ma")
    return canvas.image if generator.random() < 0.7 else photographed(generator, canvas.image)


def _square(generator: Random) -> tuple[int, int]:
    return 720, generator.choice((720, 720, 900, 1100, 540))


def _ink(generator: Random, ground: Colour) -> Colour:
    """A colour that is read on this ground."""
    return colour(generator, (0.8, 0.97) if contrast(ground)[0] > 200 else (0.05, 0.3))


def _quote(canvas: Canvas, ink: Colour) -> None:
    """A text in the middle, an author and an ornament perhaps."""
    generator, margin = canvas.generator, canvas.width * canvas.generator.uniform(0.06, 0.18)
    face = generator.choice(FACES)
    text = sentence(generator, script_of(generator, face=face), generator.choice((6, 12, 20)))
    text = text.upper() if generator.random() < 0.25 else text
    width, size = canvas.width - 2 * margin, generator.uniform(36, 84)
    tall = len(lines(text, font(face, round(size)), width)) * 1.35 * size
    size *= min(1, canvas.height * 0.75 / tall)
    top = max(20.0, (canvas.height - tall) / 2)
    if generator.random() < 0.2:
        frame = (margin / 2, margin / 2, canvas.width - margin / 2, canvas.height - margin / 2)
        canvas.draw.rectangle(frame, outline=ink, width=generator.randint(2, 10))
    if generator.random() < 0.3:
        canvas.write((margin, top - 100), '"', 160, ink, face="DejaVuSerif-Bold")
    y = canvas.fill(
        (margin, top, width),
        text,
        size,
        ink,
        face=face,
        anchor=generator.choice(("ma", "ma", "la")),
    )
    if generator.random() < 0.6:
        author = "- " + words(generator, 2, "latin").title()
        canvas.write((canvas.width / 2, y + 30), author, 30, ink, face=face, anchor="ma")


def _page(generator: Random) -> Canvas:
    white = (255, 255, 255)
    return Canvas(
        generator, PAGE, generator.choice((white, white, colour(generator, (0.88, 0.98))))
    )


def _as_seen(canvas: Canvas, photo: float = 0.4) -> Image.Image:
    """The page as it is, a part of it, scanned with spots, or photographed."""
    generator, image = canvas.generator, canvas.image
    if generator.random() < photo:
        return photographed(generator, image)
    if generator.random() < 0.3:
        spots = picture_of(
            clouds(generator, image.size, 8, 0.8), [(190, 180, 150), (255, 255, 255)]
        )
        image = Image.blend(image, spots, 0.3).filter(ImageFilter.GaussianBlur(0.8))
    if generator.random() < 0.3:
        height = round(image.height * generator.uniform(0.3, 0.7))
        return image.crop((0, 0, image.width, height))
    return image


def _bars(canvas: Canvas, box: Box) -> None:
    x, top, right, bottom = box
    while x < right:
        width = canvas.generator.choice((3, 3, 6, 9))
        canvas.card((x, top, x + width - 1, bottom), INK)
        x += width + canvas.generator.choice((3, 3, 6, 9))


def _matrix(canvas: Canvas, cells: int, margin: float) -> None:
    cell, noise = (canvas.width - 2 * margin) / cells, generator_of_noise(canvas.generator)
    dark = noise.random((cells, cells)) < 0.5
    for row, column in ((0, 0), (0, cells - 7), (cells - 7, 0)):
        dark[max(0, row - 1) : row + 8, max(0, column - 1) : column + 8] = False
        dark[row : row + 7, column : column + 7] = True
        dark[row + 1 : row + 6, column + 1 : column + 6] = False
        dark[row + 2 : row + 5, column + 2 : column + 5] = True
    ink = colour(canvas.generator, (0.0, 0.2))
    for row, column in zip(*dark.nonzero(), strict=True):
        x, y = margin + column * cell, margin + row * cell
        canvas.card((x, y, x + cell, y + cell), ink)
