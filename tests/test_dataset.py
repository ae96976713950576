"""The loader hands over pixels and targets; where a photo lies is no feature."""

from pathlib import Path

import torch
from PIL import Image

from hashstagram.transforms import TransformConfig
from hashstagram.vocabulary import Vocabulary
from training import evaluate, train
from training.dataset import (
    UNKNOWN,
    UNSURE,
    TaggedImageDataset,
    partial_targets,
    training_photos,
)
from training.photoset import Photo, folder_leak
from training.prepare import open_photoset

CONFIG = """
name = "noise"
architecture = "shufflenet_v2_x0_5"
weights = "none"
[transform]
input_size = 32
crop_mode = "squash"
crop_pct = 1.0
[head]
epochs = 20
lr = 0.01
[finetune]
epochs = 0
"""

TAGS = ("beach", "dog", "food", "snow")


def noise_in_telling_folders(root: Path) -> Path:
    """240 photos of nothing, each in a folder that is called as its only tag."""
    dice = torch.Generator().manual_seed(3)
    paths = []
    for number in range(240):
        path = root / TAGS[number % 4] / f"{number:03}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = torch.randint(0, 256, (32, 32, 3), generator=dice, dtype=torch.uint8)
        Image.fromarray(pixels.numpy()).save(path)
        paths.append(path)
    (root / "data_list.txt").write_text("".join(f"{p.relative_to(root)}\n" for p in paths))
    (root / "tag_list.txt").write_text("".join(f"{p.parent.name} \n" for p in paths))
    (root / "vocab_index.txt").write_text("".join(f"{t} {i}\n" for i, t in enumerate(TAGS)))
    return root


def test_the_path_is_never_a_feature(tmp_path: Path) -> None:
    root = noise_in_telling_folders(tmp_path / "set")
    photoset = open_photoset(root)
    assert folder_leak(photoset.photos) == 100
    (tmp_path / "c.toml").write_text(CONFIG)
    arguments = ["--config", str(tmp_path / "c.toml"), "--data", str(root)]
    assert train.main([*arguments, "--out", str(tmp_path / "run")]) == 0
    report = evaluate.evaluate_bundle(tmp_path / "run", photoset)
    popularity = report["baselines"]["popularity"]["precision_at_1"]
    chance = 100 * (0.25 * 0.75 / report["photos"]) ** 0.5  # the standard deviation of guessing
    assert report["precision_at_1"] < max(25, popularity) + 3 * chance < 60


def test_a_photo_is_the_same_item_wherever_it_lies(tmp_path: Path, jpeg: bytes) -> None:
    photos = []
    for name in ("beach/beach.jpg", "dog/dog.jpg"):
        path = tmp_path / name
        path.parent.mkdir()
        path.write_bytes(jpeg)
        photos.append(Photo(path, ("sky",), "0123", "train"))
    dataset = TaggedImageDataset(photos, torch.zeros(2, 1), TransformConfig(input_size=32))
    (one, labels), (other, labels_too) = dataset[0], dataset[1]
    assert torch.equal(one, other)
    assert torch.equal(labels, labels_too)


def test_targets_say_what_they_do_not_know() -> None:
    photos = [
        Photo(Path("a"), ("sky",), "1", "train", unsure=("sea", "sky", "car")),
        Photo(Path("b"), ("sea",), "2", "train"),
    ]
    known, vocabulary = (
        Vocabulary(("sky", "sea", "car", "dog")),
        Vocabulary(("cat", *"x", "sea", "sky")),
    )
    targets = partial_targets(photos, known, vocabulary)
    assert targets.tolist() == [[UNKNOWN, UNKNOWN, UNSURE, 1], [UNKNOWN, UNKNOWN, 1, 0]]


def test_nothing_is_unknown_where_there_is_one_set(harrison_root: Path) -> None:
    photoset = open_photoset(harrison_root)
    photos, targets = training_photos([photoset], Vocabulary(photoset.vocabulary.tags[1:]))
    assert len(photos) == len(targets) > 0
    assert (targets >= 0).all()  # so that unknown_weight is nothing's
