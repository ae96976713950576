"""Transport: one request to one JSON answer or one error, within one deadline."""

import logging
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import version
from typing import Any, TypeVar
from uuid import uuid4

import requests
from urllib3.exceptions import HTTPError

from hashstagram_client.connection import GUESSED, Connection
from hashstagram_client.deadline import DeadlineAdapter
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
from hashstagram_client.retry import pause, retry_after, worth_retrying

logger = logging.getLogger(__name__)

MAX_DOWNLOAD = 100_000_000  # bytes of a photo from elsewhere
CONNECTIONS = 64  # kept open; more than that many threads open theirs anew
SHORTEST_WAIT = 1.0  # seconds; a busy server may need them however little is left
TOKEN_TRIES = 5  # another process may renew the token at the same time and undo our renewal
USER_AGENT = f"hashstagram-client/{version('hashstagram-client')}"

_REFUSALS = {
    400: InvalidOptionError,
    401: UnauthorizedError,
    403: UnauthorizedError,
    413: PhotoTooLargeError,
    415: UnsupportedPhotoError,
    422: UndecodablePhotoError,
}


T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """What is asked of the server; its id is the same at each try."""

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    id: str = field(default_factory=lambda: uuid4().hex)


@dataclass(frozen=True)
class Limits:
    """When a call has to be over, and whether there is no other try after this one."""

    deadline: float
    last: bool

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()


class Transport:
    """Sends requests from any number of threads; tries again, with another token if need be.

    Args:
        connection: where to, and with which token.
        timeout: seconds that a call may take, with all its tries and pauses.
        retries: how many more tries after the first one.
    """

    def __init__(self, connection: Connection, *, timeout: float, retries: int) -> None:
        self.connection = connection
        self.timeout = timeout
        self.retries = retries
        self._session = _session()

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        self._session.close()

    def deadline(self) -> float:
        """When a call that starts now has to be over, on the monotonic clock."""
        return time.monotonic() + self.timeout

    def send(self, request: Request, deadline: float) -> Any:
        """The answer's JSON, after as many tries as it takes.

        Raises:
            ClientError: the last try's error; with a note where the address was guessed.
        """
        try:
            return self._until(deadline, partial(self._authorized, request))
        except ClientError as err:
            if self.connection.guessed:
                err.add_note(GUESSED)
            raise

    def download(self, url: str, deadline: float) -> bytes:
        """A photo from anywhere; our token stays here.

        Raises:
            PhotoDownloadError: there is none, or it is larger than MAX_DOWNLOAD.
        """
        return self._until(deadline, partial(self._download, url))

    def _until(self, deadline: float, attempt: Callable[[Limits], T]) -> T:
        """Attempts and pauses until one succeeds, or it makes no sense to go on."""
        tries = 1
        while True:
            limits = Limits(deadline, last=tries > self.retries)
            try:
                return attempt(limits)
            except ClientError as err:
                wait = pause(err, tries)
                if limits.last or wait >= limits.left or not worth_retrying(err):
                    raise
                logger.debug("try %d failed, next in %.2f s: %s", tries, wait, err)
            time.sleep(wait)
            tries += 1

    def try_once(self, request: Request, deadline: float) -> Any:
        """The answer's JSON, from one try.

        Raises:
            ClientError: there is no good answer.
        """
        return self._authorized(request, Limits(deadline, last=True))

    def _authorized(self, request: Request, limits: Limits) -> Any:
        """Send until the token is one that the server takes; a few times are enough."""
        for _ in range(TOKEN_TRIES):
            token = self.connection.current_token()
            try:
                return self._exchange(request, token, limits)
            except UnauthorizedError as err:
                refusal = err
                if not self.connection.renew_token(token, limits.left):
                    break
        raise refusal

    def _exchange(self, request: Request, token: str | None, limits: Limits) -> Any:
        """The one place where a request leaves and an answer becomes a result or an error."""
        ours = {"X-Request-Id": request.id}
        if token:
            ours["Authorization"] = f"Bearer {token}"
        try:
            answer = self._session.request(
                request.method,
                self.connection.url + request.path,
                data=request.body,
                headers={**request.headers, **ours},
                timeout=self._timeout(limits),
                allow_redirects=False,  # a POST that is redirected arrives without its photo
            )
        except requests.RequestException as err:
            if limits.left <= 0:
                raise self._too_late() from err
            raise self._failed(err) from err
        body = _json(answer)
        status = answer.status_code
        if not 200 <= status < 300:
            raise _error(answer, body)
        if body is None:
            raise ServerFailedError("the answer is not JSON", status=status, kind="NotJSON")
        return body

    def _download(self, url: str, limits: Limits) -> bytes:
        try:
            with self._session.get(url, stream=True, timeout=self._timeout(limits)) as answer:
                answer.raise_for_status()
                data: bytes = answer.raw.read(MAX_DOWNLOAD + 1, decode_content=True)
        except requests.HTTPError as err:
            status = err.response.status_code
            transient = status == 429 or status >= 500
            raise PhotoDownloadError(f"{url} answers {status}", transient=transient) from err
        except (requests.RequestException, HTTPError) as err:
            reason = type(err).__name__
            transient = not isinstance(err, ValueError)
            raise PhotoDownloadError(f"{url}: {reason}", transient=transient) from err
        if len(data) > MAX_DOWNLOAD:
            size = f"more than {MAX_DOWNLOAD // 1_000_000} MB"
            raise PhotoDownloadError(f"{url} is {size}", transient=False)
        return data

    def _timeout(self, limits: Limits) -> tuple[float, float]:
        """All that is left, but for one wait only half of it: a stall leaves time for more tries.

        After the last one there is nothing to leave time for.
        """
        left = limits.left
        if left <= 0:
            raise self._too_late()
        return left, left if limits.last else max(left / 2, SHORTEST_WAIT)

    def _too_late(self) -> DeadlineExceededError:
        return DeadlineExceededError(
            f"{self.connection.url} did not answer within {self.timeout:g} s. Give it more "
            "time, or try again when it is less busy."
        )

    def _failed(self, err: requests.RequestException) -> ConnectionFailedError:
        url = self.connection.url
        if _is_untrusted(err):
            return ConnectionFailedError(
                f"The certificate of {url} is not trusted. Point REQUESTS_CA_BUNDLE to the "
                "authority that signed it.",
                transient=False,
            )
        if isinstance(err, ValueError):  # an address or a header that cannot be sent
            return ConnectionFailedError(f"{url} cannot be asked: {err}", transient=False)
        if isinstance(err, requests.ReadTimeout):
            return DeadlineExceededError(
                f"{url} took the request but sent no whole answer in time. Give it more time, or "
                "try again when it is less busy."
            )
        return ConnectionFailedError(
            f"{url} does not answer ({type(err).__name__}). Is the server running? "
            "Start it with: make demo"
        )


