"""Photos that cannot be used, photos that are there twice, and the split."""

import logging
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from hashstagram.decode import decode_image
from training import train
from training.photoset import PhotoSet, split_of
from training.prepare import main, open_photoset, prepare_harrison

CONFIG = """
name = "colours"
architecture = "shufflenet_v2_x0_5"
weights = "none"
[transform]
input_size = 32
crop_mode = "squash"
crop_pct = 1.0
[head]
epochs = 2
[finetune]
epochs = 1
batch_size = 16
input_size = 32
"""


def first(data: bytes) -> bytes:
    """A JPEG's header and half of its pixels, in sizes such as these."""
    return data[: len(data) * 4 // 5]


NOISE = bytes(random.Random(5).choices(range(255), k=60))  # without ff, which begins a marker
DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "001.jpg": lambda data: b"",
    "010.jpg": lambda data: bytes(len(data)),
    "023.jpg": lambda data: b"<html>404 Not Found</html>",
    "034.jpg": first,
    "045.jpg": lambda data: first(data) + b"\xff\xd9",  # ends as a JPEG should
    "057.jpg": lambda data: first(data).ljust(len(data), b"\0"),
    "068.jpg": lambda data: first(data) + NOISE + data[-60:],
}
REST = frozenset(f"{number:03}.jpg" for number in range(80, 160))  # half the set will do
SILENT = ("045.jpg", "068.jpg")  # what Pillow shows without a word


def copy_of(source: Path, root: Path, *, without: frozenset[str] = frozenset()) -> Path:
    """A photo set in HARRISON's format, less some of its rows and photos."""
    shutil.copytree(source, root, ignore=shutil.ignore_patterns("manifest.jsonl", *without))
    lists = [(source / name).read_text().splitlines() for name in ("data_list.txt", "tag_list.txt")]
    rows = [row for row in zip(*lists, strict=True) if Path(row[0]).name not in without]
    (root / "data_list.txt").write_text("".join(f"{path}\n" for path, _ in rows))
    (root / "tag_list.txt").write_text("".join(f"{tags}\n" for _, tags in rows))
    return root


def trained_weights(root: Path, folder: Path) -> bytes:
    (folder / "c.toml").write_text(CONFIG)
    arguments = ["--config", str(folder / "c.toml"), "--data", str(root)]
    assert train.main([*arguments, "--out", str(folder / "run")]) == 0
    return (folder / "run" / "weights.safetensors").read_bytes()


