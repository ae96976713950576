"""What is tried again and what is not, against a real server that fails on purpose."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from benchmarks.faults import FAULTS, FaultyServer, digest, tag_of
from hashstagram_client import (
    BusyError,
    ClientError,
    ConnectionFailedError,
    HashtagClient,
    Recommendation,
    RequestRefusedError,
    ServerFailedError,
)

Serve = Callable[..., FaultyServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers, and stops them at the end."""
    running: list[AbstractContextManager[FaultyServer]] = []

    def start(*args: object, **options: object) -> FaultyServer:
        running.append(FaultyServer(*args, **options).running())
        return running[-1].__enter__()

    yield start
    for server in running:
        server.__exit__(None, None, None)


def refuse(status: int, kind: str, message: str = "no") -> Callable[..., tuple[int, bytes]]:
    body = json.dumps({"code": status, "type": kind, "message": message}).encode()
    return lambda *_: (status, body)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_passing_failure_is_tried_again(serve: Serve, fault: str) -> None:
    server = serve(digest, faults=[fault], share=0, first=2)
    with HashtagClient(server.url, timeout=6) as client:
        answer = client.recommend(b"photo")
    assert answer.hashtags[0].tag == tag_of(b"photo")
    assert list(server.tries.values()) == [3]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "InvalidRequestError"),
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (404, "ModelNotFoundException"),
        (405, "MethodNotAllowed"),
        (408, "RequestTimeout"),
        (413, "ImageTooLargeError"),
        (415, "UnsupportedImageError"),
        (422, "InvalidImageError"),
        (500, "PredictionError"),
        (501, "NotImplemented"),
        (503, "InternalServerException"),
    ],
)
def test_a_lasting_failure_is_not(serve: Serve, status: int, kind: str) -> None:
    server = serve(refuse(status, kind), share=0)
    with HashtagClient(server.url) as client, pytest.raises(ClientError) as caught:
        client.recommend(b"photo")
    assert isinstance(caught.value, RequestRefusedError if status < 500 else ServerFailedError)
    assert list(server.tries.values()) == [1]


def test_retries_are_counted(serve: Serve) -> None:
    server = serve(digest, faults=["reset"], share=1)
    for retries in (0, 2):
        with (
            HashtagClient(server.url, retries=retries) as client,
            pytest.raises(ConnectionFailedError),
        ):
            client.recommend(b"photo")
    assert sorted(server.tries.values()) == [1, 3]


def test_the_last_try_waits_until_the_deadline(serve: Serve) -> None:
    def respond(*request: object) -> tuple[int, bytes]:
        time.sleep(1.6)
        return digest(*request)

    server = serve(respond, share=0)
    with HashtagClient(server.url, timeout=3, retries=0) as client:
        client.recommend(b"photo")
    assert list(server.tries.values()) == [1]


@pytest.mark.parametrize("fault", ["busy", "too-many"])
def test_the_server_says_when_to_come_back(serve: Serve, fault: str) -> None:
    server = serve(digest, faults=[fault], share=0, first=1, retry_after=1)
    started = time.monotonic()
    with HashtagClient(server.url) as client:
        client.recommend(b"photo")
    assert 1 <= time.monotonic() - started < 5


def test_no_pause_goes_past_the_deadline(serve: Serve) -> None:
    server = serve(digest, faults=["busy"], share=1, retry_after=60)
    started = time.monotonic()
    with HashtagClient(server.url) as client, pytest.raises(BusyError) as caught:
        client.recommend(b"photo")
    assert caught.value.retry_after == 60
    assert time.monotonic() - started < 5


def test_fifty_threads_share_a_client(serve: Serve) -> None:
    server = serve(digest, share=0.2)
    photos = [f"photo {number}".encode() for number in range(300)]
    photos[::30] = [b"broken %d" % number for number in range(10)]

    def tag(photo: bytes) -> str:
        try:
            return client.recommend(photo).hashtags[0].tag
        except RequestRefusedError as err:
            return err.kind

    with HashtagClient(server.url, timeout=10) as client, ThreadPoolExecutor(50) as pool:
        tags = list(pool.map(tag, photos))
    wrong = "UnsupportedImageError"
    assert tags == [wrong if p.startswith(b"broken") else tag_of(p) for p in photos]
    assert len(server.tries) == len(photos)
    assert sum(server.tries.values()) < 1.6 * len(photos)


def test_a_password_of_netrc_does_not_take_the_tokens_place(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    seen: list[Mapping[str, str]] = []

    def respond(path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        seen.append(headers)
        return digest(path, body, headers)

    with HashtagClient(serve(respond, share=0).url, "token") as client:
        answer: Recommendation = client.recommend(b"photo")
    assert seen[0]["Authorization"] == "Bearer token"
    assert seen[0]["X-Request-Id"] == answer.request_id


def test_an_answer_of_another_kind_of_server(serve: Serve) -> None:
    server = serve(lambda *_: (200, b'{"predictions": []}'), share=0)
    with (
        HashtagClient(server.url) as client,
        pytest.raises(ServerFailedError, match="none of HashStagram's"),
    ):
        client.recommend(b"photo")
