"""Descriptions: sentences that people wrote about a photo, which say more than its tags.

While a network is trained, the words of the sentences are outputs beside the tags, and a tag is
the more true, the more sentences say it. No bundle keeps anything of them.
"""

import gzip
import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from hashstagram.vocabulary import Vocabulary
from training.harrison import DataError
from training.photoset import Photo

RARE = 20  # photos whose sentences use a word, below which it is not learnt
COMMON = 0.5  # the share of the described photos, above which it says nothing of any
SURE = 2  # sentences of a photo that use a word, from which on the photo shows it
FORM = 3  # such photos, all with the same tag, which the word then stands for


def read_descriptions(path: Path) -> dict[str, tuple[str, ...]]:
    """Each image's sentences, out of a .jsonl or .jsonl.gz file of {"image", "captions"}.

    Raises:
        DataError: the file cannot be read, or a line lacks one of the two.
    """
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
        rows = [json.loads(line) for line in text.splitlines()]
        return {row["image"]: tuple(map(str, row["captions"])) for row in rows}
    except (OSError, EOFError, ValueError, KeyError, TypeError) as err:
        raise DataError(f"{path} is no file of image and captions: {err!r}") from err


def word_targets(photos: Sequence[Photo]) -> Tensor:
    """Targets (photos, words): the share of a photo's sentences that use a word.

    They are -1 for photos that nobody described.
    """
    uses = [_uses(photo) for photo in photos]
    described = sum(bool(photo.descriptions) for photo in photos)
    spread = Counter(word for use in uses for word in use)
    words = sorted(word for word, n in spread.items() if RARE <= n <= COMMON * described)
    index = {word: column for column, word in enumerate(words)}
    targets = torch.full((len(photos), len(words)), -1.0, dtype=torch.half)
    for target, photo, use in zip(targets, photos, uses, strict=True):
        if photo.descriptions:
            target.fill_(0)
            for word in use.keys() & index.keys():
                target[index[word]] = use[word] / len(photo.descriptions)
    return targets


def soft_targets(photos: Sequence[Photo], targets: Tensor, vocabulary: Vocabulary) -> Tensor:
    """Targets (photos, tags): the mean of what a photo's tags say and the share of its sentences.

    A tag that no sentence says stays as it was.
    """
    stands_for = _forms(photos, vocabulary)
    softened = targets.clone()
    for target, photo in zip(softened, photos, strict=True):
        says = [{stands_for.get(word) for word in _words(line)} for line in photo.descriptions]
        for tag, times in Counter(tag for line in says for tag in line).items():
            if tag and target[vocabulary.index[tag]] >= 0:
                said = times / len(says)
                target[vocabulary.index[tag]] = (target[vocabulary.index[tag]] + said) / 2
    return softened


def _forms(photos: Sequence[Photo], vocabulary: Vocabulary) -> dict[str, str]:
    """What stands for a tag: itself, and words such as "running" for "run".

    A word does that begins with the tag's first letter, if all photos that surely show it have
    the tag: this needs no grammar, and works in any language.
    """
    shown: Counter[str] = Counter()
    tagged: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for photo in photos:
        for word, times in _uses(photo).items():
            if times >= SURE:
                shown[word] += 1
                tagged[word].update(tag for tag in photo.tags if tag[0] == word[0])
    forms = {}
    for word, tags in tagged.items():
        always = [tag for tag, n in tags.items() if n == shown[word] >= FORM]
        if always:
            forms[word] = max(always, key=lambda tag: (word.startswith(tag), len(tag)))
    known = {word: tag for word, tag in forms.items() if tag in vocabulary.index}
    return known | {tag: tag for tag in vocabulary.tags}


def _uses(photo: Photo) -> Counter[str]:
    """How many of a photo's sentences use each word."""
    return Counter(word for line in photo.descriptions for word in _words(line))


def _words(line: str) -> set[str]:
    return set(re.findall(r"\w+", line.casefold()))
