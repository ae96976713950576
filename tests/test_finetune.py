"""Stage two in pieces, in two processes, in low precision, and where memory is short."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from accelerate.state import AcceleratorState, GradientState
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from tests.conftest import ROOT
from training import train

CONFIG = """
name = "colours"
architecture = "shufflenet_v2_x0_5"
weights = "none"
checkpoint_minutes = 0.0
[transform]
input_size = 32
[head]
epochs = 5
lr = 0.01
[finetune]
epochs = 2
batch_size = 20
input_size = 32
"""


@pytest.fixture(autouse=True)
def _another_accelerator() -> Iterator[None]:
    """Accelerate keeps one precision a process; here each test has its own."""
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


def arguments(folder: Path, root: Path, out: str, more: str = "") -> list[str]:
    config = folder / f"{out}.toml"
    config.write_text(CONFIG + more)
    command = ["--config", str(config), "--data", str(root), "--out", str(folder / out)]
    return [*command, "--features", str(folder / "features")]


def weights(run: Path) -> dict[str, Tensor]:
    return load_file(run / "weights.safetensors")


def epochs(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def assert_alike(one: Path, two: Path) -> None:
    """The same up to the order in which floating-point numbers are added."""
    for name, tensor in weights(one).items():
        torch.testing.assert_close(tensor, weights(two)[name], atol=2e-3, rtol=2e-3, msg=name)
    for own, other in zip(epochs(one), epochs(two), strict=True):
        assert own["val"] == other["val"]
        assert own["loss"] == pytest.approx(other["loss"], rel=1e-4)


@pytest.fixture(scope="module")
def one(harrison_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one")
    assert train.main(arguments(folder, harrison_root, "run")) == 0
    return folder / "run"


def test_gradients_of_pieces_are_those_of_the_whole(
    one: Path, harrison_root: Path, tmp_path: Path
) -> None:
    command = arguments(tmp_path, harrison_root, "run", "micro_batch_size = 7\n")
    assert train.main(command) == 0
    assert_alike(one, tmp_path / "run")


def test_it_learns_and_tells(one: Path) -> None:
    lines = epochs(one)
    assert [line["epoch"] for line in lines] == [0, 1, 2]
    assert lines[2]["loss"] < lines[1]["loss"]
    assert (one / "curves.svg").read_text().count("colours, per cent") == 1
    events = EventAccumulator(str(one / "tensorboard" / "finetune")).Reload()
    assert [event.step for event in events.Scalars("loss")] == list(range(1, 13))
    assert [event.step for event in events.Scalars("colours/recall_at_5")] == [0, 6, 12]
    head = EventAccumulator(str(one / "tensorboard" / "head")).Reload()
    assert len(head.Scalars("loss")) == 5


def test_half_precision_trains_much_the_same(
    one: Path, harrison_root: Path, tmp_path: Path
) -> None:
    command = arguments(tmp_path, harrison_root, "run", 'mixed_precision = "bf16"\n')
    assert train.main(command) == 0
    assert epochs(tmp_path / "run")[-1]["loss"] == pytest.approx(epochs(one)[-1]["loss"], rel=0.1)
    assert all(tensor.dtype == torch.float32 for tensor in weights(tmp_path / "run").values())


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU can do it")
def test_what_the_device_cannot_do_is_said_in_one_line(
    harrison_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    command = arguments(tmp_path, harrison_root, "run", 'mixed_precision = "fp16"\n')
    assert train.main(command) == 1
    assert "fp16" in caplog.messages[-1]


def torchrun(command: list[str]) -> "subprocess.Popen[bytes]":
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1"]
    return subprocess.Popen(
        [sys.executable, "-m", *launcher, "-m", "training.train", *command],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
        # Without the second, restarted processes may meet the addresses of those before them.
        env=os.environ | {"OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"},
    )


def test_two_processes_one_killed_and_restarted_reach_what_one_reaches(
    one: Path, harrison_root: Path, tmp_path: Path
) -> None:
    process = torchrun(arguments(tmp_path, harrison_root, "run"))
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    while process.poll() is None and not checkpoint.exists():
        time.sleep(0.02)
    trainers = psutil.Process(process.pid).children()
    assert len(trainers) == 2
    trainers[1].send_signal(signal.SIGKILL)
    assert process.wait() == 0
    assert_alike(one, tmp_path / "run")


FITS = """
import resource, sys
from accelerate import Accelerator
from torch import nn
from training.memory import largest_micro_batch

network = nn.Sequential(nn.Conv2d(3, 32, 1), nn.Flatten(), nn.AdaptiveAvgPool1d(1))
accelerator = Accelerator(cpu=True)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limit = used + int(sys.argv[1]) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
print(largest_micro_batch(accelerator, network, 64, (3, 128, 128)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited Linux's way")
@pytest.mark.parametrize(("mebibytes", "fits"), [(200, (1, 32)), (4000, (64, 64))])
def test_the_batch_is_halved_until_it_fits(mebibytes: int, fits: tuple[int, int]) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", FITS, str(mebibytes)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert fits[0] <= int(answer.stdout) <= fits[1]


def test_frozen_layers_stay_as_they_came(one: Path, harrison_root: Path, tmp_path: Path) -> None:
    command = arguments(tmp_path, harrison_root, "run", 'frozen = ["conv1", "stage2"]\n')
    assert train.main([*command, "--weights", str(one / "weights.safetensors")]) == 0
    before, after = weights(one), weights(tmp_path / "run")
    still = {name for name in before if torch.equal(before[name], after[name])}
    moving = {"conv1.0.weight", "stage2.0.branch1.0.weight", "stage3.0.branch1.0.weight"} - still
    assert moving == {"stage3.0.branch1.0.weight"}


def test_layers_that_are_not_there_cannot_be_frozen(
    harrison_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    command = arguments(tmp_path, harrison_root, "run", 'frozen = ["stage9"]\n')
    assert train.main(command) == 1
    assert "'stage9'" in caplog.messages[-1]


def test_layers_that_stay_are_run_once_for_each_view(
    one: Path, harrison_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    layers = 'frozen = ["conv1", "maxpool", "stage2"]\nviews = 2\n'
    command = arguments(tmp_path, harrison_root, "run", layers)
    with caplog.at_level(logging.INFO):
        assert train.main(command) == 0
    assert sum("features of 232 photos" in message for message in caplog.messages) == 1
    before, after = weights(one), weights(tmp_path / "run")
    assert before.keys() == after.keys()
    assert epochs(tmp_path / "run")[2]["loss"] < epochs(tmp_path / "run")[1]["loss"]


def test_views_need_the_first_layers(
    harrison_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    command = arguments(tmp_path, harrison_root, "run", 'frozen = ["stage2"]\nviews = 2\n')
    assert train.main(command) == 1
    assert "are not the network's first layers" in caplog.messages[-1]


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_what_is_kept_lies_between_before_and_after(
    one: Path, harrison_root: Path, tmp_path: Path, share: float
) -> None:
    command = arguments(tmp_path, harrison_root, "run", f"[tuning]\ninterpolate = {share}\n")
    assert train.main(command) == 0
    stored = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    start, after = stored["start"]["conv1.0.weight"], stored["average"]["module.conv1.0.weight"]
    kept = weights(tmp_path / "run")["conv1.0.weight"]
    torch.testing.assert_close(kept, after.lerp(start, share))
    assert not torch.equal(start, after)
