"""The errors of HashStagram, each with the HTTP status that it becomes."""

from typing import ClassVar


class HashstagramError(Exception):
    """Base of all; its message is written for the person who made the request."""

    status: ClassVar[int] = 500

    def body(self) -> dict[str, int | str]:
        """The JSON error body, in the shape that TorchServe itself answers with."""
        return {"code": self.status, "type": type(self).__name__, "message": str(self)}


class InvalidRequestError(HashstagramError):
    """A parameter or the form of the request is wrong."""

    status = 400


class AbandonedError(HashstagramError):
    """The caller left before the request's turn came: nobody gets this answer."""

    status = 408


class ImageTooLargeError(HashstagramError):
    """The image has more pixels than we decode."""

    status = 413


class UnsupportedImageError(HashstagramError):
    """The bytes are not an image of a format that we take."""

    status = 415


class InvalidImageError(HashstagramError):
    """The format is one that we take, but the image cannot be decoded."""

    status = 422


class PredictionError(HashstagramError):
    """The model failed on this photo; the fault is ours."""

    status = 500


class InvalidBundleError(HashstagramError):
    """A model bundle is incomplete or inconsistent."""
