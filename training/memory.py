"""Memory: how many photos fit through the network at once."""

from copy import deepcopy
from itertools import count

import torch
from accelerate import Accelerator
from accelerate.utils import find_executable_batch_size
from torch import nn
from torch.optim import AdamW

from training.harrison import DataError


def largest_micro_batch(
    accelerator: Accelerator, model: nn.Module, photos: int, shape: tuple[int, ...]
) -> int:
    """Photos that each process can take through a step at once: `photos`, or a half of it, ...

    It is tried on a copy of the network with blank inputs of this shape, so that nothing changes;
    the smallest answer of all processes counts.

    Raises:
        DataError: not even one fits.
    """
    halves = (photos >> times for times in count(1))

    def attempt(batch_size: int) -> int:
        trial = deepcopy(model)
        optimizer = AdamW(trial.parameters(), lr=0.0)
        inputs = torch.zeros(batch_size, *shape, device=accelerator.device)
        with accelerator.autocast():
            loss = trial(inputs.contiguous(memory_format=torch.channels_last)).float().sum()
        loss.backward()
        optimizer.step()
        return batch_size

    search = find_executable_batch_size(
        attempt, starting_batch_size=photos, reduce_batch_size_fn=lambda: next(halves)
    )
    try:
        found = int(search())
    except RuntimeError as err:
        if "reached zero" not in str(err):
            raise
        raise DataError(
            "not even one photo fits into memory: choose a smaller finetune.input_size"
        ) from err
    return int(accelerator.gather(torch.tensor([found], device=accelerator.device)).min())
