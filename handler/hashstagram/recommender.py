"""Recommender: photos in, the best hashtags out, step by step in PyTorch.

The reference: what training and evaluation use, what explanations look into, and what `graph`
makes the graph of that workers run. It knows nothing of HTTP or TorchServe.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch
from PIL import Image

from hashstagram.bundle import Bundle
from hashstagram.classes import lent
from hashstagram.decode import decode_image
from hashstagram.model import detach_head
from hashstagram.precision import choose_precision
from hashstagram.ranking import Hashtag, Ranking
from hashstagram.rgb import upright_rgb
from hashstagram.transforms import eval_transform, min_side

Photo = bytes | Image.Image


class Recommender:
    """The four steps from photos to hashtags, and `recommend`, which takes them all.

    Args:
        bundle: the model; its network is shared, not copied.
        device: where the network runs.
        precision: what it computes in, see choose_precision.
    """

    def __init__(self, bundle: Bundle, device: str = "cpu", precision: str = "float32") -> None:
        self.bundle = bundle
        self.device = device
        self.precision = choose_precision(precision, device)
        self.backbone, self.head = detach_head(bundle.model)

    @classmethod
    def from_pretrained(
        cls, directory: Path | str, *, device: str = "cpu", precision: str = "float32"
    ) -> "Recommender":
        """Load a bundle directory.

        Raises:
            InvalidBundleError: the bundle is incomplete, changed or inconsistent.
            ValueError: there is no such precision.
        """
        return cls(Bundle.load(Path(directory), device=device), device, precision)

    def save_pretrained(self, directory: Path | str) -> None:
        """Write the bundle into a directory, in single precision."""
        self.bundle.save(Path(directory))

    def preprocess(self, photo: Photo, *, share: float = 1) -> torch.Tensor:
        """One photo to the model's input of shape (3, S, S).

        Args:
            photo: a file's bytes, or a picture.
            share: see decode_image.

        Raises:
            UnsupportedImageError, ImageTooLargeError, InvalidImageError: see decode_image.
        """
        return self.transform(self.decode(photo, share=share))

    def decode(self, photo: Photo, *, share: float = 1) -> Image.Image:
        """One photo to an upright RGB picture, no larger than the model can use.

        Args:
            photo: a file's bytes, or a picture.
            share: see decode_image.

        Raises:
            UnsupportedImageError, ImageTooLargeError, InvalidImageError: see decode_image.
        """
        if isinstance(photo, Image.Image):
            return upright_rgb(photo)
        transform = self.bundle.config.transform
        return decode_image(photo, min_side=min_side(transform), share=share)

    def transform(self, image: Image.Image) -> torch.Tensor:
        """An upright RGB picture to the model's input of shape (3, S, S)."""
        return eval_transform(image, self.bundle.config.transform)

    @torch.inference_mode()
    def scores(self, inputs: torch.Tensor) -> torch.Tensor:
        """Model inputs (N, 3, S, S) to scores (N, tags) from 0 to 1, on the CPU."""
        return self.calibrated_scores(self.embeddings(inputs))

    def calibrated_scores(self, embeddings: torch.Tensor) -> torch.Tensor:
        """The model's embeddings (N, width) to scores (N, tags) from 0 to 1, on the CPU."""
        return self.bundle.config.calibration(self.raw_scores(embeddings))

    @torch.inference_mode()
    def embeddings(self, inputs: torch.Tensor) -> torch.Tensor:
        """Model inputs (N, 3, S, S) to what the network's last layer sees: (N, width)."""
        inputs = inputs.to(self.device, memory_format=torch.channels_last)
        # Autocast, not weights in half: those would be a second copy on the CPU, and the layers
        # that need single precision get it in whatever network it is.
        with torch.autocast(
            inputs.device.type, self.precision, enabled=self.precision != torch.float32
        ):
            embeddings: torch.Tensor = self.backbone(inputs)
        return embeddings.float()

    @torch.inference_mode()
    def raw_scores(self, embeddings: torch.Tensor) -> torch.Tensor:
        """The network's scores (N, tags), and its neighbours' where it has some, uncalibrated."""
        config, neighbours = self.bundle.config, self.bundle.neighbours
        logits: torch.Tensor = self.head(embeddings.to(self.device)).float().cpu()
        taught = logits[:, : -config.classes.count] if config.classes else logits
        scores = taught.softmax(dim=1) if config.activation == "softmax" else taught.sigmoid()
        if config.classes:
            scores = lent(scores, logits[:, -config.classes.count :], self._membership)
        if config.neighbours and neighbours:
            votes = neighbours.vote(embeddings.cpu(), config.neighbours)
            scores = scores.lerp(votes, config.neighbours.weight * neighbours.known)
        return scores

    @cached_property
    def _membership(self) -> torch.Tensor:
        assert self.bundle.config.classes
        return self.bundle.config.classes.membership(self.bundle.vocabulary)

    @property
    def ranking(self) -> Ranking:
        """From scores to hashtags."""
        bundle = self.bundle
        return Ranking(bundle.vocabulary, bundle.usage, bundle.config.calibration.abstain_below)

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
        return [self.ranking.top(row, k=k, threshold=threshold) for row in scores]
