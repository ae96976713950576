"""Passes: the network alone, in batches of several sizes, in the textbook's engine and in ours.

Run by benchmarks.peers in a process of its own: python -m benchmarks.peers.passes BUNDLE ENGINE
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.peers.models import Model
from benchmarks.peers.results import Pass
from benchmarks.peers.textbook import Textbook
from hashstagram.graph import expand
from hashstagram.predictor import Predictor

ENGINES = ("textbook", "ours")
BATCHES = (1, 2, 4, 8, 16)
SECONDS = 1.0  # of each batch size, and twice at least


def measure(model: Model, engine: str) -> list[Pass]:
    """All batch sizes, in a process that has all cores."""
    bundle = model.served if engine == "ours" else model.bundle
    environment = os.environ | {"OMP_NUM_THREADS": str(os.cpu_count())}
    command = [sys.executable, "-m", "benchmarks.peers.passes", str(bundle), engine]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    times: dict[str, float] = json.loads(told.stdout.splitlines()[-1])
    return [Pass(engine, model.name, int(batch), ms) for batch, ms in times.items()]


def milliseconds(scores: Callable[[Any], object], batch: Any) -> float:
    """Of one photo: the best of all passes within SECONDS, after one that warms up."""
    scores(batch)
    best, end = float("inf"), time.monotonic() + SECONDS
    passes = 0
    while passes < 2 or time.monotonic() < end:
        start = time.perf_counter()
        scores(batch)
        best, passes = min(best, time.perf_counter() - start), passes + 1
    return round(1000 * best / len(batch), 2)


def ours(bundle: Path) -> tuple[Callable[[Any], object], Any]:
    """What a worker runs, and the most photos."""
    with tempfile.TemporaryDirectory() as folder:
        expand(bundle, Path(folder))
        predictor = Predictor.load(folder, threads=os.cpu_count() or 1)
    size = predictor.config.transform.input_size
    shape = (max(BATCHES), size, size, 3)
    return predictor.scores, np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def textbook(bundle: Path) -> tuple[Callable[[Any], object], Any]:
    """What the peers run, and the most photos."""
    made = Textbook(bundle)
    size = made.config.input_size
    return torch.inference_mode()(made.network), torch.rand(max(BATCHES), 3, size, size)


def main(argv: Sequence[str] | None = None) -> int:
    """Print JSON: milliseconds a photo by batch size."""
    [bundle, engine] = sys.argv[1:] if argv is None else argv
    scores, photos = (ours if engine == "ours" else textbook)(Path(bundle))
    print(json.dumps({batch: milliseconds(scores, photos[:batch]) for batch in BATCHES}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
