import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from hashstagram.bundle import Bundle
from hashstagram.calibration import Calibration
from hashstagram.errors import UnsupportedImageError
from hashstagram.predictor import Predictor
from hashstagram.recommender import Recommender
from hashstagram.tag_filter import TagFilter
from hashstagram.usage import Usage


@pytest.fixture(scope="module")
def recommender(bundle: Bundle) -> Recommender:
    return Recommender(bundle)


def test_five_distinct_tags_best_first(recommender: Recommender, jpeg: bytes) -> None:
    [hashtags] = recommender.recommend([jpeg])
    assert len({hashtag.tag for hashtag in hashtags}) == 5
    scores = [hashtag.score for hashtag in hashtags]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


def test_k_and_threshold(recommender: Recommender, jpeg: bytes) -> None:
    [everything] = recommender.recommend([jpeg], k=1000)
    assert len(everything) == 10
    middle = everything[4].score
    [above] = recommender.recommend([jpeg], k=1000, threshold=middle)
    assert above == everything[:5]


def test_a_filter_leaves_the_next_best(recommender: Recommender, jpeg: bytes) -> None:
    scores = recommender.scores(recommender.preprocess(jpeg)[None])[0]
    best = recommender.ranking.top(scores, k=10)
    excluded = TagFilter(exclude=(best[0].tag, best[2].tag))
    assert recommender.ranking.top(scores, k=2, tag_filter=excluded) == [best[1], best[3]]
    assert recommender.ranking.top(scores, tag_filter=TagFilter(include=("nothing",))) == []


def test_it_abstains_where_all_scores_are_low(bundle: Bundle, jpeg: bytes) -> None:
    best = Recommender(bundle).recommend([jpeg])[0][0].score
    for bar, abstains in ((best - 0.01, False), (best + 0.01, True)):
        calibration = Calibration(abstain_below=bar)
        wary = Recommender(replace(bundle, config=replace(bundle.config, calibration=calibration)))
        assert wary.ranking.abstains(wary.scores(wary.preprocess(jpeg)[None])[0]) is abstains


def test_it_abstains_by_what_is_answered(bundle: Bundle, jpeg: bytes) -> None:
    """A tag that nobody writes, or that the caller excludes, is no reason to be sure."""
    first, second, *_ = Recommender(bundle).recommend([jpeg])[0]
    scores = Recommender(bundle).scores(Recommender(bundle).preprocess(jpeg)[None])[0]
    bar = (first.score + second.score) / 2
    wary = replace(Recommender(bundle).ranking, abstain_below=bar)
    assert not wary.abstains(scores)
    assert wary.abstains(scores, TagFilter(exclude=(first.tag,)))
    shares = {tag: {tag: 0.0 if tag == first.tag else 1.0} for tag in bundle.vocabulary.tags}
    assert replace(wary, usage=Usage.of(shares, bundle.vocabulary)).abstains(scores)


def test_a_batch_answers_as_each_photo_alone(
    recommender: Recommender, picture: Image.Image, encode: Callable[..., bytes]
) -> None:
    photos = [encode(picture.rotate(90 * turn, expand=True), "PNG") for turn in range(4)]
    together = recommender.recommend(photos)
    for photo, hashtags in zip(photos, together, strict=True):
        [alone] = recommender.recommend([photo])
        assert [h.tag for h in alone] == [h.tag for h in hashtags]
    assert recommender.recommend([]) == []


def test_bytes_and_pictures_are_the_same_photo(
    recommender: Recommender, picture: Image.Image, encode: Callable[..., bytes]
) -> None:
    [from_bytes], [from_image] = (
        recommender.recommend([encode(picture, "PNG")]),
        recommender.recommend([picture]),
    )
    assert from_bytes == from_image


def test_softmax_scores_share_one(bundle: Bundle, jpeg: bytes) -> None:
    softmax = replace(bundle, config=replace(bundle.config, activation="softmax"))
    [hashtags] = Recommender(softmax).recommend([jpeg], k=10)
    assert sum(h.score for h in hashtags) == pytest.approx(1, abs=1e-4)


def test_saved_and_loaded_it_answers_the_same(
    recommender: Recommender, jpeg: bytes, tmp_path: Path
) -> None:
    recommender.save_pretrained(tmp_path / "copy")
    again = Recommender.from_pretrained(tmp_path / "copy")
    assert torch.allclose(
        again.scores(again.preprocess(jpeg)[None]),
        recommender.scores(recommender.preprocess(jpeg)[None]),
        atol=1e-5,
    )


def test_a_bad_photo_raises_and_says_what_to_do(recommender: Recommender) -> None:
    with pytest.raises(UnsupportedImageError, match="Send one of"):
        recommender.recommend([b"not a photo"])


def test_a_licence_that_rules_out_commercial_use_is_said_at_load(
    bundle: Bundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = [{"licence": "CC-BY-NC-4.0"}, {"licence": "Apache-2.0"}]
    config = replace(bundle.config, training={"weights": weights})
    with caplog.at_level(logging.WARNING):
        Recommender(bundle).save_pretrained(tmp_path / "free")
        Predictor.load(tmp_path / "free")
        assert caplog.messages == []
        Bundle(config, bundle.vocabulary, bundle.model).save(tmp_path / "swag")
        Predictor.load(tmp_path / "swag")
    assert caplog.messages == ["tiny: not for commercial use (CC-BY-NC-4.0)"]
