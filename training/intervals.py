"""Intervals: how far a metric could be off because the photos are a sample (bootstrap).

Photos are drawn again with replacement (Efron 1979); all metrics are computed from how often
each was drawn, so that no score is copied.
"""

import torch
from torch import Tensor

from training import metrics

SAMPLES = 1000
LEVEL = 0.95
SEED = 0


def intervals(
    measured: dict[str, Tensor],
    scores: Tensor,
    targets: Tensor,
    *,
    frequency: Tensor | None = None,
) -> dict[str, tuple[float, float]]:
    """The 95 % interval of every measured figure; all as in `metrics.figures`."""
    sampled = metrics.figures(
        scores, targets, weights=draws(len(scores), SAMPLES), frequency=frequency
    )
    del sampled["per_word.words"]  # how many occur is no estimate
    most = {"per_word.n_plus": float(measured["per_word.words"])}
    return {
        name: _interval(float(measured[name]), values, most.get(name, 1.0))
        for name, values in sampled.items()
    }


def draws(photos: int, samples: int, seed: int = SEED) -> Tensor:
    """How often each photo is drawn in each sample, (photos, samples)."""
    dice = torch.Generator().manual_seed(seed)
    counts = torch.empty(photos, samples)
    for sample in range(samples):
        drawn = torch.randint(photos, (photos,), generator=dice)
        counts[:, sample] = torch.bincount(drawn, minlength=photos)
    return counts


def _interval(measured: float, sampled: Tensor, most: float) -> tuple[float, float]:
    """The quantiles of the sampled figures, moved so that their median is the measured one.

    A sample holds fewer different photos than the set, hence fewer different tags; what counts
    tags (N+, coverage) or is a mean over them comes out lower, and the calibration error higher.
    """
    edge = (1 - LEVEL) / 2
    at = torch.tensor([edge, 0.5, 1 - edge], dtype=torch.double)
    low, middle, high = sampled.double().quantile(at).tolist()
    shift = measured - middle
    return max(0.0, low + shift), min(most, high + shift)
