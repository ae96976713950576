"""Transport: one request to one JSON answer or one error, within one deadline."""

import logging
import ssl
import time
from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import version
from typing import Any

import requests

from hashstagram_client.connection import Connection
from hashstagram_client.deadline import DeadlineAdapter
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
from hashstagram_client.retry import pause, retry_after, worth_retrying

logger = logging.getLogger(__name__)

CONNECTIONS = 64  # kept open; more than that many threads open theirs anew
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

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The answer's JSON.

        Raises:
            ClientError: the last try's error.
        """
        deadline = time.monotonic() + self.timeout
        tries = 1
        while True:
            try:
                return self._authorized(method, path, body, headers or {}, deadline)
            except ClientError as err:
                wait = pause(err, tries)
                late = time.monotonic() + wait >= deadline
                if tries > self.retries or late or not worth_retrying(err):
                    raise
                logger.debug("try %d failed, next in %.2f s: %s", tries, wait, err)
            time.sleep(wait)
            tries += 1

    def _authorized(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        deadline: float,
    ) -> Any:
        """Send until the token is one that the server takes; a few times are enough."""
        for _ in range(TOKEN_TRIES):
            token = self.connection.current_token()
            sent = {**headers, "Authorization": f"Bearer {token}"} if token else headers
            try:
                return self._exchange(method, path, body, sent, deadline)
            except UnauthorizedError as err:
                refusal = err
                if not self.connection.renew_token(token, deadline - time.monotonic()):
                    break
        raise refusal

    def _exchange(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        deadline: float,
    ) -> Any:
        """The one place where a request leaves and an answer becomes a result or an error."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise self._too_late()
        try:
            answer = self._session.request(
                method,
                self.connection.url + path,
                data=body,
                headers=headers,
                timeout=left,
                allow_redirects=False,  # a POST that is redirected arrives without its photo
            )
        except requests.RequestException as err:
            if time.monotonic() >= deadline:
                raise self._too_late() from err
            raise self._failed(err) from err
        if answer.status_code != 200:
            raise error_of(answer)
        try:
            return answer.json()
        except ValueError as err:
            raise ServerFailedError("the answer is not JSON", status=200, kind="NotJSON") from err

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
            return ConnectionFailedError(
                f"{url} took the request but sent no whole answer in time. Give it more time, or "
                "try again when it is less busy."
            )
        return ConnectionFailedError(
            f"{url} does not answer ({type(err).__name__}). Is the server running? "
            "Start it with: make demo"
        )


def error_of(answer: requests.Response) -> AnswerError:
    """The error that an answer without a result becomes."""
    status = answer.status_code
    kind, message = _reason(answer)
    # TorchServe says 400 InvalidKeyException where the standard says 401.
    if status in (401, 403) or kind == "InvalidKeyException":
        message += ". Pass a token, set HASHSTAGRAM_TOKEN, or call from the server's own folder."
        return UnauthorizedError(message, status=status, kind=kind)
    if status in (429, 503):
        wait = retry_after(answer.headers.get("Retry-After"))
        return BusyError(message, status=status, kind=kind, retry_after=wait)
    if 400 <= status < 500:
        return _REFUSALS.get(status, RequestRefusedError)(message, status=status, kind=kind)
    return ServerFailedError(message, status=status, kind=kind)


def _reason(answer: requests.Response) -> tuple[str, str]:
    """The type and message of an error's body."""
    if location := answer.headers.get("Location"):
        return "Redirect", f"the server has moved to {location}"
    try:
        body = answer.json()
        return str(body["type"]), str(body["message"])
    except (ValueError, KeyError, TypeError):
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
