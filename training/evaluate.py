"""Measure a bundle on tagged photos that it has not seen, with intervals and beside baselines.

Run: python -m training.evaluate --bundle DIR --data ROOT [--json FILE] [--html FILE] [--no-knn]
"""

import argparse
import json
import logging
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from hashstagram.bundle import BundleConfig
from hashstagram.errors import InvalidBundleError
from hashstagram.recommender import Recommender
from hashstagram.vocabulary import Vocabulary
from training import baselines, metrics, suspicion
from training.allocator import keep_freed_memory
from training.dataset import UNSURE, TaggedImageDataset, partial_targets
from training.features import forward
from training.harrison import DataError
from training.intervals import intervals
from training.photoset import Photo, PhotoSet, unseen
from training.prepare import open_photoset
from training.progress import track
from training.spelling import as_spelled

logger = logging.getLogger(__name__)

SEEN = "seen_photos.npy"
LOG = "metrics.jsonl"
BATCH = 16
CHUNK = 256  # photos whose embeddings are scored at once

# What the table shows without an interval, and of what model and set both know.
ALONE = (
    *("abstained", "foreign_tags", "confident_wrong.answers", "confident_wrong.photos"),
    *("covered.set", "covered.all"),
    *(f"per_word_threshold.{name}" for name in ("precision", "recall", "f1", "n_plus", "given")),
)
SHARED = ("precision_at_1", "recall_at_5", "accuracy_at_5", "mean_average_precision")

Report = dict[str, Any]


@dataclass(frozen=True)
class Evaluation:
    """A report, and what the page shows beside it.

    Args:
        report: what --json writes.
        photos: the photos that were measured.
        vocabulary: the tags of their set.
        scores: (photos, tags); negative where the model cannot answer, or is not to be judged.
        targets: (photos, tags), boolean.
        frequency: how many of the photos that the model has seen have the tag, (tags,); of the
            measured ones when it has seen none of the set.
        history: the run's validation metrics, a line an epoch; empty for an exported bundle.
    """

    report: Report
    photos: Sequence[Photo]
    vocabulary: Vocabulary
    scores: Tensor
    targets: Tensor
    frequency: Tensor
    history: Sequence[Report]


def evaluate(recommender: Recommender, photosets: Sequence[PhotoSet]) -> dict[str, Report]:
    """All metrics on each set's photos, by its name, ranking only the tags that the set knows."""
    photosets = [photoset for photoset in photosets if photoset.photos]
    photos = [photo for photoset in photosets for photo in photoset.photos]
    _, scores = _look(recommender, photos)
    reports = {}
    for photoset, answers in zip(
        photosets, scores.split([len(photoset.photos) for photoset in photosets]), strict=True
    ):
        known = photoset.vocabulary
        answers = in_vocabulary(answers, recommender.bundle.vocabulary, known)
        report = measure(answers, partial_targets(photoset.photos, known, known))
        reports[photoset.name] = {"photos": len(photoset.photos), **report}
    return reports


def embed(recommender: Recommender, photos: Sequence[Photo], *, progress: str = "") -> Tensor:
    """The network's embeddings of photos: (photos, width).

    On a terminal `progress` is written before a bar; without it there is none.
    """
    look = forward(recommender.backbone, torch.device(recommender.device), len(photos))
    return torch.cat([look(images) for images in _inputs(recommender, photos, progress)])


def _look(
    recommender: Recommender, photos: Sequence[Photo], *, progress: str = ""
) -> tuple[Tensor, Tensor]:
    """Embeddings (photos, width) and scores (photos, tags of the model), in one pass."""
    embeddings = embed(recommender, photos, progress=progress)
    scores = [recommender.calibrated_scores(batch) for batch in embeddings.split(CHUNK)]
    return embeddings, torch.cat(scores)


def _inputs(recommender: Recommender, photos: Sequence[Photo], progress: str) -> Iterator[Tensor]:
    nothing = torch.empty(len(photos), 0)
    dataset = TaggedImageDataset(photos, nothing, recommender.bundle.config.transform)
    loader = DataLoader(dataset, batch_size=BATCH)
    for images, _ in track(loader, progress, len(loader)) if progress else loader:
        yield images


