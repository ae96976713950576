import logging
import tarfile
from pathlib import Path

import pytest

from training.harrison import DataError, read_harrison
from training.prepare import main, open_photoset


@pytest.mark.shared
def test_the_real_label_files(
    shared: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with tarfile.open(shared / "data" / "harrison-labels.tar.gz") as labels_tar:
        labels_tar.extractall(tmp_path, filter="data")
    root = next(tmp_path.rglob("data_list.txt")).parent
    labels = read_harrison(root)
    assert (len(labels.paths), len(labels.vocabulary)) == (57_383, 997)
    assert labels.vocabulary.tags[:3] == ("love", "friend", "beach")
    assert labels.tags[0] == ("sea", "instapic", "instagram", "trip", "travel")
    mean = sum(map(len, labels.tags)) / len(labels.tags)
    assert mean == pytest.approx(4.54, abs=0.02)
    caplog.clear()
    assert main(["harrison", str(root)]) == 1
    assert "left out: … and 57373 more of that kind" in caplog.messages
    assert caplog.messages[-1].startswith("none of the 57383 image files is there: their names")


def test_prepare_writes_what_it_found(harrison_root: Path) -> None:
    in_memory = open_photoset(harrison_root)
    assert main(["harrison", str(harrison_root)]) == 0
    prepared = open_photoset(harrison_root)
    for name in ("manifest.jsonl", "broken.txt"):
        (harrison_root / name).unlink()
    assert prepared == in_memory
    assert len(prepared.photos) == 160
    assert {photo.split for photo in prepared.photos} == {"train", "val", "test"}


def test_missing_and_broken_images_are_left_out(
    harrison_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "colours"
    root.mkdir()
    for path in harrison_root.iterdir():
        (root / path.name).write_bytes(path.read_bytes())
    (root / "003.jpg").unlink()
    (root / "004.jpg").write_bytes(b"")
    (root / "005.jpg").write_bytes((harrison_root / "005.jpg").read_bytes()[:200])
    with caplog.at_level(logging.INFO):
        photoset = open_photoset(root)
    left_out = {"003.jpg", "004.jpg", "005.jpg"}
    assert {p.name for p in root.glob("*.jpg")} | left_out == {f"{n:03}.jpg" for n in range(160)}
    assert len(photoset.photos) == 157
    assert not left_out & {photo.path.name for photo in photoset.photos}
    assert "photos: 160 read; left out: 1 missing, 2 broken; kept: 157" in caplog.messages


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("data_list.txt", None, "has no data_list.txt: HARRISON's format needs .* captions FILE"),
        ("data_list.txt", "", "data_list.txt is empty$"),
        ("tag_list.txt", "sky\n", "must have one line for each photo"),
        ("vocab_index.txt", "sky 0\n", "tags that vocab_index.txt does not have"),
        ("vocab_index.txt", "sky\n", "line 1: expected a tag and its index"),
        ("vocab_index.txt", "sky 0\nnight 2\n", "without a gap"),
        ("unsure_list.txt", "sky\n", "160 lines and unsure_list.txt 1; .* one line for each photo"),
        ("unsure_list.txt", 160 * "sea\n", "unsure_list.txt uses 1 tags .* such as 'sea'"),
    ],
)
def test_broken_label_files_are_named(
    harrison_root: Path, tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    for path in harrison_root.glob("*.txt"):
        (tmp_path / path.name).write_text(path.read_text())
    if text is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        read_harrison(tmp_path)


def test_unsure_tags_are_optional_and_lines_may_be_empty(
    harrison_root: Path, tmp_path: Path
) -> None:
    for path in harrison_root.glob("*.txt"):
        (tmp_path / path.name).write_text(path.read_text())
    assert read_harrison(tmp_path).unsure == ((),) * 160
    (tmp_path / "unsure_list.txt").write_text("grass  night grass\n" + 159 * "\n")
    assert read_harrison(tmp_path).unsure == (("grass", "night"), *((),) * 159)


def test_a_wrong_path_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no folder .*nowhere$"):
        open_photoset(tmp_path / "nowhere")
    (tmp_path / "posts.csv").write_text("image,caption\n")
    with pytest.raises(DataError, match=r"posts\.csv is a file.* captions .*posts\.csv` once"):
        open_photoset(tmp_path / "posts.csv")
