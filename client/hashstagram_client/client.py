"""HashtagClient: recommend hashtags for one photo over HTTP."""

import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from hashstagram_client.connection import Connection
from hashstagram_client.transport import Transport

if TYPE_CHECKING:
    from PIL.Image import Image

    Photo = str | os.PathLike[str] | bytes | BinaryIO | Image


@dataclass(frozen=True)
class Hashtag:
    """A tag without the ``#`` and its score from 0 to 1."""

    tag: str
    score: float


@dataclass(frozen=True)
class Recommendation:
    """The server's answer for one photo, hashtags best first."""

    hashtags: tuple[Hashtag, ...]
    model: str
    version: str
    request_id: str

    @property
    def text(self) -> str:
        """The hashtags as they go under a post: "#beach #sea"."""
        return " ".join(f"#{hashtag.tag}" for hashtag in self.hashtags)

    @classmethod
    def from_json(cls, answer: dict[str, Any]) -> "Recommendation":
        """Read the JSON body of a good answer."""
        hashtags = tuple(Hashtag(**hashtag) for hashtag in answer["hashtags"])
        return cls(hashtags, answer["model"], answer["version"], answer["request_id"])

    def to_json(self) -> dict[str, Any]:
        """The JSON body again."""
        return {
            "model": self.model,
            "version": self.version,
            "request_id": self.request_id,
            "hashtags": [{"tag": h.tag, "score": h.score} for h in self.hashtags],
        }


class HashtagClient:
    """A connection to a HashStagram server; a context manager that closes it.

    Args:
        url: base URL; else HASHSTAGRAM_URL, else the server of this checkout, else port 8080.
        token: access token; else HASHSTAGRAM_TOKEN, else the running server's key file.
        model: the model's name in the URL.
        timeout: seconds that a call may take, with all its tries and the pauses between them.
        retries: how many more tries after one that failed for a passing reason.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        model: str = "hashtags",
        timeout: float = 30.0,
        retries: int = 10,
    ) -> None:
        self.model = model
        self._transport = Transport(Connection.find(url, token), timeout=timeout, retries=retries)

    def __enter__(self) -> "HashtagClient":
        """The client itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections; the client can be used again and opens new ones."""
        self._transport.close()

    def recommend(
        self, photo: "Photo", *, k: int = 5, threshold: float | None = None
    ) -> Recommendation:
        """The k best hashtags for a photo.

        Args:
            photo: a path, the file's bytes, an open binary file or a PIL image.
            k: how many.
            threshold: leave out tags that score less (0 to 1).

        Raises:
            OSError: the photo's path cannot be read.
            TypeError: the photo is none of these.
            ConnectionFailedError: no answer.
            RequestRefusedError: the photo is no image, or an option is out of range.
            UnauthorizedError: the token is missing, wrong or too old.
            ServerFailedError: the server failed.
        """
        headers = {"Content-Type": "application/octet-stream", "X-Top-K": str(k)}
        if threshold is not None:
            headers["X-Threshold"] = str(threshold)
        answer = self._transport.request(
            "POST", f"/predictions/{self.model}", _read(photo), headers
        )
        return Recommendation.from_json(answer)


def _read(photo: "Photo") -> bytes:
    if isinstance(photo, bytes | bytearray | memoryview):
        return bytes(photo)
    if isinstance(photo, str | os.PathLike):
        return Path(photo).read_bytes()
    if hasattr(photo, "read"):
        return photo.read()
    if hasattr(photo, "save"):
        return _encode(photo)
    raise TypeError(f"a photo is a path, bytes, a binary file or a PIL image, not {photo!r}")


def _encode(image: "Image") -> bytes:
    """A PIL image to PNG, which loses nothing of it, EXIF orientation included."""
    buffer = BytesIO()
    image.save(buffer, format="PNG", exif=image.getexif())
    return buffer.getvalue()