def test_a_run_with_damaged_files_equals_one_without_them(
    harrison_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    damaged = copy_of(harrison_root, tmp_path / "one" / "colours", without=REST)
    for name, damage in DAMAGE.items():
        (damaged / name).write_bytes(damage((damaged / name).read_bytes()))
    without = copy_of(harrison_root, tmp_path / "two" / "colours", without=REST | DAMAGE.keys())
    with caplog.at_level(logging.INFO):
        assert main(["harrison", str(damaged)]) == 0
    assert f"{damaged / 'broken.txt'}: 7 out of form, missing or broken" in caplog.messages[-1]
    assert "photos: 80 read; left out: 7 broken; kept: 73" in caplog.messages
    listed = dict(line.split(": ", 1) for line in (damaged / "broken.txt").read_text().splitlines())
    assert list(listed) == [f"colours/{name}" for name in DAMAGE]
    for name in SILENT:
        decode_image((damaged / name).read_bytes())
        assert "Send" not in listed["colours/001.jpg"]  # what a server says to its callers
        assert "Corrupt JPEG data" in listed[f"colours/{name}"]
    assert trained_weights(damaged, tmp_path / "one") == trained_weights(without, tmp_path / "two")


def test_the_list_is_whole_and_its_beginning_is_printed(
    harrison_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = copy_of(harrison_root, tmp_path / "colours")
    for number in range(20):
        (root / f"{number:03}.jpg").unlink()
    (root / "030.jpg").write_bytes(b"")
    assert main(["harrison", str(root)]) == 0
    lines = (root / "broken.txt").read_text().splitlines()
    assert lines[:20] == [f"colours/{n:03}.jpg: there is no such file" for n in range(20)]
    assert lines[20].startswith("colours/030.jpg: This is not an image")
    printed = [message for message in caplog.messages if message.startswith("left out: ")]
    assert printed == [
        *(f"left out: {line}" for line in lines[:10]),
        "left out: … and 10 more of that kind",
        f"left out: {lines[20]}",
    ]


@pytest.mark.parametrize(
    ("mode", "options"),
    [("CMYK", {}), ("L", {}), ("RGB", {"progressive": True}), ("RGB", {"subsampling": "4:1:1"})],
    ids=["cmyk", "grey", "progressive", "4:1:1"],
)
def test_a_whole_jpeg_of_a_rare_kind_is_kept(
    harrison_root: Path, tmp_path: Path, mode: str, options: dict[str, object]
) -> None:
    root = copy_of(harrison_root, tmp_path / "colours")
    with Image.open(root / "004.jpg") as image:
        image.convert(mode).save(root / "004.jpg", **options)
    assert not prepare_harrison(root).broken


def with_reposts(source: Path, root: Path, *, backwards: bool) -> Path:
    """The colours, and three photos posted again: as they are, and saved in low quality."""
    copy_of(source, root)
    lines = {
        name: (root / name).read_text().splitlines() for name in ("data_list.txt", "tag_list.txt")
    }
    for number in (0, 1, 2):
        for kind in "ab":
            name = f"{kind}{number}.jpg"
            with Image.open(root / f"{number:03}.jpg") as image:
                if kind == "a":
                    shutil.copy(root / f"{number:03}.jpg", root / name)
                else:
                    image.save(root / name, quality=60)
            lines["data_list.txt"].append(f"colours/{name}")
            lines["tag_list.txt"].append("photo ")
    for name, content in lines.items():
        order = reversed(content) if backwards else content
        (root / name).write_text("".join(f"{line}\n" for line in order))
    return root


def test_reposts_share_a_split_whatever_their_order(harrison_root: Path, tmp_path: Path) -> None:
    (tmp_path / "back").mkdir()
    root = with_reposts(harrison_root, tmp_path / "colours", backwards=False)
    other = with_reposts(harrison_root, tmp_path / "back" / "colours", backwards=True)
    photos = {photo.path.name: photo for photo in open_photoset(root).photos}
    turned = {photo.path.name: photo for photo in open_photoset(other).photos}
    assert len({photo.group for photo in photos.values()}) == 160
    assert {n: (p.group, p.split) for n, p in photos.items()} == {
        n: (p.group, p.split) for n, p in turned.items()
    }
    for number in (0, 1, 2):
        names = (f"{number:03}.jpg", f"a{number}.jpg", f"b{number}.jpg")
        assert len({(photos[name].group, photos[name].split) for name in names}) == 1
    apart = [
        n for n in (0, 1, 2) if len({split_of(Path(f"{k}{n}.jpg")) for k in ("00", "a", "b")}) > 1
    ]
    assert apart  # by their names alone, at least one would have been divided


def test_the_seed_is_stored_as_the_split(harrison_root: Path, tmp_path: Path) -> None:
    root = copy_of(harrison_root, tmp_path / "colours")
    assert main(["harrison", str(root), "--seed", "3"]) == 0
    photos = PhotoSet.load(root).photos
    assert all(photo.split == split_of(photo.path, 3) for photo in photos)
    assert any(photo.split != split_of(photo.path) for photo in photos)
    with pytest.raises(SystemExit):
        main(["harrison", str(root), "--seed", "32"])


def test_bait_is_left_out_of_harrison_on_request(harrison_root: Path, tmp_path: Path) -> None:
    root = copy_of(harrison_root, tmp_path / "colours")
    for name in ("tag_list.txt", "vocab_index.txt"):
        (root / name).write_text((root / name).read_text().replace("photo", "likeforlike"))
    assert "likeforlike" in prepare_harrison(root).photoset.vocabulary.tags
    assert main(["harrison", str(root), "--no-bait"]) == 0
    photoset = PhotoSet.load(root)
    assert photoset.vocabulary.tags == ("sky", "grass", "sunset", "night")
    assert {len(photo.tags) for photo in photoset.photos} == {1}


def test_what_one_row_says_is_not_unsure(harrison_root: Path, tmp_path: Path) -> None:
    root = copy_of(harrison_root, tmp_path / "colours", without=REST)
    rows = {"data_list.txt": "colours/000.jpg", "tag_list.txt": "grass", "unsure_list.txt": "sky"}
    (root / "unsure_list.txt").write_text("sky grass night likeforlike \n" + 79 * "\n")
    for name, line in rows.items():  # the first photo, which has "sky" and "photo", once more
        with (root / name).open("a") as file:
            file.write(f"{line}\n")
    with (root / "vocab_index.txt").open("a") as file:
        file.write("likeforlike 5\n")
    first, second = prepare_harrison(root, keep_bait=False).photoset.photos[:2]
    assert first.tags == ("sky", "photo", "grass")
    assert first.unsure == ("night",)
    assert second.unsure == ()


def test_a_manifest_without_the_unsure_tags_beside_it_is_named(
    harrison_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = copy_of(harrison_root, tmp_path / "colours", without=REST)
    (root / "unsure_list.txt").write_text(80 * "\n")
    assert main(["harrison", str(root)]) == 0
    before = open_photoset(root)
    assert not caplog.messages
    (root / "unsure_list.txt").write_text("grass\n" + 79 * "\n")
    assert open_photoset(root) == before
    [message] = caplog.messages
    assert message.endswith("manifest.jsonl says nothing of unsure_list.txt: prepare the set again")
    assert main(["harrison", str(root)]) == 0
    assert open_photoset(root).photos[0].unsure == ("grass",)
    assert len(caplog.messages) == 1


def test_no_progress_bar_where_nobody_looks(
    harrison_root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    open_photoset(harrison_root)
    assert "looking at" not in capfd.readouterr().err
