"""HashtagClient: recommend hashtags for one photo over HTTP."""

import os
from dataclasses import dataclass
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import requests

from hashstagram_client.connection import Connection
from hashstagram_client.errors import (
    ConnectionFailedError,
    RequestRefusedError,
    ServerFailedError,
    UnauthorizedError,
)

if TYPE_CHECKING:
    from PIL.Image import Image

    Photo = str | os.PathLike[str] | bytes | BinaryIO | Image

TOKEN_TRIES = 3  # another process may renew the token at the same time and undo our renewal
USER_AGENT = f"hashstagram-client/{version('hashstagram-client')}"


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
        timeout: seconds to wait for the connection, and again for the answer.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        model: str = "hashtags",
        timeout: float = 30.0,
    ) -> None:
        self.connection = Connection.find(url, token)
        self.model = model
        self.timeout = timeout
        self._session = requests.Session()
        self._session.headers["User-Agent"] = USER_AGENT

    def __enter__(self) -> "HashtagClient":
        """The client itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections; the client can be used again and opens new ones."""
        self._session.close()

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
        return Recommendation.from_json(
            self._post(f"/predictions/{self.model}", _read(photo), headers)
        )

    def _post(self, path: str, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
        """Post until the token is one that the server takes; a few tries are enough."""
        for _ in range(TOKEN_TRIES):
            token = self.connection.current_token()
            try:
                return self._post_once(path, body, headers, token)
            except UnauthorizedError as err:
                refusal = err
                if not self.connection.renew_token(token):
                    break
        raise refusal

    def _post_once(
        self, path: str, body: bytes, headers: dict[str, str], token: str | None
    ) -> dict[str, Any]:
        """The one place where a request leaves and an answer becomes a result or an error."""
        if token:
            headers = headers | {"Authorization": f"Bearer {token}"}
        url = self.connection.url + path
        try:
            answer = self._session.post(url, data=body, headers=headers, timeout=self.timeout)
        except requests.ReadTimeout as err:
            raise ConnectionFailedError(
                f"{self.connection.url} did not answer within {self.timeout:g} s. Give it more "
                "time, or try again when it is less busy."
            ) from err
        except requests.RequestException as err:
            raise ConnectionFailedError(
                f"{self.connection.url} does not answer ({type(err).__name__}). Is the server "
                "running? Start it with: make demo"
            ) from err
        if answer.status_code != 200:
            raise _error(answer)
        try:
            result: dict[str, Any] = answer.json()
        except ValueError as err:
            raise ServerFailedError("the answer is not JSON", status=200, kind="NotJSON") from err
        return result


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


def _error(answer: requests.Response) -> RequestRefusedError | ServerFailedError:
    try:
        body = answer.json()
        kind, message = str(body["type"]), str(body["message"])
    except (ValueError, KeyError, TypeError):
        # TorchServe answers 413 for a body over its limit without any text.
        too_large = answer.status_code == 413
        kind = "RequestTooLarge" if too_large else "NotJSON"
        message = "the photo's file is too large" if too_large else "the server gave no reason"
    # TorchServe says 400 InvalidKeyException where the standard says 401.
    if answer.status_code in (401, 403) or kind == "InvalidKeyException":
        message += ". Pass a token, set HASHSTAGRAM_TOKEN, or call from the server's own folder."
        return UnauthorizedError(message, status=answer.status_code, kind=kind)
    error = RequestRefusedError if answer.status_code < 500 else ServerFailedError
    return error(message, status=answer.status_code, kind=kind)
