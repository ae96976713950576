"""Look at every photo of a set once, and write the manifest that training reads.

Run: python -m training.prepare harrison ROOT | captions FILE | feedback FILE ROOT
"""

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import simplejpeg

from hashstagram.decode import decode_image
from hashstagram.errors import HashstagramError, InvalidImageError
from hashstagram.vocabulary import Vocabulary
from training.captions import Post, bait, read_captions
from training.descriptions import read_descriptions
from training.duplicates import Look, look_of, same_photo
from training.feedback import read_feedback
from training.harrison import UNSURE_LIST, DataError, find_image, read_harrison
from training.photoset import MANIFEST, SEEDS, SPLITS, Photo, PhotoSet, digest_of, split_of
from training.progress import track

logger = logging.getLogger(__name__)

BROKEN = "broken.txt"
LISTED = 10  # of what cannot be used, the lines that are printed of each kind

VERIFY_SIDE = 64  # pixels: enough to meet every broken byte of a JPEG at an eighth of the work

# What libjpeg calls a photo that it shows none the less, partly grey or in wrong colours.
_DAMAGE = ("Corrupt JPEG data", "Premature end of JPEG file", "Invalid JPEG file structure")


@dataclass(frozen=True)
class Row:
    """A line of the labels: the image's name there, the file that should be it, its tags.

    And what people wrote about it, if they did, and the tags that it may have besides.
    """

    name: str
    image: Path
    tags: tuple[str, ...]
    descriptions: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """A photo set, and a line for each row or image that could not be used: which and why."""

    photoset: PhotoSet
    broken: tuple[str, ...]

    def save(self, root: Path) -> None:
        """Write the manifest and the vocabulary, and the list of the broken beside them."""
        self.photoset.save(root)
        lines = "".join(f"{line}\n" for line in self.broken)
        (root / BROKEN).write_text(lines, encoding="utf-8")


def prepare_harrison(
    root: Path, *, seed: int = 0, keep_bait: bool = True, descriptions: Path | None = None
) -> Prepared:
    """A photo set in HARRISON's format; photos that are missing or broken are left out.

    Args:
        root: the set.
        seed: see split_of.
        keep_bait: tags that beg for likes stay.
        descriptions: sentences about the photos, see read_descriptions; the images' names are
            those of data_list.txt.

    Raises:
        DataError: the label files do not fit each other, there are descriptions of none of the
            photos, or no photo is left.
    """
    labels = read_harrison(root)
    dropped = frozenset() if keep_bait else bait()
    vocabulary = Vocabulary(tuple(tag for tag in labels.vocabulary.tags if tag not in dropped))
    described = read_descriptions(descriptions) if descriptions else {}
    if described and not described.keys() & set(labels.paths):
        raise DataError(f"{descriptions} describes no image of {root}: see the names in both")
    rows = [
        Row(
            path,
            find_image(root, path),
            tuple(tag for tag in tags if tag not in dropped),
            described.get(path, ()),
            tuple(tag for tag in unsure if tag not in dropped),
        )
        for path, tags, unsure in zip(labels.paths, labels.tags, labels.unsure, strict=True)
    ]
    return _prepare(root, _merged(rows), vocabulary, seed)


def prepare_captions(
    path: Path, *, seed: int = 0, max_tags: int = 1000, min_count: int = 5
) -> Prepared:
    """A photo set from a file of captions, with the hashtags that are frequent and no bait.

    Raises:
        DataError: the file is not in form, or no photo with a tag is left.
    """
    captions = read_captions(path)
    _list(captions.broken)
    prepared = _prepare_posts(
        *(path.parent, captions.posts, path, seed, max_tags, min_count),
        out_of_form=len(captions.broken),
    )
    return replace(prepared, broken=(*captions.broken, *prepared.broken))


def prepare_feedback(
    path: Path, root: Path, *, seed: int = 0, max_tags: int = 1000, min_count: int = 5
) -> Prepared:
    """A photo set from what people sent from the web page; its photos are written into root.

    Raises:
        DataError: the file is not in form, or no photo with a tag is left.
    """
    feedback = read_feedback(path, root)
    if feedback.bare:
        logger.info("opinions left out, as they came without their photo: %d", feedback.bare)
    return _prepare_posts(root, feedback.posts, path, seed, max_tags, min_count)


def _prepare_posts(
    root: Path,
    posts: Sequence[Post],
    source: Path,
    seed: int,
    max_tags: int,
    min_count: int,
    out_of_form: int = 0,
) -> Prepared:
    given = [Row(post.image, root / post.image, post.hashtags) for post in posts]
    rows = _merged(given, out_of_form)
    counts = Counter(tag for row in rows for tag in row.tags)
    if not counts:
        raise DataError(f"{source}: no post has a hashtag")
    wanted = (_with_tags(row, counts.keys() - bait()).tags for row in rows)
    vocabulary = Vocabulary.build(wanted, max_tags=max_tags, min_count=min_count)
    _tell_tags(counts, vocabulary, min_count)
    if not vocabulary.tags:
        raise DataError(f"{source}: no hashtag stands on {min_count} posts: lower --min-count")
    kept = [_with_tags(row, vocabulary.index.keys()) for row in rows]
    return _prepare(root, kept, vocabulary, seed)