def in_vocabulary(scores: Tensor, of: Vocabulary, into: Vocabulary) -> Tensor:
    """Scores over one vocabulary as scores over another; what is not in the first gets -1."""
    columns = [of.index.get(tag, len(of)) for tag in into.tags]
    unknown = scores.new_full((len(scores), 1), -1.0)
    return torch.cat([scores, unknown], dim=1)[:, columns]


def judged(scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Scores and boolean targets as `metrics` takes them: unsure tags are neither right nor wrong.

    The score of a photo's unsure tag becomes UNSURE, less than that of any other: the tag is none
    of the photo's answers, and the photo plays no part where photos are ranked by the tag. What
    is not a number is no answer either, so that a diverged model can be measured too.

    Args:
        scores: (photos, tags); -1 where the model lacks the tag.
        targets: (photos, tags), see partial_targets; boolean ones if nothing is unsure.
    """
    return _answerable(scores).masked_fill(targets == UNSURE, UNSURE), targets == 1


def _answerable(scores: Tensor) -> Tensor:
    return scores.nan_to_num(nan=-1.0)


def measure(scores: Tensor, targets: Tensor, *, frequency: Tensor | None = None) -> Report:
    """HARRISON's three metrics and the rest of the report, in per cent; see `metrics.figures`.

    The arguments are those of `judged`.
    """
    return _report(metrics.figures(*judged(scores, targets), frequency=frequency))


def _report(figures: dict[str, Tensor]) -> Report:
    report: Report = {"per_word": {}}
    for name, value in figures.items():
        group, _, word = name.rpartition(".")
        (report[group] if group else report)[word] = _in_unit(name, float(value))
    return report


def _in_unit(name: str, value: float) -> float:
    """Per cent, but for what counts words."""
    return round(value) if name in metrics.COUNTS else _per_cent(value)


def _per_cent(share: float) -> float:
    return round(100 * share, 2)


def evaluate_bundle(bundle: Path, photoset: PhotoSet, *, knn: bool = False) -> Report:
    """The report alone: see `examine`."""
    return examine(bundle, photoset, knn=knn).report


def examine(bundle: Path, photoset: PhotoSet, *, knn: bool) -> Evaluation:
    """Measure on the photos of a set that the bundle was not trained or chosen on.

    What looks too good to be true is logged as a warning.

    Args:
        bundle: a bundle's folder, or a run's.
        photoset: the photos; what the model spells in another way is a tag that it knows.
        knn: measure the nearest seen photos as a baseline too, which costs a pass over them.

    Raises:
        DataError: the bundle has seen them all, or they have no tag that it knows.
        InvalidBundleError: the bundle does not load.
    """
    recommender = Recommender.from_pretrained(bundle)
    history = suspicion.read_history(bundle / LOG)
    of = recommender.bundle.vocabulary
    photoset = as_spelled(photoset, of)
    known = photoset.vocabulary
    photos, seen = _divide(bundle, photoset)
    _refuse_strangers(bundle, of, photos, photoset.name)
    embeddings, answers = _look(recommender, photos, progress="new photos")
    found = suspicion.not_numbers(answers)
    answers = _answerable(answers)
    in_set = in_vocabulary(answers, of, known)
    partial = partial_targets(photos, known, known)
    scores, targets = judged(in_set, partial)
    labels = partial_targets(seen, known, known) == 1 if seen else targets
    frequency = labels.sum(dim=0)

    rivals = {"popularity": baselines.popularity(frequency, len(labels), len(photos))}
    if knn and seen:
        nearest = embed(recommender, seen, progress="seen photos, for kNN")
        rivals["knn"] = baselines.nearest(embeddings, nearest, labels)
    elif knn:
        logger.info("no kNN baseline: the model has seen no photo of %s", photoset.name)
    figures = metrics.figures(scores, targets, frequency=frequency)
    report = {
        "bundle": _about(bundle, recommender.bundle.config),
        "set": photoset.name,
        "photos": len(photos),
        **_report(figures),
        "intervals": {
            name: [_in_unit(name, bound) for bound in bounds]
            for name, bounds in intervals(figures, scores, targets, frequency=frequency).items()
        },
        "baselines": {
            name: measure(theirs, partial, frequency=frequency) for name, theirs in rivals.items()
        },
        "per_word_threshold": _words_by_threshold(recommender.bundle.config, scores, targets),
        **_confidence(recommender, answers, in_set, photos, known),
        "shared": _shared(in_set, partial, labels, known.mask(of.tags)),
        "reliability": [asdict(each) for each in metrics.reliability(scores, targets)],
    }

    found += suspicion.collapsed(in_set)
    found += suspicion.implausible(report, targets)
    found += suspicion.shared_photos(photos, seen, recorded=(bundle / SEEN).exists())
    found += suspicion.leaks(report, photoset.photos)
    found += suspicion.easier_test(report, history, photoset.name)
    found += suspicion.jumps(history, fresh=_is_fresh(recommender))
    found += suspicion.outdone(report)
    found += suspicion.foreign(report)
    suspicion.warn(found)
    report["warnings"] = [asdict(each) for each in found]
    return Evaluation(report, photos, photoset.vocabulary, scores, targets, frequency, history)


def _about(path: Path, config: BundleConfig) -> dict[str, str]:
    """Which model was measured, and when."""
    return {
        "name": config.name,
        "architecture": config.model.architecture,
        "path": str(path),
        "measured": f"{datetime.now(UTC):%Y-%m-%d}",
    }


def _divide(bundle: Path, photoset: PhotoSet) -> tuple[list[Photo], list[Photo]]:
    """The photos that are new to the bundle, and those that it has seen."""
    photos = unseen(photoset.photos, bundle / SEEN)
    kept = set(photos)
    seen = [photo for photo in photoset.photos if photo not in kept]
    if not photos:
        raise DataError(f"{bundle} was trained on every photo of {photoset.name}")
    if seen:
        logger.info("left out %d photos that the model was trained or chosen on", len(seen))
    return photos, seen


def _refuse_strangers(
    bundle: Path, vocabulary: Vocabulary, photos: Sequence[Photo], name: str
) -> None:
    if not any(vocabulary.index.keys() & photo.tags for photo in photos):
        raise DataError(
            f"{bundle} knows none of the tags of the photos of {name}, such as "
            f"{photos[0].tags[0]!r}: there is nothing to measure"
        )


def _words_by_threshold(config: BundleConfig, scores: Tensor, targets: Tensor) -> Report:
    """The per-word protocol with all words from a score on, in per cent; `given` a photo."""
    threshold = metrics.SURE if config.word_threshold is None else config.word_threshold
    words = asdict(metrics.per_word(scores, targets, threshold=threshold))
    return {
        "threshold": threshold,
        **{name: _in_unit(f"per_word.{name}", float(value)) for name, value in words.items()},
        "given": round(float((scores >= threshold).sum() / len(scores)), 2),
    }


def _confidence(
    recommender: Recommender,
    answers: Tensor,
    in_set: Tensor,
    photos: Sequence[Photo],
    known: Vocabulary,
) -> Report:
    """How often a model is sure of its answers, and how often wrongly, in per cent.

    Args:
        recommender: the model.
        answers: its scores, (photos, tags of the model).
        in_set: the same, (photos, tags of the set).
        photos: what it answered.
        known: the tags of the photos' set.
    """
    of = recommender.bundle.vocabulary
    abstained = recommender.bundle.config.calibration.abstains(in_set)
    wrong = metrics.confident_wrong(answers, partial_targets(photos, known, of))
    return {
        "abstained": _per_cent(float(abstained.float().mean())),
        "foreign_tags": _per_cent(metrics.foreign_share(answers, of.mask(known.tags))),
        "confident_wrong": {name: _per_cent(share) for name, share in wrong.items()},
        "covered": {
            "set": _per_cent(metrics.covered(in_set)),
            "all": _per_cent(metrics.covered(answers)),
        },
    }


def _shared(scores: Tensor, targets: Tensor, labels: Tensor, both: Tensor) -> Report:
    """The figures over the tags that model and set both know, beside popularity's.

    Photos without such a tag are left out.

    Args:
        scores: (photos, tags of the set).
        targets: theirs, see partial_targets.
        labels: which tags the known photos have, (known, tags of the set), boolean.
        both: which tags the model knows too, (tags of the set,), boolean.
    """
    rows = (targets[:, both] == 1).any(dim=1)
    truth, frequency = targets[rows][:, both], labels[:, both].sum(dim=0)
    popular = baselines.popularity(frequency, len(labels), len(truth))
    return {
        "photos": len(truth),
        "tags": int(both.sum()),
        **measure(scores[rows][:, both], truth, frequency=frequency),
        "baselines": {"popularity": measure(popular, truth, frequency=frequency)},
    }


def _is_fresh(recommender: Recommender) -> bool:
    """Whether training began without pretrained weights, as far as the bundle says."""
    return recommender.bundle.config.training.get("weights") == []


def table(report: Report) -> str:
    """The report for people: a line a metric, its interval and the baselines beside it."""
    names = list(report["baselines"])
    head = f"{report['photos']} photos of {report['set']}, per cent"
    lines = [
        f"{head:<32}{'model':>8}{'95 % interval':>17}" + "".join(f"{n:>12}" for n in names),
    ]
    for name in [*report["intervals"], "per_word.words"]:
        bounds = report["intervals"].get(name, ())
        interval = " - ".join(f"{bound:.1f}" for bound in bounds)
        cells = [figure(report["baselines"][baseline], name) for baseline in names]
        lines.append(
            f"{name:<32}{figure(report, name):>8}{interval:>17}"
            + "".join(f"{cell:>12}" for cell in cells)
        )
    lines += [f"{name:<32}{figure(report, name):>8}" for name in ALONE]
    shared = report["shared"]
    popularity = shared["baselines"]["popularity"]
    lines.append(f"shared: {shared['photos']} photos, {shared['tags']} tags")
    for name in SHARED:
        beside = f"{'':>17}{figure(popularity, name):>12}"
        lines.append(f"{'shared.' + name:<32}{figure(shared, name):>8}{beside}")
    return "\n".join(line.ljust(len(lines[0])) for line in lines)


def figure(report: Report, name: str) -> str:
    """A figure of a report by its name in the intervals, with a digit behind the point."""
    group, _, word = name.rpartition(".")
    value = (report[group] if group else report)[word]
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the report as JSON and as a page where asked, and print a table of each set."""
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluate",
        description="Measure a bundle on the photos of a set that it was not trained on.",
    )
    parser.add_argument("--bundle", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        action="append",
        metavar="ROOT",
        help="a photo set; may be repeated, each set is measured by itself",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report here too")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write a page with plots, tags and photos"
    )
    parser.add_argument(
        "--no-knn",
        action="store_true",
        help="leave out the kNN baseline, which looks at every photo that the model has seen",
    )
    args = parser.parse_args(argv)
    if args.html and len(args.data) > 1:
        parser.error("a page is about one set: with --html give --data once")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    keep_freed_memory()
    try:
        photosets = [open_photoset(root) for root in args.data]
        evaluations = [examine(args.bundle, each, knn=not args.no_knn) for each in photosets]
    except (DataError, InvalidBundleError) as err:
        logger.error("%s", err)
        return 1
    reports = [evaluation.report for evaluation in evaluations]
    if args.json:
        written = reports[0] if len(reports) == 1 else {"sets": reports}
        text = json.dumps(written, indent=2, ensure_ascii=False)
        args.json.write_text(text + "\n", encoding="utf-8")
    if args.html:
        from training.report import page  # only the page needs matplotlib and Jinja

        args.html.write_text(page(evaluations[0]), encoding="utf-8")
    print("\n\n".join(map(table, reports)))
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `evaluate … | head` ends without a word
    sys.exit(main())
