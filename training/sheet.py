"""Contact sheets: photos with their five hashtags under them, to judge answers by eye.

Run: python -m training.sheet --bundle DIR OUT.png PHOTO...|FOLDER...

Twenty photos a page; OUT.png becomes OUT-1.png, OUT-2.png and so on. A photo whose tags are
guesses is marked.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from hashstagram.errors import HashstagramError
from hashstagram.recommender import Recommender
from training.progress import track

COLUMNS, ROWS = 5, 4
PAGE = COLUMNS * ROWS  # photos
SIDE = 320  # pixels of a thumbnail's longer side
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".heic", ".gif", ".bmp", ".tif", ".tiff"})


def draw_pages(recommender: Recommender, photos: Sequence[Path]) -> Iterator[Figure]:
    """The pages of a contact sheet, one by one."""
    for start in range(0, len(photos), PAGE):
        figure = Figure(figsize=(3 * COLUMNS, 4.3 * ROWS), layout="constrained")
        places = figure.subplots(ROWS, COLUMNS, squeeze=False).flat
        for place in figure.axes:
            place.set(xticks=[], yticks=[])
            place.spines[:].set_visible(False)
        for place, photo in zip(places, photos[start : start + PAGE], strict=False):
            _draw(place, recommender, photo)
        yield figure


def _draw(place: Axes, recommender: Recommender, photo: Path) -> None:
    """A thumbnail, its file's name over it, and what the model answers under it."""
    place.set_title(photo.name[-32:], fontsize=8, color="grey")
    try:
        image = recommender.decode(photo.read_bytes())
    except (HashstagramError, OSError) as err:
        place.set_xlabel(fill(str(err), 30))
        return
    place.set_xlabel(answer(recommender, image), fontsize=10)
    image.thumbnail((SIDE, SIDE))
    place.imshow(image)


def answer(recommender: Recommender, image: Image.Image) -> str:
    """Five lines of a hashtag and its score, under a line that marks guesses."""
    [scores] = recommender.scores(recommender.transform(image)[None])
    ranking = recommender.ranking
    lines = [f"#{hashtag.tag} {hashtag.score:.2f}" for hashtag in ranking.top(scores)]
    return "\n".join(["(abstained)"] * ranking.abstains(scores) + lines)


def photos_of(paths: Sequence[Path]) -> list[Path]:
    """These photos, and those in these folders and below them by name."""
    photos = []
    for path in paths:
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES)
        photos += inside if path.is_dir() else [path]
    return photos


def main(argv: Sequence[str] | None = None) -> int:
    """Command line entry; an exit status comes back."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, required=True, metavar="DIR", help="the model")
    parser.add_argument("out", type=Path, metavar="OUT.png", help="the pages get numbers")
    parser.add_argument("photos", type=Path, nargs="+", metavar="PHOTO|FOLDER")
    args = parser.parse_args(argv)
    photos = photos_of(args.photos)
    if not photos:
        parser.error("there is no photo")
    recommender, pages = Recommender.from_pretrained(args.bundle), -(-len(photos) // PAGE)
    for number, figure in enumerate(
        track(draw_pages(recommender, photos), "pages", pages), start=1
    ):
        figure.savefig(args.out.with_stem(f"{args.out.stem}-{number}"), dpi=100)
    return 0


if __name__ == "__main__":
    sys.exit(main())