def _merged(rows: Sequence[Row], out_of_form: int = 0) -> list[Row]:
    """A row for each image file, with the tags of all its rows; what one has is not unsure."""
    merged: dict[Path, Row] = {}
    for row in rows:
        first = merged.get(row.image, replace(row, tags=(), unsure=()))
        tags = tuple(dict.fromkeys((*first.tags, *row.tags)))
        unsure = dict.fromkeys(tag for tag in (*first.unsure, *row.unsure) if tag not in tags)
        merged[row.image] = replace(first, tags=tags, unsure=tuple(unsure))
    joined = len(rows) - len(merged)
    reasons = {"out of form": out_of_form, "joined to an earlier row of the same image": joined}
    _account("rows", len(rows) + out_of_form, reasons)
    return list(merged.values())


def _with_tags(row: Row, kept: Set[str]) -> Row:
    return replace(row, tags=tuple(tag for tag in row.tags if tag in kept))


def _tell_tags(counts: Counter[str], vocabulary: Vocabulary, min_count: int) -> None:
    """What became of the hashtags, which stand on so many photos."""
    begging = sorted(counts.keys() & bait())
    rare = sum(counts[tag] < min_count for tag in counts.keys() - bait())
    reasons = {
        f"that beg for likes ({' '.join(begging[:20])})": len(begging),
        f"on fewer than {min_count} photos (--min-count)": rare,
        "beyond --max-tags": len(counts) - len(begging) - rare - len(vocabulary),
    }
    _account("hashtags", len(counts), reasons)
    frequent = (f"{tag} {counts[tag]}" for tag in vocabulary.tags[:10])
    logger.info("most frequent: %s", ", ".join(frequent) or "-")


def _prepare(root: Path, rows: Sequence[Row], vocabulary: Vocabulary, seed: int) -> Prepared:
    found = [row for row in rows if row.image.is_file()]
    missing = [f"{row.name}: there is no such file" for row in rows if not row.image.is_file()]
    _list(missing)
    if not found:
        raise DataError(
            f"none of the {len(rows)} image files is there: their names, such as {rows[0].name}, "
            f"are taken to be relative to {root.resolve()}"
        )
    tagged = [row for row in found if row.tags]
    if not tagged:
        raise DataError(f"{root}: no photo that is there has a tag")
    outcomes = _verify(tagged)
    broken = [outcome for outcome in outcomes if isinstance(outcome, str)]
    _list(broken)
    seen = [outcome for outcome in outcomes if not isinstance(outcome, str)]
    if not seen:
        raise DataError(f"{root}: all {len(tagged)} image files are broken")
    untagged = len(found) - len(tagged)
    reasons = {"missing": len(missing), "without a kept hashtag": untagged, "broken": len(broken)}
    _account("photos", len(rows), reasons)
    photoset = PhotoSet(root.resolve().name, vocabulary, tuple(_grouped(seen, seed)))
    return Prepared(photoset, (*missing, *broken))


def _list(broken: Sequence[str]) -> None:
    """The first of what cannot be used, and why."""
    for line in broken[:LISTED]:
        logger.warning("left out: %s", line)
    if len(broken) > LISTED:
        logger.warning("left out: … and %d more of that kind", len(broken) - LISTED)


def _account(what: str, read: int, reasons: Mapping[str, int]) -> None:
    """What was read, how much of it was left out for which reason, and what remains."""
    told = ", ".join(f"{count} {reason}" for reason, count in reasons.items() if count)
    kept = read - sum(reasons.values())
    logger.info("%s: %d read; left out: %s; kept: %d", what, read, told or "none", kept)


def _verify(rows: Sequence[Row]) -> list[tuple[Photo, Look] | str]:
    with ThreadPoolExecutor() as pool:  # Pillow decodes without holding the interpreter's lock
        return list(track(pool.map(_look_at, rows), "looking at the photos", len(rows)))


def _look_at(row: Row) -> tuple[Photo, Look] | str:
    """The photo, still for training, and its look; or its name and why it cannot be used."""
    try:
        data = row.image.read_bytes()
        image = decode_image(data, min_side=VERIFY_SIDE)
        _refuse_damage(data)
    except HashstagramError as err:  # what its second sentence asks for is for a server's callers
        return f"{row.name}: {str(err).partition('. ')[0].rstrip('.')}"
    except OSError as err:
        return f"{row.name}: {err.strerror}"
    photo = Photo(
        row.image,
        row.tags,
        digest_of(data),
        "train",
        descriptions=row.descriptions,
        unsure=row.unsure,
    )
    return photo, look_of(image)


def _refuse_damage(data: bytes) -> None:
    """Find the JPEGs that Pillow, silently, decodes only in part.

    Raises:
        InvalidImageError: data is missing or damaged; the message is libjpeg's.
    """
    if not data.startswith(b"\xff\xd8"):
        return
    try:
        simplejpeg.decode_jpeg(
            data, "GRAY", fastdct=True, min_height=VERIFY_SIDE, min_width=VERIFY_SIDE
        )
    except ValueError as err:
        if str(err).startswith(_DAMAGE):  # any other is of a kind that only Pillow reads
            raise InvalidImageError(f"The image is damaged: {err}") from err


