"""How many photos of each set an epoch takes, and which layers stay as they came."""

from pathlib import Path

import pytest
import torch

from hashstagram.vocabulary import Vocabulary
from training.harrison import DataError
from training.mix import Mix
from training.photoset import Photo, PhotoSet

VOCABULARY = Vocabulary(("sky",))


def photoset(name: str, count: int) -> PhotoSet:
    photos = [Photo(Path(name, f"{n}.jpg"), ("sky",), f"{n:016x}", "train") for n in range(count)]
    return PhotoSet(name, VOCABULARY, tuple(photos))


SETS = [photoset("many", 40), photoset("few", 10)]
PHOTOS = [photo for one in SETS for photo in one.photos]


def dice(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_an_epoch_takes_its_share_drawn_anew() -> None:
    mix = Mix.of(SETS, PHOTOS, {"many": 0.25})
    one, two = mix.draw(dice()), mix.draw(dice(1))
    assert len(mix) == len(one) == len(two) == 20
    assert sorted(one.tolist())[10:] == sorted(two.tolist())[10:] == list(range(40, 50))
    assert {*one.tolist()} != {*two.tolist()}
    assert one.tolist() != sorted(one.tolist())


def test_what_it_takes_is_spread_over_the_epoch() -> None:
    sets = [photoset("many", 1000), photoset("few", 100)]
    mix = Mix.of(sets, [photo for one in sets for photo in one.photos], {"many": 0.1})
    places = (mix.draw(dice()) < 1000).nonzero().float()
    assert 80 < places.mean() < 120  # of 200


def test_without_shares_it_takes_all_in_the_dices_order() -> None:
    drawn = Mix.of(SETS, PHOTOS, {}).draw(dice())
    assert torch.equal(drawn, torch.randperm(50, generator=dice()))


@pytest.mark.parametrize("shares", [{"others": 0.5}, {"few": 1.5}])
def test_what_cannot_be_taken_is_refused(shares: dict[str, float]) -> None:
    with pytest.raises(DataError, match=r"finetune\.shares"):
        Mix.of(SETS, PHOTOS, shares)
