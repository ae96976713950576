import pytest
import torch
from sklearn.metrics import average_precision_score, precision_recall_fscore_support
from torch import Tensor

from training import metrics
from training.dataset import UNKNOWN, UNSURE

# Three photos, four tags; the last tag cannot be answered.
SCORES = torch.tensor(
    [
        [0.9, 0.5, 0.1, -1.0],
        [0.2, 0.8, 0.7, -1.0],
        [0.6, 0.3, 0.4, -1.0],
    ]
)
TARGETS = torch.tensor(
    [
        [True, False, True, False],
        [True, False, False, False],
        [False, True, True, True],
    ]
)


def random_case(photos: int = 60, tags: int = 25) -> tuple[Tensor, Tensor]:
    """Scores that photos share, a tag that cannot be answered, and one that never occurs."""
    dice = torch.Generator().manual_seed(3)
    scores = torch.randint(0, 12, (photos, tags), generator=dice) / 12
    scores += torch.arange(tags) * 1e-5  # no ties within a photo
    scores[:, 5] = -1
    scores[:, 6] = 0.25
    targets = torch.rand(photos, tags, generator=dice) < torch.linspace(0.5, 0.01, tags)
    targets[:, 0] |= ~targets.any(dim=1)
    targets[1] = True
    targets[:, 20] = False
    return scores, targets


def test_harrisons_three_by_hand() -> None:
    # Best tags: 0, 1, 0 - only the first photo's is right.
    assert float(metrics.precision_at_k(SCORES, TARGETS, 1)) == pytest.approx(1 / 3)
    # Two best: {0, 1}, {1, 2}, {0, 2}, that is 1 of 2, 0 of 1, 1 of 3 found.
    recall = float(metrics.recall_at_k(SCORES, TARGETS, 2))
    assert recall == pytest.approx((1 / 2 + 0 + 1 / 3) / 3)
    assert float(metrics.accuracy_at_k(SCORES, TARGETS, 2)) == pytest.approx(2 / 3)
    precision = float(metrics.precision_at_k(SCORES, TARGETS, 2))
    assert precision == pytest.approx((1 / 2 + 0 + 1 / 2) / 3)


def test_a_tag_that_cannot_be_answered_is_never_a_hit() -> None:
    recall = float(metrics.recall_at_k(SCORES, TARGETS, 4))
    assert recall == pytest.approx((1 + 1 + 2 / 3) / 3)
    assert float(metrics.accuracy_at_k(SCORES[2:, 3:], TARGETS[2:, 3:], 1)) == 0


def test_mean_average_precision_by_hand() -> None:
    # Tag 0 ranks photos 0, 2, 1: hits at 1 and 3. Tag 1: photos 1, 0, 2, hit at 3.
    # Tag 2: photos 1, 2, 0: hits at 2 and 3. Tag 3: all alike, one of three.
    expected = [(1 + 2 / 3) / 2, 1 / 3, (1 / 2 + 2 / 3) / 2, 1 / 3]
    measured = float(metrics.mean_average_precision(SCORES, TARGETS))
    assert measured == pytest.approx(sum(expected) / 4)


def test_per_word_by_hand() -> None:
    # Two best again. Word 0: chosen for photos 0 and 2, right once of 2 occurrences. Word 1:
    # chosen twice, never right. Word 2: chosen for 1 and 2, right once of 2. Word 3: never chosen.
    words = metrics.per_word(SCORES, TARGETS, k=2)
    assert float(words.precision) == pytest.approx((1 / 2 + 0 + 1 / 2 + 0) / 4)
    assert float(words.recall) == pytest.approx((1 / 2 + 0 + 1 / 2 + 0) / 4)
    assert float(words.f1) == pytest.approx(1 / 4)
    assert (int(words.n_plus), int(words.words)) == (2, 4)


def test_words_by_threshold_by_hand() -> None:
    # From 0.5 on, word 0 for photos 0 and 2, right once of 2 occurrences; 1 and 2 never right.
    words = metrics.per_word(SCORES, TARGETS, threshold=0.5)
    assert float(words.precision) == float(words.recall) == pytest.approx(1 / 8)
    assert (int(words.n_plus), int(words.words)) == (1, 4)
    # From 0.4 on, word 2 for photo 2 too.
    assert float(metrics.per_word(SCORES, TARGETS, threshold=0.4).recall) == pytest.approx(1 / 4)
    # From nothing on all but word 3, which cannot be answered.
    assert float(metrics.per_word(SCORES, TARGETS, threshold=0.0).recall) == pytest.approx(3 / 4)


