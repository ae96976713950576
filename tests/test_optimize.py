"""What runs a network is chosen by what was measured, and travels with the bundle."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hashstagram.bundle import Bundle, BundleConfig, EngineChoice, check_bundle
from hashstagram.engine import GraphEngine
from hashstagram.files import CONFIG, GRAPH
from hashstagram.graph import build_graph, expand
from hashstagram.predictor import Predictor
from hashstagram.silent import openvino
from tests.conftest import clean_environment
from tests.test_build_mar import build
from training import optimize
from training.harrison import DataError
from training.optimize import Trial, choose, find_ranges


@pytest.mark.parametrize(
    ("int8", "chosen"),
    [
        (Trial(1.0, 4.0, 59.8, 4.9), "int8"),
        (Trial(1.0, 4.0, 59.6, 4.9), "float"),
        (Trial(1.0, 11.0, 60.0, 4.9), "float"),
    ],
    ids=["faster", "too-inaccurate", "slower"],
)
def test_the_fastest_that_is_accurate_enough_is_chosen(int8: Trial, chosen: str) -> None:
    pytorch, graph = Trial(20.0, 20.0, 60.0, 5.0), Trial(12.0, 10.0, 60.0, 5.0)
    assert choose({"pytorch": pytorch, "float": graph, "int8": int8}) == chosen
    slow = replace(graph, batch_ms=30.0)
    assert choose({"pytorch": pytorch, "float": slow, "int8": slow}) == "pytorch"


@pytest.fixture
def eight_bits(bundle: Bundle, tmp_path: Path) -> Bundle:
    """The small bundle, to be run in eight bits, calibrated on noise."""
    noise = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), np.uint8)
    engine = EngineChoice("int8", find_ranges(build_graph(bundle), noise))
    return replace(bundle, config=replace(bundle.config, engine=engine))


def test_the_archive_holds_a_graph_in_eight_bits(
    eight_bits: Bundle, tmp_path: Path, jpeg: bytes
) -> None:
    eight_bits.save(tmp_path / "bundle")
    expand(tmp_path / "bundle", tmp_path / "out")
    graph = openvino.Core().read_model(tmp_path / "out" / GRAPH)
    weights = [op for op in graph.get_ops() if op.get_type_name() == "Constant"]
    assert any(op.output(0).get_element_type() == openvino.Type.i8 for op in weights)
    predictor = Predictor.load(tmp_path / "out")
    assert isinstance(predictor.engine, GraphEngine)
    [found] = predictor.scores(predictor.preprocess(jpeg)[None])
    [expected] = predictor.recommender.recommend([jpeg], k=3)
    assert predictor.ranking.top(found, k=1)[0].tag in {hashtag.tag for hashtag in expected}


def test_ranges_of_another_network_are_not_used(
    eight_bits: Bundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = EngineChoice("int8", {"nothing": (0.0, 1.0)})
    other = replace(eight_bits, config=replace(eight_bits.config, engine=engine))
    other.save(tmp_path / "bundle")
    expand(tmp_path / "bundle", tmp_path / "out")
    assert (tmp_path / "out" / GRAPH).exists()
    assert "the graph has no operation 'nothing'" in caplog.text


def test_the_choice_is_in_the_bundle_and_the_bundle_is_whole(
    bundle_dir: Path, harrison_root: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "training.optimize", bundle_dir, "--data", harrison_root]
    subprocess.run(command, check=True, env=clean_environment())
    check_bundle(bundle_dir)
    choice = BundleConfig.load(bundle_dir / CONFIG).engine
    assert set(choice.measured["engines"]) == {"pytorch", "float", "int8"}
    assert choice.measured["engines"]["float"]["overlap"] > 4.9
    assert bool(choice.ranges) == (choice.chosen == "int8")
    done = build(bundle_dir, tmp_path / "x.mar")
    assert done.returncode == 0, done.stderr
    assert f"workers use **{choice.chosen}**" in optimize.table(choice)


def test_without_photos_nothing_is_chosen(bundle_dir: Path) -> None:
    with pytest.raises(DataError, match="needs photos"):
        optimize.optimize(bundle_dir, [])
