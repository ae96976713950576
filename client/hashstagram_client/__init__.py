"""HashStagram's client: photos to a server, hashtags back. Needs requests and nothing else."""

from hashstagram_client.client import Hashtag, HashtagClient, Recommendation
from hashstagram_client.errors import (
    ClientError,
    ConnectionFailedError,
    RequestRefusedError,
    ServerFailedError,
    UnauthorizedError,
)

__all__ = [
    "ClientError",
    "ConnectionFailedError",
    "Hashtag",
    "HashtagClient",
    "Recommendation",
    "RequestRefusedError",
    "ServerFailedError",
    "UnauthorizedError",
]
