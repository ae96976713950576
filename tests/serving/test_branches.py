"""A model of two networks answers in a real TorchServe."""

from pathlib import Path

import pytest
import torch

from hashstagram.bundle import Bundle, BundleConfig
from hashstagram.model import ModelConfig, create_model
from hashstagram.recommender import Recommender
from hashstagram.transforms import TransformConfig
from hashstagram.vocabulary import Vocabulary
from hashstagram_client import HashtagClient
from serving.instance import Instance
from tests.conftest import TAGS
from tests.test_build_mar import build

pytestmark = pytest.mark.serving


def test_two_branches_are_served(tmp_path: Path, jpeg: bytes) -> None:
    torch.manual_seed(0)
    config = ModelConfig("shufflenet_v2_x0_5+mobilenet_v3_small", len(TAGS), hidden=32)
    model = create_model(config).eval()
    torch.nn.init.normal_(model.head[-1].weight)  # so that the order of the tags is never a tie
    described = BundleConfig("both", config, TransformConfig(input_size=64))
    Bundle(described, Vocabulary(TAGS), model).save(tmp_path / "both", dtype=torch.float16)
    built = build(tmp_path / "both", tmp_path / "both.mar", "both")
    assert built.returncode == 0, built.stderr
    [expected] = Recommender.from_pretrained(tmp_path / "both").recommend([jpeg])
    (tmp_path / "photo.jpg").write_bytes(jpeg)
    instance = Instance.start(tmp_path / "both.mar", tmp_path / "run")
    try:
        key = instance.key("inference")
        with HashtagClient(instance.inference, key, model="both") as client:
            answer = client.recommend(tmp_path / "photo.jpg")
    finally:
        instance.stop()
    assert [h.tag for h in answer.hashtags] == [h.tag for h in expected]
