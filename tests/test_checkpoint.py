"""A run that is killed, and killed again, ends as if nothing had happened.

KILLS=20 pytest tests/test_checkpoint.py kills more often than is worth the wait each time.
"""

import logging
import multiprocessing
import os
import random
import re
import sys
import time
from dataclasses import replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest
import torch

from training import train
from training.checkpoint import run_key
from training.config import TrainConfig
from training.photoset import Photo

KILLS = int(os.environ.get("KILLS", "5"))
EPOCHS = max(4, 2 * KILLS // 3)

LIVES = multiprocessing.get_context("forkserver")
LIVES.set_forkserver_preload(["training.train"])  # PyTorch is imported once for all of them

CONFIG = """
name = "colours"
architecture = "shufflenet_v2_x0_5"
weights = "none"
checkpoint_minutes = {minutes}
[transform]
input_size = 32
[head]
epochs = 2
views = 3
[finetune]
epochs = {epochs}
batch_size = 8
input_size = 32
freeze_batch_norm = false
"""


@pytest.fixture(scope="module")
def photos(harrison_root: Path) -> list[str]:
    return ["--data", str(harrison_root)]


def configured(folder: Path, *, epochs: int = EPOCHS, minutes: float = 0.0) -> list[str]:
    config = folder / f"{epochs}-{minutes}.toml"
    config.write_text(CONFIG.format(epochs=epochs, minutes=minutes))
    return ["--config", str(config)]


def live(command: list[str], said: Path) -> None:
    torch.set_num_threads(1)
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), 2)
    sys.exit(train.main(command))


def start(command: list[str], said: Path = Path(os.devnull)) -> ForkServerProcess:
    """A process of its own that trains; what it says goes to a file."""
    process = LIVES.Process(target=live, args=[command, said], daemon=True)
    process.start()
    return process


def finish(command: list[str], said: Path) -> str:
    process = start(command, said)
    process.join()
    assert process.exitcode == 0, said.read_text()
    return said.read_text()


def wait_for_a_change(process: ForkServerProcess, path: Path) -> None:
    before = path.stat().st_mtime if path.exists() else 0.0
    while process.is_alive() and (not path.exists() or path.stat().st_mtime == before):
        time.sleep(0.02)


@pytest.fixture(scope="module")
def undisturbed(photos: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    finish([*configured(folder), *photos, "--out", str(folder / "run")], folder / "said")
    return folder / "run"


def assert_same(one: Path, two: Path) -> None:
    for name in ("weights.safetensors", "metrics.jsonl", "curves.svg", "seen_photos.npy"):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


def test_killed_at_random_moments_it_ends_with_the_same_bytes(
    undisturbed: Path, photos: list[str], tmp_path: Path
) -> None:
    two = tmp_path / "two"
    command = [*configured(tmp_path), *photos, "--out", str(two)]
    dice = random.Random()
    # The first two lives end in stage one, the later ones in stage two.
    signs = ["features", "tensorboard/head"] + (KILLS - 2) * ["checkpoint.pt"]
    kills = 0
    for sign in signs:
        process = start(command)
        wait_for_a_change(process, two / sign)
        time.sleep(dice.uniform(0, 0.5))
        kills += process.is_alive()  # it may come to its end before the blow
        process.kill()
        process.join()
    assert kills >= KILLS / 2
    finish(command, tmp_path / "said")
    assert_same(undisturbed, two)


def test_sigterm_saves_and_says_so(undisturbed: Path, photos: list[str], tmp_path: Path) -> None:
    two = tmp_path / "two"
    command = [*configured(tmp_path, minutes=60), *photos, "--out", str(two)]
    process = start(command, tmp_path / "said")
    wait_for_a_change(process, two / "checkpoint.pt")  # after stage one
    wait_for_a_change(process, two / "checkpoint.pt")  # after the first epoch
    process.terminate()
    process.join()
    assert process.exitcode == 143
    assert "give the same command again" in (tmp_path / "said").read_text()
    told = finish(command, tmp_path / "told")
    assert re.search(rf"resuming .*: \d of {EPOCHS} epochs done", told)
    assert_same(undisturbed, two)


def test_a_finished_run_is_left_as_it_is_and_another_one_is_refused(
    photos: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    command = [*photos, "--out", str(tmp_path / "run")]
    assert train.main([*configured(tmp_path, epochs=1), *command]) == 0
    weights = tmp_path / "run" / "weights.safetensors"
    before = weights.read_bytes()
    assert not any("trained to the end" in message for message in caplog.messages)
    assert train.main([*configured(tmp_path, epochs=1), *command]) == 0
    assert any("trained to the end" in message for message in caplog.messages)
    assert train.main([*configured(tmp_path, epochs=2), *command]) == 1
    assert weights.read_bytes() == before


def test_what_is_unsure_belongs_to_the_labels() -> None:
    config, photo = TrainConfig("colours"), Photo(Path("a.jpg"), ("sky",), "0123", "train")
    keys = {
        run_key(config, "none", [replace(photo, unsure=unsure)])
        for unsure in ((), ("sea",), ("sea", "sand"))
    }
    assert len(keys) == 3


def test_half_a_checkpoint_is_never_read(photos: list[str], tmp_path: Path) -> None:
    command = [*configured(tmp_path, epochs=1), *photos, "--out", str(tmp_path / "run")]
    assert train.main(command) == 0
    (tmp_path / "run" / "checkpoint.part").write_bytes(b"half")
    assert train.main(command) == 0
