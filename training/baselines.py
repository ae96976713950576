"""Baselines: what any model must beat, popularity and the nearest photos that it has seen."""

import torch
from torch import Tensor
from torch.nn import functional

NEIGHBOURS = 20
CHUNK = 256  # photos: their similarities to all others are held at once


def popularity(frequency: Tensor, known: int, photos: int) -> Tensor:
    """Scores (photos, tags) that are alike for every photo: the tag's share of the known photos.

    Args:
        frequency: how many of the known photos have the tag, (tags,).
        known: how many known photos there are.
        photos: how many photos to answer.
    """
    return (frequency / known).expand(photos, -1)


def nearest(embeddings: Tensor, known: Tensor, labels: Tensor) -> Tensor:
    """Scores (photos, tags): the share of the nearest known photos that have the tag.

    Each of the neighbours counts by its cosine similarity (as in JEC and TagProp's plain kNN).

    Args:
        embeddings: of the photos to answer, (photos, width).
        known: embeddings of other photos, (known, width).
        labels: which tags those have, (known, tags), boolean.
    """
    known = functional.normalize(known, dim=1)
    k = min(NEIGHBOURS, len(known))
    scores = []
    for chunk in functional.normalize(embeddings, dim=1).split(CHUNK):
        similarity, rows = (chunk @ known.T).topk(k, dim=1)
        votes = similarity.clamp(min=1e-6)
        shares = votes / votes.sum(dim=1, keepdim=True)
        scores.append(torch.einsum("pk,pkt->pt", shares, labels[rows].float()))
    return torch.cat(scores)
