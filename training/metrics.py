"""Metrics of hashtag recommendation: HARRISON's three, the per-word protocol of Corel5k and more.

Everywhere `scores` is a float tensor (photos, tags) and `targets` a boolean one. A negative
score marks a tag that cannot be an answer: it is never among the five, and never counts as a hit.
It is -1 where the model lacks the tag, and less where nobody knows whether the photo has it (see
training.evaluate.judged): such a photo comes last when photos are ranked by the tag, below those
that have it, and so plays no part. Every photo has at least one target.

`weights` (photos, samples) says how often each photo counts in each sample of a bootstrap;
without it there is one sample, in which every photo counts once. A metric is a tensor
(samples,) of shares from 0 to 1.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

K = 5  # how many tags the product recommends
BINS = 15
SURE = 0.5  # a score from which on an answer is meant
AP_SAMPLES = 200  # ranking all photos by each tag is dear: average precision takes so many samples
PARTS = ("head", "mid", "tail")
COUNTS = ("per_word.n_plus", "per_word.words")  # figures that are no shares


def figures(
    scores: Tensor,
    targets: Tensor,
    *,
    weights: Tensor | None = None,
    frequency: Tensor | None = None,
) -> dict[str, Tensor]:
    """Every metric by its name in the report, each (samples,).

    Args:
        scores: (photos, tags).
        targets: (photos, tags), boolean.
        weights: (photos, samples).
        frequency: how often each tag occurs where the model learnt, (tags,); by default in the
            targets. It decides which tags are head, middle and tail.
    """
    weights = _once(scores) if weights is None else weights
    words = per_word(scores, targets, weights=weights)
    return {
        "precision_at_1": precision_at_k(scores, targets, 1, weights),
        "recall_at_5": recall_at_k(scores, targets, K, weights),
        "accuracy_at_5": accuracy_at_k(scores, targets, K, weights),
        "precision_at_5": precision_at_k(scores, targets, K, weights),
        "mean_average_precision": mean_average_precision(
            scores, targets, weights[:, :AP_SAMPLES].contiguous()
        ),
        **recall_of_parts(scores, targets, frequency, weights=weights),
        "coverage": coverage(scores, weights=weights),
        "calibration_error": calibration_error(scores, targets, weights=weights),
        "per_word.precision": words.precision,
        "per_word.recall": words.recall,
        "per_word.f1": words.f1,
        "per_word.n_plus": words.n_plus,
        "per_word.words": words.words,
    }


def top_k(scores: Tensor, k: int) -> Tensor:
    """A boolean tensor (photos, tags): the k best tags of each photo that can be answered."""
    best = scores.topk(min(k, scores.shape[1]), dim=1).indices
    chosen = torch.zeros_like(scores, dtype=torch.bool).scatter_(1, best, True)
    return chosen & (scores >= 0)


def precision_at_k(
    scores: Tensor, targets: Tensor, k: int, weights: Tensor | None = None
) -> Tensor:
    """The mean share of the k recommended tags that are right (HARRISON uses k = 1)."""
    return _mean((top_k(scores, k) & targets).sum(dim=1) / k, weights)


def recall_at_k(scores: Tensor, targets: Tensor, k: int, weights: Tensor | None = None) -> Tensor:
    """The mean share of a photo's own tags that are among the k (HARRISON: k = 5)."""
    hits = (top_k(scores, k) & targets).sum(dim=1)
    return _mean(hits / targets.sum(dim=1), weights)


def accuracy_at_k(scores: Tensor, targets: Tensor, k: int, weights: Tensor | None = None) -> Tensor:
    """The share of photos with at least one right tag among the k (HARRISON: k = 5)."""
    return _mean((top_k(scores, k) & targets).any(dim=1), weights)


def mean_average_precision(
    scores: Tensor, targets: Tensor, weights: Tensor | None = None
) -> Tensor:
    """The mean over the tags that occur of the average precision of ranking photos by a tag."""
    return average_precisions(scores, targets, weights).nanmean(dim=0)


