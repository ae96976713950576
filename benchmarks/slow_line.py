"""SlowLine: a TCP proxy on loopback whose uplink carries so many bits a second."""

import socket
import time
from contextlib import suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from urllib.parse import urlsplit

from benchmarks.background import BackgroundServer

PIECE = 8192  # bytes


class SlowLine(BackgroundServer, ThreadingTCPServer):
    """Passes connections on to a server.

    Args:
        url: the server's.
        bits: a second, upwards; the answers come back as fast as they can.
    """

    daemon_threads = True

    def __init__(self, url: str, bits: float) -> None:
        super().__init__(("127.0.0.1", 0), _Passage)
        address = urlsplit(url)
        self.target = (str(address.hostname), int(address.port or 80))
        self.bits = bits
        self.sent = 0  # bytes that went up

    @property
    def url(self) -> str:
        """What to ask instead of the server."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Passage(BaseRequestHandler):
    server: SlowLine
    request: socket.socket

    def handle(self) -> None:
        with suppress(OSError), socket.create_connection(self.server.target) as upstream:
            upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            Thread(target=self._back, args=[upstream], daemon=True).start()
            free = 0.0  # when the line can take the next piece
            while piece := self.request.recv(PIECE):
                free = max(free, time.monotonic()) + len(piece) * 8 / self.server.bits
                time.sleep(max(0.0, free - time.monotonic()))
                upstream.sendall(piece)
                self.server.sent += len(piece)

    def _back(self, upstream: socket.socket) -> None:
        with suppress(OSError):
            while piece := upstream.recv(65_536):
                self.request.sendall(piece)
