import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import nn

from hashstagram.decode import decode_image
from hashstagram.model import ModelConfig, create_model, detach_head, split_head
from hashstagram.transforms import TransformConfig, eval_transform
from training.config import HeadConfig, TrainConfig
from training.features import BLOCK, MANY, Features, cache_features, forward, head_views
from training.photoset import Photo
from training.prepare import open_photoset

CONFIG = TrainConfig("colours", transform=TransformConfig(input_size=32))


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(2)
    return create_model(ModelConfig("shufflenet_v2_x0_5", 5)).eval()


@pytest.fixture(scope="module")
def photos(harrison_root: Path) -> list[Photo]:
    return list(open_photoset(harrison_root).photos[: BLOCK * 2 + 5])


def cached(model: nn.Module, photos: list[Photo], folder: Path, *, views: int = 1) -> Features:
    config = replace(CONFIG, head=HeadConfig(views=views))
    return cache_features(Accelerator(cpu=True), head_views(config, model), photos, folder)


def test_they_are_what_the_head_sees(model: nn.Module, photos: list[Photo], tmp_path: Path) -> None:
    features = cached(model, photos, tmp_path)
    assert features.shape == (1, len(photos), 1024)
    assert isinstance(features, np.memmap)
    image = decode_image(photos[-1].path.read_bytes())
    vector = torch.from_numpy(features[0, -1]).float()
    backbone, _ = detach_head(model)
    with torch.inference_mode():
        seen = backbone(eval_transform(image, CONFIG.transform)[None])[0]
    torch.testing.assert_close(vector, seen, atol=2e-3, rtol=2e-3)
    with torch.inference_mode():
        logits = split_head(model)[1](vector)
        whole = model(eval_transform(image, CONFIG.transform)[None])[0]
    torch.testing.assert_close(logits, whole, atol=5e-3, rtol=5e-3)


def test_only_what_is_not_done_is_computed(
    model: nn.Module, photos: list[Photo], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = np.array(cached(model, photos, tmp_path, views=2))
    (done_path,) = tmp_path.glob("*.done.npy")
    done = np.load(done_path)
    assert done.shape == (2, 3)
    done[1, 1] = False  # as if it had been killed before this block was on the disk
    np.save(done_path, done)
    (path,) = set(tmp_path.glob("*.npy")) - {done_path}
    spoiled = np.lib.format.open_memmap(path, mode="r+")
    spoiled[1, BLOCK : 2 * BLOCK] = 7
    spoiled.flush()
    with caplog.at_level(logging.INFO):
        again = cached(model, photos, tmp_path, views=2)
    assert f"features of {BLOCK} photos" in caplog.text
    assert "photos/s" in caplog.text
    assert np.array_equal(again, whole)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        cached(model, photos, tmp_path, views=2)
    assert not caplog.text


def test_other_weights_photos_or_views_have_a_file_of_their_own(
    model: nn.Module, photos: list[Photo], tmp_path: Path
) -> None:
    few = photos[:3]
    first = cached(model, few, tmp_path)
    other = create_model(ModelConfig("shufflenet_v2_x0_5", 5))
    assert not np.array_equal(cached(other, few, tmp_path), first)
    assert not np.array_equal(cached(model, few[::-1], tmp_path), first)
    views = cached(model, few, tmp_path, views=4)
    assert np.array_equal(views[0], first[0])
    assert len({view.tobytes() for view in views}) == 4
    assert np.array_equal(cached(model, few, tmp_path), first)
    assert len(list(tmp_path.glob("*.done.npy"))) == 4
    with torch.no_grad():  # another head sees the same features
        split_head(model)[1].weight.zero_()
    cached(model, few, tmp_path)
    assert len(list(tmp_path.glob("*.done.npy"))) == 4


def test_many_photos_are_seen_as_few_are(model: nn.Module) -> None:
    """OpenVINO, which many are worth, gives what PyTorch gives."""
    backbone, _ = detach_head(model)
    images = torch.rand(5, 3, 32, 32)
    few, many = (
        forward(backbone, torch.device("cpu"), photos)(images) for photos in (MANY - 1, MANY)
    )
    assert many.shape == few.shape == (5, 1024)
    torch.testing.assert_close(many, few, atol=1e-3, rtol=1e-3)
    assert not torch.equal(many, few)  # another engine
