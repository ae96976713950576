"""Passes: the network alone, in batches of several sizes, in the textbook's engine and in ours.

Run by benchmarks.peers in a process of its own: python -m benchmarks.peers.passes BUNDLE ENGINE
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks.peers.models import Model
from benchmarks.peers.results import Pass
from benchmarks.peers.textbook import Textbook
from hashstagram.recommender import Recommender

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


def milliseconds(scores: Callable[[torch.Tensor], object], batch: torch.Tensor) -> float:
    """Of one photo: the best of all passes within SECONDS, after one that warms up."""
    scores(batch)
    best, end = float("inf"), time.monotonic() + SECONDS
    passes = 0
    while passes < 2 or time.monotonic() < end:
        start = time.perf_counter()
        scores(batch)
        best, passes = min(best, time.perf_counter() - start), passes + 1
    return round(1000 * best / len(batch), 2)


def main(argv: Sequence[str] | None = None) -> int:
    """Print JSON: milliseconds a photo by batch size."""
    [bundle, engine] = sys.argv[1:] if argv is None else argv
    scores: Callable[[torch.Tensor], object]
    if engine == "ours":
        recommender = Recommender.from_pretrained(Path(bundle))
        scores, size = recommender.scores, recommender.bundle.config.transform.input_size
    else:
        textbook = Textbook(Path(bundle))
        scores, size = torch.inference_mode()(textbook.network), textbook.config.input_size
    photos = torch.rand(max(BATCHES), 3, size, size)
    print(json.dumps({batch: milliseconds(scores, photos[:batch]) for batch in BATCHES}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
