import json
import tarfile
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from hashstagram.vocabulary import Vocabulary
from training.harrison import DataError, read_harrison
from training.photoset import SEEDS, Photo, PhotoSet, folder_leak, split_of


def test_a_photo_stays_in_its_split() -> None:
    splits = [split_of(Path(f"folder/{number}.jpg")) for number in range(4000)]
    assert splits == [split_of(Path(f"elsewhere/{number}.jpg")) for number in range(4000)]
    assert splits.count("test") == pytest.approx(500, abs=80)
    assert splits.count("val") == pytest.approx(500, abs=80)


def test_each_seed_is_another_split() -> None:
    paths = [Path(f"{number}.jpg") for number in range(100)]
    splits = {tuple(split_of(path, seed) for path in paths) for seed in range(SEEDS)}
    assert len(splits) == SEEDS


def test_a_photo_is_the_only_one_of_its_group_unless_told() -> None:
    assert Photo(Path("a.jpg"), ("sky",), "0123", "train").group == "0123"
    assert Photo(Path("a.jpg"), ("sky",), "0123", "train", "4567").group == "4567"


@pytest.mark.parametrize(
    "fields",
    [
        {"path": "a.jpg"},
        {"path": "a.jpg", "tags": ["sky"], "digest": "0123", "split": "train"},
        {"path": "a.jpg", "tags": ["sky"], "digest": "0123", "split": "x", "group": "0123"},
    ],
    ids=["no-manifest", "without-groups", "unknown-split"],
)
def test_a_manifest_out_of_form_is_to_be_written_again(
    tmp_path: Path, fields: dict[str, object]
) -> None:
    (tmp_path / "manifest.jsonl").write_text(json.dumps(fields) + "\n")
    with pytest.raises(DataError, match=r"manifest\.jsonl cannot be read, prepare the set again"):
        PhotoSet.load(tmp_path)


def test_a_manifest_keeps_unsure_tags_and_need_not_have_them(tmp_path: Path) -> None:
    photo = Photo(tmp_path / "a.jpg", ("sky",), "0123", "train", unsure=("sea",))
    photoset = PhotoSet(tmp_path.name, Vocabulary(("sky", "sea")), (photo,))
    photoset.save(tmp_path)
    assert PhotoSet.load(tmp_path) == photoset
    fields = json.loads((tmp_path / "manifest.jsonl").read_text())
    del fields["unsure"]  # as it was written before there were any
    (tmp_path / "manifest.jsonl").write_text(json.dumps(fields) + "\n")
    assert PhotoSet.load(tmp_path).photos == (replace(photo, unsure=()),)


def test_the_folder_yardstick() -> None:
    photos = [
        Photo(Path("sea/1.jpg"), ("sea", "blue"), "1", "train"),
        Photo(Path("sea/2.jpg"), ("sea",), "2", "train"),
        Photo(Path("sea/3.jpg"), ("blue", "sea"), "3", "test"),
        Photo(Path("sea/4.jpg"), ("blue",), "4", "val"),
        Photo(Path("new/5.jpg"), ("sea",), "5", "test"),
        Photo(Path("dog/6.jpg"), ("dog",), "6", "train"),
        Photo(Path("dog/7.jpg"), ("dog",), "7", "test"),
    ]
    assert folder_leak(photos) == 50
    assert folder_leak(photos[:2]) == 0
    photos[3] = replace(photos[3], unsure=("sea",))
    assert folder_leak(photos) == pytest.approx(200 / 3)


@pytest.mark.shared
def test_harrison_leaks_by_folder_and_its_split_divides_each_alike(
    shared: Path, tmp_path: Path
) -> None:
    with tarfile.open(shared / "data" / "harrison-labels.tar.gz") as labels_tar:
        labels_tar.extractall(tmp_path, filter="data")
    root = next(tmp_path.rglob("data_list.txt")).parent
    labels = read_harrison(root)
    photos = [
        Photo(root / path, tags, str(number), split_of(Path(path)))
        for number, (path, tags) in enumerate(zip(labels.paths, labels.tags, strict=True))
    ]
    assert folder_leak(photos) == pytest.approx(98, abs=0.5)
    folders: defaultdict[Path, Counter[str]] = defaultdict(Counter)
    for photo in photos:
        folders[photo.path.parent][photo.split] += 1
    assert len(folders) == 50
    for counts in folders.values():  # an eighth each, as near as file names allow
        assert all(0.1 < counts[split] / counts.total() < 0.17 for split in ("val", "test"))
