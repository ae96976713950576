from pathlib import Path

import pytest

from hashstagram.model import ModelConfig
from tests.conftest import ROOT
from training.config import TrainConfig
from training.harrison import DataError

CONFIGS = sorted((ROOT / "training" / "configs").glob("*.toml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_what_we_ship_is_in_form(path: Path) -> None:
    assert TrainConfig.load(path).name == path.stem


def test_the_network_is_the_one_asked_for(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(
        'name = "x"\narchitecture = "vit_b_16"\npadding = "tensorflow"\nhidden = 7\n'
        "[transform]\ninput_size = 384\n"
    )
    model = TrainConfig.load(tmp_path / "c.toml").model(9)
    assert model == ModelConfig("vit_b_16", 9, "tensorflow", hidden=7, image_size=384)
    assert TrainConfig("x").model(9) == ModelConfig("mobilenet_v2", 9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('architecture = "vgg17"', "is called 'vgg17'"),
        ('architecture = "vgg16+"', "is called ''"),
        ("hidden = -1", "not -1"),
        (
            'architecture = "vit_b_16"\n[transform]\ninput_size = 224\n[finetune]\nepochs = 1',
            "input_size has to be 224",
        ),
    ],
)
def test_what_cannot_be_built_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "c.toml").write_text(f'name = "x"\n{text}\n')
    with pytest.raises(DataError, match=message):
        TrainConfig.load(tmp_path / "c.toml")
