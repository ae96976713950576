"""How long stage one takes, and how much memory, for a set of any size; the features are random.

Run: python -m benchmarks.head --photos 57383 --tags 997
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from training.config import HeadConfig, TrainConfig
from training.features import Features
from training.head import fit_head
from training.progress import set_up_logging

TAGS_A_PHOTO = 4.5  # HARRISON's mean


def random_features(path: Path, photos: int, width: int) -> Features:
    """One view of random features on disk, as stage one finds it."""
    features = np.lib.format.open_memmap(path, "w+", np.float16, (1, photos, width))
    dice = np.random.default_rng(0)
    for rows in np.array_split(np.arange(photos), max(1, photos // 1000)):
        features[0, rows] = dice.random((len(rows), width), dtype=np.float32)
    features.flush()
    return np.lib.format.open_memmap(path, "r")


def random_targets(photos: int, tags: int) -> Tensor:
    """Each tag of each photo is thrown for, in the precision of training.dataset's targets."""
    targets = torch.zeros(photos, tags, dtype=torch.half)
    for row in targets.split(1000):
        row.bernoulli_(TAGS_A_PHOTO / tags)
    return targets


def main(argv: Sequence[str] | None = None) -> int:
    """Print seconds and peak memory."""
    parser = argparse.ArgumentParser(description="Time training the head on cached features.")
    parser.add_argument("--photos", type=int, default=57_383, help="default: %(default)s")
    parser.add_argument("--tags", type=int, default=997, help="default: %(default)s")
    parser.add_argument("--width", type=int, default=1280, help="of the features: %(default)s")
    parser.add_argument("--epochs", type=int, default=HeadConfig().epochs, help="%(default)s")
    args = parser.parse_args(argv)
    set_up_logging()
    config = TrainConfig("benchmark", head=HeadConfig(epochs=args.epochs))
    with tempfile.TemporaryDirectory() as folder:
        features = random_features(Path(folder) / "features.npy", args.photos, args.width)
        targets = random_targets(args.photos, args.tags)
        started, busy = time.monotonic(), time.process_time()
        fit_head(config, nn.Sequential(nn.Linear(args.width, args.tags)), features, targets)
        seconds, busy = time.monotonic() - started, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{args.photos} photos x {args.tags} tags, {args.width} wide, {args.epochs} epochs")
    print(
        f"{seconds:.1f} s on {torch.get_num_threads()} threads, {seconds / args.epochs:.2f} s an "
        f"epoch, {busy:.1f} s of CPU time, peak memory {peak:.0f} MiB"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
