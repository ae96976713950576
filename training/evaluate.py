"""Measure a bundle on tagged photos that it has not seen, beside the popularity baseline.

Run: python -m training.evaluate --bundle DIR --data ROOT [--json FILE]
"""

import argparse
import json
import logging
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from hashstagram.errors import InvalidBundleError
from hashstagram.recommender import Recommender
from hashstagram.vocabulary import Vocabulary
from training import metrics
from training.allocator import keep_freed_memory
from training.dataset import TaggedImageDataset, partial_targets
from training.harrison import DataError
from training.photoset import Photo, PhotoSet, unseen
from training.prepare import open_photoset

logger = logging.getLogger(__name__)

SEEN = "seen_photos.npy"
BATCH = 16

Report = dict[str, Any]


def evaluate(recommender: Recommender, photos: Sequence[Photo], vocabulary: Vocabulary) -> Report:
    """All metrics of a model on photos, ranking only the tags that their set knows."""
    scores, targets = score_photos(recommender, photos, vocabulary)
    return measure(scores, targets)


def score_photos(
    recommender: Recommender, photos: Sequence[Photo], vocabulary: Vocabulary
) -> tuple[Tensor, Tensor]:
    """Scores and targets (photos, tags of the set); a tag that the model lacks scores -1."""
    targets = partial_targets(photos, vocabulary, vocabulary)
    dataset = TaggedImageDataset(photos, targets, recommender.bundle.config.transform)
    loader = DataLoader(dataset, batch_size=BATCH)
    scores = torch.cat([recommender.scores(images) for images, _ in loader])
    return in_vocabulary(scores, recommender.bundle.vocabulary, vocabulary), targets.bool()


def in_vocabulary(scores: Tensor, of: Vocabulary, into: Vocabulary) -> Tensor:
    """Scores over one vocabulary as scores over another; what is not in the first gets -1."""
    columns = [of.index.get(tag, len(of)) for tag in into.tags]
    unknown = scores.new_full((len(scores), 1), -1.0)
    return torch.cat([scores, unknown], dim=1)[:, columns]


def measure(scores: Tensor, targets: Tensor) -> Report:
    """HARRISON's three metrics and the rest of the report, in per cent."""
    words = asdict(metrics.per_word(scores, targets))
    shares = ("precision", "recall", "f1")
    return {
        "precision_at_1": _per_cent(metrics.precision_at_k(scores, targets, 1)),
        "recall_at_5": _per_cent(metrics.recall_at_k(scores, targets, 5)),
        "accuracy_at_5": _per_cent(metrics.accuracy_at_k(scores, targets, 5)),
        "precision_at_5": _per_cent(metrics.precision_at_k(scores, targets, 5)),
        "mean_average_precision": _per_cent(metrics.mean_average_precision(scores, targets)),
        "per_word": words | {name: _per_cent(words[name]) for name in shares},
    }


def popularity(counted: Sequence[Photo], photos: Sequence[Photo], vocabulary: Vocabulary) -> Report:
    """The metrics of answering every photo with the tags that are most frequent in `counted`."""
    counts = Counter(tag for photo in counted for tag in photo.tags)
    row = torch.tensor([float(counts[tag]) for tag in vocabulary.tags])
    targets = partial_targets(photos, vocabulary, vocabulary)
    return measure(row.expand(len(photos), -1), targets.bool())


def evaluate_bundle(bundle: Path, photoset: PhotoSet) -> Report:
    """The report on the photos of a set that the bundle was not trained or chosen on.

    Raises:
        DataError: the bundle has seen them all.
        InvalidBundleError: the bundle does not load.
    """
    recommender = Recommender.from_pretrained(bundle)
    photos = unseen(photoset.photos, bundle / SEEN)
    kept = set(photos)
    seen = [photo for photo in photoset.photos if photo not in kept]
    if not photos:
        raise DataError(f"{bundle} was trained on every photo of {photoset.name}")
    if seen:
        logger.info("left out %d photos that the model was trained or chosen on", len(seen))
    return {
        "photos": len(photos),
        **evaluate(recommender, photos, photoset.vocabulary),
        "baselines": {"popularity": popularity(seen or photos, photos, photoset.vocabulary)},
    }


def table(report: Report) -> str:
    """The report for people: a line a metric, the baseline beside it."""
    baseline = report["baselines"]["popularity"]
    names = [name for name, value in report.items() if isinstance(value, float)]
    lines = [f"{report['photos']} photos, per cent      model  popularity"]
    lines += [f"{name:<24} {report[name]:>8.1f} {baseline[name]:>11.1f}" for name in names]
    for name, value in report["per_word"].items():
        lines.append(f"{'per word: ' + name:<24} {value:>8} {baseline['per_word'][name]:>11}")
    return "\n".join(lines)


def _per_cent(share: float) -> float:
    return round(100 * share, 2)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table, and write the report as JSON where asked."""
    parser = argparse.ArgumentParser(
        description="Measure a bundle on the photos of a set that it was not trained on."
    )
    parser.add_argument("--bundle", type=Path, required=True, metavar="DIR")
    parser.add_argument("--data", type=Path, required=True, metavar="ROOT", help="a photo set")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report here too")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    keep_freed_memory()
    try:
        report = evaluate_bundle(args.bundle, open_photoset(args.data))
    except (DataError, InvalidBundleError) as err:
        logger.error("%s", err)
        return 1
    print(table(report))
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
