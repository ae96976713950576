"""Predictor: photos in, hashtags out, as a worker runs it.

It imports PyTorch, which takes seconds and most of a worker's memory, only when there is no graph
to run, and for the recommender that explanations look into.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hashstagram.checksums import verify_checksums
from hashstagram.decode import decode_image
from hashstagram.engine import Engine, TorchEngine, load_engine
from hashstagram.errors import InvalidBundleError
from hashstagram.files import CONFIG, FILES, USAGE, VOCABULARY
from hashstagram.ranking import Ranking
from hashstagram.transforms import Pixels, TransformConfig, min_side, to_pixels
from hashstagram.usage import Scores, Usage
from hashstagram.vocabulary import Vocabulary

if TYPE_CHECKING:
    from hashstagram.recommender import Recommender

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServedConfig:
    """What of a bundle's config.json it takes to answer without PyTorch; see BundleConfig.

    Args:
        noncommercial: licences of pretrained weights that rule out commercial use.
    """

    name: str
    architecture: str
    transform: TransformConfig
    abstain_below: float
    noncommercial: tuple[str, ...]

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> "ServedConfig":
        """From what config.json holds."""
        return cls(
            name=fields["name"],
            architecture=fields["model"]["architecture"],
            transform=TransformConfig(**fields["transform"]),
            abstain_below=fields["calibration"]["abstain_below"],
            noncommercial=tuple(noncommercial(fields["training"])),
        )

    @classmethod
    def load(cls, path: Path) -> "ServedConfig":
        """Read config.json.

        Raises:
            InvalidBundleError: it is missing, no JSON, or lacks a field.
        """
        try:
            return cls.of(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, KeyError) as err:
            raise InvalidBundleError(f"{path.name} is not a bundle's configuration: {err}") from err


class Predictor:
    """The steps from photos to hashtags, each a photo's or a batch's own.

    Args:
        config: what the bundle says of itself.
        ranking: from scores to hashtags.
        engine: from pixels to scores.
        directory: the bundle's; None where there is none, and the engine is PyTorch's.
    """

    def __init__(
        self, config: ServedConfig, ranking: Ranking, engine: Engine, directory: Path | None = None
    ) -> None:
        self.config = config
        self.ranking = ranking
        self.engine = engine
        self._directory = directory

    @classmethod
    def load(
        cls,
        directory: Path | str,
        *,
        device: str = "cpu",
        precision: str = "auto",
        threads: int = 1,
    ) -> "Predictor":
        """Load a bundle's directory, with the engine that suits it: see load_engine.

        Raises:
            InvalidBundleError: the bundle is incomplete, changed or inconsistent.
            ValueError: there is no such precision.
        """
        folder = Path(directory)
        verify_checksums(folder, FILES)
        config = ServedConfig.load(folder / CONFIG)
        vocabulary = Vocabulary.load(folder / VOCABULARY)
        usage = Usage.load(folder / USAGE, vocabulary) if (folder / USAGE).exists() else None
        engine = load_engine(folder, device=device, precision=precision, threads=threads)
        for licence in config.noncommercial:
            logger.warning("%s: not for commercial use (%s)", config.name, licence)
        return cls(config, Ranking(vocabulary, usage, config.abstain_below), engine, folder)

    @classmethod
    def of(cls, recommender: "Recommender") -> "Predictor":
        """One that runs this recommender."""
        config = ServedConfig.of(asdict(recommender.bundle.config))
        return cls(config, recommender.ranking, TorchEngine(recommender))

    @cached_property
    def recommender(self) -> "Recommender":
        """PyTorch's reference for the same bundle; loaded when it is first asked for."""
        if isinstance(self.engine, TorchEngine):
            return self.engine.recommender
        from hashstagram.recommender import Recommender

        assert self._directory is not None
        return Recommender.from_pretrained(self._directory)

    def preprocess(self, photo: bytes, *, share: float = 1) -> Pixels:
        """One photo's file to what the network sees of it: (S, S, 3).

        Args:
            photo: the file's bytes.
            share: see decode_image.

        Raises:
            UnsupportedImageError, ImageTooLargeError, InvalidImageError: see decode_image.
        """
        transform = self.config.transform
        return to_pixels(decode_image(photo, min_side=min_side(transform), share=share), transform)

    def scores(self, pixels: Pixels) -> Scores:
        """Photos (N, S, S, 3) to scores (N, tags) from 0 to 1."""
        return self.engine.scores(pixels)

    def warm_up(self, sizes: Iterable[int]) -> None:
        """Run grey photos in batches of these sizes, so that the first real ones wait for nothing.

        On a GPU libraries choose their kernels for each size anew; on a CPU the smallest and the
        largest will do.
        """
        size = self.config.transform.input_size
        for photos in sizes:
            scores = self.scores(np.full((photos, size, size, 3), 128, np.uint8))
            self.ranking.top(scores[0])


def noncommercial(training: Mapping[str, Any]) -> list[str]:
    """The licences among pretrained weights that rule out commercial use (SPDX names)."""
    licences = {weights["licence"] for weights in training.get("weights", [])}
    return sorted(licence for licence in licences if "-NC" in licence)
