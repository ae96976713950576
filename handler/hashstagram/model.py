"""ModelConfig and create_model: a torchvision network with one output per hashtag."""

import copy
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torchvision import models
from torchvision.models import get_model, list_models


@dataclass(frozen=True)
class ModelConfig:
    """What it takes to build the network again from its weights.

    Args:
        architecture: a torchvision classification model by its name, such as "mobilenet_v2".
        num_classes: one output per tag of the vocabulary.
        padding: "tensorflow" pads stride-2 convolutions on the right and at the bottom only,
            as networks that were trained in TensorFlow expect.
    """

    architecture: str
    num_classes: int
    padding: Literal["symmetric", "tensorflow"] = "symmetric"

    def __post_init__(self) -> None:
        """Name the choices when one is unknown."""
        if self.architecture not in list_models(module=models):
            raise ValueError(f"no torchvision classification model is called {self.architecture!r}")
        if self.padding not in ("symmetric", "tensorflow"):
            raise ValueError(f"padding is 'symmetric' or 'tensorflow', not {self.padding!r}")


def create_model(config: ModelConfig) -> nn.Module:
    """The network with fresh weights: images (N, 3, S, S) to logits (N, num_classes)."""
    model: nn.Module = get_model(config.architecture, weights=None, num_classes=config.num_classes)
    if config.padding == "tensorflow":
        pad_like_tensorflow(model)
    return model


def pad_like_tensorflow(model: nn.Module) -> None:
    """Give every stride-2 3 × 3 convolution TensorFlow's SAME padding for even input sizes.

    State-dict keys stay torchvision's own: the padding moves into a hook.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.stride == (2, 2) and module.padding == (1, 1):
            module.padding = (0, 0)
            module.register_forward_pre_hook(_pad_right_and_bottom)


def _pad_right_and_bottom(
    module: nn.Module, inputs: tuple[torch.Tensor, ...]
) -> tuple[torch.Tensor, ...]:
    return (nn.functional.pad(inputs[0], (0, 1, 0, 1)),)


def split_head(model: nn.Module) -> tuple[str, nn.Linear]:
    """The name and the module of the last linear layer: its input is the photo's embedding."""
    linears = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Linear)]
    if not linears:
        raise ValueError(f"{type(model).__name__} has no linear layer to put a head on")
    return linears[-1]


def detach_head(model: nn.Module) -> tuple[nn.Module, nn.Linear]:
    """The network without its last linear layer, and that layer; the weights are shared.

    The first maps images to embeddings (N, width), the second those to logits (N, num_classes).
    """
    name, head = split_head(model)
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    backbone = copy.deepcopy(model, memo=dict(shared))
    backbone.set_submodule(name, nn.Identity())
    return backbone, head
