"""Tuning: what is fitted on validation photos once the network is trained.

How much the neighbours have a say, how far rare tags are favoured, and the calibration.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn.functional import binary_cross_entropy

from hashstagram.bundle import Bundle
from hashstagram.calibration import Calibration
from hashstagram.neighbours import (
    Neighbours,
    NeighboursConfig,
    in_eight_bits,
    power_normalise,
)
from hashstagram.recommender import Recommender
from training import metrics
from training.classes import classes_of
from training.config import TrainConfig, TuningConfig
from training.dataset import partial_targets, training_photos
from training.evaluate import embed, in_vocabulary, judged, measure
from training.photoset import Photo, PhotoSet, Split

logger = logging.getLogger(__name__)

# What a choice can be made by, as shares from 0 to 1.
METRICS: dict[str, Callable[[Tensor, Tensor], float]] = {
    "precision_at_1": lambda scores, targets: float(metrics.precision_at_k(scores, targets, 1)),
    "recall_at_5": lambda scores, targets: float(metrics.recall_at_k(scores, targets, 5)),
    "mean_average_precision": lambda scores, targets: float(
        metrics.mean_average_precision(scores, targets)
    ),
    "f1": lambda scores, targets: float(metrics.per_word(scores, targets).f1),
}
THRESHOLDS = tuple(percent / 100 for percent in range(1, 100))
ANSWERS = 10  # of each photo's tags, the best so many teach the calibration
WORSE = 1.1  # how much the loss of a tag's validation photos may grow when classes lend to it


@dataclass(frozen=True)
class Validation:
    """One set's validation photos, as the network and its neighbours see them.

    Args:
        photoset: the set.
        targets: (photos, tags of the set), see partial_targets.
        scores: (photos, tags of the model), the network's own.
        votes: (photos, tags of the model), the neighbours'.
    """

    photoset: PhotoSet
    targets: Tensor
    scores: Tensor
    votes: Tensor


def photos_to_tune_on(photosets: Sequence[PhotoSet], config: TrainConfig) -> list[Photo]:
    """All photos that `tune` looks at, in its order."""
    return [photo for photoset in photosets for photo in photoset.split(*_splits(config))]


def _splits(config: TrainConfig) -> tuple[Split, ...]:
    return tuple(sorted({*config.train_splits, "val"}))


def tune(
    bundle: Bundle,
    photosets: Sequence[PhotoSet],
    config: TrainConfig,
    rows: npt.NDArray[np.float16] | None = None,
) -> Bundle:
    """The bundle with neighbours and calibration; without when there is nothing to tune on.

    Args:
        bundle: the trained network.
        photosets: its photos.
        config: what to fit, and how.
        rows: the embeddings of `photos_to_tune_on` (photos, width), if they are known.
    """
    stage = config.tuning
    plain = replace(bundle.config, neighbours=None, calibration=Calibration())
    recommender = Recommender(replace(bundle, config=plain, neighbours=None))
    if not any(photoset.split("val") for photoset in photosets):
        logger.warning("no validation photos: neighbours and calibration are left out")
        return recommender.bundle
    seen = photos_to_tune_on(photosets, config)
    if rows is None:
        rows = embed(recommender, seen, progress="photos to tune on").numpy()
    embedded = torch.from_numpy(np.asarray(rows, np.float32))
    known = dict(zip((photo.path for photo in seen), embedded, strict=True))
    recommender = _lending(recommender, [s.only("val") for s in photosets], known)
    plain = recommender.bundle.config
    photos, targets = training_photos(photosets, bundle.vocabulary, _splits(config))
    embeddings = torch.stack([known[photo.path] for photo in photos])
    learnt = torch.tensor([photo.split in config.train_splits for photo in photos])
    index = build_neighbours(photos, embeddings, targets, learnt, stage.dims)
    voting = NeighboursConfig(weight=0.0, k=stage.k, sharpness=stage.sharpness)
    validations = [
        _validation(recommender, photoset.only("val"), known, index, voting)
        for photoset in photosets
        if photoset.split("val")
    ]
    rarity = -(((targets[learnt] == 1).sum(dim=0) + 0.5) / learnt.sum()).log()  # (tags,)
    weight, balance = _best(bundle, validations, rarity, stage)
    voting = replace(voting, weight=weight)
    calibration = _calibrate(bundle, validations, weight, balance * rarity)
    calibration = replace(calibration, abstain_below=stage.abstain_below)
    logger.info(
        "neighbours count %.0f %%, rare tags' exponent %.2f, scores' logits × %.2f",
        *(100 * weight, balance, calibration.scale),
    )
    for v in validations:
        report = measure(_scores(bundle, v, weight, calibration), v.targets)
        words = report["per_word"]
        logger.info(
            "tuned, %s: precision@1 %.1f  recall@5 %.1f  accuracy@5 %.1f; per word P %.1f  R %.1f  "
            "F1 %.1f  N+ %d of %d",
            *(v.photoset.name, report["precision_at_1"], report["recall_at_5"]),
            *(report["accuracy_at_5"], words["precision"], words["recall"]),
            *(words["f1"], words["n_plus"], words["words"]),
        )
    threshold = None
    if stage.metric == "f1":
        threshold = _word_threshold(bundle, validations, weight, calibration)
        logger.info("all words from a score of %.2f on have the best F1", threshold)
    if stage.index_validation:
        index = build_neighbours(photos, embeddings, targets, learnt | True, stage.dims)
    tuned = replace(
        plain,
        neighbours=voting if weight else None,
        calibration=calibration,
        word_threshold=threshold,
    )
    return replace(bundle, config=tuned, neighbours=index if weight else None)


def build_neighbours(
    photos: Sequence[Photo], embeddings: Tensor, targets: Tensor, chosen: Tensor, dims: int
) -> Neighbours:
    """An index of some photos by their embeddings' first principal components.

    Args:
        photos: the photos.
        embeddings: theirs (photos, width).
        targets: their partial_targets (photos, tags); a tag that is not known is none.
        chosen: (photos,) boolean: which are to be in the index.
        dims: how many components at most.
    """
    features = power_normalise(embeddings[chosen]).numpy()
    pca = PCA(n_components=min(dims, *features.shape), random_state=0).fit(features)
    index = Neighbours(
        mean=torch.from_numpy(pca.mean_).half().float(),  # as they will be saved
        projection=torch.from_numpy(pca.components_.T.copy()).half().float(),
        embeddings=torch.empty(0),
        targets=targets[chosen] == 1,
        digests=_numbers(photo.digest for photo in photos)[chosen],
    )
    return replace(index, embeddings=in_eight_bits(index.project(embeddings[chosen])))


def _numbers(digests: Iterable[str]) -> Tensor:
    """Hexadecimal digests of 64 bits as signed numbers, which is what tensors hold."""
    return torch.from_numpy(np.array([int(d, 16) for d in digests], np.uint64).view(np.int64))


def _validation(
    recommender: Recommender,
    photoset: PhotoSet,
    known: Mapping[Path, Tensor],
    index: Neighbours,
    voting: NeighboursConfig,
) -> Validation:
    """A set's validation photos, given the photos' embeddings (width,)."""
    embeddings = torch.stack([known[photo.path] for photo in photoset.photos])
    targets = partial_targets(photoset.photos, photoset.vocabulary, photoset.vocabulary)
    scores = recommender.raw_scores(embeddings)
    return Validation(photoset, targets, scores, index.vote(embeddings, voting))


def _best(
    bundle: Bundle, validations: Sequence[Validation], rarity: Tensor, config: TuningConfig
) -> tuple[float, float]:
    """The neighbours' weight and the balance with the best metric, over all validation photos."""

    def metric(choice: tuple[float, float]) -> float:
        weight, balance = choice
        adjust = Calibration(bias=tuple((balance * rarity).tolist()))
        return sum(
            len(v.targets)
            * METRICS[config.metric](*judged(_scores(bundle, v, weight, adjust), v.targets))
            for v in validations
        )

    choices = [(w, b) for w in config.weights for b in config.balances]
    return max(choices, key=metric)


