"""Look at every photo of a set once, and write the manifest that training reads.

Run: python -m training.prepare harrison ROOT
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hashstagram.errors import HashstagramError
from hashstagram.transforms import decode_image
from training.harrison import DataError, find_image, read_harrison
from training.photoset import MANIFEST, SPLITS, Photo, PhotoSet, digest_of, split_of

logger = logging.getLogger(__name__)

VERIFY_SIDE = 64  # pixels: enough to meet every broken byte of a JPEG at an eighth of the work


def prepare_harrison(root: Path) -> PhotoSet:
    """A photo set in HARRISON's format; photos that are missing or broken are left out.

    Raises:
        DataError: the label files do not fit each other, or no photo is left.
    """
    labels = read_harrison(root)
    logger.info("%s: %d photos, %d tags", root, len(labels.paths), len(labels.vocabulary))
    images = [find_image(root, path) for path in labels.paths]
    missing = [path for path, image in zip(labels.paths, images, strict=True) if image is None]
    if missing:
        logger.warning(
            "%d of %d image files are missing under %s; the first is %s",
            *(len(missing), len(images), root, missing[0]),
        )
    found = [
        (image, tags) for image, tags in zip(images, labels.tags, strict=True) if image and tags
    ]
    photos = _verify(found)
    if not photos:
        raise DataError(f"{root}: there is no photo to train on")
    return PhotoSet(root.resolve().name, labels.vocabulary, tuple(photos))


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
    root = parser.parse_args(argv).root
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        photoset = prepare_harrison(root)
    except DataError as err:
        logger.error("%s", err)
        return 1
    photoset.save(root)
    counts = ", ".join(f"{len(photoset.split(split))} {split}" for split in SPLITS)
    logger.info("wrote %s: %s", root / MANIFEST, counts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
