"""Calibration: a model's raw scores to scores that mean what they say."""

from dataclasses import dataclass

import torch
from torch import Tensor

LEAST = 1e-9  # a score this small, or this close to 1, counts so: the logit must be finite


@dataclass(frozen=True)
class Calibration:
    """An affine map of each score's logit (Platt 1999), which keeps a tag's photos in order.

    Args:
        scale: above 1 makes scores more certain, below 1 less.
        bias: what is added to every logit, or to each tag's own.
        abstain_below: see `abstains`.
    """

    scale: float = 1.0
    bias: float | tuple[float, ...] = 0.0
    abstain_below: float = 0.0

    def __post_init__(self) -> None:
        """Take lists as they come out of JSON, and refuse what would turn the order round."""
        if isinstance(self.bias, list):
            object.__setattr__(self, "bias", tuple(self.bias))
        if self.scale <= 0:
            raise ValueError(f"scale is above 0, not {self.scale}")

    def __call__(self, scores: Tensor) -> Tensor:
        """Raw scores (N, tags) to calibrated ones."""
        logits = scores.clamp(min=LEAST).log() - (1 - scores).clamp(min=LEAST).log()
        return (logits * self.scale + torch.tensor(self.bias)).sigmoid()

    def abstains(self, scores: Tensor) -> Tensor:
        """Which photos (N,) have no tag worth recommending: all their scores are too low."""
        return scores.amax(dim=1) < self.abstain_below