def _word_threshold(
    bundle: Bundle, validations: Sequence[Validation], weight: float, calibration: Calibration
) -> float:
    """The threshold with the best F1 per word, over all validation photos."""
    measured = [judged(_scores(bundle, v, weight, calibration), v.targets) for v in validations]

    def f1(threshold: float) -> float:
        return sum(
            len(targets) * float(metrics.per_word(scores, targets, threshold=threshold).f1)
            for scores, targets in measured
        )

    return max(THRESHOLDS, key=f1)


def _scores(bundle: Bundle, validation: Validation, weight: float, adjust: Calibration) -> Tensor:
    """A validation set's scores over its own tags."""
    scores = adjust(validation.scores.lerp(validation.votes, weight))
    return in_vocabulary(scores, bundle.vocabulary, validation.photoset.vocabulary)


def _lending(
    recommender: Recommender, photosets: Sequence[PhotoSet], known: Mapping[Path, Tensor]
) -> Recommender:
    """The recommender whose classes lend to the taught tags that are not the worse for it.

    What classes know of a tag helps with photos that no set is like, so that validation photos,
    which are like the sets, only have a veto.
    """
    bundle = recommender.bundle
    classes, vocabulary = bundle.config.classes, bundle.vocabulary
    if not classes:
        return recommender
    taught = {*vocabulary.tags} - {*classes.tags}
    asked = {tag: of for tag, of in classes_of().items() if tag in taught}
    targets = torch.cat([partial_targets(s.photos, s.vocabulary, vocabulary) for s in photosets])
    embeddings = torch.stack([known[photo.path] for s in photosets for photo in s.photos])
    without, lending = _with_lends(recommender, {}), _with_lends(recommender, asked)
    before, after = (_losses(r.raw_scores(embeddings), targets) for r in (without, lending))
    good = vocabulary.decode((after <= WORSE * before).nonzero()[:, 0].tolist())
    logger.info("classes lend to %d of %d taught tags", len(asked.keys() & {*good}), len(asked))
    return _with_lends(recommender, {tag: asked[tag] for tag in asked if tag in good})


