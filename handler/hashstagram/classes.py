"""PretrainedClasses: what the backbone could tell apart before it was trained on tags."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from hashstagram.vocabulary import Vocabulary


@dataclass(frozen=True)
class PretrainedClasses:
    """The network's last outputs, which share one softmax, and what they say of tags.

    Args:
        count: how many classes there are, 1,000 for ImageNet.
        tags: those that are read off classes alone, and each one's classes. They are the
            vocabulary's last tags, in this order.
        lends: tags that the network was taught, and to which classes add what they know.
    """

    count: int
    tags: Mapping[str, tuple[int, ...]]
    lends: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a class that does not exist."""
        for tag, classes in (*self.tags.items(), *self.lends.items()):
            if not classes or not all(0 <= index < self.count for index in classes):
                raise ValueError(f"{tag!r} is read off classes that are not there: {classes}")

    def membership(self, vocabulary: Vocabulary) -> Tensor:
        """(count, tags of the vocabulary): 1 where a class speaks for a tag, else 0."""
        membership = torch.zeros(self.count, len(vocabulary))
        for tag, classes in (*self.tags.items(), *self.lends.items()):
            membership[list(classes), vocabulary.index[tag]] = 1
        return membership


def lent(scores: Tensor, logits: Tensor, membership: Tensor) -> Tensor:
    """The network's scores (N, taught) and its classes' logits (N, count) to scores (N, tags).

    A tag is there if the network says so or its classes do, whose shares of the softmax add up
    (noisy or, Pearl 1988); the tags that were not taught are the last.
    """
    shares = (logits.softmax(dim=1) @ membership).clamp(max=1)
    scores = torch.nn.functional.pad(scores, (0, membership.shape[1] - scores.shape[1]))
    return scores + shares * (1 - scores)
