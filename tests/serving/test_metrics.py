"""What Prometheus reads from a live server, before and after some requests."""

import re
import time
from typing import Any

import pytest
import requests

from serving.instance import Instance

pytestmark = pytest.mark.serving

Scrape = dict[str, float]


def scrape(instance: Instance) -> Scrape:
    """Each series by its name and its own labels, of those that differ here."""
    text = requests.get(f"{instance.metrics}/metrics", timeout=10).text
    series = {}
    for name, labels, value in re.findall(r"^(\w+)\{(.*)\} ([\d.E+-]+)$", text, re.MULTILINE):
        own = re.sub(r'(model_name|model_version|hostname|Hostname|Level)="[^"]*",', "", labels)
        series[name + own] = float(value)
    return series


def settled(instance: Instance) -> Scrape:
    """A scrape after which no metric is under way from the worker any more."""
    before, now = {}, scrape(instance)
    while now != before:
        time.sleep(0.3)
        before, now = now, scrape(instance)
        before |= {n: now[n] for n in now if n.startswith("Requests")}  # scrapes count as well
    return now


def test_each_stage_photo_and_error_is_counted(instance: Instance, jpeg: bytes) -> None:
    headers = {"Authorization": f"Bearer {instance.key('inference')}"}

    def post(path: str, photo: bytes) -> requests.Response:
        return requests.post(
            f"{instance.inference}/{path}/hashtags", data=photo, headers=headers, timeout=60
        )

    before = settled(instance)
    scores = [post("predictions", jpeg).json()["hashtags"][0]["score"] for _ in range(5)]
    for bad in (b"no photo", b"", jpeg[: len(jpeg) // 2], b"no photo either"):
        assert post("predictions", bad).status_code in (400, 415, 422)
    assert post("explanations", jpeg).status_code == 200
    after = settled(instance)

    def rise(name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    assert (
        rise("hashstagram_photos_total") == 5
    )  # an explanation mostly is of a photo that was counted before
    assert rise('hashstagram_errors_totalreason="UnsupportedImageError",') == 2
    assert rise('hashstagram_errors_totalreason="InvalidImageError",') == 1
    assert rise('hashstagram_errors_totalreason="InvalidRequestError",') == 1
    assert rise("hashstagram_batch_size_count") == rise("hashstagram_batch_size_sum") == 10
    assert rise("hashstagram_top_score_count") == 5
    assert rise("hashstagram_top_score_sum") == pytest.approx(5 * scores[0], abs=0.01)
    assert rise('hashstagram_stage_seconds_countstage="explanation",') == 1
    for stage in ("decode", "inference", "postprocess"):
        assert rise(f'hashstagram_stage_seconds_countstage="{stage}",') > 0
        assert 0 < rise(f'hashstagram_stage_seconds_sumstage="{stage}",') < 60
    assert rise("ts_inference_requests_total") == 10
    assert rise("ts_queue_latency_microseconds") > 0


def test_a_caller_cannot_make_series(instance: Instance, jpeg: bytes) -> None:
    """Labels are ours: the model, the stage, the class of an error."""
    headers = {"Authorization": f"Bearer {instance.key('inference')}", "X-Top-K": "MARK"}
    files: Any = {"MARK": ("MARK.jpg", jpeg)}
    requests.post(
        f"{instance.inference}/predictions/hashtags", files=files, headers=headers, timeout=60
    )
    requests.post(f"{instance.inference}/predictions/MARK", data=jpeg, headers=headers, timeout=60)
    settled(instance)
    assert "MARK" not in requests.get(f"{instance.metrics}/metrics", timeout=10).text
