import pytest
import torch

from training import metrics

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


def test_harrisons_three_by_hand() -> None:
    # Best tags: 0, 1, 0 - only the first photo's is right.
    assert metrics.precision_at_k(SCORES, TARGETS, 1) == pytest.approx(1 / 3)
    # Two best: {0, 1}, {1, 2}, {0, 2}, that is 1 of 2, 0 of 1, 1 of 3 found.
    assert metrics.recall_at_k(SCORES, TARGETS, 2) == pytest.approx((1 / 2 + 0 + 1 / 3) / 3)
    assert metrics.accuracy_at_k(SCORES, TARGETS, 2) == pytest.approx(2 / 3)
    assert metrics.precision_at_k(SCORES, TARGETS, 2) == pytest.approx((1 / 2 + 0 + 1 / 2) / 3)


def test_a_tag_that_cannot_be_answered_is_never_a_hit() -> None:
    assert metrics.recall_at_k(SCORES, TARGETS, 4) == pytest.approx((1 + 1 + 2 / 3) / 3)
    assert metrics.accuracy_at_k(SCORES[2:, 3:], TARGETS[2:, 3:], 1) == 0


def test_mean_average_precision_by_hand() -> None:
    # Tag 0 ranks photos 0, 2, 1: hits at 1 and 3. Tag 1: photos 1, 0, 2, hit at 3.
    # Tag 2: photos 1, 2, 0: hits at 2 and 3. Tag 3: all alike, photo 2 stays third.
    expected = [(1 + 2 / 3) / 2, 1 / 3, (1 / 2 + 2 / 3) / 2, 1 / 3]
    assert metrics.mean_average_precision(SCORES, TARGETS) == pytest.approx(sum(expected) / 4)


def test_per_word_by_hand() -> None:
    # Two best again. Word 0: chosen for photos 0 and 2, right once of 2 occurrences. Word 1:
    # chosen twice, never right. Word 2: chosen for 1 and 2, right once of 2. Word 3: never chosen.
    words = metrics.per_word(SCORES, TARGETS, k=2)
    assert words.precision == pytest.approx((1 / 2 + 0 + 1 / 2 + 0) / 4)
    assert words.recall == pytest.approx((1 / 2 + 0 + 1 / 2 + 0) / 4)
    assert words.f1 == pytest.approx(1 / 4)
    assert (words.n_plus, words.words) == (2, 4)


def test_perfect_and_hopeless_scores() -> None:
    perfect = TARGETS.float()
    assert metrics.mean_average_precision(perfect, TARGETS) == 1
    assert metrics.recall_at_k(perfect, TARGETS, 3) == 1
    assert metrics.per_word(-1 - perfect, TARGETS).f1 == 0
