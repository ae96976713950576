"""Two networks side by side, all the way: weights from the web, both stages, export, archive."""

import hashlib
import json
import logging
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from torchvision.models import get_model

from hashstagram.recommender import Recommender
from tests.conftest import Downloads, read_json
from tests.test_build_mar import build
from training import evaluate, export, train

CONFIG = """
name = "both"
architecture = "shufflenet_v2_x0_5+mobilenet_v3_small"
hidden = 32
weights = {weights}
[transform]
input_size = 32
crop_mode = "squash"
crop_pct = 1.0
[head]
epochs = 2
[finetune]
epochs = 1
batch_size = 16
input_size = 32
backbone_lr_scale = 1.0
freeze_batch_norm = false
"""


@pytest.fixture
def few(harrison_root: Path, tmp_path: Path) -> Path:
    """The first 40 of the little photos."""
    root = tmp_path / "few"
    root.mkdir()
    for number in range(40):
        shutil.copy(harrison_root / f"{number:03}.jpg", root)
    shutil.copy(harrison_root / "vocab_index.txt", root)
    tags = (harrison_root / "tag_list.txt").read_text().splitlines(keepends=True)
    (root / "tag_list.txt").write_text("".join(tags[:40]))
    (root / "data_list.txt").write_text("".join(f"few/{n:03}.jpg\n" for n in range(40)))
    return root


def publish(downloads: Downloads) -> list[str]:
    """Random weights of both networks, one as a file and one in a package, with their hashes."""
    torch.manual_seed(0)
    shufflenet, mobilenet = (
        get_model(name, weights=None).state_dict()
        for name in ("shufflenet_v2_x0_5", "mobilenet_v3_small")
    )
    torch.save(shufflenet, downloads.folder / "objects.pth")
    torch.save(mobilenet, downloads.folder / "scenes.pth")
    with zipfile.ZipFile(downloads.folder / "scenes.whl", "w") as wheel:
        wheel.write(downloads.folder / "scenes.pth", "scenes/model.pth")
    return [
        f"{downloads.url(name)}#sha256="
        + hashlib.sha256((downloads.folder / name).read_bytes()).hexdigest()
        for name in ("objects.pth", "scenes.whl")
    ]


def test_two_branches_train_evaluate_export_and_build(
    downloads: Downloads, few: Path, tmp_path: Path, jpeg: bytes
) -> None:
    weights = publish(downloads)
    (tmp_path / "c.toml").write_text(CONFIG.format(weights=json.dumps(weights)))
    run, out, data = tmp_path / "run", tmp_path / "bundle", ["--data", str(few)]
    config = ["--config", str(tmp_path / "c.toml")]
    assert train.main([*config, *data, "--out", str(run)]) == 0
    assert downloads.asked == ["/objects.pth", "/scenes.whl"]
    recorded = read_json(run / "config.json")["training"]["weights"]
    assert [one["network"] for one in recorded] == ["shufflenet_v2_x0_5", "mobilenet_v3_small"]
    assert [f"{one['source']}#sha256={one['sha256']}" for one in recorded] == weights

    assert evaluate.main(["--bundle", str(run), *data]) == 0
    assert export.main([str(run), str(out), *data]) == 0
    assert weights[1].partition("#")[0] in (out / "README.md").read_text()
    full, half = (Recommender.from_pretrained(d).recommend([jpeg])[0] for d in (run, out))
    assert [h.tag for h in full] == [h.tag for h in half]
    built = build(out, tmp_path / "both.mar")
    assert built.returncode == 0, built.stderr

    # Done, the run asks for nothing again, and knows what it came from.
    assert train.main([*config, *data, "--out", str(run)]) == 0
    assert len(downloads.asked) == 2
    assert read_json(run / "config.json")["training"]["weights"] == recorded


def test_weights_that_are_not_what_they_should_be_end_the_run_in_one_line(
    downloads: Downloads, few: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = publish(downloads)
    (tmp_path / "c.toml").write_text(CONFIG.format(weights='"none"'))
    arguments = ["--config", str(tmp_path / "c.toml"), "--data", str(few)]
    wrong = first[:-64] + "0" * 64
    arguments += ["--out", str(tmp_path / "run"), "--weights", wrong, second]
    with caplog.at_level(logging.ERROR):
        assert train.main(arguments) == 1
    assert "objects.pth sends is not used" in caplog.messages[-1]
