"""Optimize: choose by measurement what a bundle's network is run by, and record why.

Run: python -m training.optimize BUNDLE --data ROOT [--data ROOT ...]
"""

import argparse
import json
import logging
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from hashstagram.bundle import Bundle, EngineChoice
from hashstagram.checksums import write_checksums
from hashstagram.eight_bits import OUTSIDE, Ranges, quantise
from hashstagram.engine import Engine, GraphEngine, TorchEngine
from hashstagram.errors import InvalidBundleError
from hashstagram.files import CONFIG, FILES
from hashstagram.graph import build_graph, save_graph
from hashstagram.predictor import Predictor
from hashstagram.recommender import Recommender
from hashstagram.silent import openvino
from hashstagram.transforms import Pixels
from hashstagram.usage import Scores
from training.dataset import partial_targets
from training.evaluate import in_vocabulary, measure
from training.harrison import DataError
from training.photoset import Photo, PhotoSet, thinned
from training.prepare import open_photoset

logger = logging.getLogger(__name__)

BUDGET = 0.3  # points of recall@5 that a faster engine may cost
CALIBRATION = 600  # training photos that tell the range of each layer's values
VALIDATION = 400  # photos that the cost is measured on, of all sets together
BATCH = 8
ROUNDS = 12

Name = Literal["float", "int8", "pytorch"]


@dataclass(frozen=True)
class Trial:
    """One engine's figures.

    Args:
        alone_ms: milliseconds of CPU for one photo.
        batch_ms: milliseconds of CPU a photo in a batch of eight.
        recall_at_5: per cent, on validation photos.
        overlap: of PyTorch's five best tags, how many are among its own, on average.
    """

    alone_ms: float
    batch_ms: float
    recall_at_5: float
    overlap: float


def optimize(directory: Path, photosets: Sequence[PhotoSet], *, threads: int = 1) -> EngineChoice:
    """Try the engines on this machine, and leave the fastest that is accurate enough in the bundle.

    Args:
        directory: the bundle's; its configuration and checksums change.
        photosets: photos to calibrate on (train) and to measure on (val).
        threads: what each engine computes in.

    Raises:
        InvalidBundleError: the bundle is not sound.
        DataError: the sets have no photos of these splits.
    """
    bundle = Bundle.load(directory)
    predictor = Predictor.of(Recommender(bundle))
    calibration = _sample([p for s in photosets for p in s.split("train")], CALIBRATION)
    validation = thinned([photoset.only("val") for photoset in photosets], VALIDATION)
    if not calibration or not any(s.photos for s in validation):
        raise DataError("optimizing needs photos of the splits train and val")
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as made:
        graph = build_graph(bundle)
        engines: dict[Name, Engine] = {"pytorch": TorchEngine(predictor.recommender)}
        engines["float"] = _engine(graph, Path(made) / "float", threads)
        ranges = find_ranges(graph, _pixels(predictor, calibration))
        quantise(graph, ranges)
        engines["int8"] = _engine(graph, Path(made) / "int8", threads)
        trials = _try(engines, predictor, validation)
    chosen = choose(trials)
    choice = EngineChoice(chosen, ranges if chosen == "int8" else {}, _told(trials, threads))
    replace(bundle.config, engine=choice).save(directory / CONFIG)
    write_checksums(directory, FILES)
    return choice


def find_ranges(graph: openvino.Model, pixels: Pixels) -> Ranges:
    """What the values range over between which the network computes, on photos (N, S, S, 3)."""
    import nncf  # after hashstagram.silent; and it takes seconds

    logging.getLogger("nncf").setLevel(logging.ERROR)  # nncf.set_log_level silences us too
    quantised = nncf.quantize(
        graph.clone(),
        nncf.Dataset([photo[None] for photo in pixels]),
        preset=nncf.QuantizationPreset.MIXED,  # for activations with negative values too
        subset_size=len(pixels),
        # What is no layer of the network, and what computes in floats anyway: see eight_bits.
        ignored_scope=nncf.IgnoredScope(
            patterns=[f"{OUTSIDE}.*"], types=["GroupConvolution"], validate=False
        ),
        advanced_parameters=nncf.AdvancedQuantizationParameters(disable_bias_correction=True),
    )
    found = [op for op in quantised.get_ops() if op.get_type_name() == "FakeQuantize"]
    return {
        op.input_value(0).get_node().get_friendly_name(): (_number(op, 1), _number(op, 2))
        for op in found
    }


def _number(op: openvino.Node, place: int) -> float:
    return float(op.input_value(place).get_node().data.item())


def choose(trials: Mapping[Name, Trial]) -> Name:
    """The engine with the most photos a second among those within BUDGET of PyTorch."""
    reference = trials["pytorch"].recall_at_5
    cost = {name: reference - trial.recall_at_5 for name, trial in trials.items()}
    good = {name: trial for name, trial in trials.items() if cost[name] <= BUDGET}
    return min(good, key=lambda name: good[name].batch_ms)


