"""Spelling: tags that photo sets spell in different ways are one tag of a model."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from hashstagram.vocabulary import Vocabulary
from training.photoset import Photo, PhotoSet

TABLE = Path(__file__).with_name("spelling.toml")


def settled(photosets: Sequence[PhotoSet]) -> list[PhotoSet]:
    """Photo sets for one model: what they spell in several ways becomes one tag.

    A set alone keeps its words, so that figures on it can be compared with others'.
    """
    if len(photosets) < 2:
        return list(photosets)
    tags = {tag for photoset in photosets for tag in photoset.vocabulary.tags}
    spelling = {
        other: words[0]
        for words in ([word for word in same if word in tags] for same in _same())
        for other in words[1:]
    }
    return [respelled(photoset, spelling) for photoset in photosets]


def as_spelled(photoset: PhotoSet, vocabulary: Vocabulary) -> PhotoSet:
    """A photo set whose tags are spelled as a model's, where it has them in another spelling."""
    spelling = {
        other: word
        for same in _same()
        for word in [word for word in same if word in vocabulary.index][:1]
        for other in same
        if other not in vocabulary.index
    }
    return respelled(photoset, spelling)


def respelled(photoset: PhotoSet, spelling: Mapping[str, str]) -> PhotoSet:
    """The photo set with other words for some tags; two that become one are one."""
    if not spelling.keys() & photoset.vocabulary.index.keys():
        return photoset

    def words(tags: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(spelling.get(tag, tag) for tag in tags))

    def relabelled(photo: Photo) -> Photo:
        tags = words(photo.tags)
        unsure = tuple(tag for tag in words(photo.unsure) if tag not in tags)
        return replace(photo, tags=tags, unsure=unsure)

    photos = tuple(relabelled(photo) for photo in photoset.photos)
    return replace(photoset, vocabulary=Vocabulary(words(photoset.vocabulary.tags)), photos=photos)


@cache
def _same() -> list[list[str]]:
    table: list[list[str]] = tomllib.loads(TABLE.read_text(encoding="utf-8"))["same"]
    return table
