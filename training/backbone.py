"""Backbone: pretrained weights into our network, and its embeddings of photos, cached on disk."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.models import get_model_weights

from hashstagram.model import split_head
from hashstagram.transforms import TransformConfig
from training.dataset import TaggedImageDataset
from training.harrison import DataError
from training.photoset import Photo

BATCH = 16


def load_backbone(model: nn.Module, architecture: str, weights: str | Path) -> None:
    """Copy pretrained weights into all layers but the head.

    Args:
        model: the network, changed in place.
        architecture: its torchvision name.
        weights: a safetensors file, torchvision's name of weights (fetched by torchvision and
            checked against the hash in their name), or "none".

    Raises:
        DataError: the weights are not to be had or do not fit the architecture.
    """
    if weights == "none":
        return
    head, _ = split_head(model)
    state = _read_weights(architecture, weights)
    body = {key: w.float() for key, w in state.items() if not key.startswith(head + ".")}
    try:
        outcome = model.load_state_dict(body, strict=False)
    except RuntimeError as err:
        raise DataError(f"the weights {weights} do not fit {architecture}: {err}") from err
    lacking = [
        key
        for key in outcome.missing_keys
        if not key.startswith(head + ".") and not key.endswith("num_batches_tracked")
    ]
    if lacking or outcome.unexpected_keys:
        first = (lacking + outcome.unexpected_keys)[0]
        raise DataError(f"the weights {weights} do not fit {architecture}: see {first}")


def _read_weights(architecture: str, weights: str | Path) -> dict[str, Tensor]:
    try:
        if Path(weights).is_file():
            return load_file(weights)
        state: dict[str, Tensor] = get_model_weights(architecture)[str(weights)].get_state_dict(
            check_hash=True
        )
    except KeyError as err:
        raise DataError(f"no file and no weights of {architecture} are called {weights}") from err
    except (OSError, ValueError) as err:
        raise DataError(
            f"the weights {weights} cannot be had: {err}. Give a file with --weights"
        ) from err
    return state


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
