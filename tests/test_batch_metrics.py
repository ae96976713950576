"""What is recorded of a batch, with TorchServe's own metrics from our file."""

import logging
import re
from pathlib import Path

import pytest

from batch_metrics import BatchMetrics
from tests.conftest import ROOT

# TorchServe leaves files to the garbage collector, one of them as it is imported.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")

LISTED = ROOT / "serving" / "metrics.yaml"


def batch_metrics(path: Path) -> BatchMetrics:
    from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl

    cache = MetricsCacheYamlImpl(str(path))
    cache.initialize_cache()
    return BatchMetrics(cache, "hashtags", "1.0")


def record_everything(metrics: BatchMetrics) -> None:
    metrics.batch(3)
    with metrics.stage("inference"):
        pass
    metrics.answered([0.5, 0.25], abstained=1)
    metrics.refused(["InvalidImageError", "InvalidImageError", "ImageTooLargeError"])


def test_each_metric_is_listed_and_one_line_of_output(caplog: pytest.LogCaptureFixture) -> None:
    metrics = batch_metrics(LISTED)
    with caplog.at_level(logging.INFO):
        caplog.clear()
        record_everything(metrics)
    told = [
        re.match(r"\[METRICS\](\w+)\.\w+:([\d.e-]+)\|#([^|]*)\|", message)
        for message in caplog.messages
    ]
    values = {(match[1], match[3]): float(match[2]) for match in told if match}
    labels = "model_name:hashtags,model_version:1.0"
    took = values.pop(("hashstagram_stage_seconds", labels + ",stage:inference"))
    assert 0 < took < 1
    assert values == {
        ("hashstagram_batch_size", labels): 3,
        ("hashstagram_photos_total", labels): 2,
        ("hashstagram_abstentions_total", labels): 1,
        ("hashstagram_top_score", labels): 0.25,  # the last of the two
        ("hashstagram_errors_total", labels + ",reason:InvalidImageError"): 2,
        ("hashstagram_errors_total", labels + ",reason:ImageTooLargeError"): 1,
    }
    assert len(caplog.messages) == 8


def test_the_queries_in_the_docs_ask_for_what_there_is() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    [queries] = re.findall(r"```promql\n(.*?)```", page, flags=re.DOTALL)
    asked = set(re.findall(r"\b(?:hashstagram|ts)_\w+", queries))
    assert len(asked) > 5
    listed = LISTED.read_text(encoding="utf-8")
    for name in asked:
        assert f"name: {re.sub('_(bucket|sum|count)$', '', name)}," in listed


def test_what_happened_to_nobody_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    metrics = batch_metrics(LISTED)
    with caplog.at_level(logging.INFO):
        caplog.clear()
        metrics.answered([], abstained=0)
        metrics.refused([])
    assert caplog.messages == []


def test_what_the_servers_file_does_not_list_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = "{name: hashstagram_batch_size, unit: Count, dimensions: [model_name, model_version]}"
    (tmp_path / "m.yaml").write_text(f"model_metrics: {{histogram: [{one}]}}\n")
    metrics = batch_metrics(tmp_path / "m.yaml")
    with caplog.at_level(logging.INFO):
        caplog.clear()
        record_everything(metrics)
    assert ["hashstagram_batch_size" in message for message in caplog.messages] == [True]


def test_a_stage_that_fails_is_timed_and_still_fails(caplog: pytest.LogCaptureFixture) -> None:
    metrics = batch_metrics(LISTED)
    with (
        caplog.at_level(logging.INFO),
        pytest.raises(ValueError, match="broken"),
        metrics.stage("decode"),
    ):
        raise ValueError("broken")
    assert "stage:decode" in caplog.messages[-1]
