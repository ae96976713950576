"""HashStagram's client: photos to a server, hashtags back. Needs requests and nothing else."""

from hashstagram_client.client import Hashtag, HashtagClient, Recommendation
from hashstagram_client.errors import (
    AnswerError,
    BusyError,
    ClientError,
    ConnectionFailedError,
    DeadlineExceededError,
    InvalidOptionError,
    PhotoTooLargeError,
    RequestRefusedError,
    ServerFailedError,
    UnauthorizedError,
    UndecodablePhotoError,
    UnsupportedPhotoError,
)

__all__ = [
    "AnswerError",
    "BusyError",
    "ClientError",
    "ConnectionFailedError",
    "DeadlineExceededError",
    "Hashtag",
    "HashtagClient",
    "InvalidOptionError",
    "PhotoTooLargeError",
    "Recommendation",
    "RequestRefusedError",
    "ServerFailedError",
    "UnauthorizedError",
    "UndecodablePhotoError",
    "UnsupportedPhotoError",
]
