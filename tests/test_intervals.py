import math

import pytest
import torch
from scipy.stats import bootstrap

from training import intervals, metrics


def case(photos: int) -> tuple[torch.Tensor, torch.Tensor]:
    dice = torch.Generator().manual_seed(2)
    targets = torch.rand(photos, 30, generator=dice) < torch.linspace(0.4, 0.02, 30)
    targets[:, 0] |= ~targets.any(dim=1)
    scores = (targets + torch.randn(photos, 30, generator=dice)).sigmoid()
    return scores, targets


def measured(photos: int) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    scores, targets = case(photos)
    figures = metrics.figures(scores, targets)
    values = {name: float(value) for name, value in figures.items()}
    return values, intervals.intervals(figures, scores, targets)


def test_they_hold_every_figure_and_are_the_same_again() -> None:
    values, bounds = measured(300)
    assert bounds.keys() == values.keys() - {"per_word.words"}
    for name, (low, high) in bounds.items():
        assert 0 <= low <= values[name] <= high, name
    assert bounds["precision_at_1"][0] < values["precision_at_1"] < bounds["precision_at_1"][1]
    assert measured(300)[1] == bounds


def test_precision_at_1_has_the_width_that_theory_gives() -> None:
    values, bounds = measured(400)
    low, high = bounds["precision_at_1"]
    p = values["precision_at_1"]
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(p * (1 - p) / 400), rel=0.15)


def test_recall_is_as_scipy_has_it() -> None:
    scores, targets = case(200)
    hits = (metrics.top_k(scores, 5) & targets).sum(dim=1)
    recalls = (hits / targets.sum(dim=1)).numpy()
    theirs = bootstrap(
        (recalls,), lambda x, axis: x.mean(axis), method="percentile", rng=1
    ).confidence_interval
    _, bounds = measured(200)
    assert bounds["recall_at_5"] == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_more_photos_make_them_narrower() -> None:
    few, many = measured(100)[1], measured(1600)[1]
    for name in ("recall_at_5", "mean_average_precision", "per_word.recall"):
        assert few[name][1] - few[name][0] > 2 * (many[name][1] - many[name][0]), name


def test_what_is_always_right_has_no_width() -> None:
    targets = torch.eye(6, dtype=torch.bool).repeat(3, 1)
    figures = metrics.figures(targets.float(), targets)
    bounds = intervals.intervals(figures, targets.float(), targets)
    assert bounds["precision_at_1"] == (1, 1)
    assert bounds["per_word.n_plus"][1] == 6  # no more words than there are
