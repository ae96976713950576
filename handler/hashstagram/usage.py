"""Usage: from what is in a picture to the hashtags that people write about it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hashstagram.errors import InvalidBundleError
from hashstagram.vocabulary import Vocabulary

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Usage:
    """How often people write a hashtag when something is in the picture.

    Args:
        hashtags: what is recommended.
        shares: (hashtags, tags of the model), from 0 to 1: of the photos with the tag, those
            that carry the hashtag.
    """

    hashtags: Vocabulary
    shares: Scores

    def __call__(self, scores: Scores) -> Scores:
        """One photo's scores of the model's tags (tags,) to those of hashtags (hashtags,).

        A hashtag is as likely as its best reason, so that several weak ones do not add up.
        """
        best: Scores = (scores * self.shares).max(axis=1)
        return best

    def reason(self, hashtag: int, scores: npt.ArrayLike) -> int:
        """The model's tag that a hashtag's score comes from, given a photo's scores (tags,)."""
        return int((np.asarray(scores) * self.shares[hashtag]).argmax())

    @classmethod
    def of(cls, shares: Mapping[str, Mapping[str, float]], vocabulary: Vocabulary) -> "Usage":
        """From hashtag to model's tag to share.

        Raises:
            KeyError, ValueError: the model has no such tag, or a share is not from 0 to 1.
        """
        matrix = np.zeros((len(shares), len(vocabulary)), np.float32)
        for row, reasons in enumerate(shares.values()):
            for tag, share in reasons.items():
                matrix[row, vocabulary.index[tag]] = share
        if not ((matrix >= 0) & (matrix <= 1)).all():
            raise ValueError("a share is from 0 to 1")
        return cls(Vocabulary(tuple(shares)), matrix)

    def save(self, path: Path, vocabulary: Vocabulary) -> None:
        """Write JSON that people can read and change: {hashtag: {tag of the model: share}}."""
        shares = {
            hashtag: {
                tag: round(share, 3)
                for tag, share in zip(vocabulary.tags, row.tolist(), strict=True)
                if share
            }
            for hashtag, row in zip(self.hashtags.tags, self.shares, strict=True)
        }
        path.write_text(json.dumps(shares, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path, vocabulary: Vocabulary) -> "Usage":
        """Read what `save` wrote.

        Raises:
            InvalidBundleError: it is not of that form, or of another model.
        """
        try:
            return cls.of(json.loads(path.read_text(encoding="utf-8")), vocabulary)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
            raise InvalidBundleError(
                f"{path.name} does not map hashtags to tags of this model and shares: {err}"
            ) from err