def _json(answer: requests.Response) -> Any:
    """The answer's body, None where it is not JSON.

    Raises:
        ConnectionFailedError: it should be JSON, but is damaged.
    """
    try:
        return answer.json()
    except ValueError as err:
        if answer.content and "json" in answer.headers.get("Content-Type", ""):
            raise ConnectionFailedError("the answer is damaged") from err
        return None


def _error(answer: requests.Response, body: Any) -> AnswerError:
    """The error that an answer without a result becomes."""
    status = answer.status_code
    kind, message = _reason(answer, body)
    # TorchServe says 400 InvalidKeyException where the standard says 401.
    if status in (401, 403) or kind == "InvalidKeyException":
        way = "Pass a token, set HASHSTAGRAM_TOKEN, or call from the server's own folder."
        message = f"{message.rstrip('.')}. {way}"
        return UnauthorizedError(message, status=status, kind=kind)
    if status in (429, 503):
        wait = retry_after(answer.headers.get("Retry-After"))
        return BusyError(message, status=status, kind=kind, retry_after=wait)
    if 400 <= status < 500:
        return _REFUSALS.get(status, RequestRefusedError)(message, status=status, kind=kind)
    return ServerFailedError(message, status=status, kind=kind)


def _reason(answer: requests.Response, body: Any) -> tuple[str, str]:
    """The type and message of an error's body."""
    if location := answer.headers.get("Location"):
        return "Redirect", f"the server has moved to {location}"
    try:
        return str(body["type"]), str(body["message"])
    except (KeyError, TypeError):
        # TorchServe answers 413 for a body over its limit without any text.
        if answer.status_code == 413:
            return "RequestTooLarge", "the photo's file is too large"
        return "NotJSON", "the server gave no reason"


def _is_untrusted(err: BaseException | None) -> bool:
    """Whether a certificate is the cause; requests buries it under its own errors."""
    while err is not None:
        if isinstance(err, ssl.SSLCertVerificationError):
            return True
        err = err.__cause__ or err.__context__
    return False


def _session() -> requests.Session:
    """A session that threads may share: pools are made for that, and cookies are not kept."""
    session = requests.Session()
    session.headers["User-Agent"] = USER_AGENT
    session.auth = lambda request: request  # else a password in ~/.netrc takes our token's place
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("http://", "https://"):
        session.mount(scheme, DeadlineAdapter(pool_maxsize=CONNECTIONS))
    return session
