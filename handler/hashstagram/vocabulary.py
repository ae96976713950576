"""Vocabulary: the hashtags that a model knows, in the order of its outputs."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hashstagram.errors import InvalidBundleError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Vocabulary:
    """Hashtags without the ``#``; the position of a tag is its class index.

    Raises:
        ValueError: a tag is empty or stands twice.
    """

    tags: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse a vocabulary whose indices would be ambiguous."""
        if not all(self.tags):
            raise ValueError("a vocabulary cannot hold an empty tag")
        twice = sorted(tag for tag, count in Counter(self.tags).items() if count > 1)
        if twice:
            raise ValueError(f"a vocabulary cannot hold a tag twice: {', '.join(twice[:5])}")

    def __len__(self) -> int:
        """The number of tags."""
        return len(self.tags)

    @cached_property
    def index(self) -> dict[str, int]:
        """The class index of each tag."""
        return {tag: index for index, tag in enumerate(self.tags)}

    @classmethod
    def build(
        cls,
        photos_tags: Iterable[Iterable[str]],
        *,
        max_tags: int | None = None,
        min_count: int = 1,
    ) -> "Vocabulary":
        """The tags of many photos by falling frequency; ties stand in alphabetical order."""
        counts = Counter(tag for tags in photos_tags for tag in set(tags))
        kept = [tag for tag, count in counts.items() if count >= min_count]
        kept.sort(key=lambda tag: (-counts[tag], tag))
        return cls(tuple(kept[:max_tags]))

    def encode(self, tags: Iterable[str]) -> "torch.Tensor":
        """A multi-hot float vector of shape (len(self),); tags that are not known are dropped."""
        import torch  # see hashstagram.transforms

        target = torch.zeros(len(self))
        known = [self.index[tag] for tag in tags if tag in self.index]
        target[known] = 1.0
        return target

    def decode(self, indices: Iterable[int]) -> list[str]:
        """The tags at these class indices."""
        return [self.tags[index] for index in indices]

    def mask(self, tags: Iterable[str]) -> "torch.Tensor":
        """A boolean vector of shape (len(self),): true where the tag is one of ``tags``."""
        return self.encode(tags).bool()

    def save(self, path: Path) -> None:
        """Write ``index_to_name.json``, TorchServe's own name and form for class names."""
        names = {str(index): tag for index, tag in enumerate(self.tags)}
        path.write_text(json.dumps(names, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """Read ``index_to_name.json``.

        Raises:
            InvalidBundleError: the file is not a JSON object of "0", "1", … to distinct tags.
        """
        try:
            names = json.loads(path.read_text(encoding="utf-8"))
            return cls(_in_order(names))
        except (OSError, ValueError, AttributeError, KeyError) as err:
            raise InvalidBundleError(
                f"{path.name} does not map every class index from 0 upwards to one tag: {err}"
            ) from err


def _in_order(names: dict[str, str]) -> tuple[str, ...]:
    tags = tuple(names[str(index)] for index in range(len(names)))
    if not tags or not all(isinstance(tag, str) for tag in tags):
        raise ValueError("there are no tags, or one is not a string")
    return tags
