"""Neighbours: what the training photos that look most like a photo are tagged with."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import normalize, pad

from hashstagram.errors import InvalidBundleError


@dataclass(frozen=True)
class NeighboursConfig:
    """How neighbours vote.

    Args:
        weight: their share in a score, from 0 to 1; the rest is the network's own.
        k: how many of them vote.
        sharpness: a neighbour's vote counts exp(sharpness × cosine similarity).
    """

    weight: float
    k: int = 30
    sharpness: float = 10.0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if not 0 <= self.weight <= 1 or self.k < 1:
            raise ValueError(f"weight is from 0 to 1 and k at least 1, not {self}")


@dataclass(frozen=True)
class Neighbours:
    """An index of training photos: projected embeddings and tags.

    Args:
        mean: (width,), of the training photos' embeddings, after `power_normalise`.
        projection: (width, dims), onto their principal components.
        embeddings: (photos, dims), of length one.
        targets: (photos, tags), boolean.
        digests: (photos,) int64, the photos' fingerprints: who they are.
    """

    mean: Tensor
    projection: Tensor
    embeddings: Tensor
    targets: Tensor
    digests: Tensor

    def __len__(self) -> int:
        """The number of photos."""
        return len(self.embeddings)

    def project(self, embeddings: Tensor) -> Tensor:
        """The network's embeddings (N, width) to the index's space (N, dims), of length one."""
        return normalize((power_normalise(embeddings.float()) - self.mean) @ self.projection)

    def nearest(self, embeddings: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Cosine similarities and rows (N, k) of the photos most alike, best first."""
        similarities = self.project(embeddings) @ self._transposed
        best = similarities.topk(min(k, len(self)), dim=1)
        return best.values, best.indices

    def vote(self, embeddings: Tensor, config: NeighboursConfig) -> Tensor:
        """The share of the neighbours' votes that each tag gets: (N, tags), from 0 to 1."""
        similarities, rows = self.nearest(embeddings, config.k)
        weights = (config.sharpness * similarities).softmax(dim=1)  # (N, k)
        votes = torch.einsum("nk,nkt->nt", weights, self._taught[rows].float())
        return pad(votes, (0, self.targets.shape[1] - votes.shape[1]))

    @cached_property
    def known(self) -> Tensor:
        """(tags,): 1 where a photo has the tag, 0 where the neighbours cannot speak about it."""
        return self.targets.any(dim=0).float()

    @cached_property
    def _taught(self) -> Tensor:
        """The targets up to the last tag that a photo has: a vocabulary ends in tags of classes."""
        last = self.targets.any(dim=0).nonzero().max().item()
        return self.targets[:, : last + 1].contiguous()

    @cached_property
    def _transposed(self) -> Tensor:
        return self.embeddings.T.contiguous()  # (dims, photos)

    def save(self, path: Path, *, compact: bool = True) -> None:
        """Write a safetensors file.

        Args:
            path: the file.
            compact: embeddings in eight bits, and of the targets the true ones; otherwise all as
                it is used, so that processes can share it.
        """
        stored = self._compact() if compact else self._expanded()
        # What was loaded may be a view, and safetensors takes whole tensors only.
        save_file({name: tensor.contiguous() for name, tensor in stored.items()}, path)
        path.chmod(0o644)  # safetensors leaves it to its owner alone

    def _compact(self) -> dict[str, Tensor]:
        step = _step(self.embeddings)
        photos, tags = self.targets.nonzero(as_tuple=True)
        return {
            "mean": self.mean.half(),
            "projection": self.projection.half(),
            "embeddings": (self.embeddings / step).round().to(torch.int8),
            "step": step.reshape(1),
            "tags": tags.to(torch.int16),
            "tags_per_photo": torch.bincount(photos, minlength=len(self)).to(torch.int16),
            "digests": self.digests,
        }

    def _expanded(self) -> dict[str, Tensor]:
        return {
            "mean": self.mean,
            "projection": self.projection,
            "transposed": self._transposed,
            "targets": self.targets,
            "digests": self.digests,
        }

    @classmethod
    def load(cls, path: Path, num_tags: int) -> "Neighbours":
        """Read what `save` wrote.

        Raises:
            InvalidBundleError: the file is missing, broken, or speaks of other tags.
        """
        try:
            stored = load_file(path)
            if "transposed" in stored:  # as it is used: nothing is copied
                embeddings, targets = stored["transposed"].T, stored["targets"]
            else:
                embeddings = stored["embeddings"].float() * stored["step"]
                targets = _targets(stored["tags_per_photo"].long(), stored["tags"].long(), num_tags)
            if targets.shape != (len(embeddings), num_tags):
                raise IndexError(f"targets of shape {tuple(targets.shape)}")
            return cls(
                mean=stored["mean"].float(),
                projection=stored["projection"].float(),
                embeddings=embeddings,
                targets=targets,
                digests=stored["digests"],
            )
        except (OSError, SafetensorError, KeyError, IndexError, RuntimeError) as err:
            raise InvalidBundleError(f"{path.name} is no index of these tags: {err}") from err


def _targets(counts: Tensor, tags: Tensor, num_tags: int) -> Tensor:
    """(photos, num_tags) from how many tags each photo has and all of them in a row."""
    targets = torch.zeros(len(counts), num_tags, dtype=torch.bool)
    targets[torch.arange(len(counts)).repeat_interleave(counts), tags] = True
    return targets


def in_eight_bits(embeddings: Tensor) -> Tensor:
    """Embeddings rounded to what a file of `Neighbours.save` can hold."""
    step = _step(embeddings)
    return (embeddings / step).round() * step


def _step(embeddings: Tensor) -> Tensor:
    return embeddings.abs().amax() / 127


def power_normalise(embeddings: Tensor) -> Tensor:
    """The signed square root, which keeps a few strong channels from ruling the distance.

    Perronnin, Sánchez, Mensink 2010, "Improving the Fisher kernel".
    """
    return embeddings.sign() * embeddings.abs().sqrt()
