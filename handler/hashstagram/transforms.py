"""Image bytes to model input: the one function that training, evaluation and serving share."""

from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageOps
from torchvision.transforms.v2.functional import normalize

from hashstagram.errors import ImageTooLargeError, InvalidImageError, UnsupportedImageError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # MPO opens as JPEG
MAX_PIXELS = 50_000_000  # a 50-megapixel phone photo is 8160 × 6120

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


def decode_image(data: bytes, *, min_side: int | None = None) -> Image.Image:
    """Decode image bytes to an upright RGB picture.

    Args:
        data: the file's bytes, in one of FORMATS.
        min_side: a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size as long as its shorter
            side keeps at least this many pixels: several times faster for a phone photo.

    Raises:
        UnsupportedImageError: the bytes are not an image in one of FORMATS.
        ImageTooLargeError: more than MAX_PIXELS; found before anything is decoded.
        InvalidImageError: the image is truncated or broken.
    """
    # Pillow raises nearly every class of exception on broken files, MemoryError included.
    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as err:
        raise _too_large() from err
    except (Exception, MemoryError) as err:
        raise UnsupportedImageError(
            f"This is not an image that can be read. Send one of {', '.join(FORMATS)}."
        ) from err
    if image.width * image.height > MAX_PIXELS:
        raise _too_large()
    try:
        if min_side is not None:
            _draft(image, min_side)
        return to_rgb(ImageOps.exif_transpose(image))
    except (Exception, MemoryError) as err:
        raise InvalidImageError(
            "The image is truncated or damaged. Save it again and send the new file."
        ) from err


def _too_large() -> ImageTooLargeError:
    return ImageTooLargeError(
        f"The image has more than {MAX_PIXELS // 1_000_000} megapixels. Send a smaller one."
    )


def _draft(image: Image.Image, min_side: int) -> None:
    scale = min_side / min(image.size)
    if scale < 1:  # draft() decodes at the smallest size that is not below the one asked for
        image.draft("RGB", (round(image.width * scale), round(image.height * scale)))


def to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow mode to RGB: transparency on white, 16 bits to 8."""
    if image.mode.startswith("I;16") or image.mode == "I":
        # Pillow would clip these to 255 instead of scaling them.
        return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8)).convert(
            "RGB"
        )
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def crop_box(width: int, height: int, config: TransformConfig) -> tuple[float, float, float, float]:
    """The part of a width × height picture that the model sees: left, top, right, bottom."""
    side = min(width, height)
    whole = (side, side) if config.crop_mode == "center" else (width, height)
    kept_width, kept_height = (length * config.crop_pct for length in whole)
    left, top = (width - kept_width) / 2, (height - kept_height) / 2
    return left, top, left + kept_width, top + kept_height


def to_tensor(image: Image.Image, config: TransformConfig) -> torch.Tensor:
    """An RGB picture to a normalised float tensor of shape (3, height, width)."""
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)  # (3, height, width), uint8
    tensor: torch.Tensor = normalize(pixels.float() / 255, list(config.mean), list(config.std))
    return tensor


def eval_transform(image: Image.Image, config: TransformConfig) -> torch.Tensor:
    """An RGB picture to the model's input of shape (3, input_size, input_size)."""
    size = (config.input_size, config.input_size)
    # Crop and resize in one step: no pixel outside the crop is touched.
    square = image.resize(size, config.resample, box=crop_box(*image.size, config))
    return to_tensor(square, config)


def min_side(config: TransformConfig) -> int:
    """The shorter side below which a picture would lose detail that the model can use."""
    return round(config.input_size / config.crop_pct)
