"""Sentences about photos teach a network more than tags do, and leave nothing in the bundle."""

import gzip
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hashstagram.recommender import Recommender
from hashstagram.vocabulary import Vocabulary
from tests.test_checkpoint import assert_same, start, wait_for_a_change
from training import prepare, train
from training.checkpoint import CHECKPOINT
from training.config import LossConfig
from training.dataset import UNSURE, partial_targets
from training.descriptions import read_descriptions, soft_targets, word_targets
from training.harrison import DataError
from training.loss import network_loss, partial_loss
from training.photoset import Photo, PhotoSet

CONFIG = """
name = "colours"
architecture = "shufflenet_v2_x0_5"
weights = "none"
checkpoint_minutes = 0.0
[transform]
input_size = 32
[loss]
describe = {describe}
[head]
epochs = 2
[finetune]
epochs = 2
batch_size = 16
input_size = 32
"""

SENTENCES = {
    "sky": ("A blue sky.", "Nothing but sky", "Clear skies, and a blue day"),
    "grass": ("green grass", "Grass, and a meadow"),
    "sunset": ("the sun is setting", "An orange evening"),
    "night": ("a dark night", "Dark, no moon"),
}


@pytest.fixture(scope="module")
def described(harrison_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The colours, half of them with sentences, prepared."""
    folder = tmp_path_factory.mktemp("described")
    root = folder / "colours"
    shutil.copytree(harrison_root, root, ignore=shutil.ignore_patterns("manifest.jsonl"))
    paths = (root / "data_list.txt").read_text().split()
    tags = [line.split()[0] for line in (root / "tag_list.txt").read_text().splitlines()]
    rows = [
        {"image": path, "captions": SENTENCES[tag]}
        for path, tag in list(zip(paths, tags, strict=True))[:120]
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "captions.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    arguments = ["harrison", str(root), "--descriptions", str(folder / "captions.jsonl.gz")]
    assert prepare.main(arguments) == 0
    return root


def command(folder: Path, root: Path, name: str, *, describe: float = 0.5) -> list[str]:
    config = folder / f"{name}.toml"
    config.write_text(CONFIG.format(describe=describe))
    return ["--config", str(config), "--data", str(root), "--out", str(folder / name)]


@pytest.fixture(scope="module")
def run(described: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    assert train.main(command(folder, described, "one")) == 0
    return folder / "one"


def photo(number: int, tags: tuple[str, ...], *descriptions: str) -> Photo:
    return Photo(Path(f"{number}.jpg"), tags, f"{number:016x}", "train", descriptions=descriptions)


def test_they_are_kept_with_the_photos(described: Path) -> None:
    photos = {photo.path.name: photo for photo in PhotoSet.load(described).photos}
    assert photos["000.jpg"].descriptions == SENTENCES["sky"]
    assert photos["159.jpg"].descriptions == ()


@pytest.mark.parametrize(
    "text",
    ["{", '{"image": "a.jpg"}', '{"captions": []}', '["a.jpg"]', '{"image": 1, "captions": 1}'],
)
def test_a_file_out_of_form_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "d.jsonl").write_text(text)
    with pytest.raises(DataError, match=r"d\.jsonl"):
        read_descriptions(tmp_path / "d.jsonl")


def test_descriptions_of_other_photos_are_refused(
    harrison_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "d.jsonl").write_text('{"image": "elsewhere.jpg", "captions": ["a"]}')
    file = str(tmp_path / "d.jsonl")
    assert prepare.main(["harrison", str(harrison_root), "--descriptions", file]) == 1
    assert "describes no image" in caplog.messages[-1]


def test_words_are_as_true_as_sentences_use_them() -> None:
    photos = [photo(n, ("dog",), "A dog", "a brown Dog runs") for n in range(30)]
    photos += [photo(n, ("cat",), "a cat") for n in range(30, 80)]
    targets = word_targets([*photos, photo(99, ("sky",))])
    assert targets.shape == (
        81,
        3,
    )  # "a" is said of every photo and "cat" of most: they tell little
    assert targets[0].tolist() == [0.5, 1.0, 0.5]  # brown, dog, runs
    assert targets[40].tolist() == [0, 0, 0]
    assert targets[80].tolist() == [-1, -1, -1]


def test_tags_are_softened_by_what_stands_for_them() -> None:
    vocabulary = Vocabulary(("man", "run", "sky"))
    lines = ("Men running", "two men are running", "men who run")
    photos = [photo(n, ("man", "run"), *lines) for n in range(5)]
    photos += [photo(5, ("sky",), "Running!", "nothing else"), photo(6, ("run",))]
    known = Vocabulary(("man", "run"))
    targets = torch.cat(
        [
            partial_targets(photos[:5], known, vocabulary),
            partial_targets(photos[5:], vocabulary, vocabulary),
        ]
    )
    targets[1, 1] = UNSURE
    softened = soft_targets(photos, targets, vocabulary)
    assert softened[0].tolist() == [1, 1, -1]
    assert softened[1].tolist() == [1, UNSURE, -1]
    assert softened[5].tolist() == [0, 0.25, 1]  # half the sentences, and not among its tags
    assert softened[6].tolist() == [0, 1, 0]


def test_words_are_learnt_beside_the_tags() -> None:
    config = LossConfig(unknown_weight=0.4, describe=0.5)
    logits = torch.randn(2, 5)
    targets = torch.tensor([[1.0, 0, 0.2, 0.8, 0], [1.0, 0, -1, -1, -1]])
    tags = partial_loss(logits[:, :2], targets[:, :2], config)
    words = partial_loss(logits[:1, 2:], targets[:1, 2:], LossConfig())
    expected = tags + torch.stack([0.5 * words[0], torch.tensor(0.0)])
    torch.testing.assert_close(network_loss(logits, targets, config, words=3), expected)


def test_the_bundle_knows_tags_only(run: Path, jpeg: bytes) -> None:
    recommender = Recommender.from_pretrained(run)
    assert recommender.bundle.config.model.num_classes == len(recommender.bundle.vocabulary) == 5
    stored = torch.load(run / CHECKPOINT, weights_only=True)["average"]
    words = len(stored["module.fc.bias"]) - 5
    assert words > 3
    assert torch.equal(recommender.bundle.model.fc.bias, stored["module.fc.bias"][:5])
    assert len(recommender.recommend([jpeg], k=9)[0]) == 5


def test_a_killed_run_ends_with_the_same_bytes(run: Path, described: Path, tmp_path: Path) -> None:
    process = start(command(tmp_path, described, "two"))
    for _ in range(3):
        wait_for_a_change(process, tmp_path / "two" / CHECKPOINT)
    assert process.is_alive()
    process.kill()
    process.join()
    assert train.main(command(tmp_path, described, "two")) == 0
    assert_same(run, tmp_path / "two")


def test_a_run_that_does_not_ask_for_them_is_as_without(
    described: Path, harrison_root: Path, tmp_path: Path
) -> None:
    assert train.main(command(tmp_path, described, "with", describe=0)) == 0
    assert train.main(command(tmp_path, harrison_root, "without", describe=0)) == 0
    one, two = (load_file(tmp_path / name / "weights.safetensors") for name in ("with", "without"))
    assert all(torch.equal(one[key], two[key]) for key in two)
