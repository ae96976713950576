"""Tags that photo sets spell in different ways."""

from pathlib import Path

from hashstagram.vocabulary import Vocabulary
from training.photoset import Photo, PhotoSet
from training.spelling import as_spelled, settled


def photoset(name: str, vocabulary: str, *photos: tuple[str, str]) -> PhotoSet:
    """A set of photos with these tags and unsure tags."""
    return PhotoSet(
        name,
        Vocabulary(tuple(vocabulary.split())),
        tuple(
            Photo(Path("x.jpg"), tuple(tags.split()), "0", "train", unsure=tuple(unsure.split()))
            for tags, unsure in photos
        ),
    )


SHOP = photoset("shop", "shoes dress beach", ("shoes dress", "beach"), ("dress", "shoes"))
STREET = photoset("street", "shoe street", ("shoe", ""), ("street", "shoe"))


def test_sets_for_one_model_settle_on_a_spelling() -> None:
    shop, street = settled([SHOP, STREET])
    assert shop.vocabulary.tags == ("shoe", "dress", "beach")
    assert [photo.tags for photo in shop.photos] == [("shoe", "dress"), ("dress",)]
    assert [photo.unsure for photo in shop.photos] == [("beach",), ("shoe",)]
    assert street == STREET


def test_a_spelling_that_no_other_set_has_stays() -> None:
    assert settled([SHOP]) == [SHOP]


def test_two_spellings_of_one_set_become_one_that_is_sure_where_either_is() -> None:
    both = photoset("both", "outdoors outdoor", ("outdoor outdoors", ""), ("outdoors", "outdoor"))
    one, _ = settled([both, STREET])
    assert settled([both]) == [both]
    assert one.vocabulary.tags == ("outdoor",)
    assert [photo.tags for photo in one.photos] == [("outdoor",), ("outdoor",)]
    assert [photo.unsure for photo in one.photos] == [(), ()]


def test_a_set_is_measured_in_the_models_spelling() -> None:
    assert as_spelled(SHOP, Vocabulary(("shoe", "dress"))).vocabulary.tags[0] == "shoe"
    assert as_spelled(STREET, Vocabulary(("shoes", "street"))).vocabulary.tags[0] == "shoes"
    assert as_spelled(SHOP, Vocabulary(("shoe", "shoes"))) == SHOP
    assert as_spelled(SHOP, Vocabulary(("dress",))) == SHOP
