"""Suspicion: signs that a figure is too good, or worth nothing, each with its likely cause."""

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training import metrics
from training.harrison import DataError
from training.photoset import Photo, folder_leak

logger = logging.getLogger(__name__)

Report = dict[str, Any]

JUMP = 3.0  # the odds of being right triple between two evaluations
LEAP = 10.0  # ... or grow tenfold, where a big step can be honest
EASIER = 1.5  # the test photos' odds beside the validation photos'
NOISE = 4.0  # standard errors: less than that is chance
LEARNT = 0.1  # the share that the training loss falls by when a model really takes off
PHOTOS = 1000  # validation photos of a line that does not say how many there were

MANY_TAGS = 50
TOO_GOOD = {  # per cent, and how many photos it takes before chance is no explanation
    "precision_at_1": (100.0, 20),
    "recall_at_5": (100.0, 20),
    "mean_average_precision": (100.0, 20),
    "accuracy_at_5": (99.5, 200),
}
FOREIGN = 20.0  # per cent of the sure answers
COLLAPSED = 0.95  # the share of the photos that get the same five tags

METRIC_NAMES = {"precision_at_1": "precision@1", "recall_at_5": "recall@5"}


@dataclass(frozen=True)
class Suspicion:
    """What looks wrong, what it probably comes from, and the figure that shows it."""

    sign: str
    cause: str
    figure: float


def warn(suspicions: Sequence[Suspicion]) -> None:
    """Log each one where nobody overlooks it."""
    for suspicion in suspicions:
        logger.warning("WARNING: %s. Likely cause: %s.", suspicion.sign, suspicion.cause)


def read_history(path: Path) -> list[Report]:
    """The lines of a run's metrics.jsonl that hold validation metrics; none without the file.

    Raises:
        DataError: a line is not in form.
    """
    if not path.exists():
        return []
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [line for line in lines if line.get("val")]
    except (OSError, ValueError, AttributeError) as err:
        raise DataError(f"{path} cannot be read: {err}. Move it away to go on") from err


def jumps(history: Sequence[Report], *, fresh: bool) -> list[Suspicion]:
    """Rises of precision@1 or recall@5 from one evaluation to the next that are too good.

    A rise is measured in odds, p / (1 - p), because a point more means little at 50 and a lot
    at 1 or 99. When the odds triple (0.5 to 1.5 per cent, 25 to 50, 75 to 90) in one step, by more
    than chance would do with so many photos, something else than learning has happened - if the
    training loss does not show it. A network that takes off, early or after a plateau, brings its
    loss down by a tenth or more in that epoch or the one before (the weights are averaged, so the
    metrics come late); photos that leak, or counters that are not reset, leave the loss alone.

    Epoch 0 is a linear head on the frozen backbone and has no loss. Out of a fresh network it
    is worth nothing, and any climb from there is honest. Out of a pretrained one it is most
    of the way: tuning all layers adds a factor of 1.5 to 4 to the odds even where the photos
    are far from what the backbone knows, so there it takes a factor of ten.

    Args:
        history: lines of metrics.jsonl: epoch, loss, and the report on each set in `val`.
        fresh: the network began without pretrained weights.
    """
    found = []
    for number in range(1, len(history)):
        before, after = history[number - 1], history[number]
        frozen = before["epoch"] == 0
        if (frozen and fresh) or _has_learnt(history[max(0, number - 2) : number + 1]):
            continue
        factor = LEAP if frozen else JUMP
        for name in sorted(before["val"].keys() & after["val"].keys()):
            found += _jumps_of(name, before, after, factor)
    return found


def _has_learnt(lines: Sequence[Report]) -> bool:
    losses = [line["loss"] for line in lines if line["loss"] is not None]
    return len(losses) > 1 and losses[-1] <= (1 - LEARNT) * max(losses[:-1])


def _jumps_of(name: str, before: Report, after: Report, factor: float) -> list[Suspicion]:
    old, new = before["val"][name], after["val"][name]
    return [
        Suspicion(
            f"{label} on {name} jumped from {old[metric]:.1f} to {new[metric]:.1f} per cent "
            f"between epoch {before['epoch']} and {after['epoch']}",
            "validation photos got among the training photos at that point, or the metric sums "
            "up over evaluations or counts other photos than before",
            new[metric],
        )
        for metric, label in METRIC_NAMES.items()
        if _far_above(new, old, metric, factor)
    ]


def _far_above(high: Report, low: Report, metric: str, factor: float) -> bool:
    """Whether the odds of one report are that many times the other's, by more than chance."""
    photos = [report.get("photos", PHOTOS) for report in (high, low)]
    p, q = (
        min(max(report[metric] / 100, 0.5 / n), 1 - 0.5 / n)  # the odds of 0 and 100 stay finite
        for report, n in zip((high, low), photos, strict=True)
    )
    error = math.sqrt(p * (1 - p) / photos[0] + q * (1 - q) / photos[1])
    return p - q >= NOISE * error and _odds(p) >= factor * _odds(q)


def _odds(share: float) -> float:
    return share / (1 - share) if share < 1 else math.inf


def easier_test(report: Report, history: Sequence[Report], name: str) -> list[Suspicion]:
    """Figures on a set's photos that are far above those on its validation photos."""
    if not history or name not in history[-1]["val"]:
        return []
    validated = history[-1]["val"][name]
    return [
        Suspicion(
            f"{label} is {report[metric]:.1f} per cent, and was {validated[metric]:.1f} on the "
            f"validation photos of {name}",
            "the model has seen these photos under another name or size, or they are not drawn "
            "as the validation photos were",
            report[metric],
        )
        for metric, label in METRIC_NAMES.items()
        if _far_above(report, validated, metric, EASIER)
    ]


