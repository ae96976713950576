"""Checkpoint: everything that a run needs to go on, to the bit, after it was killed.

It holds no random state: see training.seed.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.amp import GradScaler
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
        average: the running average of its weights.
        start: the network before this stage.
        optimizer: with its moments.
        lr_scheduler: with its step.
        scaler: of the losses, in half precision.
        epoch: how many epochs are complete.
        batch: how many batches of the next epoch are done.
        loss: the sum of their losses.
    """

    model: nn.Module
    average: AveragedModel
    start: nn.Module
    optimizer: Optimizer
    lr_scheduler: LRScheduler
    scaler: GradScaler | None = None
    epoch: int = 0
    batch: int = 0
    loss: float = 0.0

    @property
    def step(self) -> int:
        """How many steps are done in all."""
        return int(self.lr_scheduler.last_epoch)

    @property
    def lr(self) -> float:
        """The head's learning rate in the next step."""
        return max(float(lr) for lr in self.lr_scheduler.get_last_lr())

    def parts(self) -> dict[str, Any]:
        """Those that have a state_dict of their own."""
        parts = {
            "model": self.model,
            "average": self.average,
            "start": self.start,
            "optimizer": self.optimizer,
            "lr_scheduler": self.lr_scheduler,
        }
        return parts | {"scaler": self.scaler} if self.scaler else parts


def run_key(config: TrainConfig, weights: str | Sequence[str], photos: Sequence[Photo]) -> str:
    """A fingerprint of what a run was asked to do: configuration, weights, photos and their labels.

    Tuning comes after training, and may be done again in another way.
    """
    trained = {name: part for name, part in asdict(config).items() if name != "tuning"}
    seen = [[photo.digest, photo.tags, photo.descriptions, *photo.unsure] for photo in photos]
    asked = [trained, str(weights), seen]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def save_checkpoint(path: Path, key: str, state: TrainState) -> None:
    """Write the state under its final name only when all of it is on the disk."""
    stored = {name: part.state_dict() for name, part in state.parts().items()}
    stored |= {"key": key, "epoch": state.epoch, "batch": state.batch, "loss": state.loss}
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        torch.save(stored, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def load_checkpoint(path: Path, key: str, state: TrainState) -> None:
    """Bring a fresh state to where the checkpoint was written.

    Raises:
        DataError: the checkpoint belongs to another run.
    """
    stored = torch.load(path, weights_only=True, map_location="cpu")
    if stored["key"] != key:
        raise DataError(
            f"{path.parent} holds a run with another configuration, other weights or other "
            "photos: choose another --out, or remove it"
        )
    for name, part in state.parts().items():
        part.load_state_dict(stored[name])
    state.epoch, state.batch, state.loss = stored["epoch"], stored["batch"], stored["loss"]
