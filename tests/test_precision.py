"""The number format that the network computes in, and what a worker does before its first photo."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from hashstagram.bundle import Bundle
from hashstagram.precision import choose_precision
from hashstagram.predictor import Predictor
from hashstagram.recommender import Photo, Recommender
from serving.sample_photo import draw_sunset
from tests.conftest import ROOT

EVERYDAY = ROOT / "models" / "everyday"
HALVES = ("bfloat16", "float16")


def test_auto_is_single_precision_on_the_cpu() -> None:
    assert choose_precision("auto", "cpu") == torch.float32
    assert choose_precision("bfloat16", "cpu") == torch.bfloat16


def test_an_unknown_precision_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match="auto or one of float32, float16, bfloat16, not 'half'"):
        choose_precision("half", "cpu")


@pytest.mark.parametrize("precision", HALVES)
def test_the_network_computes_in_it_and_answers_nearly_the_same(
    precision: str, picture: Image.Image
) -> None:
    compare(precision, [picture, draw_sunset()])


@pytest.mark.shared
@pytest.mark.parametrize("precision", HALVES)
def test_real_photos_get_nearly_the_same_answers(precision: str, shared: Path) -> None:
    with tarfile.open(shared / "data" / "flickr8k.tar") as photos:
        files = (photos.extractfile(member) for member in photos if member.name.endswith(".jpg"))
        compare(precision, [file.read() for file, _ in zip(files, range(16), strict=False) if file])


def compare(precision: str, photos: list[Photo]) -> None:
    single, half = (Recommender.from_pretrained(EVERYDAY, precision=p) for p in ("auto", precision))
    inputs = torch.stack([single.preprocess(photo) for photo in photos])
    expected, found = single.scores(inputs), half.scores(inputs)
    assert not torch.equal(expected, found)  # it did compute in another format
    assert (expected - found).abs().max() < 0.05
    tops = [[{h.tag for h in single.ranking.top(row)} for row in s] for s in (expected, found)]
    kept = [len(one & other) for one, other in zip(*tops, strict=True)]
    assert sum(kept) / len(kept) >= 4.8


def test_it_warms_up_in_the_sizes_it_is_told(bundle: Bundle) -> None:
    recommender = Recommender(bundle)
    sizes: list[int] = []

    def note(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        sizes.append(len(inputs[0]))

    recommender.backbone.register_forward_pre_hook(note)
    Predictor.of(recommender).warm_up((1, 8))
    assert sizes == [1, 8]


def test_workers_share_the_cores_or_what_the_environment_gives() -> None:
    """The environment cannot give more than there are: PyTorch does not start more."""
    cores = len(os.sched_getaffinity(0))
    assert threads() == [cores, max(1, cores // 2), 1, 5]
    assert threads(OMP_NUM_THREADS="1") == [1, 1, 1, 5]


def threads(**environment: str) -> list[int]:
    """A worker's threads: one worker, two, a hundred, and where the settings ask for five."""
    code = (
        "from hashtag_handler import _threads as threads\n"
        "print(*(threads({'minWorkers': n}) for n in (1, 2, 100)), "
        "threads({'handler': {'threads': 5}}))\n"
    )
    given = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=given | {"PYTHONPATH": str(ROOT / "handler")} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return [int(number) for number in done.stdout.split()]
