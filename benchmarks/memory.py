"""Memory of TorchServe's workers: how much of it each has to itself, and how much they share.

Run: python -m benchmarks.memory [--bundle DIR | --architecture vgg16+alexnet] [--workers 1 2 4]
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from benchmarks.random_bundle import random_bundle
from serving.instance import ROOT, Instance
from serving.sample_photo import save_sunset

MEBIBYTE = 2**20


@dataclass(frozen=True)
class Memory:
    """Of all workers together, in bytes.

    Args:
        pss: what they take: a page that n processes map counts 1/n in each.
        model: what the model's files take of it, which they map.
        private: what no other process has.
        rss: what ps and top show, where shared pages count in each.
    """

    pss: int
    model: int
    private: int
    rss: int


def build(bundle: Path, archive: Path) -> None:
    """The bundle's archive."""
    environment = os.environ | {"PYTHON": sys.executable, "MAR": str(archive)}
    command = [str(ROOT / "build_mar.sh"), str(bundle), archive.stem]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)


def measure(instance: Instance, photo: Path, workers: int) -> Memory:
    """Let that many workers answer, and add up their memory.

    They have seen the largest batch already, when they were loaded.
    """
    scaled = requests.put(
        f"{instance.management}/models/{instance.model}",
        params=f"min_worker={workers}&max_worker={workers}&synchronous=true",
        headers={"Authorization": f"Bearer {instance.key('management')}"},
        timeout=300,
    )
    scaled.raise_for_status()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda _: ask(instance, photo), range(4 * workers)))
    pids = [int(worker["pid"]) for worker in instance.describe()["workers"]]
    assert len(pids) == workers
    used = [psutil.Process(pid).memory_full_info() for pid in pids]
    files = [file for pid in pids for file in psutil.Process(pid).memory_maps()]
    return Memory(
        pss=sum(memory.pss for memory in used),
        model=sum(file.pss for file in files if file.path.startswith(f"{instance.tmp}/models/")),
        private=sum(memory.uss for memory in used),
        rss=sum(memory.rss for memory in used),
    )


def ask(instance: Instance, photo: Path) -> None:
    """One request."""
    answer = requests.post(
        f"{instance.inference}/predictions/{instance.model}",
        data=photo.read_bytes(),
        headers={"Authorization": f"Bearer {instance.key('inference')}"},
        timeout=300,
    )
    answer.raise_for_status()


def main(argv: Sequence[str] | None = None) -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(description="Measure the memory of TorchServe's workers.")
    given = parser.add_mutually_exclusive_group()
    given.add_argument("--bundle", type=Path, default=ROOT / "models" / "everyday")
    given.add_argument("--architecture", help="with random weights, in place of a bundle")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4], metavar="N")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="hashstagram-") as made:
        folder = Path(made)
        bundle = args.bundle
        if args.architecture:
            bundle = random_bundle(args.architecture, folder / "bundle")
        photo = save_sunset(folder / "sunset.jpg")
        build(bundle, folder / "measured.mar")
        instance = Instance.start(folder / "measured.mar", folder / "run", timeout=300)
        try:
            print(f"{args.architecture or bundle.name}: MiB of all workers, after they answered")
            print_table(instance, photo, args.workers)
        finally:
            instance.stop()
    return 0


def print_table(instance: Instance, photo: Path, counts: Sequence[int]) -> None:
    """A line for each number of workers; "more" is what PSS grew by since the line above."""
    print(f"{'workers':>7} {'PSS':>7} {'more':>7} {'model':>7} {'private':>8} {'RSS':>7}")
    before = 0
    for workers in counts:
        memory = measure(instance, photo, workers)
        columns = (memory.pss, memory.pss - before, memory.model, memory.private, memory.rss)
        pss, more, model, private, rss = (round(size / MEBIBYTE) for size in columns)
        print(f"{workers:>7} {pss:>7} {more:>7} {model:>7} {private:>8} {rss:>7}", flush=True)
        before = memory.pss


if __name__ == "__main__":
    sys.exit(main())
