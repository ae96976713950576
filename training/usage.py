"""Usage: what people write about a picture, learnt from the tags of photos that nobody has to see.

Run: python -m training.usage LABELS [--bundle BUNDLE] [--json FILE] | --list BUNDLE [--data ROOT]

A good hashtag for what is seen scores what the model says. Words that fit many pictures and that
people hardly write score less, those that nobody would post nothing, and what is seen brings along
its kind (a pug is a dog) and its companions (`dogsofinstagram` stands beside `dog`).
"""

import argparse
import json
import logging
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from hashstagram.bundle import BundleConfig
from hashstagram.classes import PretrainedClasses
from hashstagram.errors import InvalidBundleError
from hashstagram.files import CONFIG, USAGE, VOCABULARY
from hashstagram.usage import Usage
from hashstagram.vocabulary import Vocabulary
from training.captions import bait
from training.classes import NAMES, classes_of
from training.companions import CUTS, Comparison, Posts, companions, compare
from training.harrison import DataError, read_harrison
from training.photoset import PhotoSet
from training.prepare import open_photoset
from training.spelling import as_spelled

logger = logging.getLogger(__name__)

WORDS = Path(__file__).with_name("usage.toml")

# Hashtags that depend on what no picture shows: brands, names, places, moods, who loves whom.
UNSEEN = Path(__file__).with_name("unseen.txt")

EVERYDAY = Path(__file__).parents[1] / "models" / "everyday"

WRITTEN = 0.1  # as many posts with a tag for each photo that shows it are all that can be expected
# What such words keep of their score: the least, however seldom written, and the most, so that
# they stand below a concrete thing.
KEPT = {"faint": (0.2, 0.5), "generic": (0.6, 0.9)}
KIND = 0.9  # of a thing that is seen, for the kind of thing that it is
COLLECTED = 50  # a set with fewer tags was collected by them


@dataclass(frozen=True)
class Words:
    """The lists of usage.toml, which says what they are for."""

    unposted: frozenset[str]
    faint: frozenset[str]
    generic: frozenset[str]
    other_sense: frozenset[str]
    guesses: frozenset[str]
    written: Mapping[str, str]

    @classmethod
    @cache
    def load(cls) -> "Words":
        """Read the file beside this one."""
        table = tomllib.loads(WORDS.read_text(encoding="utf-8"))
        written = table.pop("written")
        return cls(**{name: frozenset(words) for name, words in table.items()}, written=written)

    def hashtag(self, word: str) -> str:
        """The word as people write it."""
        return self.written.get(word, word)


def learn_usage(
    vocabulary: Vocabulary,
    photosets: Sequence[PhotoSet],
    posts: Sequence[Sequence[str]],
    *,
    classes: PretrainedClasses | None = None,
    evidence: int = 0,
) -> Usage:
    """Shares for each tag of the model itself, for its kind, and for what stands beside it.

    Args:
        vocabulary: the model's tags.
        photosets: the model's photos; they show how common a tag is in pictures, too.
        posts: the tags of people's posts, such as HARRISON's tag_list.txt.
        classes: what the model's classes say of tags.
        evidence: training photos that a tag must have to be answered, if no class speaks for it.
    """
    words = Words.load()
    written = [frozenset(post) for post in posts]
    photosets = [as_spelled(photoset, vocabulary) for photoset in photosets]
    spoken = {*classes.tags, *classes.lends} if classes else set()
    photos = _training_photos(photosets)
    sure = [tag for tag in vocabulary.tags if tag in spoken or photos[tag] >= evidence]
    shares: defaultdict[str, dict[str, float]] = defaultdict(dict)
    seen = _seen(sure, photosets, written)
    for tag, share in seen.items():
        shares[words.hashtag(tag)][tag] = share
    for tag, kind in _kinds(seen):
        shares[words.hashtag(kind)].setdefault(tag, KIND * seen[kind])
    for tag, beside in companions(written, *_asked(sure, written)).items():
        for companion, share in beside.items():
            shares[words.hashtag(companion)][tag] = share * seen[tag]
    return Usage.of(shares, vocabulary)


def _training_photos(photosets: Sequence[PhotoSet]) -> Counter[str]:
    return Counter(
        tag for photoset in photosets for photo in photoset.split("train") for tag in photo.tags
    )


def _seen(tags: Sequence[str], photosets: Sequence[PhotoSet], posts: Posts) -> dict[str, float]:
    """Those of a model's tags that are hashtags, and what share of their score they keep.

    Of a word that says little it is how often posts have it beside how often pictures show it.
    """
    words = Words.load()
    counts = Counter(tag for post in posts for tag in post)
    shown: Counter[str] = Counter()
    photos: Counter[str] = Counter()  # of the sets that show the tag
    for photoset in filter(_gathered_at_random, photosets):
        there = Counter(tag for photo in photoset.photos for tag in photo.tags)
        shown.update(there)
        photos.update(dict.fromkeys(there, len(photoset.photos)))

    def share(tag: str) -> float:
        for name, (least, most) in KEPT.items():
            if tag in getattr(words, name):
                if not (counts[tag] and shown[tag]):
                    return most
                ratio = (counts[tag] / len(posts)) / (shown[tag] / photos[tag])
                return min(most, max(least, ratio / WRITTEN))
        return 1.0

    return {tag: share(tag) for tag in tags if tag not in words.unposted}


