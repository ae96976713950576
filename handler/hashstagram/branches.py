"""Branches: several networks that look at the same photo, and the layers over their features."""

from collections.abc import Sequence

import torch
from torch import nn


class Head(nn.Sequential):
    """Features (N, in_features) to logits (N, num_classes), with a hidden layer if it is not 0."""

    def __init__(self, in_features: int, hidden: int, num_classes: int) -> None:
        layers: list[nn.Module] = [nn.Linear(hidden or in_features, num_classes)]
        if hidden:
            first = nn.Linear(in_features, hidden)
            layers = [first, nn.ReLU(inplace=True), nn.Dropout(0.5), *layers]
        super().__init__(*layers)
        self.in_features = in_features


class Branches(nn.Module):
    """Features of one or more networks side by side, then an MLP.

    With VGG16 and an AlexNet that was trained on Places365, what is in a photo and where it was
    taken; with two VGG16, HARRISON's VGG-Object + VGG-Scene (Park, Li, Kim 2016, arXiv 1605.05054).

    Args:
        networks: each ends in a linear layer, which is taken off; changed in place.
        hidden: units of the layer between features and tags; 0 leaves the tags linear in them.
        num_classes: one output per tag.
    """

    def __init__(self, networks: Sequence[nn.Module], hidden: int, num_classes: int) -> None:
        super().__init__()
        ends = [last_linear(network) for network in networks]
        self.heads = tuple(name for name, _ in ends)  # where each network's own head was
        for network, name in zip(networks, self.heads, strict=True):
            network.set_submodule(name, nn.Identity())
        self.branches = nn.ModuleList(networks)
        self.widths = tuple(linear.in_features for _, linear in ends)
        self.head = Head(sum(self.widths), hidden, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (N, 3, S, S) to logits (N, num_classes)."""
        features = [branch(images) for branch in self.branches]  # each (N, its width)
        logits: torch.Tensor = self.head(torch.cat(features, dim=1))
        return logits


def last_linear(network: nn.Module) -> tuple[str, nn.Linear]:
    """The name and the module of a network's last linear layer."""
    return [(n, m) for n, m in network.named_modules() if isinstance(m, nn.Linear)][-1]
