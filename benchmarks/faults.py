"""FaultyServer: a real HTTP server, or a proxy to one, that fails as networks and servers do."""

import json
import random
import struct
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from select import select
from socket import SO_LINGER, SOL_SOCKET, socket
from threading import Lock
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from benchmarks.background import BackgroundServer

Answer = tuple[int, bytes]
Responder = Callable[[str, bytes, Mapping[str, str]], Answer]

STATUSES = {
    "worker-died": (500, "InternalServerException", "Worker died."),
    "bad-gateway": (502, "BadGateway", "The server is being restarted."),
    "busy": (503, "ServiceUnavailableException", "No worker is available."),
    "too-many": (429, "TooManyRequests", "Too many requests from your address."),
    "gateway-timeout": (504, "GatewayTimeout", "The server took too long."),
    "worker-killed": (507, "InternalServerException", "Worker died."),
}
FAULTS = (*STATUSES, "reset", "reset-in-answer", "truncated", "damaged", "stall", "drip")
DRIP = 0.2  # seconds between two bytes


class FaultyServer(BackgroundServer, ThreadingHTTPServer):
    """Answers on a free port of 127.0.0.1 and counts the tries of each request id.

    `asked_again` counts tries after a 4xx that had arrived in whole: there must be none.

    Args:
        respond: path, body and headers to the right status and body.
        faults: the kinds that are thrown for, each as likely as the others.
        share: of the requests that meet a fault.
        first: how many of the first tries of each request meet one for certain.
        retry_after: seconds that a busy server asks for.
        seed: of the dice.
    """

    daemon_threads = True
    request_queue_size = 512

    def __init__(
        self,
        respond: Responder,
        *,
        faults: Sequence[str] = FAULTS,
        share: float = 0.2,
        first: int = 0,
        retry_after: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.respond = respond
        self.faults = faults
        self.share = share
        self.first = first
        self.retry_after = retry_after
        self.tries: Counter[str] = Counter()
        self.asked_again = 0
        self._refused: set[str] = set()
        self._dice = random.Random(seed)
        self._lock = Lock()

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.server_port}"

    def throw(self, request_id: str) -> str | None:
        """Count a try, and tell which fault it meets, if any."""
        with self._lock:
            self.tries[request_id] += 1
            self.asked_again += request_id in self._refused
            chosen = self._dice.choice(self.faults)
            hit = self._dice.random() < self.share
            return chosen if hit or self.tries[request_id] <= self.first else None

    def refused(self, request_id: str) -> None:
        """Note that a request got a whole 4xx."""
        with self._lock:
            self._refused.add(request_id)

    def shutdown_request(self, request: Any) -> None:
        """Close without the polite end first, which would take the edge off a reset."""
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of callers that went away: they were meant to."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FaultyServer

    def do_GET(self) -> None:
        """The front's /healthz, whatever the path."""
        self._reply(200, b'{"status": "ok"}')

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request_id = self.headers.get("X-Request-Id", "")
        fault = self.server.throw(request_id)
        if fault in STATUSES:
            self._reply(*_refusal(*STATUSES[fault]))
        elif fault in ("reset", "stall"):
            self.close_connection = True
            _reset(self.connection) if fault == "reset" else _wait_for_end(self.connection)
        else:
            status, answer = self.server.respond(self.path, body, dict(self.headers))
            self._reply(status, answer, fault)
            if fault is None and 400 <= status < 500:
                self.server.refused(request_id)

    def _reply(self, status: int, body: bytes, fault: str | None = None) -> None:
        """Send an answer as it is, or as the fault leaves it."""
        half = body[: len(body) // 2]
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status in (429, 503) and self.server.retry_after is not None:
            self.send_header("Retry-After", str(self.server.retry_after))
        self.send_header("Content-Length", str(len(half if fault == "damaged" else body)))
        self.end_headers()
        if fault is None:
            self.wfile.write(body)
            return
        self.close_connection = True
        if fault == "drip":
            self._drip(body)
            return
        self.wfile.write(half)
        if fault == "reset-in-answer":
            _reset(self.connection)

    def _drip(self, body: bytes) -> None:
        with suppress(OSError):
            for byte in body:
                self.wfile.write(bytes([byte]))
                time.sleep(DRIP)

    def log_message(self, *_: object) -> None:
        pass


def _reset(connection: socket) -> None:
    """Closing sends RST instead of FIN from now on."""
    connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))


def _wait_for_end(connection: socket) -> None:
    """Until the caller goes away."""
    select([connection], [], [])


def _refusal(status: int, kind: str, message: str) -> Answer:
    return status, json.dumps({"code": status, "type": kind, "message": message}).encode()


def proxy(url: str) -> Responder:
    """A responder that passes requests on to the server at `url`."""
    session = requests.Session()
    session.mount("http://", HTTPAdapter(pool_maxsize=64))

    def respond(path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        sent = {name: value for name, value in headers.items() if name.lower() != "host"}
        answer = session.post(url + path, data=body, headers=sent, timeout=60)
        return answer.status_code, answer.content

    return respond


def tag_of(photo: bytes) -> str:
    """The one hashtag that `digest` answers for these bytes."""
    return sha256(photo).hexdigest()


def digest(path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """A responder without a model: its answer depends on the photo, so a wrong one is found out.

    Bytes that begin with "broken" are no image.
    """
    if body.startswith(b"broken"):
        return _refusal(415, "UnsupportedImageError", "This is not an image that can be read.")
    answer = {
        "model": "digest",
        "version": "1.0",
        "request_id": headers.get("X-Request-Id", ""),
        "hashtags": [{"tag": tag_of(body), "score": 1.0}],
        "abstained": False,
    }
    return 200, json.dumps(answer).encode()
