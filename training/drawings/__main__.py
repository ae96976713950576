"""Draw a photo set of what no photo shows, in HARRISON's format.

Run: python -m training.drawings OUT [--count N] [--seed S] [--beside SET]

Texts, screenshots, charts, cartoons and patterns with the hashtags that people write for them;
noise, plain colours and blurs are tagged `nothing`, which is never recommended. The same seed draws
the same pictures.
"""

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from PIL import Image

from hashstagram.vocabulary import Vocabulary
from training.drawings import cartoons, charts, computers, designs, nothing, papers, phones
from training.harrison import DataError, read_harrison
from training.progress import track

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kind:
    """A kind of pictures.

    Args:
        draw: draws one.
        share: how many of it there are beside other kinds.
        tags: their hashtags, separated by blanks.
        unsure: those that fit some of them.
    """

    draw: Callable[[Random], Image.Image]
    share: int
    tags: str
    unsure: str = ""


QUOTE = "quote quotes words text"
DRAWN = "art draw drawing illustration"
KINDS = (
    Kind(papers.quote, 7, f"{QUOTE} typography"),
    Kind(papers.quote_on_photo, 4, QUOTE, "typography light lights night sky"),
    Kind(papers.poster, 4, "typography text words design graphicdesign", "art poster quote"),
    Kind(papers.document, 5, "document paper text", "words book page reading study letter"),
    Kind(papers.letter, 4, "letter paper writing", "document text words notes study school"),
    Kind(papers.receipt, 4, "receipt paper", "document text shopping shop data"),
    Kind(charts.table, 4, "data document", "text screenshot computer work office paper"),
    Kind(charts.chart, 5, "chart data infographic", "text screenshot business work"),
    Kind(charts.slide, 4, "presentation text", "data chart words business work study infographic"),
    Kind(papers.code_to_scan, 4, "qrcode", "pattern technology text paper"),
    Kind(phones.chat, 5, "screenshot chat text", "words app technology iphone phone"),
    Kind(phones.settings, 4, "screenshot app", "text technology iphone phone"),
    Kind(phones.feed, 3, "screenshot app text", "words technology iphone phone quote"),
    Kind(phones.street_map, 4, "map", "screenshot app travel street road city"),
    Kind(phones.home_screen, 4, "screenshot app wallpaper", "technology iphone phone icon"),
    Kind(computers.desktop, 4, "screenshot computer technology", "text laptop work office app"),
    Kind(computers.code, 4, "code coding programming developer screenshot", "text computer work"),
    Kind(computers.terminal, 3, "code coding programming screenshot", "text computer technology"),
    Kind(cartoons.cartoon, 5, f"{DRAWN} cartoon", "comic smile man woman people face house street"),
    Kind(cartoons.face, 3, f"{DRAWN} cartoon", "comic smile face portrait cat dog animal cute"),
    Kind(cartoons.comic, 4, f"{DRAWN} cartoon comic", "text words smile man woman people face"),
    Kind(cartoons.line_drawing, 4, f"{DRAWN} sketch", "cartoon ink pencil face leaf plant"),
    Kind(designs.logo, 4, "logo design graphicdesign branding", "typography text icon art sign"),
    Kind(designs.icons, 4, "icon design graphicdesign", "pattern illustration logo art"),
    Kind(
        designs.abstract, 5, "abstract abstractart art", "painting paint pattern design geometric"
    ),
    Kind(designs.pattern, 4, "pattern design geometric", "texture art abstract abstractart"),
    Kind(designs.mandala, 4, "mandala pattern design", "art draw drawing geometric abstract"),
    Kind(designs.texture, 4, "texture pattern", "abstract art wall wood stone sand fashion"),
    Kind(designs.minimal, 4, "minimal minimalism", "abstract art design geometric logo"),
    Kind(nothing.noise, 3, "nothing", "pattern texture abstract"),
    Kind(nothing.plain, 2, "nothing", "minimal minimalism texture"),
    Kind(nothing.gradients, 2, "nothing", "minimal minimalism abstract wallpaper sky light"),
    Kind(nothing.blurred, 4, "nothing", "abstract light lights sky night bokeh"),
)
# Any drawing may be called so: nobody looked at its colours.
COLOURS = (
    "black white blackandwhite bnw monochrome grey red orange yellow green blue purple pink brown "
    "gold silver colorful rainbow dark graphic graphics designs"
)

COUNT = 1200
SHORT = (192, 320)  # pixels of the shorter side, both included
LONG = 2.2  # the longest side, in shorter ones


def draw_set(root: Path, *, count: int = COUNT, seed: int = 0, beside: Sequence[Path] = ()) -> None:
    """Write the pictures and their labels.

    Args:
        root: where; its name becomes the set's.
        count: how many pictures.
        seed: other pictures for another number.
        beside: photo sets whose tags no drawing has: they join the vocabulary, so that the
            drawings are negatives for them.

    Raises:
        DataError: a set beside it cannot be read.
    """
    rows = _rows(count)
    tags = Counter(tag for kind in rows for tag in kind.tags.split())
    others = {tag for photoset in beside for tag in read_harrison(photoset).vocabulary.tags}
    vocabulary = Vocabulary((*(tag for tag, _ in tags.most_common()), *sorted(others - {*tags})))
    root.mkdir(parents=True, exist_ok=True)
    names = [f"{root.resolve().name}_{number:05}.jpg" for number in range(count)]
    for number, kind in enumerate(track(rows, "drawing", len(rows))):
        draw_one(kind, Random(f"{seed} {number}"), root / names[number])
    unsure = [_unsure(kind, vocabulary) for kind in rows]
    _write(root / "data_list.txt", [f"{root.resolve().name}/{name}" for name in names])
    _write(root / "tag_list.txt", [kind.tags for kind in rows])
    _write(root / "unsure_list.txt", [" ".join(tags) for tags in unsure])
    _write(root / "vocab_index.txt", [f"{t:<20}{i}" for i, t in enumerate(vocabulary.tags)])


def draw_one(kind: Kind, generator: Random, path: Path) -> None:
    """Draw a picture of a kind into a JPEG file of any usual size and quality."""
    image = kind.draw(generator)
    width, height = image.size
    longest = round(LONG * min(width, height))
    image = image.crop((0, 0, min(width, longest), min(height, longest)))
    scale = generator.randint(*SHORT) / min(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    image.resize(size, Image.Resampling.LANCZOS).save(path, quality=generator.randint(50, 95))


def _rows(count: int) -> list[Kind]:
    """The kind of each picture: all kinds by their shares, the same order whatever the seed."""
    lots = [(turn / kind.share, n) for n, kind in enumerate(KINDS) for turn in range(kind.share)]
    order = [KINDS[n] for _, n in sorted(lots)]
    return [order[number % len(order)] for number in range(count)]


def _unsure(kind: Kind, vocabulary: Vocabulary) -> list[str]:
    tags = {*f"{kind.unsure} {COLOURS}".split()} - {*kind.tags.split()}
    return sorted(tag for tag in tags if tag in vocabulary.index)


def _write(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """Command line entry; an exit status comes back."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT", help="the folder of the new set")
    parser.add_argument("--count", type=int, default=COUNT, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument(
        "--beside",
        type=Path,
        action="append",
        default=[],
        metavar="SET",
        help="a photo set that it will be trained with; no drawing has its tags (repeatable)",
    )
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        draw_set(args.out, count=args.count, seed=args.seed, beside=args.beside)
    except DataError as err:
        parser.error(str(err))
    logger.info("%d drawings in %s", args.count, args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
