"""README's "Train your own", run as it stands: from photos and their hashtags to an answer."""

import csv
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hashstagram.bundle import Bundle
from hashstagram.recommender import Recommender
from hashstagram_client import HashtagClient
from serving.instance import Instance
from tests.conftest import COLOURS, ROOT, clean_environment
from tests.serving.test_readme import README, block

Label = Callable[[Path], str]
MADE = {"models", "model_store", "runs", "training", ".venv", ".run", ".git"}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout as README's reader has it after `make install`; what is written stays in it."""
    home = tmp_path / "checkout"
    home.mkdir()
    for path in ROOT.iterdir():
        if path.name not in MADE:
            (home / path.name).symlink_to(path)
    (home / ".venv").symlink_to(Path(sys.prefix))
    shutil.copytree(
        ROOT / "training", home / "training", ignore=shutil.ignore_patterns("__pycache__")
    )
    return home


def configure(checkout: Path, neighbours: float) -> None:
    """Have quick.toml start from nothing, on small photos, and give neighbours this share."""
    path = checkout / "training" / "configs" / "quick.toml"
    text = path.read_text(encoding="utf-8")
    changes = {
        r'architecture = ".*"': 'architecture = "shufflenet_v2_x0_5"\nweights = "none"',
        r"input_size = \d+": "input_size = 32",
    }
    for pattern, change in changes.items():
        text, count = re.subn(pattern, change, text)
        assert count == 1
    path.write_text(f"{text}\n[tuning]\nweights = [{neighbours}]\n", encoding="utf-8")


def from_harrison(photos: Path) -> str:
    """The photos with HARRISON's files, and the line that prepares them."""
    data_list = photos / "data_list.txt"
    data_list.write_text(data_list.read_text().replace("colours/", "PHOTOS/"))
    return "prepare harrison PHOTOS"


def from_captions(photos: Path) -> str:
    """The photos with posts in their place, and the line that prepares them."""
    tags = (photos / "tag_list.txt").read_text().splitlines()
    with (photos / "posts.csv").open("w", newline="", encoding="utf-8") as file:
        posts = csv.writer(file)
        posts.writerow(["image", "caption"])
        for number, line in enumerate(tags):
            caption = " ".join(f"#{tag}" for tag in line.split())
            posts.writerow([f"{number:03}.jpg", f"Look, {caption}"])
    for name in ("data_list.txt", "tag_list.txt", "vocab_index.txt"):
        (photos / name).unlink()
    [line] = re.findall(r"`(prepare captions [^`]+)`", README)
    return str(line)


@pytest.mark.serving
@pytest.mark.parametrize(
    ("label", "neighbours"),
    [(from_harrison, 0.4), (from_captions, 0.0)],
    ids=["harrison-with-neighbours", "captions-without"],
)
def test_from_photos_to_an_answer(
    checkout: Path, harrison_root: Path, tmp_path: Path, label: Label, neighbours: float
) -> None:
    photos = checkout / "PHOTOS"
    shutil.copytree(harrison_root, photos, ignore=shutil.ignore_patterns("*.jsonl"))
    shutil.copy(photos / "002.jpg", checkout / "my.jpg")
    configure(checkout, neighbours)
    install, *lines, demo = block("sh", "training.prepare").splitlines()
    assert install == "make install"  # as whoever runs tests has done
    lines[0] = lines[0].replace("prepare harrison PHOTOS", label(photos))

    done = subprocess.run(
        ["bash", "-euc", "\n".join(lines)],
        cwd=checkout,
        capture_output=True,
        text=True,
        env=clean_environment() | {"OMP_NUM_THREADS": "1"},  # threads would only wait
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (checkout / "runs" / "mine" / "report.html").is_file()

    # make demo serves what build_mar.sh has written; here the tests' own server does.
    assert demo == "make demo PHOTO=my.jpg BUNDLE=models/mine"
    bundle = Bundle.load(checkout / "models" / "mine")
    assert (bundle.neighbours is not None) == (neighbours > 0)
    assert set(bundle.vocabulary.tags) == {"photo", *COLOURS}
    [expected] = Recommender(bundle).recommend([(checkout / "my.jpg").read_bytes()])
    instance = Instance.start(checkout / "model_store" / "hashtags.mar", tmp_path / "run")
    try:
        with HashtagClient(instance.inference, instance.key("inference")) as client:
            answer = client.recommend(checkout / "my.jpg")
    finally:
        instance.stop()
    scores = {hashtag.tag: hashtag.score for hashtag in expected}
    assert {h.tag: h.score for h in answer.hashtags} == pytest.approx(scores, abs=0.03)
