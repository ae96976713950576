"""Look at every photo of a set once, and write the manifest that training reads.

Run: python -m training.prepare harrison ROOT | captions FILE
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hashstagram.errors import HashstagramError
from hashstagram.transforms import decode_image
from hashstagram.vocabulary import Vocabulary
from training.captions import bait, read_captions
from training.harrison import DataError, find_image, read_harrison
from training.photoset import MANIFEST, SPLITS, Photo, PhotoSet, digest_of, split_of

logger = logging.getLogger(__name__)

Row = tuple[str, Path | None, tuple[str, ...]]

VERIFY_SIDE = 64  # pixels: enough to meet every broken byte of a JPEG at an eighth of the work


def prepare_harrison(root: Path) -> PhotoSet:
    """A photo set in HARRISON's format; photos that are missing or broken are left out.

    Raises:
        DataError: the label files do not fit each other, or no photo is left.
    """
    labels = read_harrison(root)
    rows = [
        (path, find_image(root, path), tags)
        for path, tags in zip(labels.paths, labels.tags, strict=True)
    ]
    return _photoset(root, rows, labels.vocabulary)


def prepare_captions(path: Path, *, max_tags: int = 1000, min_count: int = 5) -> PhotoSet:
    """A photo set from a file of captions, with the hashtags that are frequent and no bait.

    Raises:
        DataError: the file is not in form, or no photo with a tag is left.
    """
    posts = read_captions(path)
    tagged = [tuple(tag for tag in post.hashtags if tag not in bait()) for post in posts]
    vocabulary = Vocabulary.build(tagged, max_tags=max_tags, min_count=min_count)
    rows = []
    for post, hashtags in zip(posts, tagged, strict=True):
        image = path.parent / post.image
        kept = tuple(tag for tag in hashtags if tag in vocabulary.index)
        rows.append((post.image, image if image.is_file() else None, kept))
    return _photoset(path.parent, rows, vocabulary)


def _photoset(root: Path, rows: Sequence[Row], vocabulary: Vocabulary) -> PhotoSet:
    """Look at the photos of these rows: name, image file if there is one, tags."""
    logger.info("%s: %d photos, %d tags", root, len(rows), len(vocabulary))
    missing = [name for name, image, _ in rows if image is None]
    if missing:
        logger.warning(
            "%d of %d image files are missing under %s; the first is %s",
            *(len(missing), len(rows), root, missing[0]),
        )
    photos = _verify([(image, tags) for _, image, tags in rows if image and tags])
    if not photos:
        raise DataError(f"{root}: there is no photo to train on")
    return PhotoSet(root.resolve().name, vocabulary, tuple(photos))


def _verify(found: Sequence[tuple[Path, tuple[str, ...]]]) -> list[Photo]:
    with ThreadPoolExecutor() as pool:  # Pillow decodes without holding the interpreter's lock
        outcomes = list(pool.map(_look_at, *zip(*found, strict=True))) if found else []
    broken = [outcome for outcome in outcomes if isinstance(outcome, str)]
    for line in broken[:10]:
        logger.warning("left out: %s", line)
    if broken:
        logger.warning("%d of %d images are broken and were left out", len(broken), len(found))
    return [outcome for outcome in outcomes if isinstance(outcome, Photo)]


def _look_at(path: Path, tags: tuple[str, ...]) -> Photo | str:
    """The photo, or why it cannot be used."""
    try:
        data = path.read_bytes()
        decode_image(data, min_side=VERIFY_SIDE)
    except (OSError, HashstagramError) as err:
        return f"{path}: {err}"
    return Photo(path, tags, digest_of(data), split_of(path))


def open_photoset(root: Path) -> PhotoSet:
    """A set that was prepared, or one in HARRISON's format that is prepared now, in memory.

    Raises:
        DataError: it is neither, or it is broken.
    """
    if (root / MANIFEST).is_file():
        return PhotoSet.load(root)
    return prepare_harrison(root)


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare one set; exit 1 with one line when there is nothing to train on."""
    args = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        photoset = args.prepare(args)
    except DataError as err:
        logger.error("%s", err)
        return 1
    photoset.save(args.root)
    counts = ", ".join(f"{len(photoset.split(split))} {split}" for split in SPLITS)
    logger.info("wrote %s: %s", args.root / MANIFEST, counts)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Look at every photo once and write ROOT/manifest.jsonl for training."
    )
    formats = parser.add_subparsers(required=True, metavar="FORMAT")
    harrison = formats.add_parser(
        "harrison",
        help="data_list.txt, tag_list.txt and vocab_index.txt beside the images",
        description="HARRISON's own format: three label files beside the images.",
    )
    harrison.add_argument("root", type=Path, metavar="ROOT")
    harrison.set_defaults(prepare=lambda args: prepare_harrison(args.root))
    captions = formats.add_parser(
        "captions",
        help="your own posts: a .jsonl or .csv file with image and caption",
        description="Rows of image (relative to FILE) and caption; ROOT is the file's folder.",
    )
    captions.add_argument("file", type=Path, metavar="FILE")
    captions.add_argument("--max-tags", type=int, default=1000, help="default: %(default)s")
    captions.add_argument(
        "--min-count", type=int, default=5, help="posts that a tag must have (default: %(default)s)"
    )
    captions.set_defaults(prepare=_captions)
    return parser


def _captions(args: argparse.Namespace) -> PhotoSet:
    args.root = args.file.parent
    return prepare_captions(args.file, max_tags=args.max_tags, min_count=args.min_count)


if __name__ == "__main__":
    sys.exit(main())
