"""From what is in a picture to what people write about it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hashstagram.bundle import Bundle
from hashstagram.classes import PretrainedClasses
from hashstagram.errors import InvalidBundleError
from hashstagram.recommender import Recommender
from hashstagram.usage import Usage
from hashstagram.vocabulary import Vocabulary
from training.classes import classes_of
from training.photoset import Photo, PhotoSet
from training.usage import UNSEEN, Words, evidence, learn_usage, main

MODEL = Vocabulary(("dog", "brown", "girl", "kick", "shoe", "rock", "pug", "piano"))


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


# Of 1,000 posts 50 have #dog, half of them #dogsofinstagram too and the others #love, as four in
# ten posts do; #brown and #girl are as common in pictures and hardly written; #rock is music.
POSTS = [
    *[("dog", "dogsofinstagram")] * 25,
    *[("dog", "love")] * 25,
    *[("brown", "dogsofinstagram")],
    *[("girl",)] * 16,
    *[("kick", "sneakerhead")] * 20,
    *[("shoe", "followme", "nike", "longhair", "sunny")] * 20,
    *[("rock", "festival")] * 20,
    *[("love",)] * 373,
    *[("sea",)] * 500,
]
SHOWN = photoset(("dog", 40), ("brown", 40), ("girl", 40), ("kick", 40), tags=60)


@pytest.fixture
def reasons() -> dict[str, dict[str, float]]:
    """From hashtag to what it is written for."""
    return learn_usage(MODEL, [SHOWN], POSTS).reasons(MODEL)


def test_what_is_a_hashtag_keeps_its_score_however_seldom_it_is_written(
    reasons: dict[str, dict[str, float]],
) -> None:
    assert reasons["dog"]["dog"] == 1
    assert reasons["piano"] == {"piano": 1}


def test_what_says_little_is_turned_down_by_how_seldom_it_is_written(
    reasons: dict[str, dict[str, float]],
) -> None:
    assert reasons["brown"]["brown"] == pytest.approx(0.2)  # 0.1 % of the posts, 20 % of pictures
    assert reasons["girl"]["girl"] == pytest.approx(0.8)  # 1.6 %
    unknown = learn_usage(MODEL, [], POSTS).reasons(MODEL)
    assert unknown["girl"]["girl"] == pytest.approx(0.9)
    narrow = photoset(("girl", 150), tags=5)  # collected by its tags: not how common they are
    assert learn_usage(MODEL, [narrow], POSTS).reasons(MODEL) == unknown
    unsure = tuple(replace(photo, unsure=("kick",)) for photo in SHOWN.photos)  # so was this one
    classes = replace(SHOWN, photos=unsure)
    assert learn_usage(MODEL, [classes], POSTS).reasons(MODEL) == unknown


def test_what_nobody_posts_is_no_hashtag_and_brings_none_along(
    reasons: dict[str, dict[str, float]],
) -> None:
    assert "kick" not in reasons
    assert "sneakerhead" not in reasons


def test_a_hashtag_is_spelled_as_people_write_it(reasons: dict[str, dict[str, float]]) -> None:
    assert reasons["shoes"] == {"shoe": 1}
    assert "shoe" not in reasons


def test_a_thing_brings_its_kind_along(reasons: dict[str, dict[str, float]]) -> None:
    assert reasons["dog"] == pytest.approx({"dog": 1, "pug": 0.9})
    assert reasons["pug"] == {"pug": 1}


def test_a_tag_brings_its_companions_along(reasons: dict[str, dict[str, float]]) -> None:
    # (25 + 50 times 26 in 1,000) of the 50 posts with #dog and 50 others
    assert reasons["dogsofinstagram"] == {"dog": pytest.approx(0.263)}
    assert "love" not in reasons  # as often as by chance


def test_no_companion_is_bait_a_brand_a_guess_or_meant_for_something_else(
    reasons: dict[str, dict[str, float]],
) -> None:
    assert reasons["sunny"].keys() == {"shoe"}  # it stands in the same posts as these:
    assert not {"followme", "nike", "longhair", "festival"} & reasons.keys()


def test_a_hashtag_scores_as_its_best_reason() -> None:
    shares = {
        "dog": {"dog": 1.0, "pug": 0.9},
        "animal": {"dog": 0.5, "pug": 0.5},
        "sea": {"sea": 1.0},
    }
    tags = Vocabulary(("dog", "sea", "pug"))
    usage = Usage.of(shares, tags)
    scores = np.array([0.3, 0.1, 0.8], np.float32)
    np.testing.assert_allclose(usage(scores), [0.72, 0.4, 0.1], rtol=1e-6)
    assert [usage.reason(index, scores) for index in range(3)] == [2, 2, 1]
    assert usage.reasons(tags) == {tag: pytest.approx(reasons) for tag, reasons in shares.items()}


def test_the_lists_speak_of_each_word_once() -> None:
    words = Words.load()
    lists = (words.unposted, words.faint, words.generic)
    assert sum(map(len, lists)) == len(frozenset().union(*lists))
    assert not words.written.keys() & words.unposted
    assert not words.guesses & frozenset(UNSEEN.read_text().split())
    # One step is all that is looked up, and what is written must not be unposted.
    assert not {*words.written.values()} & (words.written.keys() | words.unposted)
    assert not classes_of().keys() & words.unposted


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
    [
        '{"doggy": {"cat": 0.5}}',
        '{"doggy": {"dog": 2}}',
        '["doggy"]',
        '{"doggy": {"dog": "x"}}',
        '{"doggy": {}, "dog": {"dog": 1}}',
    ],
    ids=["unknown-tag", "no-share", "no-object", "no-number", "no-reason"],
)
def test_a_usage_that_does_not_fit_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "usage.json").write_text(text)
    with pytest.raises(InvalidBundleError, match=r"usage\.json"):
        Usage.load(tmp_path / "usage.json", MODEL)


def test_a_tag_of_too_few_photos_is_no_hashtag_unless_classes_speak_for_it() -> None:
    classes = PretrainedClasses(1000, {"pug": (254,)}, {"piano": (579,)})
    few = photoset(("dog", 40), ("rock", 29), ("shoes", 30), tags=60)  # in another spelling
    usage = learn_usage(MODEL, [few], POSTS, classes=classes, evidence=30)
    assert {"dog", "shoes", "pug", "piano"} <= usage.hashtags.index.keys()
    assert not {"rocks", "girl", "brown"} & usage.hashtags.index.keys()


def test_evidence_says_where_a_hashtag_comes_from() -> None:
    usage = Usage.of({"dog": {"pug": 0.9, "dog": 1}, "pug": {"pug": 1}}, MODEL)
    classes = PretrainedClasses(1000, {"pug": (254,)}, {"dog": tuple(range(151, 157))})
    lines = evidence(MODEL, usage, classes, [SHOWN])
    assert lines["pug"] == "1.00 of pug (classes pug)"
    first, second = lines["dog"].split("; 0.90")
    assert second == " of pug (classes pug)"
    assert first.startswith("1.00 of dog (40 photos; classes Chihuahua, ")
    assert first.endswith(" and 2 more)")


def test_a_bundles_hashtags_can_be_listed(
    bundle_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--list", str(bundle_dir)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "dog\t1.00 of dog (photos)" in lines
    assert lines[-1] == f"{len(lines) - 1} hashtags"
    assert main(["--list", str(bundle_dir / "no")]) == 1


def test_the_command_compares_ways_on_posts(
    bundle_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    posts = [("dog", "puppy", f"x{n}") for n in range(200)] + [("beach", "sunny", "sea")] * 5
    hashtags = sorted({hashtag for post in posts for hashtag in post})
    (tmp_path / "data_list.txt").write_text("x.jpg\n" * len(posts))
    (tmp_path / "tag_list.txt").write_text("".join(" ".join(post) + "\n" for post in posts))
    (tmp_path / "vocab_index.txt").write_text(
        "".join(f"{hashtag} {index}\n" for index, hashtag in enumerate(hashtags))
    )
    arguments = [str(tmp_path), "--bundle", str(bundle_dir), "--json", str(tmp_path / "c.json")]
    assert main(arguments) == 0
    assert "| shares, noisy-or | " in capsys.readouterr().out
    recall = json.loads((tmp_path / "c.json").read_text())["recall"]
    assert recall["shares, the best one"]["5"][0] > 0
    assert main([str(tmp_path / "no")]) == 1
