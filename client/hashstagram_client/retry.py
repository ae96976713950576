"""Which failures are worth another try, and how long to wait before it."""

import random

from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from hashstagram_client.errors import (
    AnswerError,
    BusyError,
    ClientError,
    ConnectionFailedError,
    PhotoDownloadError,
)

FIRST_PAUSE = 0.1  # seconds at most before the second try; doubled for each one after it
LONGEST_PAUSE = 4.0  # seconds
# 507 is TorchServe's word for a worker that was killed.
PASSING = frozenset({429, 502, 503, 504, 507})


def worth_retrying(error: ClientError) -> bool:
    """Whether the same request may well succeed soon: never where the photo is at fault."""
    if isinstance(error, ConnectionFailedError | PhotoDownloadError):
        return error.transient
    if not isinstance(error, AnswerError):
        return False
    if error.kind == "InternalServerException":
        # The same type for a worker that died with the request and for a handler that raises.
        return error.status == 507 or "Worker died" in str(error)
    return error.status in PASSING


def pause(error: ClientError, tries: int) -> float:
    """Seconds until the next try: what the server asked for, and a random part on top.

    "Full jitter" from Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog 2015:
    callers that failed together do not come back together.
    """
    asked = error.retry_after if isinstance(error, BusyError) else None
    ceiling = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (tries - 1))
    return (asked or 0.0) + random.uniform(0, ceiling)


def retry_after(header: str | None) -> float | None:
    """The header Retry-After, seconds or a date, in seconds from now; None if there is none."""
    try:
        return Retry().parse_retry_after(header) if header else None
    except InvalidHeader:
        return None
