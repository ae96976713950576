"""Explained: what an explanation of a photo's hashtags consists of, and how it travels."""

import base64
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class ExplainedHashtag:
    """One recommended tag, its score, and where it was seen.

    Args:
        heat_map: a PNG for `overlay`'s use; None where the network has no convolutions.
    """

    tag: str
    score: float
    heat_map: bytes | None


@dataclass(frozen=True)
class SimilarPhoto:
    """A training photo that looks like the one asked about.

    Args:
        id: the first 16 hex digits of its file's SHA-256.
        similarity: cosine of the two photos' embeddings, as the index sees them.
        tags: the model's tags that it carries.
    """

    id: str
    similarity: float
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Explanation:
    """Why a photo got its hashtags; there are no neighbours where the bundle has no index."""

    hashtags: tuple[ExplainedHashtag, ...]
    neighbours: tuple[SimilarPhoto, ...]

    def body(self) -> dict[str, Any]:
        """As JSON, with the pictures in base64."""
        return {
            "hashtags": [
                {"tag": h.tag, "score": round(h.score, 4), "heat_map": _base64(h.heat_map)}
                for h in self.hashtags
            ],
            "neighbours": [
                asdict(photo) | {"similarity": round(photo.similarity, 4)}
                for photo in self.neighbours
            ],
        }


def _base64(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()
