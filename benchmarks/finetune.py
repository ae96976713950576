"""How fast we fine-tune, beside the loops of torchvision's references and of timm, in one run.

Run: python -m benchmarks.finetune [--architecture mobilenet_v2] [--photos 512] [--rounds 2]

Each loop trains the same network on the same photos of 640 pixels, cropped to the same size, in
batches of the same size, in processes of its own, by turns. Augmentation, optimizer and loss are
those that each comes with; timm is installed into .peers at the first use. One short epoch warms
up, one is timed.
"""

import argparse
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from PIL import Image
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from benchmarks.peers.photos import save_photos
from benchmarks.peers.workshop import FOLDER, InstallError, install
from hashstagram.model import ModelConfig, create_model
from hashstagram.vocabulary import Vocabulary
from serving.instance import ROOT
from training.allocator import keep_freed_memory
from training.config import FinetuneConfig, TrainConfig
from training.finetune import train_one_epoch
from training.photoset import Photo, PhotoSet
from training.run import create_run

TIMM = "timm==1.0.31"
LOOPS = ("ours", "torchvision", "timm")
SIZE, BATCH = FinetuneConfig().input_size, FinetuneConfig().batch_size
CLASSES = 997
WARM_UP = 2 * BATCH  # photos
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Transform = Callable[[Image.Image], Tensor]


@dataclass(frozen=True)
class Task:
    """What all loops are given.

    Args:
        architecture: the network's name.
        photos: files.
        workers: processes that decode.
    """

    architecture: str
    photos: Sequence[Path]
    workers: int

    def network(self) -> nn.Module:
        """With fresh weights, ready to be trained."""
        return create_model(ModelConfig(self.architecture, CLASSES)).train()

    def first(self, count: int) -> "Task":
        """A shorter one."""
        return Task(self.architecture, self.photos[:count], self.workers)


