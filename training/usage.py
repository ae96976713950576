"""Usage: what people write about a picture, learnt from the tags of photos that nobody has to see.

Two things tell a hashtag from a word that fits: people write it, and it brings others along.
`brown` fits many photos and is hardly ever written; `dog` is, and `dogsofinstagram` with it.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from hashstagram.usage import Usage
from hashstagram.vocabulary import Vocabulary
from training.captions import bait
from training.photoset import PhotoSet

# Hashtags that depend on what no picture shows: brands, names, places, moods, who loves whom.
UNSEEN = Path(__file__).with_name("unseen.txt")

WRITTEN = 0.1  # as many posts with a tag for each photo that shows it are all that can be expected
SUPPORT = 10  # posts with both tags, below which a share is chance
LIFT = 8.0  # how much more often the two stand together than chance would put them
SHARE = 0.08  # of the posts with a tag, those that carry the other one
COMPANIONS = 4  # hashtags that a tag may bring along
COLLECTED = 50  # a set with fewer tags was collected by them: how common they are says nothing

Posts = Sequence[frozenset[str]]


def learn_usage(
    vocabulary: Vocabulary, photosets: Sequence[PhotoSet], posts: Sequence[Sequence[str]]
) -> Usage:
    """Shares for each tag of the model itself, and for the hashtags that it brings along.

    Args:
        vocabulary: the model's tags.
        photosets: photos that show how common a tag is in pictures.
        posts: the tags of people's posts, such as HARRISON's tag_list.txt.
    """
    written = [frozenset(post) for post in posts]
    counts = Counter(tag for post in written for tag in post)
    shares: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for tag, share in _written(vocabulary, photosets, counts, len(written)).items():
        shares[tag][tag] = share
    for tag, companions in _companions(vocabulary, written, counts).items():
        for companion, share in companions.items():
            shares[companion][tag] = share * shares[tag][tag]
    return Usage.of(shares, vocabulary)


def _written(
    vocabulary: Vocabulary, photosets: Sequence[PhotoSet], counts: Counter[str], posts: int
) -> Mapping[str, float]:
    """How readily people write each tag, from 0 to 1: its frequency in posts beside pictures.

    A tag that is not both posted and shown is taken as it is.
    """
    shown: Counter[str] = Counter()
    photos: Counter[str] = Counter()  # of the sets that know the tag
    for photoset in [each for each in photosets if len(each.vocabulary) >= COLLECTED]:
        shown.update(tag for photo in photoset.photos for tag in photo.tags)
        photos.update(dict.fromkeys(photoset.vocabulary.tags, len(photoset.photos)))
    ratios = {
        tag: (counts[tag] / posts) / (shown[tag] / photos[tag])
        for tag in vocabulary.tags
        if counts[tag] and shown[tag]
    }
    return {tag: min(1.0, ratios.get(tag, WRITTEN) / WRITTEN) for tag in vocabulary.tags}


def _companions(
    vocabulary: Vocabulary, posts: Posts, counts: Counter[str]
) -> Mapping[str, Mapping[str, float]]:
    """For each tag the hashtags that often stand beside it and that the model does not have."""
    together: defaultdict[str, Counter[str]] = defaultdict(Counter)
    skipped = bait() | frozenset(UNSEEN.read_text(encoding="utf-8").split()) | {*vocabulary.tags}
    for post in posts:
        for tag in post & vocabulary.index.keys():
            together[tag].update(post - skipped)
    companions = {}
    for tag, beside in together.items():
        shares = {
            other: both / counts[tag]
            for other, both in beside.most_common()
            if both >= SUPPORT and both * len(posts) >= LIFT * counts[tag] * counts[other]
        }
        likely = [pair for pair in shares.items() if pair[1] >= SHARE]
        companions[tag] = dict(likely[:COMPANIONS])
    return companions
