"""HashStagram's client: photos to a server, hashtags back. Needs requests and nothing else."""

from hashstagram_client.batch import Outcome
from hashstagram_client.client import HashtagClient
from hashstagram_client.errors import (
    AnswerError,
    BusyError,
    ClientError,
    ConnectionFailedError,
    DeadlineExceededError,
    InvalidOptionError,
    PhotoDownloadError,
    PhotoTooLargeError,
    RequestRefusedError,
    ServerFailedError,
    UnauthorizedError,
    UndecodablePhotoError,
    UnsupportedPhotoError,
)
from hashstagram_client.results import (
    ExplainedHashtag,
    Explanation,
    Hashtag,
    Health,
    Neighbour,
    Recommendation,
)

__all__ = [
    "AnswerError",
    "BusyError",
    "ClientError",
    "ConnectionFailedError",
    "DeadlineExceededError",
    "ExplainedHashtag",
    "Explanation",
    "Hashtag",
    "HashtagClient",
    "Health",
    "InvalidOptionError",
    "Neighbour",
    "Outcome",
    "PhotoDownloadError",
    "PhotoTooLargeError",
    "Recommendation",
    "RequestRefusedError",
    "ServerFailedError",
    "UnauthorizedError",
    "UndecodablePhotoError",
    "UnsupportedPhotoError",
]
