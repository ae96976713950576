"""A bundle as a worker runs it: by its graph, without PyTorch, or by PyTorch where that fails."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hashstagram.bundle import Bundle, BundleConfig, EngineChoice
from hashstagram.checksums import write_checksums
from hashstagram.engine import GraphEngine, TorchEngine
from hashstagram.errors import InvalidBundleError
from hashstagram.files import FILES, GRAPH, GRAPH_WEIGHTS
from hashstagram.graph import expand, main
from hashstagram.model import ModelConfig, create_model
from hashstagram.predictor import Predictor
from hashstagram.recommender import Recommender
from hashstagram.transforms import TransformConfig
from hashstagram.vocabulary import Vocabulary
from tests.conftest import ROOT, TAGS, has_bfloat16

EVERYDAY = ROOT / "models" / "everyday"


@pytest.fixture(scope="module")
def expanded(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small bundle as it goes into an archive."""
    folder = tmp_path_factory.mktemp("expanded")
    bundle.save(folder / "bundle")
    expand(folder / "bundle", folder / "out")
    return folder / "out"


@pytest.fixture
def spoilt(expanded: Path, tmp_path: Path) -> Path:
    """A copy to spoil, whose checksums are no longer heeded."""
    for name in FILES:
        if (expanded / name).exists():
            (tmp_path / name).write_bytes((expanded / name).read_bytes())
    return tmp_path


def assert_alike(folder: Path, photos: list[bytes]) -> None:
    """The graph's scores are PyTorch's, but for the rounding of bfloat16 on CPUs that have it."""
    graph, reference = Predictor.load(folder), Recommender.from_pretrained(folder)
    assert isinstance(graph.engine, GraphEngine)
    found = graph.scores(np.stack([graph.preprocess(photo) for photo in photos]))
    expected = reference.scores(torch.stack([reference.preprocess(photo) for photo in photos]))
    assert np.abs(found - expected.numpy()).max() < (0.05 if has_bfloat16() else 0.01)


@pytest.fixture
def photos(picture: Image.Image, encode: Callable[..., bytes]) -> list[bytes]:
    return [encode(picture.rotate(90 * turn, expand=True), "PNG") for turn in range(3)]


def test_the_graph_scores_as_pytorch_does(expanded: Path, photos: list[bytes]) -> None:
    assert_alike(expanded, photos)


def test_so_does_the_bundle_that_we_ship(tmp_path: Path, photos: list[bytes]) -> None:
    """With classes, neighbours, calibration and TensorFlow's padding in its graph."""
    shipped = Bundle.load(EVERYDAY)
    exact = replace(shipped.config, engine=EngineChoice("float"))
    replace(shipped, config=exact).save(tmp_path / "exact")
    expand(tmp_path / "exact", tmp_path / "out")
    assert_alike(tmp_path / "out", photos)


def test_so_do_two_branches(tmp_path: Path, photos: list[bytes]) -> None:
    model = create_model(ModelConfig("shufflenet_v2_x0_5+alexnet", len(TAGS), hidden=16)).eval()
    config = BundleConfig(
        "both", ModelConfig("shufflenet_v2_x0_5+alexnet", len(TAGS), hidden=16), TransformConfig(64)
    )
    Bundle(config, Vocabulary(TAGS), model).save(tmp_path / "both", dtype=torch.float16)
    expand(tmp_path / "both", tmp_path / "out")
    assert_alike(tmp_path / "out", photos)


def test_a_batch_scores_as_each_photo_alone(expanded: Path, photos: list[bytes]) -> None:
    predictor = Predictor.load(expanded)
    pixels = np.stack([predictor.preprocess(photo) for photo in photos])
    alone = np.concatenate([predictor.scores(pixels[row : row + 1]) for row in range(len(photos))])
    np.testing.assert_allclose(predictor.scores(pixels), alone, atol=1e-4)


