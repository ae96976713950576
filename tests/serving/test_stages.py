"""The benchmark that says where a photo's time goes, on a small model."""

from pathlib import Path

import pytest

from benchmarks.stages import inference_floor, stages, table
from hashstagram.graph import expand
from hashstagram.predictor import Predictor
from serving.instance import Instance

pytestmark = pytest.mark.serving


def test_each_stage_has_its_time_and_its_floor(
    instance: Instance, served_bundle: Path, tmp_path: Path
) -> None:
    floor = inference_floor(served_bundle)
    assert floor > 0
    expand(served_bundle, tmp_path)
    found = stages(Predictor.load(tmp_path), instance, (640, 480), floor, rounds=3)
    assert [each.stage for each in found] == ["transport", "decode", "inference", "postprocess"]
    assert all(each.floor > 0 for each in found)
    assert all(each.measured > 0 for each in found[1:])
    rows = table(found).splitlines()[2:]
    assert [row.split(" | ")[1] for row in rows][-1] == "**all**"