def _with_lends(recommender: Recommender, lends: Mapping[str, tuple[int, ...]]) -> Recommender:
    config = recommender.bundle.config
    assert config.classes
    config = replace(config, classes=replace(config.classes, lends=lends))
    return Recommender(replace(recommender.bundle, config=config))


def _losses(scores: Tensor, targets: Tensor) -> Tensor:
    """The mean cross entropy of each tag (tags,), over the photos whose sets know it."""
    truth = targets.float().clamp(min=0)
    losses = binary_cross_entropy(scores.clamp(1e-4, 1 - 1e-4), truth, reduction="none")
    known = targets >= 0
    return (losses * known).sum(dim=0) / known.sum(dim=0).clamp(min=1)


def _calibrate(
    bundle: Bundle, validations: Sequence[Validation], weight: float, favour: Tensor
) -> Calibration:
    """Platt scaling on each photo's best tags, after rare ones were favoured by `favour`.

    What is unsure counts as wrong here: without it photos look easier than they are, and a score
    is far too sure of a photo that no set is like.
    """
    adjust = Calibration(bias=tuple(favour.tolist()))
    pairs = [_answers(_scores(bundle, v, weight, adjust), v.targets == 1) for v in validations]
    logits = torch.cat([torch.logit(scores, eps=1e-6) for scores, _ in pairs])
    right = torch.cat([truth for _, truth in pairs])
    if right.all() or not right.any():
        return adjust
    platt = LogisticRegression(C=np.inf).fit(logits.unsqueeze(1).numpy(), right.numpy())
    scale, shift = max(float(platt.coef_[0, 0]), 0.05), float(platt.intercept_[0])
    if not favour.any():
        return Calibration(scale, shift)
    return Calibration(scale, tuple(round(b, 4) for b in (favour * scale + shift).tolist()))


def _answers(scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The scores of each photo's best tags, and whether they are right."""
    best = scores.topk(min(ANSWERS, scores.shape[1]), dim=1)
    answered = best.values >= 0
    return best.values[answered], targets.gather(1, best.indices)[answered]
