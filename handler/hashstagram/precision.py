"""Precision: the number format that the network computes in; its weights stay in single."""

import torch

PRECISIONS = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


def choose_precision(name: str, device: str) -> torch.dtype:
    """One of PRECISIONS by its name, or what suits the device best for "auto".

    On a GPU that is bfloat16, whose range no network leaves, or float16 where the GPU has no
    bfloat16; on the CPU it is float32.

    Raises:
        ValueError: there is none of that name.
    """
    if name == "auto":
        if torch.device(device).type != "cuda":
            return torch.float32
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float16
    if name not in PRECISIONS:
        raise ValueError(f"precision is auto or one of {', '.join(PRECISIONS)}, not {name!r}")
    return PRECISIONS[name]
