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


@pytest.mark.parametrize("name", ["quick", "finetune"])
def test_what_newcomers_start_from_can_mix_sets(name: str) -> None:
    loss = TrainConfig.load(ROOT / "training" / "configs" / f"{name}.toml").loss
    assert 0 < loss.unknown_weight <= 0.2


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no file .*nope\.toml$"):
        TrainConfig.load(tmp_path / "nope.toml")


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
        ('architecture = "vgg-19"', "c.toml: no network is called 'vgg-19'; did you mean vgg19 or"),
        ("[head]\nepoch = 3", r'c.toml: \[head\] has no field "epoch"; did you mean "epochs"\?$'),
        ("[fine_tune]\nepochs = 3", 'no field "fine_tune"; did you mean "finetune"'),
        ("colour = 3", 'c.toml: the top level has no field "colour"$'),
        ("head = 3", "c.toml is not a training configuration"),
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
