"""Backbone: its embeddings of photos, cached on disk."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader

from hashstagram.model import split_head
from hashstagram.transforms import TransformConfig
from training.dataset import TaggedImageDataset
from training.photoset import Photo

BATCH = 16


def embeddings(
    model: nn.Module, photos: Sequence[Photo], config: TransformConfig, cache: Path
) -> Tensor:
    """The input of the head for each photo (photos, width), from the cache where it fits.

    The cache is good for the same weights, photos and transform, in the same order.
    """
    key = _cache_key(model, photos, config)
    if cache.is_file():
        with safe_open(cache, framework="pt") as stored:
            if (stored.metadata() or {}).get("key") == key:
                stored_embeddings: Tensor = stored.get_tensor("embeddings")
                return stored_embeddings
    computed = _embed(model, photos, config)
    save_file({"embeddings": computed}, cache, metadata={"key": key})
    return computed


@torch.inference_mode()
def _embed(model: nn.Module, photos: Sequence[Photo], config: TransformConfig) -> Tensor:
    dataset = TaggedImageDataset(photos, torch.empty(len(photos), 0), config)
    captured: list[Tensor] = []
    _, head = split_head(model)
    hook = head.register_forward_pre_hook(lambda _, inputs: captured.append(inputs[0].clone()))
    model.eval()
    for images, _ in DataLoader(dataset, batch_size=BATCH):
        model(images.contiguous(memory_format=torch.channels_last))
    hook.remove()
    return torch.cat(captured)


def _cache_key(model: nn.Module, photos: Sequence[Photo], config: TransformConfig) -> str:
    digest = hashlib.sha256(json.dumps(asdict(config)).encode())
    head, _ = split_head(model)
    for name, weight in model.state_dict().items():
        if not name.startswith(head + "."):
            digest.update(weight.numpy().tobytes())
    digest.update("".join(photo.digest for photo in photos).encode())
    return digest.hexdigest()
