"""PretrainedClasses: what the backbone could tell apart before it was trained on tags."""

from dataclasses import dataclass

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
        shares = logits.softmax(dim=1)
        return torch.stack(
            [shares[:, list(classes)].sum(dim=1) for classes in self.tags.values()], dim=1
        ).clamp(max=1)
