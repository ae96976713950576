"""Tuning: what is fitted on validation photos once the network is trained.

How much the neighbours have a say, how far rare tags are favoured, and the calibration.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from hashstagram.bundle import Bundle
from hashstagram.calibration import Calibration
from hashstagram.neighbours import Neighbours, NeighboursConfig, power_normalise
from hashstagram.recommender import Recommender
from training.config import TrainConfig, TuningConfig
from training.dataset import partial_targets, training_photos
from training.evaluate import embed, in_vocabulary, measure
from training.photoset import Photo, PhotoSet

logger = logging.getLogger(__name__)

ANSWERS = 10  # of each photo's tags, the best so many teach the calibration


@dataclass(frozen=True)
class Validation:
    """One set's validation photos, as the network and its neighbours see them.

    Args:
        photoset: the set.
        targets: (photos, tags of the set), boolean.
        scores: (photos, tags of the model), the network's own.
        votes: (photos, tags of the model), the neighbours'.
    """

    photoset: PhotoSet
    targets: Tensor
    scores: Tensor
    votes: Tensor


def tune(bundle: Bundle, photosets: Sequence[PhotoSet], config: TrainConfig) -> Bundle:
    """The bundle with neighbours and calibration; without when there is nothing to tune on."""
    stage = config.tuning
    plain = replace(bundle.config, neighbours=None, calibration=Calibration())
    recommender = Recommender(replace(bundle, config=plain, neighbours=None))
    if not any(photoset.split("val") for photoset in photosets):
        logger.warning("no validation photos: neighbours and calibration are left out")
        return recommender.bundle
    photos, targets = training_photos(photosets, bundle.vocabulary, config.train_splits)
    index = build_neighbours(recommender, photos, targets, stage.dims)
    voting = NeighboursConfig(weight=0.0, k=stage.k, sharpness=stage.sharpness)
    validations = [
        _validation(recommender, photoset, index, voting)
        for photoset in photosets
        if photoset.split("val")
    ]
    rarity = -(((targets == 1).sum(dim=0) + 0.5) / len(targets)).log()  # (tags,)
    weight, balance = _best(bundle, validations, rarity, stage)
    voting = replace(voting, weight=weight)
    calibration = _calibrate(bundle, validations, weight, balance * rarity)
    calibration = replace(calibration, abstain_below=stage.abstain_below)
    logger.info(
        "neighbours count %.0f %%, rare tags' exponent %.2f, scores' logits × %.2f",
        *(100 * weight, balance, calibration.scale),
    )
    if stage.index_validation and "val" not in config.train_splits:
        splits = (*config.train_splits, "val")
        photos, targets = training_photos(photosets, bundle.vocabulary, splits)
        index = build_neighbours(recommender, photos, targets, stage.dims)
    tuned = replace(plain, neighbours=voting if weight else None, calibration=calibration)
    return replace(bundle, config=tuned, neighbours=index if weight else None)


def build_neighbours(
    recommender: Recommender, photos: Sequence[Photo], targets: Tensor, dims: int
) -> Neighbours:
    """An index of photos by their embeddings' first principal components, at most `dims`.

    `targets` are partial_targets (photos, tags); a tag that a photo's set does not know is none.
    """
    embeddings = embed(recommender, photos)
    features = power_normalise(embeddings).numpy()
    pca = PCA(n_components=min(dims, *features.shape), random_state=0).fit(features)
    index = Neighbours(
        mean=torch.from_numpy(pca.mean_).float(),
        projection=torch.from_numpy(pca.components_.T.copy()).float(),
        embeddings=torch.empty(0),
        targets=targets == 1,
        digests=_numbers(photo.digest for photo in photos),
    )
    return replace(index, embeddings=index.project(embeddings).half())


def _numbers(digests: Iterable[str]) -> Tensor:
    """Hexadecimal digests of 64 bits as signed numbers, which is what tensors hold."""
    return torch.from_numpy(np.array([int(d, 16) for d in digests], np.uint64).view(np.int64))


def _validation(
    recommender: Recommender, photoset: PhotoSet, index: Neighbours, voting: NeighboursConfig
) -> Validation:
    photos = photoset.split("val")
    embeddings = embed(recommender, photos)
    targets = partial_targets(photos, photoset.vocabulary, photoset.vocabulary).bool()
    scores = recommender.raw_scores(embeddings)
    return Validation(photoset, targets, scores, index.vote(embeddings, voting))


def _best(
    bundle: Bundle, validations: Sequence[Validation], rarity: Tensor, config: TuningConfig
) -> tuple[float, float]:
    """The neighbours' weight and the balance with the best metric, over all validation photos."""

    def metric(choice: tuple[float, float]) -> float:
        weight, balance = choice
        adjust = Calibration(bias=tuple((balance * rarity).tolist()))
        total = 0.0
        for v in validations:
            report = measure(_scores(bundle, v, weight, adjust), v.targets)
            total += len(v.targets) * (report | report["per_word"])[config.metric]
        return total

    choices = [(w, b) for w in config.weights for b in config.balances]
    return max(choices, key=metric)


def _scores(bundle: Bundle, validation: Validation, weight: float, adjust: Calibration) -> Tensor:
    """A validation set's scores over its own tags."""
    scores = adjust(validation.scores.lerp(validation.votes, weight))
    return in_vocabulary(scores, bundle.vocabulary, validation.photoset.vocabulary)


def _calibrate(
    bundle: Bundle, validations: Sequence[Validation], weight: float, favour: Tensor
) -> Calibration:
    """Platt scaling on each photo's best tags, after rare ones were favoured by `favour`."""
    adjust = Calibration(bias=tuple(favour.tolist()))
    pairs = [
        pair
        for v in validations
        for pair in _answers(_scores(bundle, v, weight, adjust), v.targets)
    ]
    logits = torch.cat([torch.logit(scores, eps=1e-6) for scores, _ in pairs])
    right = torch.cat([truth for _, truth in pairs])
    if right.all() or not right.any():
        return adjust
    platt = LogisticRegression(C=np.inf).fit(logits.unsqueeze(1).numpy(), right.numpy())
    scale, shift = max(float(platt.coef_[0, 0]), 0.05), float(platt.intercept_[0])
    bias = favour * scale + shift
    return Calibration(scale=scale, bias=tuple(round(b, 4) for b in bias.tolist()))


def _answers(scores: Tensor, targets: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """The scores of each photo's best tags, and whether they are right."""
    best = scores.topk(min(ANSWERS, scores.shape[1]), dim=1)
    answered = best.values >= 0
    yield best.values[answered], targets.gather(1, best.indices)[answered]