def test_perfect_and_hopeless_scores() -> None:
    perfect = TARGETS.float()
    assert float(metrics.mean_average_precision(perfect, TARGETS)) == 1
    assert float(metrics.recall_at_k(perfect, TARGETS, 3)) == 1
    assert float(metrics.per_word(-1 - perfect, TARGETS).f1) == 0


def test_average_precision_is_scikit_learns_whatever_the_photos_order() -> None:
    scores, targets = random_case()
    weights = torch.randint(0, 3, (len(scores), 4), generator=torch.Generator().manual_seed(5))
    measured = metrics.average_precisions(scores, targets, weights.float())
    turned = metrics.average_precisions(scores.flip(0), targets.flip(0), weights.float().flip(0))
    assert torch.allclose(measured, turned, equal_nan=True)
    assert measured[20].isnan().all()
    for tag in set(range(25)) - {20}:
        for sample in range(4):
            if (targets[:, tag] * weights[:, sample]).any():
                expected = average_precision_score(
                    targets[:, tag], scores[:, tag], sample_weight=weights[:, sample]
                )
                assert float(measured[tag, sample]) == pytest.approx(expected, rel=1e-5)
    occurring = [t for t in range(25) if t != 20]
    macro = average_precision_score(targets[:, occurring], scores[:, occurring], average="macro")
    assert float(metrics.mean_average_precision(scores, targets)) == pytest.approx(macro, rel=1e-5)


def test_per_word_is_scikit_learns_macro_average() -> None:
    scores, targets = random_case()
    chosen = metrics.top_k(scores, 5)
    precision, recall, _, _ = precision_recall_fscore_support(
        targets, chosen, average=None, zero_division=0.0
    )
    occurs = targets.any(dim=0).numpy()
    words = metrics.per_word(scores, targets)
    assert float(words.precision) == pytest.approx(precision[occurs].mean())
    assert float(words.recall) == pytest.approx(recall[occurs].mean())
    assert int(words.n_plus) == (recall[occurs] > 0).sum()
    assert int(words.words) == occurs.sum() == 24


def naive(scores: Tensor, targets: Tensor) -> dict[str, float]:
    """The figures of the photos once more, with sets and loops."""
    rows = []
    for photo, own in zip(scores.tolist(), targets.tolist(), strict=True):
        ranked = sorted(range(len(photo)), key=lambda tag, s=photo: -s[tag])
        five = {tag for tag in ranked[:5] if photo[tag] >= 0}
        rows.append((ranked[0], five, {tag for tag, has in enumerate(own) if has}))
    mean = len(rows)
    return {
        "precision_at_1": sum(first in own for first, _, own in rows) / mean,
        "recall_at_5": sum(len(five & own) / len(own) for _, five, own in rows) / mean,
        "accuracy_at_5": sum(bool(five & own) for _, five, own in rows) / mean,
        "precision_at_5": sum(len(five & own) / 5 for _, five, own in rows) / mean,
        "coverage": len(set().union(*(five for _, five, _ in rows))) / scores.shape[1],
    }


def test_a_second_implementation_agrees_and_weights_are_copies_of_photos() -> None:
    scores, targets = random_case()
    copies = torch.randint(0, 3, (len(scores),), generator=torch.Generator().manual_seed(6))
    weights = torch.stack([torch.ones(len(scores)), copies.float()], dim=1)
    frequency = targets.sum(dim=0)
    measured = metrics.figures(scores, targets, weights=weights, frequency=frequency)
    rows = torch.arange(len(scores)).repeat_interleave(copies)
    again = metrics.figures(scores[rows], targets[rows], frequency=frequency)
    for name, expected in naive(scores, targets).items():
        assert float(measured[name][0]) == pytest.approx(expected, rel=1e-5), name
    del measured["calibration_error"]  # its bins are those of the photos as they are
    for name, value in measured.items():
        assert float(value[1]) == pytest.approx(float(again[name]), rel=1e-5), name


def test_thirds_hold_a_third_of_the_labels_each() -> None:
    # 12 labels: tag 1 has four of them; tags 0 and 3 the next four; the rest are the tail.
    assert metrics.thirds(torch.tensor([2, 4, 1, 2, 1, 1, 1, 0])).tolist() == [
        *(1, 0, 2, 1, 2, 2, 2, 2)
    ]
    assert metrics.thirds(torch.tensor([90, 10])).tolist() == [0, 2]


