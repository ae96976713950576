"""The classes that the backbone was pretrained on: tags read off them, and how they are kept."""

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torchvision.models import MobileNet_V2_Weights

from hashstagram.branches import last_linear
from hashstagram.classes import PretrainedClasses
from hashstagram.model import split_head
from hashstagram.vocabulary import Vocabulary

TABLE = Path(__file__).with_name("classes.toml")
RIDGE = 0.01  # of the inputs' mean square

# Every network of torchvision's, and EfficientNet-Lite, has the classes in this order. No two share
# a name: "crane" is the machine and "crane bird" the bird, "cardigan" is worn, "Cardigan" barks.
NAMES: tuple[str, ...] = tuple(MobileNet_V2_Weights.IMAGENET1K_V1.meta["categories"])


def read_off(taught: Vocabulary) -> PretrainedClasses:
    """The tags of classes.toml that are not taught, by ImageNet's 1,000 classes."""
    tags = {tag: classes for tag, classes in classes_of().items() if tag not in taught.index}
    return PretrainedClasses(len(NAMES), tags)


@cache
def classes_of() -> dict[str, tuple[int, ...]]:
    """Each tag of classes.toml and its classes, taught or not."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return {tag: tuple(sorted(expand(entries, table))) for tag, entries in table.items()}


def expand(entries: list[str], table: dict[str, list[str]]) -> set[int]:
    """The classes that a row of the table stands for.

    Args:
        entries: "tabby", a class; "tabby .. lion", those from one to another; "#cat", a tag's.
        table: the rows of all tags.

    Raises:
        ValueError, KeyError: there is no such class, or no such tag.
    """
    classes: set[int] = set()
    for entry in entries:
        if entry.startswith("#"):
            classes |= expand(table[entry.removeprefix("#")], table)
        else:
            first, _, last = entry.partition(" .. ")
            run = range(NAMES.index(first), NAMES.index(last or first) + 1)
            if not run:
                raise ValueError(f"{entry!r} runs backwards")
            classes.update(run)
    return classes


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


@contextmanager
def still(model: nn.Module, count: int) -> Iterator[None]:
    """Put the weights of a network's last `count` outputs back after others were trained.

    A frozen backbone has nothing to teach its own classes, and Adam moves them all the same.
    """
    linear = last_linear(model)[1]
    parts = [part.data[len(part) - count :] for part in (linear.weight, linear.bias)]
    before = [part.clone() for part in parts]
    yield
    for part, weights in zip(parts, before, strict=True):
        part.copy_(weights)


@torch.no_grad()
def refit(
    model: nn.Module,
    start: nn.Module,
    before: npt.NDArray[np.float16],
    after: npt.NDArray[np.float16],
    count: int,
) -> None:
    """Have a network's last `count` outputs say of photos what they said before it was fine-tuned.

    By ridge regression on logits, towards the outputs' own weights: a logit speaks of classes that
    no photo shows, too.

    Args:
        model: the fine-tuned network, changed in place.
        start: the network before, with the classes' own weights.
        before: (photos, width), what reached the start's last layer.
        after: (photos, width), what reaches the model's, of the same photos.
        count: of classes.
    """
    own = _with_bias(last_linear(start)[1], count)  # (count, width + 1)
    inputs, wanted = (
        nn.functional.pad(torch.from_numpy(np.asarray(rows, np.float32)), (0, 1), value=1.0)
        for rows in (after, before)
    )
    squares = inputs.T @ inputs
    squares.diagonal().add_(RIDGE * squares.diagonal()[:-1].mean())
    change = torch.linalg.solve(squares, inputs.T @ ((wanted - inputs) @ own.T)).T
    linear = last_linear(model)[1]
    fitted = (own + change).to(linear.weight)
    linear.weight[-count:], linear.bias[-count:] = fitted[:, :-1], fitted[:, -1]


def _with_bias(linear: nn.Linear, count: int) -> Tensor:
    """The weights of the last outputs and, behind them, their biases: (count, width + 1)."""
    return torch.cat([linear.weight[-count:], linear.bias[-count:, None]], dim=1).float().cpu()
