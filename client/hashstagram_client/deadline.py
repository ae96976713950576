"""DeadlineAdapter: makes the timeout of a request the time that it may take as a whole.

The timeout of requests counts anew at each read: a server that drips its answer byte by byte
keeps a caller for ever. Here each wait for the socket gets what is left of the whole.
"""

import io
import socket
import time
from collections.abc import Mapping
from contextvars import ContextVar
from http.client import HTTPResponse
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import PoolManager

PIECE = 65_536  # bytes; a slow uplink gets its patience anew for each

_limits: ContextVar[tuple[float, float]] = ContextVar("limits")  # of the request in this thread


def _patience() -> float:
    """Seconds that the next wait for the socket may take.

    Raises:
        TimeoutError: the deadline has passed.
    """
    deadline, longest_wait = _limits.get()
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return min(left, longest_wait)


class _TimedReader(io.RawIOBase):
    """Reads from a socket until a moment, however many reads that takes."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase, until: float) -> None:
        self._sock = sock
        self._raw = raw
        self._until = until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(HTTPResponse):
    """An answer whose head and body together may take one patience."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        until = time.monotonic() + _patience()
        self.fp = io.BufferedReader(_TimedReader(sock, self.fp.detach(), until))


class _TimedConnection(HTTPConnection):
    response_class = _TimedResponse

    def connect(self) -> None:
        self.timeout = _patience()
        super().connect()

    def send(self, data: Any) -> None:
        if not isinstance(data, bytes):
            super().send(data)
            return
        if self.sock is None:
            self.connect()
        for start in range(0, len(data), PIECE):
            self.sock.settimeout(_patience())
            super().send(memoryview(data)[start : start + PIECE])


class _TimedSecureConnection(_TimedConnection, HTTPSConnection):
    pass


class _TimedPool(HTTPConnectionPool):
    ConnectionCls = _TimedConnection


class _TimedSecurePool(HTTPSConnectionPool):
    ConnectionCls = _TimedSecureConnection


class DeadlineAdapter(HTTPAdapter):
    """For `requests.Session.mount`: the two numbers of `timeout` become what people mean by them.

    The first bounds the whole exchange, the second each wait: for the connection, for the server
    to take the next PIECE, and for the whole answer. Both in seconds, and neither None.
    """

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Pools of connections that watch the deadline."""
        super().init_poolmanager(*args, **options)
        _watch(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        """The same through a proxy of the environment."""
        return _watch(super().proxy_manager_for(*args, **options))

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send within the limits; what is read of the answer later counts too."""
        whole, longest_wait = timeout
        token = _limits.set((time.monotonic() + whole, longest_wait))
        try:
            return super().send(request, stream, timeout, verify, cert, dict(proxies or {}))
        finally:
            _limits.reset(token)


def _watch(manager: PoolManager) -> PoolManager:
    manager.pool_classes_by_scheme = {"http": _TimedPool, "https": _TimedSecurePool}
    return manager
