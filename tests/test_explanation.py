"""What an explanation says about photos whose answer is known."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hashstagram.bundle import Bundle, BundleConfig
from hashstagram.classes import PretrainedClasses
from hashstagram.errors import InvalidImageError, InvalidRequestError
from hashstagram.explanation import NEIGHBOURS, Explainer
from hashstagram.model import ModelConfig
from hashstagram.neighbours import Neighbours, NeighboursConfig
from hashstagram.recommender import Recommender
from hashstagram.tag_filter import TagFilter
from hashstagram.transforms import TransformConfig
from hashstagram.usage import Usage
from hashstagram.vocabulary import Vocabulary
from tests.conftest import ROOT, ColourNetwork
from tests.test_decode import TURNS
from training.photoset import Photo, digest_of
from training.tuning import build_neighbours

Encode = Callable[..., bytes]


@pytest.fixture(scope="module")
def colours() -> Bundle:
    """Red, green and blue, told by a network that needs no training."""
    transform = TransformConfig(64, "squash", crop_pct=1.0, mean=(0, 0, 0), std=(1, 1, 1))
    config = BundleConfig("colours", ModelConfig("alexnet", 3), transform)
    return Bundle(config, Vocabulary(("red", "green", "blue")), ColourNetwork().eval())


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """320 × 240: red at the top left, green at the bottom right."""
    image = Image.new("RGB", (320, 240))
    image.paste("red", (0, 0, 100, 80))
    image.paste("lime", (240, 160, 320, 240))
    return image


def centre(png: bytes | None) -> tuple[float, float]:
    """Where a map's mass is: shares of the photo's width and height."""
    assert png is not None
    alpha = np.asarray(Image.open(BytesIO(png)).convert("RGBA"))[:, :, 3].astype(float)
    height, width = alpha.shape
    x = (alpha.sum(axis=0) * (np.arange(width) + 0.5)).sum() / alpha.sum()
    y = (alpha.sum(axis=1) * (np.arange(height) + 0.5)).sum() / alpha.sum()
    return x / width, y / height


def maps(bundle: Bundle, photo: Image.Image | bytes, k: int = 5) -> dict[str, bytes | None]:
    explanation = Explainer(Recommender(bundle)).explain(photo, k=k)
    return {hashtag.tag: hashtag.heat_map for hashtag in explanation.hashtags}


def test_it_explains_what_is_recommended(colours: Bundle, photo: Image.Image) -> None:
    recommender = Recommender(colours)
    explanation = Explainer(recommender).explain(photo, k=2)
    [expected] = recommender.recommend([photo], k=2)
    assert [(h.tag, h.score) for h in explanation.hashtags] == [(h.tag, h.score) for h in expected]
    assert explanation.neighbours == ()
    assert Explainer(recommender).explain(photo, threshold=1).hashtags == ()


@pytest.mark.parametrize("orientation", TURNS)
def test_a_map_lies_where_the_upright_photo_shows_the_tag(
    colours: Bundle, photo: Image.Image, encode: Encode, orientation: int
) -> None:
    turn = TURNS[orientation]
    taken = photo if turn is None else photo.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = maps(colours, encode(taken, quality=95, exif=exif))
    assert centre(found["red"]) == pytest.approx((50 / 320, 40 / 240), abs=0.04)
    assert centre(found["green"]) == pytest.approx((280 / 320, 200 / 240), abs=0.04)


def test_a_map_of_a_crop_is_in_place_on_the_whole_photo(colours: Bundle) -> None:
    middle = replace(colours.config.transform, crop_mode="center", crop_pct=0.5)
    bundle = replace(colours, config=replace(colours.config, transform=middle))
    photo = Image.new("RGB", (800, 400))
    photo.paste("red", (310, 110, 370, 170))  # of the middle 200 × 200, near the top left
    assert centre(maps(bundle, photo)["red"]) == pytest.approx((340 / 800, 140 / 400), abs=0.03)


def test_what_people_write_is_seen_where_its_reason_is(colours: Bundle, photo: Image.Image) -> None:
    shares = {"love": {"red": 0.9, "blue": 0.1}, "nature": {"red": 0.1, "green": 0.9}}
    bundle = replace(colours, usage=Usage.of(shares, colours.vocabulary))
    found = maps(bundle, photo)
    assert centre(found["love"]) == centre(maps(colours, photo)["red"])
    assert centre(found["nature"]) == centre(maps(colours, photo)["green"])


def test_a_tag_read_off_classes_is_seen_where_they_are(colours: Bundle, photo: Image.Image) -> None:
    """The network's last two outputs are classes; the tag is the first one of them, green."""
    classes = PretrainedClasses(2, {"grass": (0,)})
    bundle = replace(
        colours,
        config=replace(colours.config, classes=classes),
        vocabulary=Vocabulary(("red", "grass")),
    )
    found = maps(bundle, photo)
    assert centre(found["red"]) == centre(maps(colours, photo)["red"])
    assert centre(found["grass"]) == centre(maps(colours, photo)["green"])


