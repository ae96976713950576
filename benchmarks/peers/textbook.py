"""Textbook: photos to hashtags in the way that everybody writes first; every peer runs this.

Pillow decodes the whole photo, turns it upright, resizes and crops it; the network runs eagerly
in single precision. Size, crop, normalisation, weights and what follows the network are the
bundle's, so that the answers are those of our own service.
"""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TypedDict

import torch
from PIL import Image, ImageOps
from torchvision.transforms import functional
from torchvision.transforms.functional import InterpolationMode

from benchmarks.peers.setting import Setting
from hashstagram.bundle import Bundle
from hashstagram.model import detach_head
from hashstagram.recommender import Recommender
from hashstagram.transforms import min_side

BATCH = 8  # photos at most that the servers which batch gather
WAIT = 0.005  # seconds at most that they wait for them


class Tag(TypedDict):
    """One hashtag of an answer."""

    tag: str
    score: float


class Answer(TypedDict):
    """What each service answers to a photo."""

    hashtags: list[Tag]


class Textbook:
    """A model that answers.

    Args:
        bundle: its directory; its weights are copied into this process.
    """

    def __init__(self, bundle: Path) -> None:
        loaded = Bundle.load(bundle)
        self.config = loaded.config.transform
        self.network, _ = detach_head(loaded.model)
        self.recommender = Recommender(loaded)

    @classmethod
    def from_setting(cls, setting: Setting) -> "Textbook":
        """As a service's worker makes it."""
        torch.set_num_threads(setting.threads)
        return cls(setting.bundle)

    def preprocess(self, photo: bytes | Image.Image) -> torch.Tensor:
        """A photo to the network's input (3, S, S)."""
        image = photo if isinstance(photo, Image.Image) else Image.open(BytesIO(photo))
        image = ImageOps.exif_transpose(image).convert("RGB")
        config, side = self.config, min_side(self.config)
        size = [side] if config.crop_mode == "center" else [side, side]
        image = functional.resize(image, size, InterpolationMode(config.interpolation))
        pixels = functional.to_tensor(functional.center_crop(image, [config.input_size]))
        tensor: torch.Tensor = functional.normalize(pixels, list(config.mean), list(config.std))
        return tensor

    @torch.inference_mode()
    def answer(self, photos: Sequence[bytes | Image.Image]) -> list[Answer]:
        """A batch of photos to the five best hashtags of each."""
        inputs = torch.stack([self.preprocess(photo) for photo in photos])
        scores = self.recommender.calibrated_scores(self.network(inputs))
        return [
            {"hashtags": [{"tag": h.tag, "score": round(h.score, 4)} for h in best]}
            for best in map(self.recommender.ranking.top, scores)
        ]