class ImageClasses(Dataset[tuple[Tensor, int]]):
    """A photo and its class, as in torchvision's ImageFolder."""

    def __init__(self, photos: Sequence[Path], transform: Transform) -> None:
        self.photos = photos
        self.transform = transform

    def __len__(self) -> int:
        """The number of photos."""
        return len(self.photos)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Decode one photo."""
        with Image.open(self.photos[index]) as image:
            return self.transform(image.convert("RGB")), index % CLASSES


def ours(task: Task) -> Callable[[], None]:
    """An epoch of training.finetune, with its augmentation, AdamW, loss and weight average."""
    keep_freed_memory()
    tags = tuple(f"tag{number}" for number in range(CLASSES))
    photos = tuple(
        Photo(path, tags[3 * number % CLASSES :][:4], f"{number:016x}", "train")
        for number, path in enumerate(task.photos)
    )
    config = TrainConfig(
        "benchmark",
        architecture=task.architecture,
        finetune=FinetuneConfig(epochs=1, micro_batch_size=BATCH),
    )
    photoset = PhotoSet("drawn", Vocabulary(tags), photos)
    out = Path(tempfile.mkdtemp())  # in the folder that the command removes
    run = create_run(config, Accelerator(cpu=True), [photoset], "none", out, task.workers)
    return lambda: train_one_epoch(run, run.state.model, BATCH, None, lambda: False)


def torchvision(task: Task) -> Callable[[], None]:
    """An epoch as in torchvision's references/classification, with the defaults of its train.py."""
    transform = v2.Compose(
        [
            v2.RandomResizedCrop(SIZE, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
            v2.ToPureTensor(),
        ]
    )
    model = task.network()
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    return lambda: plain_epoch(task, model, transform, optimizer)


def timm(task: Task) -> Callable[[], None]:
    """An epoch as in timm's train.py, with its defaults: transform and optimizer are timm's."""
    from timm.data import create_transform
    from timm.optim import create_optimizer_v2

    model = task.network()
    transform = create_transform(SIZE, is_training=True, color_jitter=0.4)
    optimizer = create_optimizer_v2(model, opt="sgd", lr=0.05, momentum=0.9, weight_decay=2e-5)
    return lambda: plain_epoch(task, model, transform, optimizer)


def plain_epoch(task: Task, model: nn.Module, transform: Transform, optimizer: Optimizer) -> None:
    """Forward, loss, backward, step, as all such loops have it."""
    criterion = nn.CrossEntropyLoss()
    photos = ImageClasses(task.photos, transform)
    loader = DataLoader(
        photos, batch_size=BATCH, shuffle=True, num_workers=task.workers, drop_last=True
    )
    for images, truth in loader:
        loss = criterion(model(images), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def photos_per_second(loop: Callable[[Task], Callable[[], None]], task: Task) -> float:
    """The speed of one epoch, once a short one has warmed up."""
    loop(task.first(WARM_UP))()
    epoch = loop(task)
    started = time.monotonic()
    epoch()
    return len(task.photos) / (time.monotonic() - started)


def timm_interpreter() -> Path:
    """The Python that has timm.

    Raises:
        InstallError: it cannot be installed.
    """
    home = FOLDER / "timm"
    if not (home / "bin" / "python").exists():
        install(home, TIMM)
    return home / "bin" / "python"


def in_own_process(loop: str, python: Path, given: Sequence[str], folder: Path) -> float:
    """The speed of a loop.

    Raises:
        CalledProcessError: it failed.
    """
    path = os.pathsep.join([str(ROOT), str(ROOT / "handler")])
    environment = os.environ | {"PYTHONPATH": path, "TMPDIR": str(folder)}
    command = [str(python), "-m", "benchmarks.finetune", "--only", loop, *given]
    told = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return float(told.stdout.splitlines()[-1])


def compare(rounds: int, given: Sequence[str]) -> dict[str, float]:
    """The best speed of each loop; one that cannot be installed is left out."""
    pythons = {loop: Path(sys.executable) for loop in LOOPS}
    try:
        pythons["timm"] = timm_interpreter()
    except InstallError as err:
        del pythons["timm"]
        logging.warning("timm is left out: %s", err)
    best = dict.fromkeys(pythons, 0.0)
    with tempfile.TemporaryDirectory(prefix="hashstagram-") as folder:
        for _ in range(rounds):
            for loop, python in pythons.items():
                speed = in_own_process(loop, python, given, Path(folder))
                best[loop] = max(best[loop], speed)
    return best


def copies(count: int, folder: Path) -> list[Path]:
    """So many photo files, of a few different ones."""
    drawn = save_photos(640, FOLDER / "photos")
    paths = [folder / f"{number:05}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        shutil.copy(drawn[number % len(drawn)], path)
    return paths


def table(speeds: dict[str, float]) -> Iterable[str]:
    """A line for each loop."""
    fastest = max((speed for loop, speed in speeds.items() if loop != "ours"), default=0.0)
    for loop, speed in speeds.items():
        yield f"{loop:<12} {speed:6.1f} photos/s"
    if fastest:
        yield f"ours ÷ the faster of the others: {speeds['ours'] / fastest:.2f}"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the speeds and their ratio."""
    parser = argparse.ArgumentParser(description="Compare fine-tuning with other loops.")
    parser.add_argument("--architecture", default="mobilenet_v2", help="default: %(default)s")
    parser.add_argument("--photos", type=int, default=512, help="default: %(default)s")
    parser.add_argument(
        "--workers", type=int, default=0, help="processes that decode; default: as we train on CPUs"
    )
    parser.add_argument("--rounds", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--only", choices=LOOPS, help="one loop, in this process")
    args = parser.parse_args(argv)
    if args.only:
        with tempfile.TemporaryDirectory() as folder:
            task = Task(args.architecture, copies(args.photos, Path(folder)), args.workers)
            loops = {"ours": ours, "torchvision": torchvision, "timm": timm}
            print(photos_per_second(loops[args.only], task))
        return 0
    given = ["--architecture", args.architecture, "--photos", str(args.photos)]
    speeds = compare(args.rounds, [*given, "--workers", str(args.workers)])
    print(
        f"{args.architecture}, {args.photos} photos cropped to {SIZE} pixels, batches of {BATCH}, "
        f"{torch.get_num_threads()} threads, {args.workers} decoding processes"
    )
    print(*table(speeds), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
