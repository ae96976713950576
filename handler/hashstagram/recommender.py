"""Recommender: photos in, the best hashtags out. It knows nothing of HTTP or TorchServe."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from hashstagram.bundle import Bundle
from hashstagram.decode import decode_image
from hashstagram.model import detach_head
from hashstagram.precision import choose_precision
from hashstagram.rgb import upright_rgb
from hashstagram.tag_filter import NO_FILTER, TagFilter
from hashstagram.transforms import eval_transform, min_side

logger = logging.getLogger(__name__)

Photo = bytes | Image.Image


@dataclass(frozen=True)
class Hashtag:
    """One recommended tag, without the ``#``, and its score from 0 to 1."""

    tag: str
    score: float


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
        bundle = Bundle.load(Path(directory), device=device)
        for licence in bundle.config.noncommercial:
            logger.warning("%s: not for commercial use (%s)", bundle.config.name, licence)
        return cls(bundle, device, precision)

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
        own = logits[:, : -config.classes.count] if config.classes else logits
        scores = own.softmax(dim=1) if config.activation == "softmax" else own.sigmoid()
        if config.classes:
            read_off = config.classes.scores(logits[:, -config.classes.count :])
            scores = torch.cat([scores, read_off], dim=1)
        if config.neighbours and neighbours:
            votes = neighbours.vote(embeddings.cpu(), config.neighbours)
            scores = scores.lerp(votes, config.neighbours.weight * neighbours.known)
        return scores

    def abstains(self, scores: torch.Tensor) -> bool:
        """Whether one photo's scores are all too low: its best hashtags are guesses."""
        return bool(self.bundle.config.calibration.abstains(scores.unsqueeze(0)).item())

    def top(
        self,
        scores: torch.Tensor,
        *,
        k: int = 5,
        threshold: float = 0.0,
        tag_filter: TagFilter = NO_FILTER,
    ) -> list[Hashtag]:
        """The k best hashtags of one photo's scores that pass the filter, best first.

        None is below the threshold.
        """
        if self.bundle.usage:
            scores = self.bundle.usage(scores.unsqueeze(0))[0]
        tags: Sequence[str] = self.bundle.hashtags.tags
        if tag_filter:
            allowed = tag_filter.allowed(tags)
            scores, tags = scores[allowed], [tags[index] for index in allowed]
        best = scores.topk(min(k, len(scores)))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return [Hashtag(tags[index], score) for index, score in pairs if score >= threshold]

    def warm_up(self, batch_size: int) -> None:
        """Take grey photos through all steps, so that the first real ones wait for nothing.

        On a GPU in every batch size that may come, since libraries choose their kernels for each
        anew; on the CPU in the smallest and the largest, since more would only delay the start.
        """
        photo = self.preprocess(Image.new("RGB", (256, 256), "grey"))
        on_cpu = torch.device(self.device).type == "cpu"
        for size in sorted({1, batch_size} if on_cpu else range(1, batch_size + 1)):
            self.top(self.scores(photo.expand(size, -1, -1, -1))[0])

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
