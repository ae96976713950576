"""The bundle that we ship."""

import tarfile
from pathlib import Path

import pytest
import torch

from hashstagram.bundle import check_bundle
from hashstagram.recommender import Recommender
from serving.sample_photo import draw_sunset
from tests.conftest import ROOT
from training.evaluate import evaluate_bundle
from training.photoset import PhotoSet, split_of
from training.prepare import open_photoset

BUNDLE = ROOT / "models" / "everyday"


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    return Recommender.from_pretrained(BUNDLE)


def test_it_is_whole_small_and_has_a_card() -> None:
    check_bundle(BUNDLE)
    size = sum(path.stat().st_size for path in BUNDLE.iterdir())
    assert size <= 25_000_000
    card = (BUNDLE / "README.md").read_text(encoding="utf-8")
    for needed in ("Intended use", "Licence", "Flickr", "CC0", "recall@5", "Exported on 20"):
        assert needed in card


def test_the_drawn_sunset_looks_like_one(recommender: Recommender) -> None:
    [hashtags] = recommender.recommend([draw_sunset()])
    assert {"sunset", "sun", "sky", "ocean", "water"} & {h.tag for h in hashtags[:3]}


def test_it_answers_with_what_people_write(recommender: Recommender) -> None:
    bundle = recommender.bundle
    assert bundle.usage is not None
    scores = torch.zeros(len(bundle.vocabulary))
    scores[bundle.vocabulary.mask(["dog", "brown", "run", "grass"])] = 0.9
    [first, second, *_] = recommender.ranking.top(scores)
    assert first.tag == "dog"
    assert second.tag != "brown"
    assert "dogsofinstagram" in {h.tag for h in recommender.ranking.top(scores)}


@pytest.fixture(scope="module")
def flickr8k(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> PhotoSet:
    """The held-out eighth of flickr8k."""
    folder = tmp_path_factory.mktemp("sets")
    with tarfile.open(shared / "data" / "flickr8k.tar") as photos_tar:
        photos_tar.extractall(folder, filter="data")
    photoset = open_photoset(folder / "flickr8k")
    held_out = tuple(photo for photo in photoset.photos if split_of(photo.path) == "test")
    return PhotoSet(photoset.name, photoset.vocabulary, held_out)


@pytest.mark.shared
def test_the_held_out_eighth_of_flickr8k(flickr8k: PhotoSet) -> None:
    torch.set_num_threads(2)
    report = evaluate_bundle(BUNDLE, flickr8k)
    torch.set_num_threads(1)
    assert report["photos"] > 800
    assert report["precision_at_1"] >= 66
    assert report["accuracy_at_5"] >= 93
    assert report["recall_at_5"] >= 63
    assert report["calibration_error"] <= 18  # modest at home, for photos from away
    popularity = report["baselines"]["popularity"]
    assert report["recall_at_5"] > popularity["recall_at_5"] + 20
