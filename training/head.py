"""Stage one: the linear head on the frozen backbone's features."""

import copy
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from hashstagram.branches import last_linear
from hashstagram.model import split_head
from training.config import TrainConfig
from training.features import Features
from training.loss import network_loss
from training.optimizer import cosine_schedule
from training.progress import track
from training.seed import seed_of

logger = logging.getLogger(__name__)


@contextmanager
def rounded_products() -> Iterator[None]:
    """Have matrix products round to bfloat16 or TF32 where the hardware is faster at that.

    Sums stay in single precision, and so does everything on a CPU that has no bfloat16.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@rounded_products()
def fit_head(
    config: TrainConfig,
    model: nn.Module,
    features: Features,
    targets: Tensor,
    *,
    words: int = 0,
    classes: int = 0,
) -> list[float]:
    """Train the head in place; the mean loss of each epoch.

    Args:
        config: the stage's and the loss's.
        model: the network whose last linear layer is trained.
        features: (views, photos, width); a step reads its own rows only.
        targets: (photos, outputs), see network_loss.
        words: see network_loss.
        classes: see network_loss.
    """
    stage = config.head
    _, head = split_head(model)
    head.train()  # several layers over several networks, with dropout
    weight = next(head.parameters())
    dice = torch.Generator().manual_seed(seed_of(config.seed))
    steps = math.ceil(len(targets) / stage.batch_size)
    optimizer = AdamW(head.parameters(), lr=stage.lr, weight_decay=stage.weight_decay, fused=True)
    lr_scheduler = cosine_schedule(optimizer, stage.epochs * steps)
    losses = []
    for _ in track(range(stage.epochs), "head", stage.epochs):
        total = 0.0
        views = torch.randint(len(features), (len(targets),), generator=dice)
        for rows in torch.randperm(len(targets), generator=dice).tensor_split(steps):
            inputs = torch.from_numpy(features[views[rows].numpy(), rows.numpy()])
            logits = head(inputs.to(weight.device, weight.dtype))
            truth = targets[rows].to(logits.device, logits.dtype)
            loss = network_loss(logits, truth, config.loss, words=words, classes=classes).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            lr_scheduler.step()
            total += loss.item()
        losses.append(total / steps)
    if losses:
        logger.info(
            "head: mean loss %.3f, after %d epochs %.3f", losses[0], len(losses), losses[-1]
        )
    return losses


def without_outputs(model: nn.Module, first: int, count: int) -> nn.Module:
    """A copy of the network that lacks some outputs; the weights of its other layers are shared."""
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    smaller = copy.deepcopy(model, memo=dict(shared))
    _, linear = last_linear(smaller)
    kept = [*range(first), *range(first + count, linear.out_features)]
    linear.weight = nn.Parameter(linear.weight[kept])
    linear.bias = nn.Parameter(linear.bias[kept])
    linear.out_features = len(kept)
    return smaller
