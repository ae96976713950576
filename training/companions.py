"""Companions: hashtags that stand beside what is in a picture, learnt from people's posts.

How often two stand together tells as much of a held-out post as anything that was tried: see
docs/quality.md, "Usage".
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Posts = Sequence[frozenset[str]]
Matrix = npt.NDArray[np.float32]

SUPPORT = 10  # posts with both hashtags, below which a share is chance
LIFT = 2.0  # how much more often the two stand together than chance would put them
SHARE = 0.02  # of the posts with the one, those that have the other
SMOOTHING = 50  # posts of no hashtag in particular that are added to those with a hashtag

CUTS = (5, 10)  # of the ranked hashtags, how many are taken for recall
SHORT = 5  # posts with fewer hashtags are often the same by chance


@dataclass(frozen=True)
class Cooccurrence:
    """How often hashtags stand in posts, and together.

    Args:
        posts: how many there are.
        given: (given,), posts with each hashtag that is known.
        others: (others,), posts with each that is looked for.
        together: (given, others), posts with both.
    """

    posts: int
    given: Matrix
    others: Matrix
    together: Matrix

    @classmethod
    def of(cls, given: Matrix, others: Matrix) -> "Cooccurrence":
        """Count, in what `indicators` gives."""
        return cls(len(given), given.sum(axis=0), others.sum(axis=0), given.T @ others)

    @property
    def popularity(self) -> Matrix:
        """(others,), of all posts those with each."""
        return self.others / np.float32(self.posts)

    def shares(self) -> Matrix:
        """(given, others), of the posts with the one those with the other."""
        both = self.together + SMOOTHING * self.popularity
        shares: Matrix = both / (self.given + SMOOTHING)[:, np.newaxis]
        return shares

    def related(self) -> Matrix:
        """The shares of those that stand together for a reason; 0 elsewhere."""
        shares = self.shares()
        by_chance = np.outer(self.given, self.popularity)
        reason = (self.together >= SUPPORT) & (self.together >= LIFT * by_chance)
        return np.where(reason & (shares >= SHARE), shares, np.float32(0))


def companions(
    posts: Posts, given: Sequence[str], others: Sequence[str]
) -> Mapping[str, Mapping[str, float]]:
    """For each given hashtag the others that often stand beside it, and how often they do."""
    counted = Cooccurrence.of(indicators(posts, given), indicators(posts, others))
    return {
        hashtag: {others[column]: float(row[column]) for column in np.flatnonzero(row).tolist()}
        for hashtag, row in zip(given, counted.related(), strict=True)
        if row.any()
    }


def indicators(posts: Posts, hashtags: Sequence[str]) -> Matrix:
    """(posts, hashtags), 1 where a post has the hashtag."""
    index = {hashtag: column for column, hashtag in enumerate(hashtags)}
    matrix = np.zeros((len(posts), len(index)), np.float32)
    for row, post in zip(matrix, posts, strict=True):
        row[[index[hashtag] for hashtag in post if hashtag in index]] = 1
    return matrix


def held_out(posts: Posts) -> npt.NDArray[np.bool_]:
    """(posts,), a tenth of them. Posts that differ in one hashtag are on the same side."""
    first: dict[frozenset[str], int] = {}
    edges = np.array(
        [
            (first.setdefault(key, index), index)
            for index, post in enumerate(posts)
            for key in _keys(post)
        ]
    )
    graph = coo_array((np.ones(len(edges)), edges.T), shape=(len(posts), len(posts)))
    _, groups = connected_components(graph, directed=False)
    leaders = np.unique(groups, return_index=True)[1].tolist()
    chosen = [hashlib.sha256(repr(sorted(posts[i])).encode()).digest()[0] < 26 for i in leaders]
    side: npt.NDArray[np.bool_] = np.array(chosen)[groups]
    return side


def _keys(post: frozenset[str]) -> Iterator[frozenset[str]]:
    yield post
    if len(post) >= SHORT:
        yield from (post - {hashtag} for hashtag in post)


def _popularity(given: Matrix, others: Matrix, asked: Matrix) -> Matrix:
    return np.tile(Cooccurrence.of(given, others).popularity, (len(asked), 1))


def _share(given: Matrix, others: Matrix, asked: Matrix) -> Matrix:
    return _best(Cooccurrence.of(given, others).shares(), asked)


def _related(given: Matrix, others: Matrix, asked: Matrix) -> Matrix:
    return _best(Cooccurrence.of(given, others).related(), asked)


def _best(shares: Matrix, asked: Matrix) -> Matrix:
    """The largest share among those of each post's hashtags."""
    return np.stack([(row[:, np.newaxis] * shares).max(axis=0) for row in asked])


def _noisy_or(given: Matrix, others: Matrix, asked: Matrix) -> Matrix:
    """As if each of a post's hashtags brought another along on its own."""
    none: Matrix = np.exp(asked @ np.log1p(-Cooccurrence.of(given, others).shares()))
    return 1 - none


def _ridge(given: Matrix, others: Matrix, asked: Matrix, penalty: float = 200) -> Matrix:
    """Linear regression of the others on all given hashtags at once."""
    known = np.c_[given, np.ones(len(given), np.float32)]
    gram = known.T @ known + penalty * np.eye(known.shape[1], dtype=np.float32)
    weights = np.linalg.solve(gram, known.T @ others)
    return np.asarray(np.c_[asked, np.ones(len(asked), np.float32)] @ weights, np.float32)


Method = Callable[[Matrix, Matrix, Matrix], Matrix]

METHODS: Mapping[str, Method] = {
    "always the most frequent": _popularity,
    "shares of related hashtags, the best one (used)": _related,
    "shares, the best one": _share,
    "shares, noisy-or": _noisy_or,
    "ridge regression": _ridge,
}


@dataclass(frozen=True)
class Comparison:
    """Recall, in per cent, by method and cut: the mean and half its 95 % interval."""

    posts: int
    given: int
    others: int
    recall: Mapping[str, Mapping[int, tuple[float, float]]]


def compare(posts: Posts, given: Sequence[str], others: Sequence[str]) -> Comparison:
    """How much of held-out posts' other hashtags each method ranks first, from the given ones.

    Asked are the posts that have some of both.
    """
    known, sought = indicators(posts, given), indicators(posts, others)
    test = held_out(posts)
    asked = test & known.any(axis=1) & sought.any(axis=1)
    train = (known[~test], sought[~test])
    recall = {
        name: _recall(method(*train, known[asked]), sought[asked])
        for name, method in METHODS.items()
    }
    return Comparison(int(asked.sum()), len(given), len(others), recall)


def _recall(scores: Matrix, sought: Matrix) -> dict[int, tuple[float, float]]:
    """What scores 0 is no answer."""
    ranked = np.argsort(-scores, axis=1, kind="stable")
    right = np.take_along_axis(sought * (scores > 0), ranked, axis=1).cumsum(axis=1)
    figures = {}
    for cut in CUTS:
        shares = 100 * right[:, min(cut, right.shape[1]) - 1] / sought.sum(axis=1)
        figures[cut] = float(shares.mean()), float(1.96 * shares.std() / len(shares) ** 0.5)
    return figures
