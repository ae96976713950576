"""Features: what layers that stay as they are make of photos, computed once, in a mapped file.

Stage one learns from the head's inputs, stage two from what its frozen layers make if it has any.
A file is good for the same layers, photos, transform and views. Only blocks that are wholly on the
disk count as done, so that a run that was killed goes on where it was.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import ConcatDataset, DataLoader

from hashstagram.graph import trace
from hashstagram.model import detach_head
from hashstagram.silent import openvino
from hashstagram.transforms import TransformConfig
from training.augment import Transform, train_transform, view_transform
from training.config import TrainConfig
from training.dataset import TaggedImageDataset
from training.photoset import Photo
from training.progress import track
from training.seed import seed_of

logger = logging.getLogger(__name__)

BLOCK = 64  # photos that are done together
BATCH = 16  # photos that go through the network at once
MANY = 256  # photos from which on it pays to compile a graph

Features = npt.NDArray[np.float16]


@dataclass(frozen=True)
class Views:
    """Which pictures of each photo are looked at, and by which layers.

    Args:
        layers: pictures (N, 3, S, S) to what is kept of each; its first ones are the network's.
        config: the model's transform, which says how large a photo is decoded.
        transforms: from photo to picture, one for each view.
        says: what tells these transforms from others.
        seed: of what is random in them.
    """

    layers: nn.Module
    config: TransformConfig
    transforms: Sequence[Transform]
    says: Mapping[str, Any]
    seed: int


def head_views(config: TrainConfig, model: nn.Module) -> Views:
    """What stage one learns from: the head's inputs, of photos as served, mirrored, cropped."""
    count, augment = config.head.views, config.augment
    return Views(
        detach_head(model)[0],
        config.transform,
        [view_transform(view, config.transform, augment) for view in range(count)],
        {"views": count} | ({"augment": asdict(augment)} if count > 2 else {}),
        config.seed if count > 2 else 0,  # the first two are not random
    )


def frozen_views(config: TrainConfig, layers: nn.Module) -> Views:
    """What stage two learns from where its first layers stay as they came: their outputs."""
    stage = config.finetune
    size = replace(config.transform, input_size=stage.input_size)
    return Views(
        layers,
        config.transform,
        [train_transform(size, config.augment)] * stage.views,
        {"frozen": stage.frozen, "size": stage.input_size, "augment": asdict(config.augment)}
        | {"views": stage.views},
        seed_of(config.seed, len(stage.frozen)),
    )


def cache_features(
    accelerator: Accelerator,
    views: Views,
    photos: Sequence[Photo],
    folder: Path,
    *,
    workers: int = 0,
) -> Features:
    """What layers make of photos (views, photos, …), memory-mapped; what is lacking is computed.

    The processes share the work, and return when all of it is done.

    Args:
        accelerator: which process this is, and its device.
        views: the pictures and the layers, in evaluation mode.
        photos: what to compute, in this order.
        folder: where the file is kept.
        workers: processes that decode photos.
    """
    views.layers.eval()
    path = folder / f"{_key(views, photos)}.npy"
    done_path = path.with_suffix(".done.npy")
    look = forward(views.layers, accelerator.device, len(photos))
    if accelerator.is_main_process and not done_path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        shape = (len(views.transforms), len(photos))
        images, _ = next(iter(_loader(views, photos, [(0, 0)], 0)))
        _create(path, (*shape, *look(images[:1]).shape[1:]), np.float16)
        _create(done_path, (shape[0], -(-len(photos) // BLOCK)), np.bool_)
    accelerator.wait_for_everyone()
    features = np.lib.format.open_memmap(path, mode="r+")
    done = np.lib.format.open_memmap(done_path, mode="r+")
    share = np.arange(done.shape[1]) % accelerator.num_processes == accelerator.process_index
    lacking = np.argwhere(~done & share).tolist()
    loader = _loader(views, photos, lacking, workers)
    started, computed = time.monotonic(), 0
    batches = track(loader, "features", len(lacking))
    for (images, _), (view, block) in zip(batches, lacking, strict=True):
        first = block * BLOCK
        features[view, first : first + len(images)] = torch.cat(
            [look(piece).half() for piece in images.split(BATCH)]
        )
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


def forward(layers: nn.Module, device: torch.device, photos: int) -> Callable[[Tensor], Tensor]:
    """What takes pictures (N, 3, S, S) through layers, in single precision, to the CPU.

    For many photos on a CPU it is OpenVINO, which takes half of PyTorch's time.
    """
    if device.type != "cpu" or photos < MANY:
        return partial(_forward, layers, device)
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",  # whatever the CPU has
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    compiled: dict[torch.Size, openvino.CompiledModel] = {}

    def run(images: Tensor) -> Tensor:
        size = images.shape[1:]
        if size not in compiled:
            graph = trace(layers, torch.zeros(2, *size))
            graph.reshape([-1, *size])
            compiled[size] = openvino.Core().compile_model(graph, "CPU", settings)
        return torch.from_numpy(compiled[size](images.numpy())[0])

    return run


@torch.inference_mode()
def _forward(layers: nn.Module, device: torch.device, images: Tensor) -> Tensor:
    values: Tensor = layers(images.to(device, memory_format=torch.channels_last))
    return values.float().cpu()


def _loader(
    views: Views, photos: Sequence[Photo], blocks: Sequence[Sequence[int]], workers: int
) -> DataLoader[tuple[Tensor, Tensor]]:
    """A batch of pictures for each block, a row of view and number in the view."""
    pictures = [
        TaggedImageDataset(
            photos,
            torch.empty(len(photos), 0),
            views.config,
            transform,
            dice=(views.seed, view),
        )
        for view, transform in enumerate(views.transforms)
    ]
    batches = [
        [view * len(photos) + row for row in range(len(photos))[block * BLOCK :][:BLOCK]]
        for view, block in blocks
    ]
    return DataLoader(ConcatDataset(pictures), batch_sampler=batches, num_workers=workers)


def _create(path: Path, shape: tuple[int, ...], dtype: Any) -> None:
    """An array of zeros under its final name when its size is right."""
    part = path.with_suffix(".part")
    np.lib.format.open_memmap(part, mode="w+", dtype=dtype, shape=shape).flush()
    os.replace(part, path)


def _key(views: Views, photos: Sequence[Photo]) -> str:
    """The name of the file: 16 hex digits of all that decides what is in it."""
    asked = [asdict(views.config), views.says, views.seed]
    digest = hashlib.sha256(json.dumps(asked).encode())
    for weight in views.layers.state_dict().values():
        digest.update(weight.cpu().numpy().tobytes())
    digest.update("".join(photo.digest for photo in photos).encode())
    return digest.hexdigest()[:16]
