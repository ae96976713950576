"""Ranking: a photo's scores to the hashtags that are recommended."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hashstagram.tag_filter import NO_FILTER, TagFilter
from hashstagram.usage import Usage
from hashstagram.vocabulary import Vocabulary


@dataclass(frozen=True)
class Hashtag:
    """One recommended tag, without the ``#``, and its score from 0 to 1."""

    tag: str
    score: float


@dataclass(frozen=True)
class Ranking:
    """What a model's scores mean for its callers.

    Args:
        vocabulary: the model's tags.
        usage: where what is recommended are not these tags as they are.
        abstain_below: see `abstains`.
    """

    vocabulary: Vocabulary
    usage: Usage | None = None
    abstain_below: float = 0.0

    @property
    def hashtags(self) -> Vocabulary:
        """What is recommended."""
        return self.usage.hashtags if self.usage else self.vocabulary

    def abstains(self, scores: npt.ArrayLike, tag_filter: TagFilter = NO_FILTER) -> bool:
        """Whether none of the hashtags that one photo (tags,) may get reaches `abstain_below`.

        What is answered are guesses then.
        """
        return not self.top(scores, k=1, threshold=self.abstain_below, tag_filter=tag_filter)

    def top(
        self,
        scores: npt.ArrayLike,
        *,
        k: int = 5,
        threshold: float = 0.0,
        tag_filter: TagFilter = NO_FILTER,
    ) -> list[Hashtag]:
        """The k best hashtags of one photo's scores (tags,) that pass the filter, best first.

        None is below the threshold.
        """
        values = np.asarray(scores, np.float32)
        if self.usage:
            values = self.usage(values)
        tags: Sequence[str] = self.hashtags.tags
        if tag_filter:
            allowed = tag_filter.allowed(tags)
            values, tags = values[allowed], [tags[index] for index in allowed]
        best = np.argsort(-values, kind="stable")[:k]
        return [
            Hashtag(tags[index], float(values[index]))
            for index in best
            if values[index] >= threshold
        ]
