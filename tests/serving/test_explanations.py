"""Explanations from a live worker."""

import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from hashstagram.explanation import Explainer
from hashstagram.recommender import Recommender
from serving.instance import Instance

pytestmark = pytest.mark.serving

Post = Callable[..., requests.Response]
PREDICT, EXPLAIN = "/predictions/hashtags", "/explanations/hashtags"


@pytest.fixture
def post(instance: Instance) -> Post:
    def post(path: str, photo: bytes, **headers: str) -> requests.Response:
        sent = {"Authorization": f"Bearer {instance.key('inference')}"} | headers
        return requests.post(instance.inference + path, data=photo, headers=sent, timeout=60)

    return post


def test_the_answer_is_the_recommenders_with_its_maps(
    post: Post, served_bundle: Path, jpeg: bytes
) -> None:
    answer = post(EXPLAIN, jpeg)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"model", "version", "request_id", "hashtags", "neighbours"}
    expected = Explainer(Recommender.from_pretrained(served_bundle)).explain(jpeg)
    assert [h["tag"] for h in body["hashtags"]] == [h.tag for h in expected.hashtags]
    for told, hashtag in zip(body["hashtags"], expected.hashtags, strict=True):
        assert told["score"] == pytest.approx(hashtag.score, abs=1e-3)
        picture = Image.open(BytesIO(base64.b64decode(told["heat_map"])))
        assert (picture.format, picture.size) == ("PNG", (128, 96))
    assert body["neighbours"] == []  # the little bundle has no index


def test_as_many_as_asked_for_up_to_ten(post: Post, jpeg: bytes) -> None:
    assert len(post(EXPLAIN, jpeg, **{"X-Top-K": "10"}).json()["hashtags"]) == 10
    assert len(post(EXPLAIN, jpeg, **{"X-Top-K": "1"}).json()["hashtags"]) == 1
    refused = post(EXPLAIN, jpeg, **{"X-Top-K": "11"})
    assert (refused.status_code, refused.json()["type"]) == (400, "InvalidRequestError")
    assert "10" in refused.json()["message"]


def test_a_batch_may_mix_predictions_explanations_and_bad_photos(post: Post, jpeg: bytes) -> None:
    def tags(answer: requests.Response) -> list[str]:
        assert answer.status_code == 200, answer.text
        return [hashtag["tag"] for hashtag in answer.json()["hashtags"]]

    alone = tags(post(PREDICT, jpeg))
    jobs: list[tuple[str, Any]] = [(PREDICT, jpeg), (EXPLAIN, jpeg)] * 3
    jobs += [(PREDICT, b"broken"), (EXPLAIN, jpeg[: len(jpeg) // 2])]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(2):
            answers = list(pool.map(lambda job: post(*job), jobs))
            assert [tags(answer) for answer in answers[:6]] == [alone] * 6
            assert ["neighbours" in answer.json() for answer in answers[:6]] == [False, True] * 3
            assert [answer.status_code for answer in answers[6:]] == [415, 422]
