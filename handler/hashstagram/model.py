"""ModelConfig and create_model: pretrained architectures by name, with one output per hashtag."""

import copy
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torchvision import models
from torchvision.models import get_model, list_models

from hashstagram.branches import Branches, Head, last_linear
from hashstagram.efficientnet_lite import EFFICIENTNET_LITE, efficientnet_lite

HIDDEN = 1024

# SqueezeNet ends in a convolution: there is no linear layer for the tags.
_NETWORKS = {n for n in list_models(module=models) if not n.startswith("squeezenet")}
_NETWORKS |= EFFICIENTNET_LITE.keys()


@dataclass(frozen=True)
class ModelConfig:
    """What it takes to build the network again from its weights.

    Args:
        architecture: a torchvision classification model by its name, such as "mobilenet_v2";
            "efficientnet_lite0", 1 or 2; or several joined by "+", such as "vgg16+alexnet", whose
            features are put side by side.
        num_classes: one output per tag of the vocabulary.
        padding: "tensorflow" pads convolutions with a stride mostly on the right and at the
            bottom, as networks that were trained in TensorFlow expect.
        hidden: units of a layer with ReLU and dropout between features and tags, 0 for none;
            by default 1024 over several networks and none over one.
        image_size: side of the input that a vision transformer is built for; 224 by default.
    """

    architecture: str
    num_classes: int
    padding: Literal["symmetric", "tensorflow"] = "symmetric"
    hidden: int | None = None
    image_size: int | None = None

    def __post_init__(self) -> None:
        """Name the choices when one is unknown."""
        for name in self.networks:
            if name not in _NETWORKS:
                near = " or ".join(difflib.get_close_matches(name, _NETWORKS))
                raise ValueError(
                    f"no network is called {name!r}" + (f"; did you mean {near}?" if near else "")
                )
        if self.padding not in ("symmetric", "tensorflow"):
            raise ValueError(f"padding is 'symmetric' or 'tensorflow', not {self.padding!r}")
        if self.hidden is not None and self.hidden < 0:
            raise ValueError(f"hidden is a number of units, not {self.hidden}")

    @property
    def networks(self) -> list[str]:
        """The names of the networks whose features are put side by side; mostly one."""
        return self.architecture.split("+")


def create_model(config: ModelConfig) -> nn.Module:
    """The network with fresh weights: images (N, 3, S, S) to logits (N, num_classes)."""
    hidden = config.hidden
    if hidden is None:
        hidden = HIDDEN if len(config.networks) > 1 else 0
    networks = [_create_network(name, config) for name in config.networks]
    plain = len(networks) == 1 and not hidden
    model = networks[0] if plain else Branches(networks, hidden, config.num_classes)
    if config.padding == "tensorflow":
        pad_like_tensorflow(model)
    return model


def _create_network(name: str, config: ModelConfig) -> nn.Module:
    if name in EFFICIENTNET_LITE:
        return efficientnet_lite(name, config.num_classes)
    options: dict[str, object] = {}
    if name.startswith("vit_") and config.image_size:
        options = {"image_size": config.image_size}
    if name in ("googlenet", "inception_v3"):
        # One output in training too; inputs as for all other networks.
        options = {"aux_logits": False, "init_weights": True, "transform_input": True}
    network: nn.Module = get_model(name, weights=None, num_classes=config.num_classes, **options)
    return network


def pad_like_tensorflow(model: nn.Module) -> None:
    """Give every convolution with a stride TensorFlow's SAME padding.

    State-dict keys stay torchvision's own: the padding moves into a hook.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and max(module.stride) > 1 and any(module.padding):
            module.padding = (0, 0)
            module.register_forward_pre_hook(_pad_same)


def _pad_same(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """As many outputs as strides begin within the input; the odd pixel goes right and below."""
    assert isinstance(module, nn.Conv2d)
    images = inputs[0]
    padding: list[int] = []
    for axis in (1, 0):  # nn.functional.pad begins with the last axis
        size, kernel, stride = images.shape[2 + axis], module.kernel_size[axis], module.stride[axis]
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        padding += [total // 2, total - total // 2]
    return (nn.functional.pad(images, padding),)


def split_head(model: nn.Module) -> tuple[str, nn.Linear | Head]:
    """The name and the module of what maps a photo's embedding to tags: the layers learned anew.

    Mostly the last linear layer; over several networks all layers that follow their features.
    """
    return ("head", model.head) if isinstance(model, Branches) else last_linear(model)


def detach_head(model: nn.Module) -> tuple[nn.Module, nn.Linear | Head]:
    """The network without its head, and the head; the weights are shared.

    The first maps images to embeddings (N, width), the second those to logits (N, num_classes).
    """
    name, head = split_head(model)
    return _without(model, [name]), head


def detach_layers(model: nn.Module, names: Sequence[str]) -> tuple[nn.Module, nn.Module]:
    """The first layers of a network, by their names, and the rest; the weights are shared.

    Raises:
        ValueError: these are not the first layers, one after the other.
    """
    modules = dict(model.named_modules())
    if not names or not set(names) <= modules.keys():
        raise ValueError(f"the network has no layers {', '.join(names)}")
    first, rest = nn.Sequential(*(modules[name] for name in names)), _without(model, names)
    training = model.training
    images = torch.randn(2, 3, 64, 64, device=next(model.parameters()).device)
    try:
        with torch.no_grad():
            whole = model.eval()(images)
            error = (rest.eval()(first(images)) - whole).abs().max()
        alike = bool(error <= 1e-3 * (whole[0] - whole[1]).abs().max())
    except RuntimeError:  # shapes that do not fit
        alike = False
    model.train(training)
    if not alike:
        raise ValueError(f"{', '.join(names)} are not the network's first layers in their order")
    return first, rest


def _without(model: nn.Module, names: Sequence[str]) -> nn.Module:
    """The network with these layers passed over; the weights of the others are shared."""
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    smaller = copy.deepcopy(model, memo=dict(shared))
    for name in names:
        smaller.set_submodule(name, nn.Identity())
    return smaller