def leaks(report: Report, photos: Sequence[Photo]) -> list[Suspicion]:
    """A precision@1 that the folders' names alone would give.

    Where the folders say little, a good model is above them and nothing is wrong: the yardstick
    counts when its odds are ten times those of always answering the most frequent tag.
    """
    if len({photo.path.parent for photo in photos}) < 2:
        return []
    yardstick = folder_leak(photos)
    popularity = report["baselines"]["popularity"]["precision_at_1"]
    if _odds(yardstick / 100) < LEAP * _odds(popularity / 100):
        return []
    if report["precision_at_1"] < yardstick:
        return []
    return [
        Suspicion(
            f"precision@1 is {report['precision_at_1']:.1f} per cent, as high as knowing the "
            f"photos' folders would give ({yardstick:.1f})",
            "the folder's name reaches the model, as a feature or through the file's path; or the "
            "folders are the tags, and the set is too easy to tell models apart",
            report["precision_at_1"],
        )
    ]


def shared_photos(
    photos: Sequence[Photo], seen: Sequence[Photo], *, recorded: bool
) -> list[Suspicion]:
    """Photos that are to be new to the model and are not.

    Args:
        photos: those to measure on.
        seen: photos of the set that the model was trained or chosen on.
        recorded: whether the bundle says which those are.
    """
    found = []
    if not recorded:
        found.append(
            Suspicion(
                "the bundle does not say which photos it was trained on",
                "its seen_photos.npy is missing: the figures below may be those of training photos",
                len(photos),
            )
        )
    copies = sum(photo.split == "test" for photo in seen)
    if copies:
        found.append(
            Suspicion(
                f"{copies} test photos are among those that the model was trained or chosen on, "
                "and were left out",
                "the same file is in the set under two names, in another set that was trained on, "
                "or the set was split anew after training",
                copies,
            )
        )
    groups = {photo.group for photo in seen}
    alike = sum(photo.group in groups for photo in photos)
    if alike:
        found.append(
            Suspicion(
                f"{alike} of {len(photos)} photos are nearly the same as one that the model was "
                "trained or chosen on",
                "the set was split without its near-duplicates: prepare it again and train anew",
                alike,
            )
        )
    return found


def implausible(report: Report, targets: Tensor) -> list[Suspicion]:
    """Figures that cannot be, or that no honest model reaches on a set with many tags."""
    tags = targets.sum(dim=1)
    slots = tags.clamp(max=metrics.K)
    best = {
        "recall_at_5": 100 * float((slots / tags).mean()),
        "precision_at_5": 100 * float(slots.double().mean()) / metrics.K,
    }
    found = [
        Suspicion(
            f"{name} is {report[name]:.1f} per cent, and five tags for each photo can reach only "
            f"{most:.1f}",
            "the metric is computed wrongly, such as hits counted twice",
            report[name],
        )
        for name, most in best.items()
        if report[name] > most + 0.01
    ]
    if targets.shape[1] > MANY_TAGS:
        found += [
            Suspicion(
                f"{name} is {report[name]:.1f} per cent with {targets.shape[1]} tags to give",
                "the photos' tags reach the model, or it was trained on these photos",
                report[name],
            )
            for name, (limit, photos) in TOO_GOOD.items()
            if report[name] >= limit and len(targets) >= photos
        ]
    return found


def outdone(report: Report) -> list[Suspicion]:
    """The nearest photos do better than the model, beyond its interval."""
    knn = report["baselines"].get("knn", {})
    return [
        Suspicion(
            f"{label} is {report[metric]:.1f} per cent, and a vote of the nearest seen photos "
            f"reaches {knn[metric]:.1f}",
            "training has not got as far as the features would let it: more epochs, another "
            "learning rate, or neighbours that have more of a say (weights in [tuning])",
            knn[metric],
        )
        for metric, label in METRIC_NAMES.items()
        if knn and knn[metric] > report["intervals"][metric][1]
    ]


def foreign(report: Report) -> list[Suspicion]:
    """Many sure answers with tags that the photos' set does not have, so that no figure counts."""
    share = report["foreign_tags"]
    if share < FOREIGN:
        return []
    return [
        Suspicion(
            f"{share:.1f} per cent of the tags that photos of {report['set']} get with a score of "
            f"{metrics.SURE} or more are of other sets, and no figure counts them",
            "several sets were trained on, and nothing spoke against their tags here: raise "
            "unknown_weight in [loss]; or the tags are right, which only looking at photos tells",
            share,
        )
    ]


def collapsed(scores: Tensor) -> list[Suspicion]:
    """The same five tags for nearly every photo, although there are more that could be given."""
    if int((scores >= 0).any(dim=0).sum()) <= metrics.K or len(scores) < 2:
        return []
    answers = scores.topk(metrics.K, dim=1).indices.sort(dim=1).values
    share = float(answers.unique(dim=0, return_counts=True)[1].max()) / len(scores)
    if share < COLLAPSED:
        return []
    return [
        Suspicion(
            f"{100 * share:.0f} per cent of the photos get the same five tags",
            "the model has collapsed to popularity: the learning rate was too high, the inputs are "
            "all alike (see the transform), or the weights were not loaded",
            round(100 * share, 2),
        )
    ]


def not_numbers(scores: Tensor) -> list[Suspicion]:
    """Scores that are no finite numbers."""
    photos = int((~torch.isfinite(scores)).any(dim=1).sum())
    if not photos:
        return []
    return [
        Suspicion(
            f"the scores of {photos} of {len(scores)} photos are not numbers",
            "training has diverged (lower the learning rate, or train in full precision), or the "
            "weights are damaged; such scores count as no answer",
            photos,
        )
    ]
