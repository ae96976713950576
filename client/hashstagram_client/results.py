"""What the server answers, as values: hashtags, explanations, health."""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hashstagram_client.words import camel_case


@dataclass(frozen=True)
class Hashtag:
    """A tag without the ``#`` and its score from 0 to 1."""

    tag: str
    score: float


@dataclass(frozen=True)
class Recommendation:
    """The server's answer for one photo.

    Args:
        hashtags: best first.
        model: the model's name, and its version.
        version: of the model.
        request_id: stands in the server's log too.
        abstained: even the best score is so low that the hashtags are guesses.
    """

    hashtags: tuple[Hashtag, ...]
    model: str
    version: str
    request_id: str
    abstained: bool = False

    @property
    def text(self) -> str:
        """The hashtags as they go under a post: "#beach #goldenretriever"."""
        return " ".join(f"#{hashtag.tag}" for hashtag in self.hashtags)

    @property
    def camel_case(self) -> str:
        """The same for screen readers, which read word by word: "#Beach #GoldenRetriever"."""
        return " ".join(f"#{camel_case(hashtag.tag)}" for hashtag in self.hashtags)

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> "Recommendation":
        """Read the JSON body of a good answer.

        Raises:
            KeyError, TypeError: something is missing.
        """
        return cls(
            hashtags=tuple(Hashtag(h["tag"], h["score"]) for h in answer["hashtags"]),
            model=answer["model"],
            version=answer["version"],
            request_id=answer["request_id"],
            abstained=answer.get("abstained", False),
        )

    def to_json(self) -> dict[str, Any]:
        """The JSON body again."""
        return {
            "model": self.model,
            "version": self.version,
            "request_id": self.request_id,
            "hashtags": [{"tag": h.tag, "score": h.score} for h in self.hashtags],
            "abstained": self.abstained,
        }


@dataclass(frozen=True)
class ExplainedHashtag(Hashtag):
    """A hashtag, and where in the photo it was seen.

    Args:
        heat_map: a PNG file's bytes; None for a hashtag that no part of the photo speaks for.
    """

    heat_map: bytes | None


@dataclass(frozen=True)
class Neighbour:
    """A training photo that looks alike: its id and how alike, 1 at most."""

    id: str
    similarity: float


@dataclass(frozen=True)
class Explanation:
    """Why a photo gets its hashtags: heat maps, and the training photos that look alike."""

    hashtags: tuple[ExplainedHashtag, ...]
    neighbours: tuple[Neighbour, ...]
    model: str
    version: str
    request_id: str

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> "Explanation":
        """Read the JSON body of a good answer.

        Raises:
            KeyError, TypeError, ValueError: something is missing, or not base64.
        """
        return cls(
            hashtags=tuple(_explained(answer["hashtags"])),
            neighbours=tuple(Neighbour(n["id"], n["similarity"]) for n in answer["neighbours"]),
            model=answer["model"],
            version=answer["version"],
            request_id=answer["request_id"],
        )


def _explained(hashtags: Iterable[Mapping[str, Any]]) -> Iterable[ExplainedHashtag]:
    for hashtag in hashtags:
        png = hashtag["heat_map"]
        heat_map = None if png is None else base64.b64decode(png, validate=True)
        yield ExplainedHashtag(hashtag["tag"], hashtag["score"], heat_map)


@dataclass(frozen=True)
class Health:
    """Whether the server takes photos now; `reason` says why not."""

    ready: bool
    reason: str = ""
