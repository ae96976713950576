"""Features: the head's input for every photo, computed once and kept in a memory-mapped file.

A file is good for the same weights, photos, transform and views. Only blocks that are wholly on
the disk count as done, so that a run that was killed goes on where it was.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import ConcatDataset, DataLoader

from hashstagram.model import split_head
from training.augment import view_transform
from training.config import TrainConfig
from training.dataset import TaggedImageDataset
from training.photoset import Photo
from training.progress import track

logger = logging.getLogger(__name__)

BLOCK = 64  # photos that are done together
BATCH = 16  # photos that go through the network at once

Features = npt.NDArray[np.float16]


def cache_features(
    config: TrainConfig,
    accelerator: Accelerator,
    model: nn.Module,
    photos: Sequence[Photo],
    folder: Path,
    *,
    workers: int = 0,
) -> Features:
    """The head's inputs (views, photos, width), memory-mapped; what is lacking is computed.

    The processes share the work, and return when all of it is done.

    Args:
        config: the transform, the augmentation and the number of views.
        accelerator: which process this is, and its device.
        model: its layers below the head are used.
        photos: what to compute, in this order.
        folder: where the file is kept.
        workers: processes that decode photos.
    """
    path = folder / f"{_key(config, model, photos)}.npy"
    done_path = path.with_suffix(".done.npy")
    if accelerator.is_main_process and not done_path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        shape = (config.head.views, len(photos))
        width = next(split_head(model)[1].parameters()).shape[1]
        _create(path, (*shape, width), np.float16)
        _create(done_path, (shape[0], -(-len(photos) // BLOCK)), np.bool_)
    accelerator.wait_for_everyone()
    features = np.lib.format.open_memmap(path, mode="r+")
    done = np.lib.format.open_memmap(done_path, mode="r+")
    own = np.arange(done.shape[1]) % accelerator.num_processes == accelerator.process_index
    lacking = np.argwhere(~done & own)
    loader = _loader(config, photos, lacking, workers)
    model.eval()
    started, computed = time.monotonic(), 0
    batches = track(loader, "features", len(lacking))
    for (images, _), (view, block) in zip(batches, lacking, strict=True):
        first = block * BLOCK
        pieces = [embed(model, piece.to(accelerator.device)) for piece in images.split(BATCH)]
        features[view, first : first + len(images)] = torch.cat(pieces).half().cpu().numpy()
        features.flush()
        done[view, block] = True
        done.flush()
        computed += len(images)
    if computed:
        seconds = time.monotonic() - started
        speed = computed / seconds
        logger.info("features of %d photos: %.0f s, %.1f photos/s", computed, seconds, speed)
    accelerator.wait_for_everyone()
    return features


@torch.inference_mode()
def embed(model: nn.Module, images: Tensor) -> Tensor:
    """What reaches the head of a network in evaluation mode: (N, 3, S, S) to (N, width)."""
    captured: list[Tensor] = []
    _, head = split_head(model)
    hook = head.register_forward_pre_hook(lambda _, inputs: captured.append(inputs[0]))
    model(images.contiguous(memory_format=torch.channels_last))
    hook.remove()
    return captured[0]


def _loader(
    config: TrainConfig, photos: Sequence[Photo], blocks: npt.NDArray[np.int64], workers: int
) -> DataLoader[tuple[Tensor, Tensor]]:
    """A batch of pictures for each block, a row of view and number in the view."""
    views = [
        TaggedImageDataset(
            photos,
            torch.empty(len(photos), 0),
            config.transform,
            view_transform(view, config.transform, config.augment),
            dice=(config.seed, view),
        )
        for view in range(config.head.views)
    ]
    batches = [
        [view * len(photos) + row for row in range(len(photos))[block * BLOCK :][:BLOCK]]
        for view, block in blocks.tolist()
    ]
    return DataLoader(ConcatDataset(views), batch_sampler=batches, num_workers=workers)


def _create(path: Path, shape: tuple[int, ...], dtype: Any) -> None:
    """An array of zeros under its final name when its size is right."""
    part = path.with_suffix(".part")
    np.lib.format.open_memmap(part, mode="w+", dtype=dtype, shape=shape).flush()
    os.replace(part, path)


def _key(config: TrainConfig, model: nn.Module, photos: Sequence[Photo]) -> str:
    """The name of the file: 16 hex digits of all that decides what is in it."""
    asked = [asdict(config.transform), config.head.views]
    if config.head.views > 2:  # the first two are not random
        asked += [asdict(config.augment), config.seed]
    digest = hashlib.sha256(json.dumps(asked).encode())
    head, _ = split_head(model)
    for name, weight in model.state_dict().items():
        if not name.startswith(head + "."):
            digest.update(weight.cpu().numpy().tobytes())
    digest.update("".join(photo.digest for photo in photos).encode())
    return digest.hexdigest()[:16]