def _engine(graph: openvino.Model, folder: Path, threads: int) -> Engine:
    folder.mkdir()
    save_graph(graph, folder)
    return GraphEngine(folder, threads)


def _sample(photos: Sequence[Photo], most: int) -> list[Photo]:
    """At most so many photos, spread evenly."""
    return list(photos[:: -(-len(photos) // most)]) if photos else []


def _pixels(predictor: Predictor, photos: Sequence[Photo]) -> Pixels:
    return np.stack([predictor.preprocess(photo.path.read_bytes()) for photo in photos])


def _try(
    engines: Mapping[Name, Engine], predictor: Predictor, photosets: Sequence[PhotoSet]
) -> dict[Name, Trial]:
    pixels = [_pixels(predictor, photoset.photos) for photoset in photosets if photoset.photos]
    photosets = [photoset for photoset in photosets if photoset.photos]
    scores = {
        name: [_in_batches(engine, each) for each in pixels] for name, engine in engines.items()
    }
    alone = _times(engines, pixels[0][:1])
    together = _times(engines, np.resize(pixels[0], (BATCH, *pixels[0].shape[1:])))
    return {
        name: Trial(
            alone_ms=alone[name],
            batch_ms=together[name],
            recall_at_5=_recall(predictor, found, photosets),
            overlap=_overlap(np.concatenate(scores["pytorch"]), np.concatenate(found)),
        )
        for name, found in scores.items()
    }


def _in_batches(engine: Engine, pixels: Pixels) -> Scores:
    starts = range(0, len(pixels), BATCH)
    return np.concatenate([engine.scores(pixels[start : start + BATCH]) for start in starts])


def _times(engines: Mapping[Name, Engine], pixels: Pixels) -> dict[Name, float]:
    """Milliseconds of CPU a photo: the best of some rounds in which all have their turn.

    Not those of the clock, which count what else the machine does.
    """
    best = dict.fromkeys(engines, float("inf"))
    for _ in range(ROUNDS):
        for name, engine in engines.items():
            engine.scores(pixels)  # brings its weights back into the caches
            start = time.process_time()
            engine.scores(pixels)
            best[name] = min(best[name], time.process_time() - start)
    return {name: round(1000 * seconds / len(pixels), 2) for name, seconds in best.items()}


def _recall(predictor: Predictor, scores: Sequence[Scores], photosets: Sequence[PhotoSet]) -> float:
    """Recall@5 over all sets' photos, in per cent."""
    total, vocabulary = 0.0, predictor.ranking.vocabulary
    for found, photoset in zip(scores, photosets, strict=True):
        known = photoset.vocabulary
        targets = partial_targets(photoset.photos, known, known)
        measured = measure(in_vocabulary(torch.from_numpy(found), vocabulary, known), targets)
        total += float(measured["recall_at_5"]) * len(found)
    return round(total / sum(map(len, scores)), 2)


def _overlap(expected: Scores, found: Scores) -> float:
    best = [np.argsort(-scores, axis=1)[:, :5] for scores in (expected, found)]
    shared = [np.intersect1d(*rows).size for rows in zip(*best, strict=True)]
    return round(float(np.mean(shared)), 2)


def _told(trials: Mapping[Name, Trial], threads: int) -> dict[str, Any]:
    """What config.json says about how the choice was made."""
    return {
        "threads": threads,
        "cpu": openvino.Core().get_property("CPU", "FULL_DEVICE_NAME"),
        "openvino": openvino.get_version().split("-")[0],
        "engines": {name: asdict(trial) for name, trial in trials.items()},
    }


def table(choice: EngineChoice) -> str:
    """The figures in Markdown."""
    told = choice.measured
    lines = [
        f"Measured on {told['cpu']}, {told['threads']} thread(s); workers use **{choice.chosen}**.",
        "",
        "| engine | CPU ms, one photo | CPU ms a photo, batch of 8 | recall@5 | top-5 overlap |",
        "|---|---|---|---|---|",
    ]
    for name, trial in told["engines"].items():
        lines.append(f"| {name} | " + " | ".join(str(value) for value in trial.values()) + " |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Optimize one bundle and print the figures."""
    parser = argparse.ArgumentParser(
        prog="python -m training.optimize",
        description="Choose what a bundle's network is run by, on this machine.",
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, action="append", required=True, metavar="ROOT")
    parser.add_argument("--threads", type=int, default=1, help="what each engine computes in")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        photosets = [open_photoset(root) for root in args.data]
        choice = optimize(args.bundle, photosets, threads=args.threads)
    except (DataError, InvalidBundleError, OSError) as err:
        logger.error("%s", err)
        return 1
    if args.json:
        args.json.write_text(json.dumps(asdict(choice), indent=2) + "\n", encoding="utf-8")
    print(table(choice))
    return 0


if __name__ == "__main__":
    sys.exit(main())
