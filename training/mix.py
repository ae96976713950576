"""Mix: how many photos of each set an epoch takes, so that large easy sets leave it time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from training.harrison import DataError
from training.photoset import Photo, PhotoSet


@dataclass(frozen=True)
class Mix:
    """Photos of several sets, of which an epoch takes some.

    Args:
        sets: (photos,), the number of the set that each photo belongs to.
        counts: (sets,), how many of each set's photos an epoch takes.
    """

    sets: Tensor
    counts: Tensor

    @classmethod
    def of(
        cls, photosets: Sequence[PhotoSet], photos: Sequence[Photo], shares: Mapping[str, float]
    ) -> "Mix":
        """The mix of the sets' photos with these shares, by the sets' names; others count 1.

        Raises:
            DataError: there is no such set, or no such share.
        """
        strange = shares.keys() - {photoset.name for photoset in photosets}
        if strange or not all(0 <= share <= 1 for share in shares.values()):
            raise DataError(f"finetune.shares are from 0 to 1, of sets that are there: {shares}")
        numbers = {p.path: number for number, s in enumerate(photosets) for p in s.photos}
        sets = torch.tensor([numbers[photo.path] for photo in photos])
        wanted = torch.tensor([shares.get(photoset.name, 1.0) for photoset in photosets])
        counts = torch.bincount(sets, minlength=len(photosets))
        return cls(sets, (counts * wanted).round().long())

    def __len__(self) -> int:
        """The photos of an epoch."""
        return int(self.counts.sum())

    def draw(self, dice: torch.Generator) -> Tensor:
        """The rows of an epoch's photos, in random order."""
        order = torch.randperm(len(self.sets), generator=dice)
        lots = torch.randperm(len(self.sets), generator=dice)
        belongs = one_hot(self.sets[lots], len(self.counts))  # (photos, sets)
        drawn = belongs.bool() & (belongs.cumsum(dim=0) <= self.counts)
        chosen = torch.zeros(len(lots), dtype=torch.bool).scatter(0, lots, drawn.any(dim=1))
        return order[chosen[order]]
