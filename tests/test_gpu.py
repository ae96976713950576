"""What benchmarks.gpu does on a GPU, on the CPU as far as that goes."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks import gpu
from hashstagram.bundle import Bundle
from hashstagram.recommender import Recommender
from tests.conftest import TAGS, ColourNetwork
from training.config import FinetuneConfig, TrainConfig
from training.photoset import PhotoSet
from training.prepare import open_photoset

RECIPE = TrainConfig(
    "tiny",
    architecture="shufflenet_v2_x0_5",
    finetune=FinetuneConfig(epochs=5, batch_size=20, input_size=32, views=3, frozen=("conv1",)),
)


@pytest.fixture(scope="module")
def photoset(harrison_root: Path) -> PhotoSet:
    return open_photoset(harrison_root)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main(["--data", "nowhere"]) == 1
    assert capsys.readouterr() == ("", "this needs an NVIDIA GPU, and PyTorch sees none\n")


def test_nothing_of_the_recipe_is_frozen_or_cached() -> None:
    stage = gpu.unbound(RECIPE, 40, "bf16").finetune
    assert (stage.epochs, stage.mixed_precision) == (40, "bf16")
    assert (stage.views, stage.frozen, stage.batch_size) == (0, (), 20)


def test_an_epoch_is_timed_by_a_part_of_it(photoset: PhotoSet, tmp_path: Path) -> None:
    recipe = gpu.unbound(RECIPE, 1, "no")
    steps = recipe.finetune.steps(len(photoset.split("train")))
    whole = gpu.epoch_seconds(recipe, [photoset], tmp_path / "whole", 0, seconds=1000)
    part = gpu.epoch_seconds(recipe, [photoset], tmp_path / "part", 0, seconds=0)
    assert steps > 3
    assert whole > 0
    assert part > whole / 2  # of one step, the slowest


def test_what_is_measured_was_kept_from_the_model(photoset: PhotoSet) -> None:
    [kept] = gpu.held_out(RECIPE, [photoset])
    assert [*kept.photos] == photoset.split("test")
    [kept] = gpu.held_out(TrainConfig("all", train_splits=("train", "test")), [photoset])
    assert [*kept.photos] == photoset.split("val")
    many = PhotoSet("many", photoset.vocabulary, 500 * tuple(photoset.split("test")[:1]))
    assert gpu.KEPT / 2 < len(gpu.held_out(RECIPE, [many])[0].photos) <= gpu.KEPT


@pytest.mark.filterwarnings("ignore:.*torchcodec:DeprecationWarning")  # torchvision's decoder
def test_both_ways_of_decoding_lead_to_the_same_hashtags(bundle: Bundle, jpeg: bytes) -> None:
    torch.manual_seed(3)
    network = ColourNetwork()  # ten tags, each for a mixture of colours
    network.fc = torch.nn.Linear(3, len(bundle.vocabulary), bias=False)
    recommender = Recommender(replace(bundle, model=network.eval()))
    with ThreadPoolExecutor(2) as pool:
        ways = {
            "CPU": gpu.decode_on_cpu(recommender, pool),
            "GPU": gpu.decode_with_torchvision(recommender),
        }
        ours, theirs = (way([jpeg, jpeg]) for way in ways.values())
        assert ours.shape == theirs.shape
        assert (ours - theirs).abs().mean() < 0.05
        assert gpu.overlap(recommender, [*ways.values()], 3 * [jpeg]) >= 0.8
        blind = [ways["CPU"], lambda photos: 0 * ways["CPU"](photos)]  # the first five tags tie
        [answer] = gpu.hashtags(recommender, ours[:1])
        assert gpu.overlap(recommender, blind, [jpeg]) == len(answer & {*TAGS[:5]}) / 5 < 1
        rows = list(gpu.sweep(recommender, ways, [jpeg], batches=(1, 2), seconds=0.01))
    assert [(row.decoded, row.batch) for row in rows] == [
        *(("CPU", 1), ("GPU", 1)),
        *(("CPU", 2), ("GPU", 2)),
    ]
    for row in rows:
        assert 0 < row.p50_ms <= row.p99_ms
        assert row.photos_per_s > 0
