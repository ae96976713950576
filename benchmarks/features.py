"""How fast features are cached, beside a bare torchvision loop over the same photos in one run.

Run: python -m benchmarks.features --data ROOT
"""

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from accelerate import Accelerator
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms._presets import ImageClassification

from hashstagram.model import ModelConfig, create_model
from hashstagram.transforms import min_side
from training.allocator import keep_freed_memory
from training.config import TrainConfig
from training.features import cache_features, head_views
from training.photoset import Photo
from training.prepare import open_photoset

BATCH = 32  # of the bare loop
CLASSES = 1000

Loop = Callable[[TrainConfig, Sequence[Photo]], float]


class Pictures(Dataset[Tensor]):
    """What torchvision's ImageFolder and its weights' own transform make of these photos."""

    def __init__(self, config: TrainConfig, photos: Sequence[Photo]) -> None:
        self.paths = [photo.path for photo in photos]
        self.transform = ImageClassification(
            crop_size=config.transform.input_size, resize_size=min_side(config.transform)
        )

    def __len__(self) -> int:
        """The number of photos."""
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        """Decode one photo."""
        with self.paths[index].open("rb") as file:
            tensor: Tensor = self.transform(Image.open(file).convert("RGB"))
        return tensor


def bare_loop(config: TrainConfig, photos: Sequence[Photo]) -> float:
    """Photos a second of the loop that everyone writes first."""
    model = create_model(ModelConfig(config.architecture, CLASSES)).eval()
    started = time.monotonic()
    with torch.no_grad():
        for images in DataLoader(Pictures(config, photos), batch_size=BATCH):
            model(images)
    return len(photos) / (time.monotonic() - started)


def cache(config: TrainConfig, photos: Sequence[Photo]) -> float:
    """Photos a second of ours, written to disk."""
    keep_freed_memory()
    model = create_model(ModelConfig(config.architecture, CLASSES))
    accelerator = Accelerator(cpu=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        model = model.to(memory_format=torch.channels_last)
        cache_features(accelerator, head_views(config, model), photos, Path(folder))
    return len(photos) / (time.monotonic() - started)


def alternate(
    loops: Sequence[Loop], rounds: int, config: TrainConfig, photos: Sequence[Photo]
) -> list[float]:
    """The best speed of each loop in some rounds, each time in a process of its own."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool:
        speeds = [
            [pool.submit(loop, config, photos).result() for loop in loops] for _ in range(rounds)
        ]
    return [max(seen) for seen in zip(*speeds, strict=True)]


def main(argv: Sequence[str] | None = None) -> int:
    """Print both speeds and their ratio."""
    parser = argparse.ArgumentParser(description="Compare caching features with a bare loop.")
    parser.add_argument("--data", type=Path, required=True, metavar="ROOT", help="a photo set")
    parser.add_argument("--photos", type=int, default=128, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--architecture", default="mobilenet_v2", help="default: %(default)s")
    args = parser.parse_args(argv)
    config = TrainConfig("benchmark", architecture=args.architecture)
    photos = open_photoset(args.data).photos[: args.photos]
    ours, bare = alternate((cache, bare_loop), args.rounds, config, photos)
    print(f"{args.architecture}, {len(photos)} photos, on the CPU, best of {args.rounds} rounds")
    print(f"cached {ours:.1f} photos/s, bare loop {bare:.1f} photos/s, ratio {ours / bare:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
