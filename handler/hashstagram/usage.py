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

    Each hashtag has a few reasons among the thousand tags of a model, so they are kept one after
    the other, with where each hashtag's begin.

    Args:
        hashtags: what is recommended.
        starts: (hashtags,), the first reason of each.
        tags: (reasons,), tags of the model.
        shares: (reasons,), from 0 to 1: of the photos with the tag, those that carry the hashtag.
    """

    hashtags: Vocabulary
    starts: npt.NDArray[np.intp]
    tags: npt.NDArray[np.intp]
    shares: Scores

    def __call__(self, scores: Scores) -> Scores:
        """One photo's scores of the model's tags (tags,) to those of hashtags (hashtags,).

        A hashtag is as likely as its best reason, so that several weak ones do not add up.
        """
        best: Scores = np.maximum.reduceat(scores[self.tags] * self.shares, self.starts)
        return best

    def reason(self, hashtag: int, scores: npt.ArrayLike) -> int:
        """The model's tag that a hashtag's score comes from, given a photo's scores (tags,)."""
        reasons = self._reasons(hashtag)
        tags = self.tags[reasons]
        return int(tags[(np.asarray(scores)[tags] * self.shares[reasons]).argmax()])

    def reasons(self, vocabulary: Vocabulary) -> dict[str, dict[str, float]]:
        """From hashtag to tag of the model to share, as `of` takes it."""
        return {
            hashtag: dict(
                zip(vocabulary.decode(self.tags[rows]), self.shares[rows].tolist(), strict=True)
            )
            for index, hashtag in enumerate(self.hashtags.tags)
            for rows in [self._reasons(index)]
        }

    @classmethod
    def of(cls, shares: Mapping[str, Mapping[str, float]], vocabulary: Vocabulary) -> "Usage":
        """From hashtag to model's tag to share.

        Raises:
            KeyError, ValueError: the model has no such tag, a share is not from 0 to 1, or a
                hashtag has no reason.
        """
        if not all(shares.values()):
            raise ValueError("a hashtag needs a tag of the model that it is written for")
        reasons = [pair for reasons in shares.values() for pair in reasons.items()]
        values = np.array([share for _, share in reasons], np.float32)
        if not ((values >= 0) & (values <= 1)).all():
            raise ValueError("a share is from 0 to 1")
        counts = [len(reasons) for reasons in shares.values()]
        return cls(
            Vocabulary(tuple(shares)),
            starts=np.cumsum([0, *counts], dtype=np.intp)[:-1],
            tags=np.array([vocabulary.index[tag] for tag, _ in reasons], np.intp),
            shares=values,
        )

    def save(self, path: Path, vocabulary: Vocabulary) -> None:
        """Write JSON that people can read and change: {hashtag: {tag of the model: share}}."""
        shares = {
            hashtag: {tag: round(share, 3) for tag, share in reasons.items()}
            for hashtag, reasons in self.reasons(vocabulary).items()
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

    def _reasons(self, hashtag: int) -> slice:
        end = self.starts[hashtag + 1] if hashtag + 1 < len(self.starts) else None
        return slice(self.starts[hashtag], end)