def _gathered_at_random(photoset: PhotoSet) -> bool:
    """Whether its photos show how common things are: they were not collected thing by thing."""
    sure = not any(photo.unsure for photo in photoset.photos)
    return sure and len(photoset.vocabulary) >= COLLECTED


def _kinds(tags: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    """Pairs of a thing and a kind of thing that it is: the kind has all its classes and more."""
    classes = {tag: frozenset(row) for tag, row in classes_of().items() if tag in tags}
    for kind, wide in classes.items():
        for tag, narrow in classes.items():
            if narrow < wide:
                yield tag, kind


def _asked(tags: Sequence[str], posts: Posts) -> tuple[list[str], list[str]]:
    """Of the hashtags in posts those that a model sees, and those that may stand beside them."""
    words = Words.load()
    dumb = words.unposted | words.faint | words.other_sense
    unseen = frozenset(UNSEEN.read_text(encoding="utf-8").split())
    known = {*tags, *(words.hashtag(tag) for tag in tags)}
    skipped = known | unseen | words.unposted | words.faint | words.guesses | bait()
    counts = Counter(tag for post in posts for tag in post)
    return (
        [tag for tag in tags if tag in counts and tag not in dumb],
        [tag for tag, _ in counts.most_common() if tag not in skipped],
    )


def evidence(
    vocabulary: Vocabulary,
    usage: Usage,
    classes: PretrainedClasses | None,
    photosets: Sequence[PhotoSet],
) -> dict[str, str]:
    """What stands behind each hashtag that may be recommended.

    Args:
        vocabulary: the model's tags.
        usage: what is recommended.
        classes: what the model's classes say of tags.
        photosets: what the model was trained on, to count the photos; as many as there are.
    """
    photos = _training_photos([as_spelled(photoset, vocabulary) for photoset in photosets])
    spoken = {**classes.tags, **classes.lends} if classes else {}

    def line(tag: str, share: float) -> str:
        grounds = []
        if not (classes and tag in classes.tags):
            grounds.append(f"{photos[tag]} photos" if photosets else "photos")
        if tag in spoken:
            names = [NAMES[index] for index in spoken[tag]]
            more = f" and {len(names) - 4} more" if len(names) > 4 else ""
            grounds.append(f"classes {', '.join(names[:4])}{more}")
        return f"{share:.2f} of {tag} ({'; '.join(grounds)})"

    return {
        hashtag: "; ".join(
            line(tag, share) for tag, share in sorted(reasons.items(), key=lambda r: -r[1])
        )
        for hashtag, reasons in usage.reasons(vocabulary).items()
    }


def _load(folder: Path) -> tuple[Vocabulary, Usage]:
    """A bundle's tags and usage, that of one without being to answer with the tags as they are."""
    vocabulary = Vocabulary.load(folder / VOCABULARY)
    if (folder / USAGE).exists():
        return vocabulary, Usage.load(folder / USAGE, vocabulary)
    return vocabulary, Usage.of({tag: {tag: 1.0} for tag in vocabulary.tags}, vocabulary)


def _list(folder: Path, photosets: Sequence[PhotoSet]) -> None:
    vocabulary, usage = _load(folder)
    lines = evidence(vocabulary, usage, BundleConfig.load(folder / CONFIG).classes, photosets)
    for hashtag, reasons in lines.items():
        print(f"{hashtag}\t{reasons}")
    print(f"{len(lines)} hashtags")


def _table(comparison: Comparison) -> str:
    head = " | ".join(f"recall@{cut}" for cut in CUTS)
    lines = [
        f"{comparison.posts} held-out posts: from {comparison.given} tags to "
        f"{comparison.others} other hashtags, per cent",
        "",
        f"| | {head} |",
        "|---|" + "---|" * len(CUTS),
    ]
    for method, figures in comparison.recall.items():
        cells = [f"{mean:.1f} ± {half:.1f}" for mean, half in figures.values()]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Compare ways to learn companions, or list what a bundle recommends; exit 1 with one line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.usage",
        description="How well the seen tags of posts tell the rest, or what a bundle recommends.",
    )
    parser.add_argument(
        "labels",
        type=Path,
        nargs="?",
        metavar="LABELS",
        help="posts in HARRISON's format, needed without images: compare ways on a tenth of them",
    )
    parser.add_argument(
        "--bundle",
        type=Path,
        default=EVERYDAY,
        metavar="BUNDLE",
        help="whose tags are seen; models/everyday by default",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the comparison here too")
    parser.add_argument(
        "--list", type=Path, metavar="BUNDLE", help="the hashtags that it recommends, and why"
    )
    parser.add_argument(
        "--data",
        type=Path,
        action="append",
        default=[],
        metavar="ROOT",
        help="with --list: count the training photos of this set; may be repeated",
    )
    args = parser.parse_args(argv)
    if not (args.labels or args.list):
        parser.error("give LABELS or --list BUNDLE")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        if args.list:
            _list(args.list, [open_photoset(root) for root in args.data])
        if args.labels:
            posts = [frozenset(post) for post in read_harrison(args.labels).tags]
            vocabulary, usage = _load(args.bundle)
            answered = vocabulary.decode(sorted({*usage.tags.tolist()}))
            comparison = compare(posts, *_asked(answered, posts))
            print(_table(comparison))
            if args.json:
                args.json.write_text(json.dumps(asdict(comparison), indent=1) + "\n", "utf-8")
    except (DataError, InvalidBundleError, OSError) as err:
        logger.error("%s", err)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
