"""The client without a good answer: connections, errors, and where the token may go."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import hashstagram_client
from hashstagram_client import (
    AnswerError,
    BusyError,
    ConnectionFailedError,
    HashtagClient,
    PhotoTooLargeError,
    RequestRefusedError,
    ServerFailedError,
    UnauthorizedError,
    UndecodablePhotoError,
)
from hashstagram_client.connection import Connection


@pytest.fixture(autouse=True)
def _no_server_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("HASHSTAGRAM_URL", "HASHSTAGRAM_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def beside(tmp_path: Path, front: str | None = None) -> Path:
    """A server file and a key file, as a running server leaves them."""
    (tmp_path / ".run").mkdir()
    keys = tmp_path / "key_file.json"
    keys.write_text(json.dumps({"inference": {"key": "fresh", "expiration time": ""}}))
    server = {"inference": "http://127.0.0.1:9123", "front": front, "key_file": str(keys)}
    (tmp_path / ".run" / "server.json").write_text(json.dumps(server))
    return keys


def test_argument_then_environment_then_server_file_then_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Connection.find().url == "http://127.0.0.1:8080"
    beside(tmp_path)
    assert Connection.find().url == "http://127.0.0.1:9123"
    assert Connection.find().current_token() == "fresh"
    monkeypatch.setenv("HASHSTAGRAM_URL", "http://elsewhere:1")
    monkeypatch.setenv("HASHSTAGRAM_TOKEN", "from-environment")
    assert Connection.find().url == "http://elsewhere:1"
    assert Connection.find().current_token() == "from-environment"
    assert Connection.find("http://given:2/", "given").url == "http://given:2"
    assert Connection.find("http://given:2", "given").current_token() == "given"
    assert Connection.find("given:2").url == "http://given:2"


def test_the_front_is_asked_without_torchserves_key(tmp_path: Path) -> None:
    beside(tmp_path, front="http://127.0.0.1:9999")
    assert Connection.find().url == "http://127.0.0.1:9999"
    assert Connection.find().current_token() is None
    assert Connection.find(token="given").current_token() == "given"
    assert Connection.find("http://127.0.0.1:9123").current_token() == "fresh"


def test_the_local_key_never_goes_to_another_server(tmp_path: Path) -> None:
    beside(tmp_path)
    assert Connection.find("http://elsewhere.example").current_token() is None
    assert Connection.find("http://localhost:9123").current_token() == "fresh"


def test_a_new_key_is_read_at_once(tmp_path: Path) -> None:
    keys = beside(tmp_path)
    connection = Connection.find()
    keys.write_text(json.dumps({"inference": {"key": "newer"}}))
    assert connection.current_token() == "newer"
    assert connection.renew_token("fresh", timeout=1)
    assert not connection.renew_token("newer", timeout=1)


class _Canned(BaseHTTPRequestHandler):
    """Answers every POST with the status and body that stand in the URL's place."""

    answers: dict[str, tuple[int, bytes]] = {  # noqa: RUF012
        "refused": (422, b'{"code": 422, "type": "InvalidImageError", "message": "damaged"}'),
        "none": (401, b'{"code": 401, "type": "Unauthorized", "message": "A key is needed."}'),
        "key": (400, b'{"code": 400, "type": "InvalidKeyException", "message": "expired"}'),
        "large": (413, b""),
        "busy": (503, b'{"code": 503, "type": "ServiceUnavailableException", "message": "full"}'),
        "gateway": (502, b"<html>bad gateway</html>"),
        "no-json": (200, b"hello"),
        "list": (418, b"[]"),
    }

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        status, body = self.answers[self.path.rpartition("/")[2]]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def canned() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Canned) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("answer", "error", "status", "kind", "message"),
    [
        ("refused", UndecodablePhotoError, 422, "InvalidImageError", "damaged"),
        ("none", UnauthorizedError, 401, "Unauthorized", "A key is needed. Pass a token"),
        ("key", UnauthorizedError, 400, "InvalidKeyException", "expired"),
        ("large", PhotoTooLargeError, 413, "RequestTooLarge", "too large"),
        ("busy", BusyError, 503, "ServiceUnavailableException", "full"),
        ("gateway", ServerFailedError, 502, "NotJSON", "no reason"),
        ("no-json", ServerFailedError, 200, "NotJSON", "not JSON"),
        ("list", RequestRefusedError, 418, "NotJSON", "no reason"),
    ],
)
def test_answers_become_errors(
    *,
    canned: str,
    answer: str,
    error: type[AnswerError],
    status: int,
    kind: str,
    message: str,
) -> None:
    with (
        HashtagClient(canned, "t", model=answer, retries=1) as client,
        pytest.raises(error) as caught,
    ):
        client.recommend(b"photo")
    assert type(caught.value) is error
    assert (caught.value.status, caught.value.kind) == (status, kind)
    assert message in str(caught.value)


def test_nobody_there() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        with (
            HashtagClient(url, retries=1) as client,
            pytest.raises(ConnectionFailedError, match="make demo"),
        ):
            client.recommend(b"photo")


@pytest.mark.parametrize("photo", ["nowhere.jpg", "."], ids=["missing", "folder"])
def test_the_command_says_what_is_wrong_in_one_line(photo: str) -> None:
    command = [sys.executable, "-m", "hashstagram_client.cli", photo]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("hashstagram: ")
    assert done.stderr.count("\n") == 1


def test_what_is_no_photo_is_a_type_error() -> None:
    with (
        HashtagClient("http://127.0.0.1:9") as client,
        pytest.raises(TypeError, match="a photo is"),
    ):
        client.recommend(7)  # type: ignore[arg-type]


@pytest.mark.parametrize("option", ["exclude", "include"])
@pytest.mark.parametrize("tags", [5, [5], None])
def test_what_are_no_tags_is_a_type_error(option: str, tags: object) -> None:
    with (
        HashtagClient("http://127.0.0.1:9") as client,
        pytest.raises(TypeError, match=f"{option} takes a string of tags"),
    ):
        client.recommend(b"photo", **{option: tags})  # type: ignore[arg-type]


def test_all_public_names_are_listed() -> None:
    public = {
        name
        for name, value in vars(hashstagram_client).items()
        if not name.startswith("_") and isinstance(value, type)
    }
    assert public == set(hashstagram_client.__all__)
