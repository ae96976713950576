from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageOps

from training.duplicates import DISTANCE, Look, look_of, same_photo


def scene(seed: int) -> Image.Image:
    """A picture with structure at every size, unlike that of another seed."""
    dice = np.random.default_rng(seed)
    layers = [
        Image.fromarray(dice.integers(0, 256, (cells, cells, 3), dtype=np.uint8)).resize((320, 240))
        for cells in (4, 12, 40)
    ]
    return Image.blend(Image.blend(layers[0], layers[1], 0.5), layers[2], 0.35)


def sky(seed: int) -> Image.Image:
    """The same broad clouds as in every other sky, with a fine structure of its own."""
    dice = np.random.default_rng(seed)
    fine = Image.fromarray(dice.integers(0, 256, (40, 40, 3), dtype=np.uint8)).resize((320, 240))
    broad = scene(0).resize((8, 8)).resize((320, 240), Image.Resampling.BICUBIC)
    return Image.blend(broad, fine, 0.08)


def saved_again(image: Image.Image, quality: int) -> Image.Image:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


@pytest.mark.parametrize(
    "change",
    [
        lambda image: saved_again(image, 30),
        lambda image: saved_again(image.resize((160, 120)), 75),
        lambda image: image.resize((240, 240)),
        lambda image: ImageOps.colorize(image.convert("L"), "#201000", "#fff0c0"),
        lambda image: image.point(lambda value: min(255, int(value * 1.2 + 10))),
    ],
    ids=["low-quality", "smaller", "other-shape", "sepia", "brighter"],
)
def test_a_photo_is_known_again(change: Callable[[Image.Image], Image.Image]) -> None:
    looks = [look_of(image) for image in (scene(1), scene(2), change(scene(1)))]
    one, other, again = same_photo(looks)
    assert one == again != other


def test_two_skies_are_two_photos_though_their_hashes_are_near() -> None:
    looks = [look_of(sky(1)), look_of(sky(2))]
    assert (looks[0].hash ^ looks[1].hash).bit_count() <= DISTANCE
    one, other = same_photo(looks)
    assert one != other


def test_plain_pictures_are_not_taken_for_one_another() -> None:
    looks = [look_of(Image.new("RGB", (64, 64), colour)) for colour in ("navy", "white", "gold")]
    assert len(set(same_photo(looks))) == 3


def test_every_photo_is_compared_with_every_other() -> None:
    looks = [look_of(scene(seed)) for seed in range(70)]
    copies = [look_of(saved_again(scene(seed), 50)) for seed in (69, 0, 33)]
    numbers = same_photo([*looks, *copies])
    assert len(set(numbers[:70])) == 70
    assert numbers[70:].tolist() == numbers[[69, 0, 33]].tolist()


def test_a_chain_is_one_photo_in_any_order() -> None:
    """One end is too far from the other, and the middle is near to both."""
    first = look_of(scene(1))
    chain = [Look(first.hash ^ (2**bits - 1), first.thumbnail) for bits in (0, 10, 20)]
    for order in ([0, 1, 2], [0, 2, 1], [2, 0, 1]):
        assert len(set(same_photo([chain[i] for i in order]))) == 1
    assert len(set(same_photo([chain[0], chain[2]]))) == 2
