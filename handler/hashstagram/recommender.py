"""Recommender: photos in, the best hashtags out. It knows nothing of HTTP or TorchServe."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageOps

from hashstagram.bundle import Bundle
from hashstagram.transforms import decode_image, eval_transform, min_side, to_rgb

Photo = bytes | Image.Image


@dataclass(frozen=True)
class Hashtag:
    """One recommended tag, without the ``#``, and its score from 0 to 1."""

    tag: str
    score: float


@dataclass(frozen=True)
class Recommender:
    """The four steps from photos to hashtags, and `recommend`, which takes them all."""

    bundle: Bundle
    device: str = "cpu"

    @classmethod
    def from_pretrained(cls, directory: Path | str, *, device: str = "cpu") -> "Recommender":
        """Load a bundle directory.

        Raises:
            InvalidBundleError: the bundle is incomplete or inconsistent.
        """
        return cls(Bundle.load(Path(directory), device=device), device)

    def save_pretrained(self, directory: Path | str) -> None:
        """Write the bundle into a directory, in single precision."""
        self.bundle.save(Path(directory))

    def preprocess(self, photo: Photo) -> torch.Tensor:
        """One photo to the model's input of shape (3, S, S).

        Raises:
            UnsupportedImageError, ImageTooLargeError, InvalidImageError: see decode_image.
        """
        transform = self.bundle.config.transform
        if isinstance(photo, Image.Image):
            image = to_rgb(ImageOps.exif_transpose(photo))
        else:
            image = decode_image(photo, min_side=min_side(transform))
        return eval_transform(image, transform)

    @torch.inference_mode()
    def scores(self, inputs: torch.Tensor) -> torch.Tensor:
        """Model inputs (N, 3, S, S) to scores (N, tags) from 0 to 1, on the CPU."""
        inputs = inputs.to(self.device, memory_format=torch.channels_last)
        logits: torch.Tensor = self.bundle.model(inputs).float().cpu()
        if self.bundle.config.activation == "softmax":
            return logits.softmax(dim=1)
        return logits.sigmoid()

    def top(self, scores: torch.Tensor, *, k: int = 5, threshold: float = 0.0) -> list[Hashtag]:
        """The k best tags of one photo's scores, best first; none below the threshold."""
        best = scores.topk(min(k, len(scores)))
        tags = self.bundle.vocabulary.decode(best.indices.tolist())
        pairs = zip(tags, best.values.tolist(), strict=True)
        return [Hashtag(tag, score) for tag, score in pairs if score >= threshold]

    def recommend(
        self, photos: Sequence[Photo], *, k: int = 5, threshold: float = 0.0
    ) -> list[list[Hashtag]]:
        """The k best tags of each photo, best first.

        Raises:
            UnsupportedImageError, ImageTooLargeError, InvalidImageError: see decode_image.
        """
        if not photos:
            return []
        scores = self.scores(torch.stack([self.preprocess(photo) for photo in photos]))
        return [self.top(row, k=k, threshold=threshold) for row in scores]