def _grouped(seen: Sequence[tuple[Photo, Look]], seed: int) -> list[Photo]:
    """Near-duplicates go where one of them goes; which one does not depend on their order."""
    looks = {photo.digest: look for photo, look in seen}  # one for files that are equal
    numbers = dict(zip(looks, same_photo(list(looks.values())).tolist(), strict=True))
    first: dict[int, Photo] = {}
    for photo in sorted((photo for photo, _ in seen), key=lambda p: (p.digest, p.path.name)):
        first.setdefault(numbers[photo.digest], photo)
    photos = []
    for photo, _ in seen:
        chosen = first[numbers[photo.digest]]
        photos.append(replace(photo, split=split_of(chosen.path, seed), group=chosen.digest))
    alike = len(photos) - len(first)
    if alike:
        logger.info("near-duplicates of others among them, which share their split: %d", alike)
    return photos


def open_photoset(root: Path) -> PhotoSet:
    """A set that was prepared, or one in HARRISON's format that is prepared now, in memory.

    Raises:
        DataError: it is neither, or it is broken.
    """
    if not (root / MANIFEST).is_file():
        return prepare_harrison(root).photoset
    photoset = PhotoSet.load(root)
    unsure_list = root / UNSURE_LIST
    listed = unsure_list.is_file() and unsure_list.read_text(encoding="utf-8").strip()
    if listed and not any(photo.unsure for photo in photoset.photos):
        logger.warning("%s says nothing of %s: prepare the set again", root / MANIFEST, UNSURE_LIST)
    return photoset


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare one set; exit 1 with one line when there is nothing to train on."""
    args = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        prepared = args.prepare(args)
    except DataError as err:
        logger.error("%s", err)
        return 1
    prepared.save(args.root)
    counts = ", ".join(f"{len(prepared.photoset.split(split))} {split}" for split in SPLITS)
    logger.info(
        "wrote %s: %s; and %s: %d out of form, missing or broken",
        *(args.root / MANIFEST, counts, args.root / BROKEN, len(prepared.broken)),
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.prepare",
        description="Look at every photo once and write ROOT/manifest.jsonl for training.",
    )
    formats = parser.add_subparsers(required=True, metavar="FORMAT")
    harrison = formats.add_parser(
        "harrison",
        help="data_list.txt, tag_list.txt and vocab_index.txt beside the images",
        description="HARRISON's own format: three label files beside the images, and a fourth, "
        "unsure_list.txt, that may name tags which a photo may show besides its own.",
    )
    harrison.add_argument("root", type=Path, metavar="ROOT")
    harrison.add_argument(
        "--no-bait",
        dest="keep_bait",
        action="store_false",
        help="leave out tags that beg for likes and follows, which HARRISON's own figures count",
    )
    harrison.add_argument(
        "--descriptions",
        type=Path,
        metavar="FILE",
        help="sentences about the photos, to learn more from: .jsonl or .jsonl.gz with image (as "
        "in data_list.txt) and captions, a list",
    )
    harrison.set_defaults(prepare=_harrison)
    captions = formats.add_parser(
        "captions",
        help="your own posts: a .jsonl or .csv file with image and caption",
        description="Rows of image (relative to FILE) and caption; ROOT is the file's folder.",
    )
    captions.add_argument("file", type=Path, metavar="FILE")
    captions.set_defaults(prepare=_captions)
    feedback = formats.add_parser(
        "feedback",
        help="what people kept and dropped on the web page",
        description="The page's SQLite file; its photos are written into ROOT.",
    )
    feedback.add_argument("file", type=Path, metavar="FILE")
    feedback.add_argument("root", type=Path, metavar="ROOT")
    feedback.set_defaults(prepare=_feedback)
    for one in (captions, feedback):
        one.add_argument("--max-tags", type=int, default=1000, help="default: %(default)s")
        one.add_argument(
            "--min-count",
            type=int,
            default=5,
            help="posts that a tag must have (default: %(default)s)",
        )
    for one in (harrison, captions, feedback):
        one.add_argument(
            "--seed",
            type=int,
            default=0,
            choices=range(SEEDS),
            metavar="N",
            help=f"another split into train, val and test: 0 to {SEEDS - 1} (default: %(default)s)",
        )
    return parser


def _harrison(args: argparse.Namespace) -> Prepared:
    return prepare_harrison(
        args.root, seed=args.seed, keep_bait=args.keep_bait, descriptions=args.descriptions
    )


def _captions(args: argparse.Namespace) -> Prepared:
    args.root = args.file.parent
    return prepare_captions(
        args.file, seed=args.seed, max_tags=args.max_tags, min_count=args.min_count
    )


def _feedback(args: argparse.Namespace) -> Prepared:
    return prepare_feedback(
        args.file, args.root, seed=args.seed, max_tags=args.max_tags, min_count=args.min_count
    )


if __name__ == "__main__":
    sys.exit(main())
