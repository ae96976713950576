"""Transforms: a decoded photo to the model's input, the same in training and serving.

PyTorch is imported by what makes tensors only: a worker without it starts sooner and takes a third
of the memory.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

if TYPE_CHECKING:
    import torch

Pixels = npt.NDArray[np.uint8]  # (S, S, 3), or (N, S, S, 3)

_RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


@dataclass(frozen=True)
class TransformConfig:
    """How a photo becomes the model's input; it travels in the bundle.

    Args:
        input_size: side of the square input, in pixels.
        crop_mode: "center" cuts the middle square, "squash" keeps the whole photo and lets
            its aspect ratio go (timm's names for the two).
        crop_pct: share of the shorter side (center) or of both sides (squash) that is kept.
        interpolation: "bilinear" or "bicubic", antialiased.
        mean: per channel, on values from 0 to 1.
        std: per channel, on values from 0 to 1.
    """

    input_size: int = 224
    crop_mode: Literal["center", "squash"] = "center"
    crop_pct: float = 0.875
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        """Take lists as they come out of JSON and TOML, and refuse what cannot be."""
        object.__setattr__(self, "mean", tuple(self.mean))
        object.__setattr__(self, "std", tuple(self.std))
        if self.crop_mode not in ("center", "squash") or self.interpolation not in _RESAMPLING:
            raise ValueError(f"unknown crop_mode or interpolation in {self}")
        if self.input_size < 32 or not 0 < self.crop_pct <= 1:
            raise ValueError(f"input_size is at least 32 and crop_pct in (0, 1], not {self}")

    @property
    def resample(self) -> Image.Resampling:
        """Pillow's constant for the interpolation."""
        return _RESAMPLING[self.interpolation]


def crop_box(width: int, height: int, config: TransformConfig) -> tuple[float, float, float, float]:
    """The part of a width × height picture that the model sees: left, top, right, bottom."""
    side = min(width, height)
    whole = (side, side) if config.crop_mode == "center" else (width, height)
    kept_width, kept_height = (length * config.crop_pct for length in whole)
    left, top = (width - kept_width) / 2, (height - kept_height) / 2
    return left, top, left + kept_width, top + kept_height


def to_pixels(image: Image.Image, config: TransformConfig) -> Pixels:
    """The part of an RGB picture that the model sees, at its size: (S, S, 3)."""
    size = (config.input_size, config.input_size)
    # Crop and resize in one step: no pixel outside the crop is touched.
    return np.array(image.resize(size, config.resample, box=crop_box(*image.size, config)))


def normalised(pixels: "torch.Tensor", config: TransformConfig) -> "torch.Tensor":
    """Bytes of shape (…, height, width, 3) to normalised floats (…, 3, height, width)."""
    import torch

    mean, std = (
        torch.tensor(values, device=pixels.device)[:, None, None]
        for values in (config.mean, config.std)
    )
    return (pixels.movedim(-1, -3).float() / 255 - mean) / std


def to_tensor(image: Image.Image, config: TransformConfig) -> "torch.Tensor":
    """An RGB picture to a normalised float tensor of shape (3, height, width)."""
    import torch

    return normalised(torch.from_numpy(np.array(image)), config)


def eval_transform(image: Image.Image, config: TransformConfig) -> "torch.Tensor":
    """An RGB picture to the model's input of shape (3, input_size, input_size)."""
    import torch

    return normalised(torch.from_numpy(to_pixels(image, config)), config)


def min_side(config: TransformConfig) -> int:
    """The shorter side below which a picture would lose detail that the model can use."""
    return round(config.input_size / config.crop_pct)
