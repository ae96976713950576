"""The classes that the backbone was pretrained on: tags read off them, and how they are kept."""

import tomllib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torchvision.models import MobileNet_V2_Weights

from hashstagram.classes import PretrainedClasses
from hashstagram.model import split_head
from hashstagram.vocabulary import Vocabulary

TABLE = Path(__file__).with_name("classes.toml")


def read_off(taught: Vocabulary) -> PretrainedClasses:
    """The tags of classes.toml that are not taught, by ImageNet's 1,000 classes."""
    # Every network of torchvision's, and EfficientNet-Lite, has them in this order.
    names = MobileNet_V2_Weights.IMAGENET1K_V1.meta["categories"]
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    tags = {
        tag: tuple(names.index(name) for name in classes)
        for tag, classes in table.items()
        if tag not in taught.index
    }
    return PretrainedClasses(len(names), tags)


def save_class_targets(
    path: Path, model: nn.Module, features: npt.NDArray[np.float16], count: int
) -> None:
    """What a network that has learnt nothing new says of photos: (photos, count), in a .npy file.

    Args:
        path: the file.
        model: its head's last `count` outputs are used.
        features: (photos, width), the head's input.
        count: of classes.
    """
    _, head = split_head(model)
    device = next(head.parameters()).device
    rows = []
    with torch.inference_mode():
        for piece in np.array_split(features, max(1, len(features) // 1024)):
            logits = head(torch.from_numpy(piece).to(device, torch.float32))[:, -count:]
            rows.append(logits.softmax(dim=1).half().cpu())
    np.save(path, torch.cat(rows).numpy())


def load_class_targets(path: Path) -> Tensor:
    """What `save_class_targets` wrote, in single precision."""
    return torch.from_numpy(np.load(path, allow_pickle=False)).float()
