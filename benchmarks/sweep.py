"""Which settings of TorchServe answer fastest here: workers × threads × batch × delay, measured.

Run: python -m benchmarks.sweep [--bundle DIR] [--quick] [--write]
It needs wrk, a load generator, and a machine that does nothing else.
"""

import argparse
import math
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from zipfile import ZipFile

from benchmarks.memory import build
from benchmarks.peers.photos import save_photos
from benchmarks.peers.wrk import LoadError, Target
from benchmarks.repack import repack
from serving.archive import SETTINGS
from serving.instance import ROOT, Instance

CONFIG = ROOT / "handler" / SETTINGS
CONNECTIONS = (1, 8, 32)
WIDTH = 1080
WARM = 2  # seconds


@dataclass(frozen=True)
class Settings:
    """One combination; the delay is in milliseconds."""

    workers: int
    threads: int
    batch: int
    delay: int

    def within(self, text: str) -> str:
        """The text of a model-config.yaml with these values, and its comments."""
        names = ("minWorkers", "threads", "batchSize", "maxBatchDelay")
        values = (self.workers, self.threads, self.batch, self.delay)
        for name, value in zip(names, values, strict=True):
            text = re.sub(rf"(?m)^(\s*{name}:\s*)\d+", rf"\g<1>{value}", text)
        return text


@dataclass(frozen=True)
class Outcome:
    """Requests a second for each of CONNECTIONS, and answers that were none."""

    rates: tuple[float, ...]
    errors: int

    @property
    def merit(self) -> float:
        """The geometric mean: a lone caller counts as much as many at once."""
        return 0.0 if self.errors else math.prod(self.rates) ** (1 / len(self.rates))


def combinations(cores: int, *, quick: bool) -> list[Settings]:
    """All that are worth trying on so many cores: no more threads than two for each."""
    divided = [(w, t) for w, t in product((1, 2, cores), (1, cores)) if cores <= w * t <= 2 * cores]
    batches = (4, 8) if quick else (2, 4, 8, 16)
    delays = (1,) if quick else (1, 2, 5)
    return [
        Settings(workers, threads, batch, delay)
        for (workers, threads), batch, delay in product(dict.fromkeys(divided), batches, delays)
    ]


def with_settings(archive: Path, settings: Settings, folder: Path) -> Path:
    """A copy of an archive, in another folder, with other settings."""
    folder.mkdir(exist_ok=True)
    with ZipFile(archive) as packed:
        text = packed.read(SETTINGS).decode()
    # Under the same name, which is the model's too.
    return repack(archive, folder / archive.name, {SETTINGS: settings.within(text).encode()})


def measure(archive: Path, photos: Sequence[Path], folder: Path, seconds: int) -> Outcome:
    """Serve an archive, and let wrk ask it.

    Raises:
        LoadError: there is no wrk, or it failed.
    """
    instance = Instance.start(archive, folder / "run", timeout=300)
    try:
        headers = {
            "Content-Type": "application/octet-stream",
            "Authorization": f"Bearer {instance.key('inference')}",
        }
        url = f"{instance.inference}/predictions/{instance.model}"
        target = Target(url, photos, headers)
        target.load(CONNECTIONS[-1], WARM)
        loads = [target.load(connections, seconds) for connections in CONNECTIONS]
    finally:
        instance.stop()
    return Outcome(tuple(x.requests_per_s for x in loads), sum(x.errors for x in loads))


def line(settings: Settings, outcome: Outcome) -> str:
    """A row of the table."""
    asked = f"{settings.workers:>7} {settings.threads:>7} {settings.batch:>5} {settings.delay:>8}"
    rates = "".join(f"{rate:>9.1f}" for rate in outcome.rates)
    return f"{asked}{rates}{outcome.merit:>9.1f}{outcome.errors:>8}"


def main(argv: Sequence[str] | None = None) -> int:
    """Print a row for each combination, then the best; write it where asked."""
    parser = argparse.ArgumentParser(description="Measure TorchServe's settings on this machine.")
    parser.add_argument("--bundle", type=Path, default=ROOT / "models" / "everyday")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=10, help="of load, each time")
    parser.add_argument("--quick", action="store_true", help="fewer combinations, 3 seconds each")
    parser.add_argument("--write", action="store_true", help=f"write the best into {CONFIG.name}")
    args = parser.parse_args(argv)
    outcomes: dict[Settings, Outcome] = {}
    with tempfile.TemporaryDirectory(prefix="hashstagram-") as made:
        folder = Path(made)
        photos = save_photos(WIDTH, folder)
        build(args.bundle, folder / "hashtags.mar")
        heads = "".join(f"{f'c={connections}':>9}" for connections in CONNECTIONS)
        print(
            f"{'workers':>7} {'threads':>7} {'batch':>5} {'delay/ms':>8}{heads}{'mean':>9}  errors"
        )
        for settings in combinations(args.cores, quick=args.quick):
            archive = with_settings(folder / "hashtags.mar", settings, folder / "swept")
            seconds = 3 if args.quick else args.seconds
            try:
                outcomes[settings] = measure(archive, photos, folder, seconds)
            except LoadError as err:
                parser.error(str(err))
            print(line(settings, outcomes[settings]), flush=True)
    best = max(outcomes, key=lambda settings: outcomes[settings].merit)
    print(f"best: {best}")
    if args.write:
        CONFIG.write_text(best.within(CONFIG.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
