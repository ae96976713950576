import pytest
import torch

from training import baselines


def test_popularity_is_each_tags_share_of_the_known_photos() -> None:
    scores = baselines.popularity(torch.tensor([3, 1, 0]), known=4, photos=2)
    assert scores.tolist() == [[0.75, 0.25, 0.0]] * 2


def test_the_nearest_photos_vote_by_their_cosine() -> None:
    known = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-5.0, 0.0]])
    labels = torch.tensor([[True, False, True], [False, True, True], [False, False, True]])
    scores = baselines.nearest(torch.tensor([[3.0, 4.0]]), known, labels)
    # Cosines 0.6, 0.8 and -0.6: what points away has next to no vote.
    assert scores[0].tolist() == pytest.approx([0.6 / 1.4, 0.8 / 1.4, 1.0], abs=1e-4)


def test_only_so_many_neighbours_vote() -> None:
    dice = torch.Generator().manual_seed(4)
    known = torch.randn(600, 8, generator=dice)
    labels = torch.eye(600, dtype=torch.bool)  # each known photo has a tag of its own
    scores = baselines.nearest(known, known, labels)
    assert (scores > 0).sum(dim=1).tolist() == [baselines.NEIGHBOURS] * 600
    assert scores.argmax(dim=1).tolist() == list(range(600))
    assert torch.allclose(scores.sum(dim=1), torch.ones(600))