def average_precisions(scores: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """The average precision of each tag (tags, samples); NaN where it does not occur.

    Photos with the same score share one rank, the last of theirs, so that the order of the
    photos is worth nothing: a constant score gets the tag's share of the photos.
    """
    weights = _once(scores) if weights is None else weights
    columns = zip(scores.T.contiguous(), targets.T.contiguous(), strict=True)
    return torch.stack([_average_precision(*column, weights) for column in columns])


def _average_precision(scores: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    if not targets.any():
        return weights.new_full((weights.shape[1],), torch.nan)
    ranked, order = scores.sort()
    right = targets[order]
    own = ranked[right]
    found = _from_here_on(order[right], torch.searchsorted(own, own), weights)
    above = _from_here_on(order, torch.searchsorted(ranked, own), weights)
    counts = weights[order[right]]
    return (found / above.clamp(min=1) * counts).sum(dim=0) / counts.sum(dim=0)


def _from_here_on(photos: Tensor, starts: Tensor, weights: Tensor) -> Tensor:
    """The photos' weights from each start to the end, (starts, samples)."""
    between = functional.embedding_bag(photos[starts[0] :], weights, starts - starts[0], mode="sum")
    return between.flip(0).cumsum(dim=0).flip(0)


@dataclass(frozen=True)
class PerWord:
    """Mean precision and recall over words, their F1, and how many words were recalled at all.

    Each is (samples,).
    """

    precision: Tensor
    recall: Tensor
    f1: Tensor
    n_plus: Tensor
    words: Tensor


def per_word(
    scores: Tensor,
    targets: Tensor,
    k: int = K,
    *,
    threshold: float | None = None,
    weights: Tensor | None = None,
) -> PerWord:
    """The protocol of Corel5k's published tables: k tags a photo, means over occurring words.

    A word that is never recommended has precision 0 (Makadia, Pavlovic, Kumar 2008, JEC). With a
    threshold, from 0 to 1, a photo's tags are those that score it or more instead, however many.
    """
    chosen = top_k(scores, k) if threshold is None else scores >= threshold
    given, own = _per_tag(chosen, weights), _per_tag(targets, weights)
    hits = _per_tag(chosen & targets, weights)
    words = (own > 0).sum(dim=0)
    precision = (hits / given.clamp(min=1)).sum(dim=0) / words
    recall = (hits / own.clamp(min=1)).sum(dim=0) / words
    f1 = 2 * precision * recall / (precision + recall).clamp(min=1e-12)
    return PerWord(precision, recall, f1, (hits > 0).sum(dim=0), words)


def thirds(frequency: Tensor) -> Tensor:
    """0 head, 1 middle or 2 tail for each tag (tags,): each third holds a third of all labels.

    Tags are taken by falling frequency, as the short head of recommender systems is cut
    (Cremonesi, Koren, Turrin 2010): the thirds differ in how many tags they hold and weigh alike.
    """
    order = frequency.argsort(descending=True, stable=True)
    mass = frequency[order].double()
    before = mass.cumsum(dim=0) - mass
    part = (3 * before / mass.sum().clamp(min=1)).long().clamp(max=2)
    return torch.empty_like(order).scatter_(0, order, part)


def recall_of_parts(
    scores: Tensor,
    targets: Tensor,
    frequency: Tensor | None = None,
    *,
    weights: Tensor | None = None,
) -> dict[str, Tensor]:
    """Of all labels with a head, middle and tail tag, the share that is among the photo's five.

    A third without a label among the targets is left out.
    """
    own = _per_tag(targets, weights)
    hits = _per_tag(top_k(scores, K) & targets, weights)
    parts = thirds(targets.sum(dim=0) if frequency is None else frequency)
    return {
        f"recall_{name}": hits[parts == part].sum(dim=0) / own[parts == part].sum(dim=0).clamp(1)
        for part, name in enumerate(PARTS)
        if targets[:, parts == part].any()
    }


def coverage(scores: Tensor, *, weights: Tensor | None = None) -> Tensor:
    """The share of the tags that are among the five of at least one photo."""
    return (_per_tag(top_k(scores, K), weights) > 0).double().mean(dim=0)


@dataclass(frozen=True)
class Bin:
    """Answers with scores alike: their mean score, the share that is right, how many there are."""

    score: float
    right: float
    answers: int


def reliability(scores: Tensor, targets: Tensor) -> list[Bin]:
    """The reliability diagram of the five answers, in bins of equal mass."""
    answers = _answers(scores, targets)
    return [
        Bin(
            float(answers.score[inside].mean()),
            float(answers.right[inside].mean()),
            int(inside.sum()),
        )
        for inside in (answers.bin == number for number in range(BINS))
        if inside.any()
    ]


def calibration_error(scores: Tensor, targets: Tensor, *, weights: Tensor | None = None) -> Tensor:
    """The expected calibration error of the five answers, in bins of equal mass.

    The mean distance between the score and the share that is right (Naeini, Cooper, Hauskrecht
    2015, with the bins of Nguyen and O'Connor 2015).
    """
    weights = _once(scores) if weights is None else weights
    answers = _answers(scores, targets)
    gaps = weights.new_zeros(len(scores), BINS)
    surplus = (answers.score - answers.right).to(weights)
    gaps.index_put_((answers.photo, answers.bin), surplus, accumulate=True)
    given = torch.bincount(answers.photo, minlength=len(scores)).to(weights)
    return (gaps.T @ weights).abs().sum(dim=0) / (given @ weights).clamp(min=1)


@dataclass(frozen=True)
class _Answers:
    """The five answers of every photo in one row, each (answers,)."""

    score: Tensor
    right: Tensor
    photo: Tensor
    bin: Tensor


def _answers(scores: Tensor, targets: Tensor) -> _Answers:
    best, tags = scores.topk(min(K, scores.shape[1]), dim=1)
    given = best >= 0
    score, order = best[given].double().sort()
    # Answers with the same score belong to the same bin: the first one's.
    first = torch.searchsorted(score, score)
    return _Answers(
        score=score,
        right=targets.gather(1, tags)[given].double()[order],
        photo=given.nonzero()[:, 0][order],
        bin=first * BINS // max(1, len(score)),
    )


def sure_answers(scores: Tensor) -> Tensor:
    """A boolean tensor (photos, tags): the answers among each photo's five that are meant."""
    return top_k(scores, K) & (scores >= SURE)


def foreign_share(scores: Tensor, known: Tensor) -> float:
    """Of the sure answers, the share whose tag the photos' set lacks.

    Args:
        scores: (photos, tags of the model).
        known: which of the tags the set speaks about, (tags,), boolean.
    """
    sure = sure_answers(scores)
    return float((sure & ~known).sum() / sure.sum().clamp(min=1))


def confident_wrong(scores: Tensor, targets: Tensor) -> dict[str, float]:
    """How much of what is meant is wrong, as far as the photos' set can tell.

    Args:
        scores: (photos, tags of the model).
        targets: theirs; 1 right, 0 wrong, negative where the set does not say.

    Returns:
        answers: of the sure answers that are right or wrong, the share that is wrong.
        photos: the share of all photos with such an answer.
        judged: the share of the sure answers that are right or wrong.
    """
    sure = sure_answers(scores)
    judged, wrong = sure & (targets >= 0), sure & (targets == 0)
    return {
        "answers": float(wrong.sum() / judged.sum().clamp(min=1)),
        "photos": float(wrong.any(dim=1).double().mean()),
        "judged": float(judged.sum() / sure.sum().clamp(min=1)),
    }


def covered(scores: Tensor) -> float:
    """The share of the photos with a sure answer."""
    return float((scores >= SURE).any(dim=1).double().mean())


def precision_recall_curve(
    scores: Tensor, targets: Tensor, points: int = 100
) -> list[tuple[float, float]]:
    """(recall, precision) over all pairs of photo and tag, for thresholds from high to low."""
    found = scores[targets & (scores >= 0)].sort(descending=True).values
    if not len(found):
        return []
    last = torch.linspace(0, len(found) - 1, min(points, len(found))).long()
    thresholds = found[last].flip(0).contiguous()
    above = torch.zeros(len(thresholds) + 1, dtype=torch.long)
    right = torch.zeros_like(above)
    for rows, truth in zip(scores.split(1024), targets.split(1024), strict=True):
        place = torch.bucketize(rows, thresholds, right=True)
        above += torch.bincount(place.flatten(), minlength=len(above))
        right += torch.bincount(place[truth], minlength=len(above))
    above, right = (t.flip(0).cumsum(dim=0)[:-1] for t in (above, right))
    recall, precision = right / targets.sum(), right / above
    return list(zip(recall.tolist(), precision.tolist(), strict=True))


def _once(scores: Tensor) -> Tensor:
    return torch.ones(len(scores), 1, dtype=torch.double)


def _mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """The mean of a figure of each photo (photos,) in each sample."""
    weights = _once(values) if weights is None else weights
    return values.to(weights) @ weights / weights.sum(dim=0)


def _per_tag(marked: Tensor, weights: Tensor | None) -> Tensor:
    """How many photos are marked for each tag, (tags, samples)."""
    weights = _once(marked) if weights is None else weights
    photos = marked.T.nonzero()[:, 1]  # tag after tag
    counts = marked.sum(dim=0)
    return functional.embedding_bag(photos, weights, counts.cumsum(dim=0) - counts, mode="sum")
