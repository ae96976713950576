"""Metrics of hashtag recommendation: HARRISON's three, and the per-word protocol of Corel5k.

Everywhere `scores` is a float tensor (photos, tags) and `targets` a boolean one. A negative
score marks a tag that the model cannot answer: it never counts as a hit. Every photo has at
least one target. Results are shares from 0 to 1.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


def top_k(scores: Tensor, k: int) -> Tensor:
    """A boolean tensor (photos, tags): the k best tags of each photo that can be answered."""
    best = scores.topk(min(k, scores.shape[1]), dim=1).indices
    chosen = torch.zeros_like(scores, dtype=torch.bool).scatter_(1, best, True)
    return chosen & (scores >= 0)


def precision_at_k(scores: Tensor, targets: Tensor, k: int) -> float:
    """The mean share of the k recommended tags that are right (HARRISON uses k = 1)."""
    hits = (top_k(scores, k) & targets).sum(dim=1)
    return float((hits / k).mean())


def recall_at_k(scores: Tensor, targets: Tensor, k: int) -> float:
    """The mean share of a photo's own tags that are among the k (HARRISON: k = 5)."""
    hits = (top_k(scores, k) & targets).sum(dim=1)
    return float((hits / targets.sum(dim=1)).mean())


def accuracy_at_k(scores: Tensor, targets: Tensor, k: int) -> float:
    """The share of photos with at least one right tag among the k (HARRISON: k = 5)."""
    return float((top_k(scores, k) & targets).any(dim=1).float().mean())


def mean_average_precision(scores: Tensor, targets: Tensor) -> float:
    """The mean over the tags that occur of the average precision of ranking photos by a tag."""
    occurring = targets.any(dim=0)
    order = scores[:, occurring].argsort(dim=0, descending=True, stable=True)
    hits = targets[:, occurring].gather(0, order).double()
    ranks = torch.arange(1, len(scores) + 1, dtype=torch.double).unsqueeze(1)
    precision = hits.cumsum(dim=0) / ranks
    return float(((precision * hits).sum(dim=0) / hits.sum(dim=0)).mean())


@dataclass(frozen=True)
class PerWord:
    """Mean precision and recall over words, their F1, and how many words were recalled at all."""

    precision: float
    recall: float
    f1: float
    n_plus: int
    words: int


def per_word(scores: Tensor, targets: Tensor, k: int = 5) -> PerWord:
    """The protocol of Corel5k's published tables: k tags a photo, means over occurring words.

    A word that is never recommended has precision 0 (Makadia, Pavlovic, Kumar 2008, JEC).
    """
    occurring = targets.any(dim=0)
    chosen, targets = top_k(scores, k)[:, occurring], targets[:, occurring]
    hits = (chosen & targets).sum(dim=0)
    precision = float((hits / chosen.sum(dim=0).clamp(min=1)).mean())
    recall = float((hits / targets.sum(dim=0)).mean())
    f1 = 2 * precision * recall / (precision + recall) if hits.any() else 0.0
    return PerWord(precision, recall, f1, int((hits > 0).sum()), int(occurring.sum()))
