"""A run that is killed, and killed again, ends as if nothing had happened."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from tests.conftest import ROOT
from training import train

KILLS = 6

CONFIG = """
name = "colours"
architecture = "shufflenet_v2_x0_5"
weights = "none"
checkpoint_minutes = 0.0
[transform]
input_size = 32
[head]
epochs = 2
[finetune]
epochs = 8
batch_size = 8
input_size = 32
freeze_batch_norm = false
"""


def arguments(folder: Path, harrison_root: Path, out: str, *, epochs: int = 8) -> list[str]:
    config = folder / f"{epochs}.toml"
    config.write_text(CONFIG.replace("epochs = 8", f"epochs = {epochs}"))
    data = ["--data", str(harrison_root)]
    return ["--config", str(config), *data, "--out", str(folder / out)]


def start(command: list[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "training.train", *command],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def test_killed_at_random_moments_it_ends_with_the_same_bytes(
    harrison_root: Path, tmp_path: Path
) -> None:
    undisturbed, killed = (arguments(tmp_path, harrison_root, out) for out in ("one", "two"))
    assert start(undisturbed).wait() == 0
    dice = random.Random()
    checkpoint = tmp_path / "two" / "checkpoint.pt"
    kills = 0
    while kills < KILLS:
        process = start(killed)
        before = checkpoint.stat().st_mtime if checkpoint.exists() else 0.0
        while process.poll() is None and (
            not checkpoint.exists() or checkpoint.stat().st_mtime == before
        ):
            time.sleep(0.02)
        time.sleep(dice.uniform(0, 0.6))
        if process.poll() is not None:  # it came to its end before the blow
            break
        process.kill()
        process.wait()
        kills += 1
    assert kills >= 2
    assert start(killed).wait() == 0
    for name in ("weights.safetensors", "metrics.jsonl", "seen_photos.npy"):
        one, two = ((tmp_path / out / name).read_bytes() for out in ("one", "two"))
        assert one == two, name


def test_a_finished_run_is_left_as_it_is_and_another_one_is_refused(
    harrison_root: Path, tmp_path: Path
) -> None:
    command = arguments(tmp_path, harrison_root, "run", epochs=1)
    assert train.main(command) == 0
    weights = tmp_path / "run" / "weights.safetensors"
    before = weights.read_bytes()
    assert train.main(command) == 0
    assert train.main(arguments(tmp_path, harrison_root, "run", epochs=2)) == 1
    assert weights.read_bytes() == before


def test_half_a_checkpoint_is_never_read(harrison_root: Path, tmp_path: Path) -> None:
    command = arguments(tmp_path, harrison_root, "run", epochs=1)
    assert train.main(command) == 0
    (tmp_path / "run" / "checkpoint.part").write_bytes(b"half")
    assert train.main(command) == 0
