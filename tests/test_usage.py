"""From what is in a picture to what people write about it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from hashstagram.bundle import Bundle
from hashstagram.errors import InvalidBundleError
from hashstagram.recommender import Recommender
from hashstagram.usage import Usage
from hashstagram.vocabulary import Vocabulary
from training.photoset import Photo, PhotoSet
from training.usage import learn_usage

MODEL = Vocabulary(("dog", "brown", "snow", "piano"))


def photoset(*counts: tuple[str, int], tags: int) -> PhotoSet:
    """A set of 200 photos, so many with each tag, whose vocabulary has so many tags."""
    photos = [
        Photo(Path(f"{tag}{n}.jpg"), (tag,), f"{n:016x}", "train")
        for tag, count in counts
        for n in range(count)
    ]
    photos += [Photo(Path("x.jpg"), (), "0", "train")] * (200 - len(photos))
    known = (*(tag for tag, _ in counts), *(f"tag{n}" for n in range(tags - len(counts))))
    return PhotoSet("shown", Vocabulary(known), tuple(photos))


# Of 1,000 posts 20 have #dog, half of them #puppy too; #brown is as common in pictures and
# hardly written; #snow brings #followme along, which is bait, and the common #love.
POSTS = [
    *[("dog", "puppy")] * 10,
    *[("dog", "love")] * 10,
    *[("brown",)],
    *[("snow", "followme", "love")] * 20,
    *[("love",)] * 400,
    *[("sea",)] * 559,
]


def test_people_write_some_words_and_others_not() -> None:
    usage = learn_usage(MODEL, [photoset(("dog", 40), ("brown", 40), ("snow", 4), tags=60)], POSTS)
    shares = {tag: usage.shares[usage.hashtags.index[tag], MODEL.index[tag]] for tag in MODEL.tags}
    assert shares["dog"] == 1  # 2 % of the posts, 20 % of the pictures
    assert shares["brown"] == pytest.approx(0.05)
    assert shares["snow"] == 1
    assert shares["piano"] == 1  # nobody wrote or showed it


def test_a_tag_brings_its_companions_along() -> None:
    usage = learn_usage(MODEL, [photoset(("dog", 40), ("brown", 40), ("snow", 4), tags=60)], POSTS)
    assert set(usage.hashtags.tags) == {*MODEL.tags, "puppy"}
    hashtags = usage(np.array([0.8, 0.9, 0.0, 0.1], np.float32))
    named = dict(zip(usage.hashtags.tags, hashtags.tolist(), strict=True))
    assert named["puppy"] == pytest.approx(0.4)
    assert sorted(named, key=lambda tag: -named[tag])[:2] == ["dog", "puppy"]


def test_a_set_that_was_collected_by_its_tags_says_nothing_of_how_common_they_are() -> None:
    usage = learn_usage(MODEL, [photoset(("dog", 40), ("brown", 150), tags=5)], POSTS)
    assert usage.shares[usage.hashtags.index["brown"], MODEL.index["brown"]] == 1


def test_a_bundle_answers_with_what_people_write(bundle: Bundle, tmp_path: Path) -> None:
    usage = Usage.of({"doggy": {"dog": 0.5}, "beach": {"beach": 1.0}}, bundle.vocabulary)
    Bundle(bundle.config, bundle.vocabulary, bundle.model, usage=usage).save(tmp_path / "b")
    recommender = Recommender.from_pretrained(tmp_path / "b")
    assert recommender.bundle.hashtags.tags == ("doggy", "beach")
    scores = torch.zeros(len(bundle.vocabulary))
    scores[bundle.vocabulary.index["dog"]] = 0.9
    scores[bundle.vocabulary.index["beach"]] = 0.4
    tags = recommender.ranking.top(scores)
    assert [h.tag for h in tags] == ["doggy", "beach"]
    assert [h.score for h in tags] == pytest.approx([0.45, 0.4])


@pytest.mark.parametrize(
    "text",
    ['{"doggy": {"cat": 0.5}}', '{"doggy": {"dog": 2}}', '["doggy"]', '{"doggy": {"dog": "x"}}'],
    ids=["unknown-tag", "no-share", "no-object", "no-number"],
)
def test_a_usage_that_does_not_fit_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "usage.json").write_text(text)
    with pytest.raises(InvalidBundleError, match=r"usage\.json"):
        Usage.load(tmp_path / "usage.json", MODEL)
