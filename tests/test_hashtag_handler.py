"""The handler in this process, with TorchServe's own context, where a live one cannot be broken."""

import json
import logging
import weakref
from dataclasses import replace

import pytest
from torch import Tensor, nn

from batch_metrics import BatchMetrics
from hashstagram.bundle import Bundle
from hashstagram.errors import InvalidImageError, PredictionError
from hashstagram.predictor import Predictor
from hashstagram.recommender import Recommender
from hashtag_handler import HashtagHandler, _attempt
from tests.conftest import ROOT
from worker_log import JsonLines

# TorchServe leaves files to the garbage collector, one of them as it is imported.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")


class Broken(nn.Module):
    """Fails with an error that quotes the photo."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(1, 10)

    def forward(self, images: Tensor) -> Tensor:
        raise ValueError(f"SECRET {images.shape}")


def test_an_error_of_ours_is_a_500_and_one_line_that_does_not_quote_the_photo(
    bundle: Bundle, jpeg: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    from ts.context import Context, RequestProcessor
    from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl

    metrics = MetricsCacheYamlImpl(str(ROOT / "serving" / "metrics.yaml"))
    metrics.initialize_cache()
    context = Context("hashtags", "", {}, 8, None, "0", metrics=metrics)
    context.request_ids = {0: "r0", 1: "r1", 2: "r2"}
    context.request_processor = [
        RequestProcessor({}),
        RequestProcessor({"explain": "True", "X-Request-Id": "theirs"}),
        RequestProcessor({}),
    ]
    handler = HashtagHandler()
    handler.model, handler.version = "hashtags", "1.0"
    handler.predictor = Predictor.of(Recommender(replace(bundle, model=Broken().eval())))
    handler.metrics = BatchMetrics(metrics, handler.model, handler.version)
    with caplog.at_level(logging.INFO, "hashtag_handler"):
        answers = handler.handle([{"body": jpeg}, {"body": jpeg}, {"body": b"broken"}], context)
    assert [json.loads(answer)["code"] for answer in answers] == [500, 500, 415]
    assert [context.get_response_status(index)[0] for index in range(3)] == [500, 500, 415]
    assert not any("SECRET" in answer for answer in answers)
    records = [record for record in caplog.records if record.name == "hashtag_handler"]
    lines = [json.loads(JsonLines().format(record)) for record in records]
    told = [(line["request_id"], line["level"], line["reason"]) for line in lines]
    assert told == [
        ("r0", "ERROR", "PredictionError"),
        ("theirs", "ERROR", "PredictionError"),
        ("r2", "INFO", "UnsupportedImageError"),
    ]
    assert all(line["error"] == "ValueError" for line in lines[:2])
    assert all("in forward" in line["traceback"] for line in lines[:2])
    assert "SECRET torch" not in json.dumps(lines)


class Pixels:
    """Something large that a weak reference can watch."""


def test_an_error_does_not_keep_its_photo_in_memory() -> None:
    seen: list[weakref.ref[Pixels]] = []

    def decode() -> None:
        pixels = Pixels()
        seen.append(weakref.ref(pixels))
        try:
            raise OSError("broken")
        except OSError as err:
            raise InvalidImageError("Send another one.") from err

    error = _attempt(decode)
    assert isinstance(error, InvalidImageError)
    assert seen[0]() is None


def test_whatever_goes_wrong_becomes_an_answer() -> None:
    def exhausted() -> None:
        raise MemoryError("0x7f00")

    error = _attempt(exhausted)
    assert isinstance(error, PredictionError)
    assert error.body()["code"] == 500
    assert "0x" not in str(error)
