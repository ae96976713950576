"""The loss for partial labels: a photo set only speaks about the tags that it knows."""

import torch
from torch import Tensor
from torch.nn import functional

from training.config import LossConfig
from training.dataset import UNSURE


def network_loss(
    logits: Tensor, targets: Tensor, config: LossConfig, *, words: int = 0, classes: int = 0
) -> Tensor:
    """The loss of each photo of a batch, of shape (N,), over all outputs of the network.

    Args:
        logits: (N, tags + words + classes).
        targets: theirs.
        config: which loss, and what words and classes weigh beside the tags.
        words: so many outputs learn what describes the photo, see training.descriptions.
        classes: the last outputs, which are held where they were before the network learnt
            tags: learning without forgetting (Li and Hoiem 2016, arXiv 1606.09282), by cross
            entropy against what the pretrained network said of the photo.
    """
    sizes = (logits.shape[1] - words - classes, words, classes)
    of_tags, of_words, of_classes = logits.split(sizes, dim=1)
    tags, described, before = targets.split(sizes, dim=1)
    loss = partial_loss(of_tags, tags, config)
    if words:
        loss = loss + config.describe * partial_loss(of_words, described, LossConfig())
    if classes:
        forgotten = -(before * of_classes.log_softmax(dim=1)).sum(dim=1)
        loss = loss + config.keep_classes * forgotten
    return loss


def partial_loss(logits: Tensor, targets: Tensor, config: LossConfig) -> Tensor:
    """The loss of each photo of a batch, of shape (N,).

    Args:
        logits: (N, tags).
        targets: (N, tags); 1 a photo's tag, 0 another one that its set knows; what lies between
            is how sure a tag is. UNKNOWN ones count unknown_weight, UNSURE ones nothing.
        config: which loss; softmax follows Mahajan et al. 2018, arXiv 1805.00932.
    """
    weights = torch.where(targets < 0, config.unknown_weight, 1.0)
    weights = weights.masked_fill(targets == UNSURE, 0.0)
    truth = _smoothed(targets, config.label_smoothing)
    if config.name == "softmax":
        # exp(log w) scales a tag's share of the softmax's denominator by w, but log 0 is no number.
        log_probability = (logits + weights.clamp(min=1e-30).log()).log_softmax(dim=1)
        shares = truth / truth.sum(dim=1, keepdim=True).clamp(min=1e-9)
        return -(shares * log_probability).sum(dim=1)
    if config.name == "asymmetric":
        losses = _asymmetric(logits, truth, config)
    else:
        losses = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return (losses * weights).sum(dim=1)


def _asymmetric(logits: Tensor, truth: Tensor, config: LossConfig) -> Tensor:
    """Ridnik et al. 2021, arXiv 2009.14119: focal weights, other ones for negatives, shifted."""
    scores = logits.sigmoid()
    shifted = (scores - config.clip).clamp(min=0)
    positive = (1 - scores) ** config.gamma_pos * functional.logsigmoid(logits)
    negative = shifted**config.gamma_neg * torch.log1p(-shifted.clamp(max=1 - 1e-6))
    return -(truth * positive + (1 - truth) * negative)


def _smoothed(targets: Tensor, smoothing: float) -> Tensor:
    """The truth from 0 to 1, a share of it spread evenly over the tags that are known."""
    truth = targets.clamp(min=0)
    if smoothing == 0:
        return truth
    known = targets >= 0
    mean = truth.sum(dim=1, keepdim=True) / known.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.where(known, truth.lerp(mean.expand_as(truth), smoothing), 0.0)
