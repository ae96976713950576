from pathlib import Path

import pytest

from hashstagram.errors import InvalidBundleError
from hashstagram.vocabulary import Vocabulary


def test_build_orders_by_frequency_then_name() -> None:
    photos = [["sea", "love"], ["love", "love"], ["beach", "sea"], ["alps"]]
    assert Vocabulary.build(photos).tags == ("love", "sea", "alps", "beach")


def test_build_keeps_the_most_frequent_that_are_frequent_enough() -> None:
    photos = [["a", "b"], ["a", "b"], ["a", "c"]]
    assert Vocabulary.build(photos, min_count=2).tags == ("a", "b")
    assert Vocabulary.build(photos, max_tags=1).tags == ("a",)


def test_encode_and_decode_are_inverse_and_drop_unknown_tags() -> None:
    vocabulary = Vocabulary(("love", "sea", "beach"))
    target = vocabulary.encode(["beach", "love", "unheard-of"])
    assert target.tolist() == [1.0, 0.0, 1.0]
    assert vocabulary.decode(target.nonzero().flatten().tolist()) == ["love", "beach"]


def test_save_and_load_keep_order_and_any_script(tmp_path: Path) -> None:
    vocabulary = Vocabulary(("日本", "café", "sea"))
    vocabulary.save(tmp_path / "index_to_name.json")
    assert Vocabulary.load(tmp_path / "index_to_name.json") == vocabulary


@pytest.mark.parametrize("tags", [("a", "a"), ("a", "")], ids=["twice", "empty"])
def test_ambiguous_tags_are_refused(tags: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        Vocabulary(tags)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"0": "a", "2": "b"}', '{"0": "a", "1": "a"}', '{"0": 5}', '{"0": ["a"]}'],
)
def test_a_broken_file_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "index_to_name.json"
    path.write_text(text)
    with pytest.raises(InvalidBundleError, match=r"index_to_name\.json"):
        Vocabulary.load(path)
