"""PretrainedClasses: what the backbone could tell apart before it was trained on tags."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class PretrainedClasses:
    """The network's last outputs, which share one softmax, and the tags that are read off them.

    Args:
        count: how many classes there are, 1,000 for ImageNet.
        tags: each tag's classes. These are the vocabulary's last tags, in this order.
    """

    count: int
    tags: dict[str, tuple[int, ...]]

    def __post_init__(self) -> None:
        """Refuse a class that does not exist."""
        for tag, classes in self.tags.items():
            if not classes or not all(0 <= index < self.count for index in classes):
                raise ValueError(f"{tag!r} is read off classes that are not there: {classes}")

    def scores(self, logits: Tensor) -> Tensor:
        """The classes' logits (N, count) to the tags' scores (N, tags): shares of the softmax."""
        return (logits.softmax(dim=1) @ self._membership).clamp(max=1)

    @cached_property
    def _membership(self) -> Tensor:
        """(count, tags): 1 where a class counts for a tag; one product for all tags."""
        membership = torch.zeros(self.count, len(self.tags))
        for column, classes in enumerate(self.tags.values()):
            membership[list(classes), column] = 1
        return membership