def test_neighbours_are_the_most_similar_photos_best_first(
    colours: Bundle, encode: Encode, tmp_path: Path
) -> None:
    """Photos of two colours each, from red to green: the nearest are those of a like mixture."""
    recommender = Recommender(colours)
    files = []
    for width in range(10, 310, 30):
        image = Image.new("RGB", (320, 240), "lime")
        image.paste("red", (0, 0, width, 240))
        files.append(encode(image, "PNG"))
    assert any(int(digest_of(file), 16) >= 2**63 for file in files)  # negative in the index
    photos = [
        Photo(tmp_path, ("red",) if number > 4 else ("green",), digest_of(file), "train")
        for number, file in enumerate(files)
    ]
    inputs = torch.stack([recommender.preprocess(file) for file in files])
    targets = torch.stack([colours.vocabulary.encode(photo.tags) for photo in photos])
    chosen = torch.ones(len(photos), dtype=torch.bool)
    index = build_neighbours(photos, recommender.embeddings(inputs), targets, chosen, dims=2)
    index.save(tmp_path / "index.safetensors")
    read = Neighbours.load(tmp_path / "index.safetensors", num_tags=3)
    config = replace(colours.config, neighbours=NeighboursConfig(weight=0.5))
    explainer = Explainer(Recommender(replace(colours, config=config, neighbours=read)))
    for photo, file in zip(photos, files, strict=True):
        neighbours = explainer.explain(file).neighbours
        assert len(neighbours) == NEIGHBOURS
        assert neighbours[0].id == photo.digest
        assert neighbours[0].tags == photo.tags
        assert neighbours[0].similarity == pytest.approx(1, abs=0.02)
        similarities = [neighbour.similarity for neighbour in neighbours]
        assert similarities == sorted(similarities, reverse=True)


def test_a_network_without_convolutions_explains_all_but_where(
    colours: Bundle, photo: Image.Image
) -> None:
    network = torch.nn.Sequential(
        torch.nn.AvgPool2d(32), torch.nn.Flatten(), torch.nn.Linear(12, 3)
    )
    found = maps(replace(colours, model=network.eval()), photo)
    assert found.keys() == {"red", "green", "blue"}
    assert set(found.values()) == {None}


def test_the_filter_counts_and_so_does_the_limit(colours: Bundle, photo: Image.Image) -> None:
    explainer = Explainer(Recommender(colours))
    only = explainer.explain(photo, tag_filter=TagFilter(include=("gr*",))).hashtags
    assert [(h.tag, h.heat_map is not None) for h in only] == [("green", True)]
    with pytest.raises(InvalidRequestError, match="at most 10"):
        explainer.explain(photo, k=11)


def test_a_bad_photo_raises_as_it_does_elsewhere(colours: Bundle, jpeg: bytes) -> None:
    with pytest.raises(InvalidImageError):
        Explainer(Recommender(colours)).explain(jpeg[: len(jpeg) // 2])


def test_who_asks_for_no_explanation_does_not_pay_for_its_libraries() -> None:
    script = (
        "import sys, hashtag_handler, hashstagram.explanation\n"
        "assert not {'captum', 'matplotlib'} & sys.modules.keys()"
    )
    environment = {"PYTHONPATH": str(ROOT / "handler")}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)
