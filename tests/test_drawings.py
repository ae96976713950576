"""Drawn photo sets: their labels, and that each kind is a picture of its own."""

from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from training.drawings.__main__ import KINDS, LONG, SHORT, Kind, draw_set, main
from training.harrison import read_harrison
from training.prepare import prepare_harrison

COUNT = 48


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sets") / "drawings"
    draw_set(root, count=COUNT)
    return root


def test_every_drawing_is_a_sound_jpeg_of_the_set(drawings: Path) -> None:
    prepared = prepare_harrison(drawings)
    assert not prepared.broken
    tagged = [tags for tags in read_harrison(drawings).tags if tags]
    assert len(prepared.photoset.photos) >= len(tagged) > COUNT / 2


def test_a_line_of_each_list_is_a_drawing(drawings: Path) -> None:
    labels = read_harrison(drawings)
    unsure = (drawings / "unsure_list.txt").read_text(encoding="utf-8").splitlines()
    assert len(unsure) == COUNT
    for tags, doubtful in zip(labels.tags, unsure, strict=True):
        assert {*doubtful.split()} <= {*labels.vocabulary.tags} - {*tags}
    assert ("nothing",) in labels.tags  # noise
    assert ("screenshot", "chat", "text") in labels.tags


def test_sizes_are_those_of_photo_sets(drawings: Path) -> None:
    sizes = []
    for path in drawings.glob("*.jpg"):
        with Image.open(path) as image:
            sizes.append(image.size)
    assert all(SHORT[0] <= min(size) <= SHORT[1] for size in sizes)
    assert all(max(size) <= LONG * min(size) + 1 for size in sizes)
    assert any(width > height for width, height in sizes)
    assert any(width < height for width, height in sizes)


def test_a_seed_tells_what_is_drawn(drawings: Path, tmp_path: Path) -> None:
    for name, seed in (("again", 0), ("other", 1)):
        draw_set(tmp_path / name, count=8, seed=seed)
    first, again, other = (
        [path.read_bytes() for path in sorted(root.glob("*.jpg"))[:8]]
        for root in (drawings, tmp_path / "again", tmp_path / "other")
    )
    assert first == again
    assert not {*first} & {*other}


def test_drawings_are_negatives_for_the_tags_of_other_sets(
    harrison_root: Path, tmp_path: Path
) -> None:
    assert main([str(tmp_path / "d"), "--count", "10", "--beside", str(harrison_root)]) == 0
    labels = read_harrison(tmp_path / "d")
    assert {"sunset", "grass"} <= {*labels.vocabulary.tags}
    assert not {tag for tags in labels.tags for tag in tags} & {"sunset", "grass"}


def test_a_set_beside_it_must_be_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path / "d"), "--beside", str(tmp_path / "nowhere")])
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.draw.__name__)
def test_a_kind_never_draws_the_same_twice(kind: Kind) -> None:
    small = [kind.draw(Random(seed)).convert("L").resize((24, 24)) for seed in range(4)]
    pixels = np.stack([np.asarray(image, np.float32).ravel() for image in small])
    distances = np.abs(pixels[:, None] - pixels).mean(axis=2)
    distances[np.diag_indices(len(small))] = np.inf
    assert distances.min() > 0.5