def test_a_worker_answers_without_pytorch(expanded: Path, jpeg: bytes, tmp_path: Path) -> None:
    """In a process whose first argument is TorchServe's worker, as the archive makes it start."""
    (tmp_path / "photo.jpg").write_bytes(jpeg)
    worker = tmp_path / "model_service_worker.py"
    worker.write_text(
        "import sys\n"
        "import torch  # as TorchServe's worker does\n"
        "import hashtag_handler\n"
        "from hashstagram.predictor import Predictor\n"
        f"predictor = Predictor.load({str(expanded)!r})\n"
        "scores = predictor.scores(predictor.preprocess(open('photo.jpg', 'rb').read())[None])\n"
        "print(len(predictor.ranking.top(scores[0])), 'torch.nn' in sys.modules)\n"
        "print(torch.zeros(1).item(), 'torch.nn' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, worker],
        env=os.environ | {"PYTHONPATH": str(ROOT / "handler")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "5 False\n0.0 True\n", done.stderr


def test_what_openvino_cannot_read_pytorch_runs(
    spoilt: Path, jpeg: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (spoilt / GRAPH).write_text("<?xml version='1.0'?><net/>")
    write_checksums(spoilt, FILES)
    with caplog.at_level(logging.WARNING):
        predictor = Predictor.load(spoilt)
    assert isinstance(predictor.engine, TorchEngine)
    [message] = caplog.messages
    assert message.startswith("the graph does not run here, PyTorch does instead: ")
    assert "\n" not in message
    scores = predictor.scores(predictor.preprocess(jpeg)[None])
    [expected] = predictor.recommender.recommend([jpeg])
    assert [h.tag for h in predictor.ranking.top(scores[0])] == [h.tag for h in expected]


def test_a_precision_that_is_asked_for_is_pytorchs(expanded: Path) -> None:
    assert isinstance(Predictor.load(expanded, precision="float32").engine, TorchEngine)
    with pytest.raises(ValueError, match="precision is auto or one of"):
        Predictor.load(expanded, precision="half")


def test_a_graph_that_was_changed_is_refused(spoilt: Path) -> None:
    write_checksums(spoilt, FILES)
    data = bytearray((spoilt / GRAPH_WEIGHTS).read_bytes())
    data[100] ^= 1
    (spoilt / GRAPH_WEIGHTS).write_bytes(data)
    with pytest.raises(InvalidBundleError, match=r"graph\.bin is not the file"):
        Predictor.load(spoilt)


def test_a_graph_that_is_not_listed_is_refused(spoilt: Path) -> None:
    write_checksums(spoilt, [name for name in FILES if name != GRAPH])
    with pytest.raises(InvalidBundleError, match=r"graph\.xml is not in"):
        Predictor.load(spoilt)


def test_a_network_that_runs_best_in_pytorch_gets_no_graph(bundle: Bundle, tmp_path: Path) -> None:
    config = replace(bundle.config, engine=EngineChoice("pytorch"))
    replace(bundle, config=config).save(tmp_path / "bundle")
    assert main([str(tmp_path / "bundle"), str(tmp_path / "out")]) == 0
    assert not (tmp_path / "out" / GRAPH).exists()
    assert isinstance(Predictor.load(tmp_path / "out").engine, TorchEngine)
    with pytest.raises(ValueError, match="'float', 'int8' or 'pytorch'"):
        EngineChoice("magic")  # type: ignore[arg-type]


def test_a_broken_bundle_is_not_expanded(
    bundle_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bundle_dir / "config.json").unlink()
    assert main([str(bundle_dir), str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.startswith("refused: ")


def test_nothing_is_told_to_openvinos_makers(tmp_path: Path) -> None:
    """Its telemetry leaves an identity and a counter in the home folder before it sends."""
    code = (
        "from hashstagram.graph import expand\n"
        "from hashstagram.predictor import Predictor\n"
        "from pathlib import Path\n"
        f"expand(Path({str(EVERYDAY)!r}), Path('out'))\n"
        "print(Predictor.load('out').engine.told)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("OpenVINO"), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
