"""Optimizer: what is stepped how far. Parameter groups, learning-rate schedule, weight average."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from hashstagram.model import split_head
from training.config import FinetuneConfig
from training.harrison import DataError

Tensors = tuple[Tensor, ...] | list[Tensor]


def parameter_groups(model: nn.Module, stage: FinetuneConfig) -> list[dict[str, Any]]:
    """The head at full learning rate, the backbone below it; no decay on biases and norms."""
    head, _ = split_head(model)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}  # few: a group is stepped at once
    for name, parameter in model.named_parameters():
        of_head = name.startswith(head + ".")
        lr = stage.lr * (1.0 if of_head else stage.backbone_lr_scale)
        weight_decay = stage.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((lr, weight_decay), []).append(parameter)
    return [
        {"params": parameters, "lr": lr, "weight_decay": weight_decay}
        for (lr, weight_decay), parameters in groups.items()
    ]


def freeze(model: nn.Module, layers: Sequence[str]) -> None:
    """Keep layers as they are, by their names.

    Raises:
        DataError: the network has no such layer.
    """
    modules = dict(model.named_modules())
    for layer in layers:
        if layer not in modules:
            raise DataError(f"finetune.frozen: the network has no layer called {layer!r}")
        modules[layer].requires_grad_(False)


def cosine_schedule(optimizer: Optimizer, steps: int) -> LambdaLR:
    """Up over the first twentieth of the steps, then down to zero along a cosine."""
    warm_up = max(1, steps // 20)

    def scale(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))

    return LambdaLR(optimizer, scale)


def running_average(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """An exponential moving average that follows fast at first, when there is little to average."""

    def average(averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
        step = float(count)
        torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + step) / (10 + step)))

    return average
