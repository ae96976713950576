"""Writing: words without sense in several scripts, the fonts at hand, and a canvas to write on."""

import math
import tomllib
from functools import cache
from pathlib import Path
from random import Random

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from training.drawings.paint import (
    Box,
    Colour,
    Size,
)

FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
SANS, BOLD, MONO = "DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono"
PLAIN = "Aileron"  # Pillow's own font
SERIFS = ("DejaVuSerif", "STIXGeneral")
FACES = (
    *(SANS, BOLD, PLAIN, PLAIN, "DejaVuSans-Oblique", "cmss10"),
    *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSansMono-Bold"),
    *("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta", "cmr10", "cmti10"),
)

WORDS = tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))
ENGLISH = WORDS["english"].split()
SCRIPTS = ("english",) * 8 + ("latin", "latin", "cyrillic", "cyrillic", "greek", "arabic")


@cache
def font(face: str, size: int) -> ImageFont.FreeTypeFont:
    """One of the fonts that come with matplotlib or Pillow."""
    if face == PLAIN:
        default = ImageFont.load_default(size)
        assert isinstance(default, ImageFont.FreeTypeFont)  # Pillow is built with FreeType
        return default
    return ImageFont.truetype(FONTS / f"{face}.ttf", size)


def script_of(generator: Random, *, face: str = SANS) -> str:
    """A script, most often English; only DejaVu's sans serif has all of them."""
    return generator.choice(SCRIPTS) if face in (SANS, BOLD) else "english"


def words(generator: Random, count: int, script: str = "english") -> str:
    """Words, blanks between them."""
    if script == "english":
        return " ".join(generator.choices(ENGLISH, k=count))
    onsets, rhymes = (WORDS[script][part].split() for part in ("onsets", "rhymes"))
    return " ".join(
        "".join(
            generator.choice(onsets) + generator.choice(rhymes)
            for _ in range(generator.choice((1, 2, 2, 3)))
        )
        for _ in range(count)
    )


def sentence(generator: Random, script: str = "english", longest: int = 12) -> str:
    """A sentence's look: a capital, words, perhaps a comma, a full stop."""
    first = words(generator, generator.randint(2, longest // 2), script)
    second = words(generator, generator.randint(2, longest // 2), script)
    return f"{first}{generator.choice((' ', ', '))}{second}".capitalize() + generator.choice(
        "....!?"
    )


def paragraph(generator: Random, sentences: int, script: str = "english") -> str:
    """Some sentences."""
    return " ".join(sentence(generator, script) for _ in range(sentences))


def clock(generator: Random) -> str:
    """A time of day."""
    return f"{generator.randint(0, 23)}:{generator.randint(0, 59):02}"


def amount(generator: Random) -> str:
    """A price, a date, a time or a count."""
    day, month, year = generator.randint(1, 28), generator.randint(1, 12), generator.randint(10, 30)
    price, count = generator.uniform(1, 300), generator.randint(1, 9999)
    forms = (f"{price:.2f}", f"{day:02}.{month:02}.20{year}", clock(generator), f"{count:,}")
    return generator.choice(forms)


class Canvas:
    """A picture, what draws on it, and the generator that every choice comes from."""

    def __init__(self, generator: Random, size: Size, ground: Colour | Image.Image) -> None:
        self.generator = generator
        self.image = Image.new("RGB", size)
        self.image.paste(ground, (0, 0, *size))
        self.draw = ImageDraw.Draw(self.image)
        self.width, self.height = size

    def write(
        self,
        at: tuple[float, float],
        text: str,
        size: float,
        ink: Colour,
        *,
        face: str = PLAIN,
        anchor: str = "la",
    ) -> None:
        """One line of text.

        Args:
            at: where, see anchor.
            text: Latin only, unless the face has more.
            size: the font's, in pixels.
            ink: its colour.
            face: the font's name.
            anchor: which point of the text lies there, in Pillow's two letters.
        """
        self.draw.text(at, text, ink, font(face, max(6, round(size))), anchor=anchor)

    def fill(
        self,
        box: tuple[float, float, float],
        text: str,
        size: float,
        ink: Colour,
        *,
        face: str = PLAIN,
        anchor: str = "la",
        leading: float = 1.35,
        bottom: float = math.inf,
    ) -> float:
        """Text in lines of a width from the top; the height that it reaches comes back.

        Args:
            box: left, top, width.
            text: what is to be broken into lines.
            size: the font's, in pixels.
            ink: its colour.
            face: the font's name.
            anchor: "la", "ma" or "ra": left, centred, right.
            leading: a line's height in font sizes.
            bottom: where the page ends.
        """
        left, y, width = box
        x = left + width * {"l": 0.0, "m": 0.5, "r": 1.0}[anchor[0]]
        for line in lines(text, font(face, max(6, round(size))), width):
            if y + size > bottom:
                break
            self.write((x, y), line, size, ink, face=face, anchor=anchor)
            y += leading * size
        return y

    def card(self, box: Box, colour: Colour, radius: float = 0.0) -> None:
        """A rectangle, its corners rounded."""
        self.draw.rounded_rectangle(box, radius, colour)

    def dot(self, at: tuple[float, float], radius: float, colour: Colour) -> None:
        """A disc."""
        x, y = at
        self.draw.ellipse((x - radius, y - radius, x + radius, y + radius), colour)

    def scrawl(self, at: tuple[float, float], size: float, letters: int, ink: Colour) -> float:
        """A word of handwriting that nobody can read; where it ends comes back."""
        x, y = at
        strokes, slant = [], self.generator.uniform(0.1, 0.5)
        for _ in range(letters):
            height = size * self.generator.choice((0.35, 0.4, 0.45, 0.9))
            loop, pace = (
                self.generator.uniform(0.15, 0.5),
                size * self.generator.uniform(0.25, 0.45),
            )
            for step in range(8):
                turn = 2 * math.pi * step / 8
                rise = height * (1 - math.cos(turn)) / 2
                strokes.append(
                    (x + pace * step / 8 + loop * pace * math.sin(turn) + slant * rise, y - rise)
                )
            x += pace
        self.draw.line(strokes, ink, max(1, round(size / 12)), joint="curve")
        return x


def lines(text: str, typeface: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """Text broken where a line is full."""
    broken = [""]
    for word in text.split():
        longer = f"{broken[-1]} {word}".strip()
        if not broken[-1] or typeface.getlength(longer) <= width:
            broken[-1] = longer
        else:
            broken.append(word)
    return broken
