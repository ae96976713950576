"""The index of training photos, and the scores that it and the calibration change."""

from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from hashstagram.calibration import Calibration
from hashstagram.errors import InvalidBundleError
from hashstagram.neighbours import Neighbours, NeighboursConfig, in_eight_bits


@pytest.fixture
def index() -> Neighbours:
    """Three photos in two dimensions: two alike, with the first tag, one apart, with the others."""
    embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [-1.0, 0.0]])
    targets = torch.tensor([[1, 0, 0], [1, 0, 0], [0, 1, 1]]).bool()
    digests = torch.tensor([5, -7, 9])
    return Neighbours(torch.zeros(2), torch.eye(2), embeddings, targets, digests)


def test_the_most_alike_vote_and_the_more_alike_the_more(index: Neighbours) -> None:
    voting = NeighboursConfig(weight=0.5, k=2, sharpness=10)
    [votes] = index.vote(torch.tensor([[4.0, 0.0]]), voting)
    torch.testing.assert_close(votes, torch.tensor([1.0, 0.0, 0.0]))
    one_each = NeighboursConfig(weight=0.5, k=3, sharpness=0)
    [votes] = index.vote(torch.tensor([[4.0, 0.0]]), one_each)
    torch.testing.assert_close(votes, torch.tensor([2 / 3, 1 / 3, 1 / 3]))


def test_tags_that_no_photo_has_get_no_votes(index: Neighbours) -> None:
    """Where they are the vocabulary's last, as those that are read off classes are, or not."""
    voting = NeighboursConfig(weight=0.5, k=2)
    photos = torch.tensor([[4.0, 0.0], [1.0, 2.0]])
    none = torch.zeros(3, 2, dtype=torch.bool)
    wider = replace(index, targets=torch.cat([none, index.targets, none], dim=1))
    expected = torch.cat([torch.zeros(2, 2), index.vote(photos, voting), torch.zeros(2, 2)], dim=1)
    torch.testing.assert_close(wider.vote(photos, voting), expected)


def test_nearest_says_who(index: Neighbours) -> None:
    similarities, rows = index.nearest(torch.tensor([[9.0, 16.0]]), k=2)
    assert index.digests[rows].tolist() == [[-7, 5]]
    torch.testing.assert_close(similarities, torch.tensor([[0.96, 0.6]]))


@pytest.mark.parametrize("compact", [True, False], ids=["compact", "expanded"])
def test_what_is_saved_votes_the_same(index: Neighbours, tmp_path: Path, compact: bool) -> None:
    index.save(tmp_path / "index.safetensors", compact=compact)
    read = Neighbours.load(tmp_path / "index.safetensors", num_tags=3)
    voting = NeighboursConfig(weight=0.5, k=3)
    photos = torch.randn(5, 2, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(
        read.vote(photos, voting), index.vote(photos, voting), atol=1e-2, rtol=0
    )
    assert torch.equal(read.digests, index.digests)


@pytest.mark.parametrize("before", [True, False], ids=["from-compact", "from-expanded"])
@pytest.mark.parametrize("compact", [True, False], ids=["compact", "expanded"])
def test_what_was_loaded_can_be_saved_again(
    index: Neighbours, tmp_path: Path, before: bool, compact: bool
) -> None:
    index = replace(index, embeddings=in_eight_bits(index.embeddings))  # loses nothing then
    index.save(tmp_path / "index.safetensors", compact=before)
    read = Neighbours.load(tmp_path / "index.safetensors", num_tags=3)
    read.save(tmp_path / "again.safetensors", compact=compact)
    again = Neighbours.load(tmp_path / "again.safetensors", num_tags=3)
    for field in fields(Neighbours):
        saved, first = getattr(again, field.name), getattr(index, field.name)
        torch.testing.assert_close(saved, first, msg=field.name)


@pytest.mark.parametrize("spoil", ["gone", "broken", "other tags"])
def test_an_index_that_does_not_fit_is_refused(
    index: Neighbours, tmp_path: Path, spoil: str
) -> None:
    path = tmp_path / "index.safetensors"
    if spoil != "gone":
        index.save(path)
    if spoil == "broken":
        path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InvalidBundleError, match=r"index\.safetensors"):
        Neighbours.load(path, num_tags=2 if spoil == "other tags" else 3)


def test_calibration_keeps_a_tags_photos_in_order() -> None:
    scores = torch.tensor([[0.0, 0.2], [0.5, 0.9], [1.0, 1.0]])
    plain = Calibration()(scores)
    torch.testing.assert_close(plain, scores, atol=1e-6, rtol=0)
    milder = Calibration(scale=0.5, bias=(-1.0, 0.0))(scores)
    assert (milder.diff(dim=0) > 0).all()
    assert milder[1, 0] == pytest.approx(torch.tensor(-1.0).sigmoid().item())
    assert Calibration(abstain_below=0.3).abstains(scores).tolist() == [True, False, False]
    with pytest.raises(ValueError, match="scale"):
        Calibration(scale=-1.0)
