"""A call ends at its deadline, whatever the other side does with the connection."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Event, Thread

import pytest

from hashstagram_client import DeadlineExceededError, HashtagClient

Behaviour = Callable[[socket.socket, Event], None]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nContent-Type: application/json\r\n\r\n"


def stall(connection: socket.socket, over: Event) -> None:
    connection.recv(65_536)
    over.wait()


def read_nothing(connection: socket.socket, over: Event) -> None:
    over.wait()


def read_in_drops(connection: socket.socket, over: Event) -> None:
    while not over.wait(0.01):
        connection.recv(1000)


def drip(text: bytes) -> Behaviour:
    def behave(connection: socket.socket, over: Event) -> None:
        connection.recv(65_536)
        for byte in text:
            connection.sendall(bytes([byte]))
            if over.wait(0.05):
                return
        stall(connection, over)

    return behave


def drip_body(connection: socket.socket, over: Event) -> None:
    connection.sendall(HEAD)
    drip(b" " * 10_000)(connection, over)


BEHAVIOURS = {
    "stalls": stall,
    "reads-nothing": read_nothing,
    "reads-in-drops": read_in_drops,
    "drips-head": drip(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 1000),
    "drips-body": drip_body,
}
UNREAD = (read_nothing, read_in_drops)  # a small photo would fit into the system's buffers


@pytest.fixture
def server(behaviour: Behaviour) -> Iterator[str]:
    """A server of one behaviour towards everybody."""
    over = Event()

    def accept(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                Thread(target=serve, args=[connection]).start()

    def serve(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            behaviour(connection, over)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        Thread(target=accept, args=[listening]).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        over.set()
        listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("behaviour", BEHAVIOURS.values(), ids=BEHAVIOURS)
@pytest.mark.parametrize("timeout", [0.3, 1.5])
def test_a_call_ends_at_its_deadline(server: str, behaviour: Behaviour, timeout: float) -> None:
    started = time.monotonic()
    with (
        HashtagClient(server, "t", timeout=timeout) as client,
        pytest.raises(DeadlineExceededError, match="did not answer within"),
    ):
        client.recommend(bytes(20_000_000) if behaviour in UNREAD else b"photo")
    assert time.monotonic() - started < timeout + 0.5
