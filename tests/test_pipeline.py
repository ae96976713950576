"""The whole way from tagged photos to a bundle, on four colours."""

import json
import logging
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hashstagram.bundle import check_bundle
from hashstagram.recommender import Recommender
from training import evaluate, export, prepare, train

CONFIG = """
name = "colours"
architecture = "shufflenet_v2_x0_5"
weights = "none"
[transform]
input_size = 32
crop_mode = "squash"
crop_pct = 1.0
[augment]
scale = [0.8, 1.0]
[head]
epochs = 3
lr = 0.01
[finetune]
epochs = 12
batch_size = 16
input_size = 32
lr = 0.005
backbone_lr_scale = 1.0
ema_decay = 0.9
freeze_batch_norm = false
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "colours.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope="module")
def run(harrison_root: Path, config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "colours"
    arguments = ["--config", str(config), "--data", str(harrison_root), "--out", str(out)]
    assert train.main(arguments) == 0
    return out


def test_training_beats_popularity_on_photos_it_has_not_seen(
    run: Path, harrison_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report_file = tmp_path / "report.json"
    arguments = ["--bundle", str(run), "--data", str(harrison_root), "--json", str(report_file)]
    assert evaluate.main(arguments) == 0
    report = json.loads(report_file.read_text())
    held_out = [p for p in prepare.open_photoset(harrison_root).photos if p.split == "test"]
    assert report["photos"] == len(held_out)
    assert report["mean_average_precision"] > 80
    popularity = report["baselines"]["popularity"]
    assert report["mean_average_precision"] > popularity["mean_average_precision"] + 20
    assert report["per_word"]["words"] == 5
    assert "precision_at_1" in capsys.readouterr().out


def test_the_run_records_how_it_came_to_be(run: Path) -> None:
    recorded = json.loads((run / "config.json").read_text())["training"]
    assert recorded["config"]["finetune"]["epochs"] == 12
    assert {"torch", "torchvision", "accelerate"} <= set(recorded["versions"])
    assert recorded["data"] == {"colours": {"train": 116, "val": 21, "test": 23}}
    assert recorded["platform"]
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(13))
    assert lines[-1]["loss"] < lines[1]["loss"]


def test_the_same_seed_gives_the_same_weights(
    harrison_root: Path, config: Path, tmp_path: Path
) -> None:
    text = config.read_text().replace("epochs = 12", "epochs = 1")
    (tmp_path / "short.toml").write_text(text)
    outs = [tmp_path / "one", tmp_path / "two"]
    for out in outs:
        arguments = ["--config", str(tmp_path / "short.toml"), "--data", str(harrison_root)]
        assert train.main([*arguments, "--out", str(out)]) == 0
    one, two = (out / "weights.safetensors" for out in outs)
    assert one.read_bytes() == two.read_bytes()


def test_without_a_second_stage_the_first_ones_network_is_kept(
    harrison_root: Path, config: Path, tmp_path: Path
) -> None:
    (tmp_path / "head.toml").write_text(config.read_text().replace("epochs = 12", "epochs = 0"))
    out = tmp_path / "run"
    arguments = ["--config", str(tmp_path / "head.toml"), "--data", str(harrison_root)]
    assert train.main([*arguments, "--out", str(out)]) == 0
    trained = torch.load(out / "checkpoint.pt")["model"]
    for name, tensor in load_file(out / "weights.safetensors").items():
        assert tensor.equal(trained[name]), name


def test_export_is_smaller_measured_and_whole(
    run: Path, harrison_root: Path, tmp_path: Path, jpeg: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    card = tmp_path / "card.md"
    card.write_text("---\nlicense: cc0-1.0\n---\n# Colours\n\nFour of them.\n")
    out = tmp_path / "bundle"
    arguments = [str(run), str(out), "--card", str(card), "--data", str(harrison_root)]
    assert export.main(arguments) == 0
    check_bundle(out)
    text = (out / "README.md").read_text()
    assert text.startswith("---\nlibrary_name: hashstagram\n")
    assert "\nlicense: cc0-1.0\n---\n\n# Colours\n\nFour of them.\n" in text
    assert "| colours |" in text
    [said] = [message for message in caplog.messages if message.startswith("colours, 23 photos")]
    assert re.search(r"precision@1 \d+\.\d, recall@5", said)
    weights = "weights.safetensors"
    assert (out / weights).stat().st_size < 0.6 * (run / weights).stat().st_size
    full, half = (Recommender.from_pretrained(d).recommend([jpeg])[0] for d in (run, out))
    assert [h.tag for h in full] == [h.tag for h in half]


def test_several_sets_share_one_vocabulary(
    harrison_root: Path, config: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = tmp_path / "more"
    other.mkdir()
    for number in range(40):
        name = f"m{number}.jpg"
        (other / name).write_bytes((harrison_root / f"{number:03}.jpg").read_bytes())
    (other / "data_list.txt").write_text("".join(f"more/m{n}.jpg\n" for n in range(40)))
    (other / "tag_list.txt").write_text("sky blue \ngrass \nsunset \nnight \n" * 10)
    (other / "vocab_index.txt").write_text("sky 0\ngrass 1\nsunset 2\nnight 3\nblue 4\n")
    text = config.read_text().replace("epochs = 12", "epochs = 0")
    (tmp_path / "c.toml").write_text(text)
    arguments = ["--config", str(tmp_path / "c.toml"), "--out", str(tmp_path / "run")]
    assert train.main([*arguments, "--data", str(harrison_root), "--data", str(other)]) == 0
    tags = Recommender.from_pretrained(tmp_path / "run").bundle.vocabulary.tags
    assert set(tags) == {"photo", "sky", "grass", "sunset", "night", "blue"}
    # Nothing kept "photo" from photos of `more`, nor "blue" from those of `colours`.
    assert any("with unknown_weight = 0 nothing keeps" in message for message in caplog.messages)


@pytest.mark.parametrize(
    ("config_text", "weights", "message"),
    [
        ("nonsense = ", None, "not a training configuration"),
        ("colour = 1", None, 'has no field "colour"'),
        ('name = "x"\nweights = "NO_SUCH"', None, "are called NO_SUCH"),
        ('name = "x"\narchitecture = "alexnet"', "wrong", "do not fit alexnet"),
    ],
    ids=["no-toml", "unknown-field", "unknown-weights", "weights-of-another-network"],
)
def test_what_cannot_work_is_said_in_one_line(
    *,
    run: Path,
    harrison_root: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    config_text: str,
    weights: str | None,
    message: str,
) -> None:
    (tmp_path / "c.toml").write_text(config_text)
    arguments = ["--config", str(tmp_path / "c.toml"), "--data", str(harrison_root)]
    if weights:
        arguments += ["--weights", str(run / "weights.safetensors")]
    with caplog.at_level(logging.ERROR):
        assert train.main([*arguments, "--out", str(tmp_path / "run")]) == 1
    assert message in caplog.messages[-1]
