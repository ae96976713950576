"""HashStagram's client: photos to a server, hashtags back, and another model in its place."""

from hashstagram_client.batch import Outcome
from hashstagram_client.client import HashtagClient
from hashstagram_client.errors import (
    AnswerError,
    ArchiveRefusedError,
    BusyError,
    ClientError,
    ConnectionFailedError,
    DeadlineExceededError,
    InvalidOptionError,
    PhotoDownloadError,
    PhotoTooLargeError,
    RegistrationOffError,
    RequestRefusedError,
    RolloutFailedError,
    ServerFailedError,
    UnauthorizedError,
    UndecodablePhotoError,
    UnsupportedPhotoError,
)
from hashstagram_client.management import ManagementClient
from hashstagram_client.results import (
    ExplainedHashtag,
    Explanation,
    Hashtag,
    Health,
    Neighbour,
    Recommendation,
)
from hashstagram_client.terms import Comparison, Rollout, Terms
from hashstagram_client.versions import ModelVersion, Worker

__all__ = [
    "AnswerError",
    "ArchiveRefusedError",
    "BusyError",
    "ClientError",
    "Comparison",
    "ConnectionFailedError",
    "DeadlineExceededError",
    "ExplainedHashtag",
    "Explanation",
    "Hashtag",
    "HashtagClient",
    "Health",
    "InvalidOptionError",
    "ManagementClient",
    "ModelVersion",
    "Neighbour",
    "Outcome",
    "PhotoDownloadError",
    "PhotoTooLargeError",
    "Recommendation",
    "RegistrationOffError",
    "RequestRefusedError",
    "Rollout",
    "RolloutFailedError",
    "ServerFailedError",
    "Terms",
    "UnauthorizedError",
    "UndecodablePhotoError",
    "UnsupportedPhotoError",
    "Worker",
]
