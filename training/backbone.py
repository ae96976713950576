"""Backbone: pretrained weights into our network."""

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import get_model_weights

from hashstagram.model import split_head
from training.harrison import DataError


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
