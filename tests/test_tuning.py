"""What is fitted on validation photos: neighbours, balance, calibration."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hashstagram.bundle import Bundle, BundleConfig, check_bundle
from hashstagram.model import ModelConfig, create_model
from hashstagram.recommender import Recommender
from hashstagram.transforms import TransformConfig
from hashstagram.vocabulary import Vocabulary
from training import metrics
from training.config import TrainConfig, TuningConfig
from training.dataset import partial_targets
from training.evaluate import embed, evaluate
from training.photoset import PhotoSet
from training.prepare import open_photoset
from training.tuning import THRESHOLDS, tune

# Five tags fit into five answers, so recall@5 could not tell the choices apart.
PLAIN = TrainConfig("colours", tuning=TuningConfig(metric="mean_average_precision"))


@pytest.fixture(scope="module")
def photoset(harrison_root: Path) -> PhotoSet:
    return open_photoset(harrison_root)


@pytest.fixture(scope="module")
def untrained(photoset: PhotoSet) -> Bundle:
    """A network whose head knows nothing, over embeddings that tell colours apart."""
    torch.manual_seed(2)
    config = ModelConfig("shufflenet_v2_x0_5", len(photoset.vocabulary))
    transform = TransformConfig(input_size=32, crop_mode="squash", crop_pct=1.0)
    model = create_model(config).eval()
    return Bundle(BundleConfig("colours", config, transform), photoset.vocabulary, model)


def test_neighbours_help_a_head_that_knows_nothing(untrained: Bundle, photoset: PhotoSet) -> None:
    held_out = [photoset.only("test")]
    before = evaluate(Recommender(untrained), held_out)[photoset.name]
    tuned = tune(untrained, [photoset], PLAIN)
    after = evaluate(Recommender(tuned), held_out)[photoset.name]
    assert tuned.config.neighbours is not None
    assert after["mean_average_precision"] > before["mean_average_precision"] + 20


def test_tuning_twice_gives_the_same(untrained: Bundle, photoset: PhotoSet) -> None:
    once = tune(untrained, [photoset], PLAIN)
    assert tune(once, [photoset], PLAIN).config == once.config


def test_calibrated_scores_mean_what_they_say(untrained: Bundle, photoset: PhotoSet) -> None:
    tuned = Recommender(tune(untrained, [photoset], PLAIN))
    held_out = photoset.split("test")
    answers = tuned.recommend([photo.path.read_bytes() for photo in held_out], k=5)
    pairs = [
        (hashtag.score, hashtag.tag in photo.tags)
        for photo, hashtags in zip(held_out, answers, strict=True)
        for hashtag in hashtags
    ]
    mean_score = sum(score for score, _ in pairs) / len(pairs)
    right = sum(truth for _, truth in pairs) / len(pairs)
    assert mean_score == pytest.approx(right, abs=0.12)


def test_the_bundle_travels_with_its_neighbours(
    untrained: Bundle, photoset: PhotoSet, tmp_path: Path
) -> None:
    tuned = tune(untrained, [photoset], PLAIN)
    tuned.save(tmp_path / "bundle")
    check_bundle(tmp_path / "bundle")
    read = Recommender.from_pretrained(tmp_path / "bundle")
    photo = photoset.split("test")[0].path.read_bytes()
    [expected], [found] = Recommender(tuned).recommend([photo]), read.recommend([photo])
    assert [h.tag for h in found] == [h.tag for h in expected]
    assert [h.score for h in found] == pytest.approx([h.score for h in expected], abs=5e-3)
    assert tuned.neighbours is not None
    with_validation = {int(p.digest, 16) for p in photoset.split("train", "val")}
    assert {d % 2**64 for d in tuned.neighbours.digests.tolist()} == with_validation


def test_the_balance_favours_rare_tags(untrained: Bundle, photoset: PhotoSet) -> None:
    tuning = TuningConfig(weights=(0.0,), balances=(5.0,), metric="f1")
    favoured = tune(untrained, [photoset], replace(PLAIN, tuning=tuning))
    bias = favoured.config.calibration.bias
    assert isinstance(bias, tuple)
    assert favoured.neighbours is None
    assert bias[photoset.vocabulary.index["photo"]] == min(bias)  # half the photos have it


def test_the_word_threshold_is_the_best_on_the_validation_photos(
    untrained: Bundle, photoset: PhotoSet
) -> None:
    tuning = TuningConfig(metric="f1", weights=(0.7,), index_validation=False)
    tuned = tune(untrained, [photoset], replace(PLAIN, tuning=tuning))
    best = tuned.config.word_threshold
    photos, known = photoset.split("val"), photoset.vocabulary
    recommender = Recommender(tuned)
    scores = recommender.calibrated_scores(embed(recommender, photos))
    targets = partial_targets(photos, known, known) == 1
    f1 = {
        threshold: float(metrics.per_word(scores, targets, threshold=threshold).f1)
        for threshold in THRESHOLDS
    }
    assert best is not None
    assert f1[best] == max(f1.values()) > f1[0.01]
    assert tune(tuned, [photoset], PLAIN).config.word_threshold is None


def test_unsure_tags_only_make_scores_modest(photoset: PhotoSet) -> None:
    """A tag of which the set never says whether a photo shows it, beside a set without the tag."""
    tags = Vocabulary((*photoset.vocabulary.tags, "haze"))
    torch.manual_seed(2)
    config = ModelConfig("shufflenet_v2_x0_5", len(tags))
    transform = TransformConfig(input_size=32, crop_mode="squash", crop_pct=1.0)
    bundle = Bundle(BundleConfig("haze", config, transform), tags, create_model(config).eval())
    photos = tuple(replace(photo, unsure=("haze",)) for photo in photoset.photos)
    unsure = replace(photoset, vocabulary=tags, photos=photos)
    doubtful, plain = (tune(bundle, [one], PLAIN).config for one in (unsure, photoset))
    assert doubtful.neighbours == plain.neighbours
    sure = torch.tensor([[0.8]])
    assert doubtful.calibration(sure) <= plain.calibration(sure)
    assert doubtful.calibration != plain.calibration


def test_without_validation_photos_nothing_is_fitted(
    untrained: Bundle, photoset: PhotoSet, caplog: pytest.LogCaptureFixture
) -> None:
    only = PhotoSet(photoset.name, photoset.vocabulary, tuple(photoset.split("train")))
    assert tune(untrained, [only], PLAIN).config == untrained.config
    assert "no validation photos" in caplog.text
