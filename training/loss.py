"""The loss for partial labels: a photo set only speaks about the tags that it knows."""

import torch
from torch import Tensor
from torch.nn import functional


def partial_loss(
    logits: Tensor, targets: Tensor, *, activation: str, unknown_weight: float
) -> Tensor:
    """The mean loss of a batch.

    Args:
        logits: (N, tags).
        targets: (N, tags); 1 a photo's tag, 0 another one that its set knows, -1 unknown.
        activation: "sigmoid" for binary cross entropy, a tag at a time; "softmax" for cross
            entropy against 1/k for each of the photo's k tags (Mahajan et al. 2018,
            arXiv 1805.00932).
        unknown_weight: how much an unknown tag counts as a negative, from 0 (not at all) to 1.
    """
    weights = torch.where(targets < 0, unknown_weight, 1.0)
    truth = targets.clamp(min=0)
    if activation == "sigmoid":
        losses = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        return (losses * weights).sum(dim=1).mean()
    # exp(log w) scales an unknown tag's share of the softmax's denominator by w.
    log_probability = (logits + weights.clamp(min=1e-9).log()).log_softmax(dim=1)
    shares = truth / truth.sum(dim=1, keepdim=True)
    return -(shares * log_probability).sum(dim=1).mean()
