"""A bundle whose weights are random: as large and as slow as a trained one, and always the same.

Run: python -m benchmarks.random_bundle ARCHITECTURE FOLDER
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from hashstagram.branches import last_linear
from hashstagram.bundle import Bundle, BundleConfig
from hashstagram.model import ModelConfig, create_model
from hashstagram.transforms import TransformConfig
from hashstagram.vocabulary import Vocabulary

TAGS = 997  # HARRISON's


def random_bundle(architecture: str, folder: Path) -> Path:
    """A network of that architecture as if it were trained, in half precision as we ship them."""
    config = ModelConfig(architecture, TAGS)
    tags = Vocabulary(tuple(f"tag{number}" for number in range(TAGS)))
    torch.manual_seed(0)
    model = create_model(config).eval()
    _spread(model)
    described = BundleConfig("random", config, TransformConfig())
    Bundle(described, tags, model).save(folder, dtype=torch.float16)
    return folder


def _spread(model: nn.Module) -> None:
    """Weights that carry a photo through all layers (He et al. 2015, arXiv 1502.01852).

    With torchvision's own the answer hardly depends on the photo: no check could tell two apart.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    _, last = last_linear(model)
    with torch.no_grad():  # scores short of 1, where they would hardly differ
        last.weight.mul_(0.2)


def main(argv: Sequence[str] | None = None) -> int:
    """Write one bundle."""
    parser = argparse.ArgumentParser(description="Write a bundle with random weights.")
    parser.add_argument("architecture", help="such as alexnet, or vgg16+alexnet")
    parser.add_argument("folder", type=Path)
    args = parser.parse_args(argv)
    print(random_bundle(args.architecture, args.folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
