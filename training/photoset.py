"""PhotoSet: photos that were looked at once, their tags, and the split that each belongs to."""

import hashlib
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hashstagram.files import VOCABULARY
from hashstagram.vocabulary import Vocabulary
from training.harrison import DataError

MANIFEST = "manifest.jsonl"

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
SEEDS = hashlib.sha256().digest_size  # how many splits there are to choose from


@dataclass(frozen=True)
class Photo:
    """One tagged photo.

    Args:
        path: the image file.
        tags: what it is tagged with.
        digest: the first 16 hex digits of the file's SHA-256; it tells the photo from others.
        split: which part of the set it belongs to.
        group: the same for near-duplicates, which share a split: the digest of one of them.
            Its own digest by default, for a photo that no other is like.
        descriptions: sentences about it, if somebody wrote some; see training.descriptions.
        unsure: tags that it may show although it is not tagged with them: they are no negatives.
    """

    path: Path
    tags: tuple[str, ...]
    digest: str
    split: Split
    group: str = ""
    descriptions: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Make a photo without a group the only one of its own."""
        object.__setattr__(self, "group", self.group or self.digest)


@dataclass(frozen=True)
class PhotoSet:
    """Photos that were tagged with one vocabulary.

    A tag of the vocabulary that a photo lacks is a negative, unless it is unsure; a tag outside
    it says nothing.
    """

    name: str
    vocabulary: Vocabulary
    photos: tuple[Photo, ...]

    def only(self, *splits: Split) -> "PhotoSet":
        """The set with the photos of these splits alone."""
        return replace(self, photos=tuple(self.split(*splits)))

    def split(self, *splits: Split) -> list[Photo]:
        """The photos of these splits."""
        return [photo for photo in self.photos if photo.split in splits]

    def save(self, root: Path) -> None:
        """Write the manifest and the vocabulary beside the photos; paths become relative."""
        lines = []
        for photo in self.photos:
            fields = asdict(photo) | {"path": os.path.relpath(photo.path, root)}
            lines.append(json.dumps(fields, ensure_ascii=False) + "\n")
        (root / MANIFEST).write_text("".join(lines), encoding="utf-8")
        self.vocabulary.save(root / VOCABULARY)

    @classmethod
    def load(cls, root: Path) -> "PhotoSet":
        """Read what `save` wrote.

        Raises:
            DataError: the manifest is not there, not in form, or of an earlier version.
        """
        try:
            lines = (root / MANIFEST).read_text(encoding="utf-8").splitlines()
            photos = tuple(_photo(root, json.loads(line)) for line in lines)
        except (OSError, ValueError, KeyError, TypeError) as err:
            raise DataError(
                f"{root / MANIFEST} cannot be read, prepare the set again: {err!r}"
            ) from err
        return cls(root.resolve().name, Vocabulary.load(root / VOCABULARY), photos)


def _photo(root: Path, fields: dict[str, Any]) -> Photo:
    split = fields["split"]
    if split not in SPLITS:
        raise ValueError(f"no split is called {split!r}")
    path, tags = root / fields["path"], tuple(fields["tags"])
    descriptions, unsure = (tuple(fields.get(name, ())) for name in ("descriptions", "unsure"))
    return Photo(path, tags, fields["digest"], split, fields["group"], descriptions, unsure)


def thinned(photosets: Sequence[PhotoSet], most: int) -> list[PhotoSet]:
    """The sets with an even share of each one's photos: `most` in all, or nearly so."""
    step = max(1, -(-sum(len(photoset.photos) for photoset in photosets) // most))
    return [replace(photoset, photos=photoset.photos[::step]) for photoset in photosets]


def split_of(path: Path, seed: int = 0) -> Split:
    """An eighth of the photos for test, an eighth for validation, by a hash of the file's name.

    A photo stays in its split when others join or leave the set. The folder plays no part, so
    that each folder is divided alike.

    Args:
        path: the image file.
        seed: which of the hash's bytes decides; less than SEEDS.
    """
    bucket = hashlib.sha256(path.name.encode()).digest()[seed] % 8
    return "test" if bucket == 0 else "val" if bucket == 1 else "train"


def folder_leak(photos: Sequence[Photo]) -> float:
    """The yardstick of leakage: precision@1, in per cent, of the folder's name as the only feature.

    Each photo that is not for training is given the most frequent tag of its folder's training
    photos. On HARRISON, whose folders are the queries that found the photos, this is right for
    98 % of them: a model that comes near has seen the path. Photos of which nobody knows whether
    they have that tag are left out.
    """
    counts: defaultdict[Path, Counter[str]] = defaultdict(Counter)
    for photo in photos:
        if photo.split == "train":
            counts[photo.path.parent].update(photo.tags)
    guesses = {folder: min(c, key=lambda tag: (-c[tag], tag)) for folder, c in counts.items() if c}
    pairs = [(p, guesses.get(p.path.parent, "")) for p in photos if p.split != "train"]
    hits = [guess in photo.tags for photo, guess in pairs if guess not in photo.unsure]
    return 100 * sum(hits) / max(1, len(hits))


def digest_of(data: bytes) -> str:
    """A photo's fingerprint: 16 hex digits."""
    return hashlib.sha256(data).hexdigest()[:16]


def save_seen(path: Path, photos: Iterable[Photo]) -> None:
    """Write the fingerprints of the photos that a model was trained or chosen on (.npy)."""
    digests = sorted({int(photo.digest, 16) for photo in photos})
    np.save(path, np.array(digests, dtype=np.uint64))


def unseen(photos: Iterable[Photo], path: Path) -> list[Photo]:
    """The photos whose fingerprints are not in a file of `save_seen`; all when there is none."""
    if not path.exists():
        return list(photos)
    known: npt.NDArray[np.uint64] = np.load(path, allow_pickle=False)
    seen = set(known.tolist())
    return [photo for photo in photos if int(photo.digest, 16) not in seen]
