"""Hashtags that stand beside others in posts."""

import numpy as np
import pytest

from training.companions import METHODS, companions, compare, held_out, indicators

# Half of those with #dog have #puppy, one in ten #walk; #love stands on half of all posts.
POSTS = [
    frozenset(post.split())
    for post in [
        *["dog puppy"] * 20,
        *["dog walk"] * 4,
        *["dog love"] * 16,
        *["cake party"] * 60,
        *["love"] * 100,
    ]
]


def test_only_those_that_stand_together_for_a_reason_are_companions() -> None:
    beside = companions(POSTS, ["dog", "cake", "sea"], ["puppy", "walk", "love", "party"])
    assert beside.keys() == {"dog", "cake"}
    assert beside["dog"] == {"puppy": pytest.approx((20 + 50 * 0.1) / (40 + 50))}
    assert beside["cake"].keys() == {"party"}


def test_indicators_leave_out_other_hashtags() -> None:
    rows = indicators(POSTS[:1], ["cat", "puppy"])
    np.testing.assert_array_equal(rows, [[0, 1]])


def test_a_tenth_is_held_out_and_posts_that_are_nearly_the_same_stay_together() -> None:
    posts = [
        frozenset(f"{n} {n}a {n}b {n}c {n}d {end}".split()) for n in range(500) for end in "xy"
    ]
    side = held_out(posts)
    assert 70 <= side.sum() <= 130
    np.testing.assert_array_equal(side[::2], side[1::2])
    # Two short ones that share a hashtag are not the same post.
    short = held_out([frozenset({"x", f"{n}"}) for n in range(500)])
    assert 30 <= short.sum() <= 70


@pytest.mark.parametrize("method", METHODS)
def test_each_method_recalls_what_always_stands_together(method: str) -> None:
    pairs = ["dog puppy", "cake party", "sea beach", "snow ski"]
    posts = [frozenset([*pair.split(), f"{n}"]) for n in range(400) for pair in pairs]
    given, others = (list(side) for side in zip(*map(str.split, pairs), strict=True))
    comparison = compare(posts, given, others)
    assert (comparison.given, comparison.others) == (4, 4)
    assert 100 <= comparison.posts <= 220
    mean, half = comparison.recall[method][5]
    assert mean == 100
    assert half == 0


def test_the_most_frequent_hashtags_know_nothing_of_the_post() -> None:
    hashtags = [f"h{n}" for n in range(20)]
    posts = [frozenset({f"g{n % 20}", hashtags[n % 20], f"{n}"}) for n in range(2000)]
    comparison = compare(posts, [f"g{n}" for n in range(20)], hashtags)
    assert comparison.recall["always the most frequent"][5][0] < 50
    assert comparison.recall["shares of related hashtags, the best one (used)"][5][0] == 100
