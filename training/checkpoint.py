"""Checkpoint: everything that a run needs to go on, to the bit, after it was killed."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel

from training.config import TrainConfig
from training.harrison import DataError
from training.photoset import Photo

CHECKPOINT = "checkpoint.pt"


@dataclass
class TrainState:
    """What changes while the network is fine-tuned.

    Args:
        model: the network.
        average: the running average of its weights, which is what is kept.
        optimizer: with its moments.
        lr_scheduler: with its step.
        epoch: how many epochs are complete.
        batch: how many batches of the next epoch are done.
        loss: the sum of their losses.
    """

    model: nn.Module
    average: AveragedModel
    optimizer: Optimizer
    lr_scheduler: LRScheduler
    epoch: int = 0
    batch: int = 0
    loss: float = 0.0

    def parts(self) -> dict[str, Any]:
        """The four that have a state_dict of their own."""
        return {
            "model": self.model,
            "average": self.average,
            "optimizer": self.optimizer,
            "lr_scheduler": self.lr_scheduler,
        }


def run_key(config: TrainConfig, weights: str | Sequence[str], photos: Sequence[Photo]) -> str:
    """A fingerprint of what a run was asked to do: configuration, weights, photos and tags."""
    asked = [asdict(config), str(weights), [[photo.digest, photo.tags] for photo in photos]]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def save_checkpoint(path: Path, key: str, state: TrainState) -> None:
    """Write the state under its final name only when all of it is on the disk."""
    stored = {name: part.state_dict() for name, part in state.parts().items()}
    stored |= {"key": key, "rng": torch.get_rng_state()}
    stored |= {"epoch": state.epoch, "batch": state.batch, "loss": state.loss}
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        torch.save(stored, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def load_checkpoint(path: Path, key: str, state: TrainState) -> bool:
    """Bring a fresh state to where the checkpoint was written; whether there was one.

    Raises:
        DataError: the checkpoint belongs to another run.
    """
    if not path.exists():
        return False
    stored = torch.load(path, weights_only=True)
    if stored["key"] != key:
        raise DataError(
            f"{path.parent} holds a run with another configuration, other weights or other "
            "photos: choose another --out, or remove it"
        )
    for name, part in state.parts().items():
        part.load_state_dict(stored[name])
    state.epoch, state.batch, state.loss = stored["epoch"], stored["batch"], stored["loss"]
    torch.set_rng_state(stored["rng"])
    return True