def test_recall_of_parts_by_hand() -> None:
    targets = torch.eye(6, dtype=torch.bool).repeat(2, 1)
    scores = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5, 0.4]).repeat(12, 1)
    recall = metrics.recall_of_parts(scores, targets)
    assert {name: float(r) for name, r in recall.items()} == {
        **{"recall_head": 1.0, "recall_mid": 1.0},
        "recall_tail": 0.5,  # tags 4 and 5: five slots do not reach the last
    }
    only_head = metrics.recall_of_parts(scores, targets, torch.tensor([9, 0, 0, 0, 0, 0]))
    assert set(only_head) == {"recall_head", "recall_tail"}


def test_calibration_by_hand() -> None:
    # One tag: answers at 0.25 of which 1 in 4 is right, and at 1.0 of which half are.
    scores = torch.tensor([0.25] * 8 + [1.0] * 8).unsqueeze(1)
    targets = torch.tensor([True, False, False, False] * 2 + [True, False] * 4).unsqueeze(1)
    assert [(b.score, b.right, b.answers) for b in metrics.reliability(scores, targets)] == [
        (0.25, 0.25, 8),
        (1.0, 0.5, 8),
    ]
    assert float(metrics.calibration_error(scores, targets)) == pytest.approx(0.25)


def test_calibrated_scores_have_little_error_and_sure_ones_much() -> None:
    dice = torch.Generator().manual_seed(8)
    scores = torch.rand(4000, 5, generator=dice)
    targets = torch.rand(4000, 5, generator=dice) < scores
    assert float(metrics.calibration_error(scores, targets)) < 0.02
    assert float(metrics.calibration_error(scores.sqrt(), targets)) > 0.1
    bins = metrics.reliability(scores, targets)
    assert len(bins) == metrics.BINS
    assert {b.answers for b in bins} <= {1333, 1334}


def test_the_precision_recall_curve_counts_every_pair() -> None:
    scores, targets = random_case()
    curve = metrics.precision_recall_curve(scores, targets, points=10)
    reachable = scores[targets & (scores >= 0)]
    for (recall, precision), threshold in zip(
        curve, reachable.sort(descending=True).values[_evenly(len(reachable))], strict=True
    ):
        above = scores >= threshold
        assert recall == pytest.approx(float((targets & above).sum() / targets.sum()))
        assert precision == pytest.approx(float((targets & above).sum() / above.sum()))
    assert curve[-1][0] < 1  # a tag that cannot be answered is never found
    assert metrics.precision_recall_curve(-scores - 2, targets) == []


def _evenly(answers: int) -> Tensor:
    return torch.linspace(0, answers - 1, 10).long()


def test_sure_answers_that_the_photos_set_does_not_know() -> None:
    known = torch.tensor([False, True, True, False])
    # Sure are tag 0 of two photos, tag 1 of two, tag 2 of one.
    assert metrics.foreign_share(SCORES, known) == pytest.approx(2 / 5)
    assert metrics.foreign_share(SCORES / 2, known) == 0
    seven = torch.arange(7).expand(3, 7) / 10 + 0.2  # the best five are 0.4 to 0.8
    assert metrics.foreign_share(seven, torch.arange(7) < 6) == pytest.approx(1 / 4)


def test_confident_and_wrong_by_hand() -> None:
    # Sure are tags 0 and 1 of the first photo, 1 and 2 of the second, 0 of the third.
    targets = torch.tensor([[1.0, 0, 0, 0], [0, UNSURE, UNKNOWN, 0], [1, 0, 0, 0]])
    assert metrics.confident_wrong(SCORES, targets) == {
        "answers": pytest.approx(1 / 3),  # of the three that can be judged
        "photos": pytest.approx(1 / 3),
        "judged": pytest.approx(3 / 5),
    }
    assert metrics.confident_wrong(SCORES / 2, targets) == {"answers": 0, "photos": 0, "judged": 0}


def test_covered_by_hand() -> None:
    assert metrics.covered(SCORES) == 1
    assert metrics.covered(SCORES * 0.7) == pytest.approx(2 / 3)
    assert metrics.covered(SCORES[:, 3:]) == 0
