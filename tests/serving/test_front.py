"""What nginx lets through, and what it answers itself; stand-ins take TorchServe's place."""

import base64
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from serving import keys, nginx
from serving.address import is_loopback
from serving.front import Front
from serving.gate import Gate
from serving.instance import StartError
from serving.limits import Limits

PREDICT = "/predictions/hashtags"
EXPLAIN = "/explanations/hashtags"
GOOD = b'{"hashtags": []}'


class StandIn(ThreadingHTTPServer):
    """Answers on an instance's inference port as it is told to, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self, url: str) -> None:
        super().__init__(("127.0.0.1", urlsplit(url).port or 0), StandInHandler)
        self.reset()
        Thread(target=self.serve_forever, args=[0.05]).start()

    def reset(self) -> None:
        self.status, self.answer = 200, GOOD
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.may_answer = Event()
        self.may_answer.set()


class StandInHandler(BaseHTTPRequestHandler):
    server: StandIn
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if file := self.headers["X-Body-File"]:
            body += Path(file).read_bytes()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.command, self.path, headers, body))
        self.server.may_answer.wait(10)
        self.send_response(self.server.status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(self.server.answer)),
            "x-request-id": "torchserve's own",
            "Pragma": "no-cache",
            "Expires": "Thu, 01 Jan 1970 00:00:00 UTC",
            "Cache-Control": "no-cache; no-store, must-revalidate, private",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.answer)

    do_PUT = do_GET = do_POST

    def log_message(self, *_: object) -> None:
        pass


class Alone:
    """nginx with stand-ins behind it."""

    def __init__(self, front: Front) -> None:
        self.front, self.url = front, front.url
        self.stand_ins = [StandIn(instance.inference) for instance in front.instances]
        self.gates = [Gate(Path(instance.run)) for instance in front.instances]
        logs = Path(front.run)
        with (logs / "access.log").open("wb") as log, (logs / "nginx.log").open("wb") as errors:
            self.process = subprocess.Popen(
                nginx.command(Path(front.tmp)), stdout=log, stderr=errors, cwd=front.tmp
            )
        self.reset()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and not self._answers():
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/healthz", timeout=5).ok
        except requests.ConnectionError:
            return False

    def reset(self) -> None:
        for gate, key, stand_in in zip(self.gates, ("key-A", "key_B"), self.stand_ins, strict=True):
            stand_in.reset()
            gate.release()
            gate.open(key)

    def post(self, path: str = PREDICT, data: Any = b"photo", **options: Any) -> requests.Response:
        options = {"method": "POST", "timeout": 30} | options
        return requests.request(url=self.url + path, data=data, **options)

    @property
    def asked(self) -> list[tuple[str, str, dict[str, str], bytes]]:
        return [request for stand_in in self.stand_ins for request in stand_in.asked]

    def logged(self, request_id: str) -> dict[str, Any]:
        """The request's line in the access log, which comes after the answer."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            text = (Path(self.front.run) / "access.log").read_text()
            lines = [json.loads(line) for line in text.splitlines(True) if line.endswith("\n")]
            if found := [line for line in lines if line["request_id"] == request_id]:
                return found[0]
            time.sleep(0.05)
        raise AssertionError(f"no line of {request_id}")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        for stand_in in self.stand_ins:
            stand_in.shutdown()
            stand_in.server_close()
        self.front.stop()


Start = Callable[..., Alone]


@pytest.fixture(scope="module")
def start(
    archive: Path, tmp_path_factory: pytest.TempPathFactory, nginx_is_here: None
) -> Iterator[Start]:
    """Another nginx with stand-ins: start(keys=None, limits=None)."""
    started = []

    def start(keys: Path | None = None, limits: Limits | None = None) -> Alone:
        run = tmp_path_factory.mktemp("front") / "serve"
        started.append(Alone(Front.prepare(archive, run, None, keys, limits or Limits(), {})))
        return started[-1]

    yield start
    for alone in started:
        alone.stop()


@pytest.fixture(scope="module")
def served(start: Start) -> Alone:
    return start(limits=Limits(in_flight=4))


@pytest.fixture
def alone(served: Alone) -> Alone:
    served.reset()
    return served


def is_error(answer: requests.Response, status: int) -> bool:
    """Whether it has the one form of errors, and gives nothing away."""
    body = answer.json()
    assert answer.status_code == body["code"] == status, answer.text
    assert set(body) == {"code", "type", "message"}
    assert answer.headers["content-type"] == "application/json"
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", answer.headers["x-request-id"])
    assert not re.search(r"127\.0\.0|/tmp|nginx|\d\.\d\d", answer.text)
    assert answer.headers["server"] == "nginx"
    return True


def test_a_photo_passes_with_the_key_of_the_instance(alone: Alone) -> None:
    for method in ("POST", "PUT"):
        for path in (
            PREDICT,
            f"{PREDICT}/1.0",
            "/explanations/hashtags",
            "/explanations/hashtags/2",
        ):
            answer = alone.post(path, method=method)
            assert (answer.status_code, answer.content) == (200, GOOD)
    sent = {(method, path) for method, path, *_ in alone.asked}
    assert sent == {
        (method, path)
        for method in ("POST", "PUT")
        for path in (
            PREDICT,
            f"{PREDICT}/1.0",
            "/explanations/hashtags",
            "/explanations/hashtags/2",
        )
    }
    keys = [{h["authorization"] for _, _, h, _ in s.asked} for s in alone.stand_ins]
    assert keys == [{"Bearer key-A"}, {"Bearer key_B"}]


def test_torchserve_gets_the_headers_of_the_contract_and_no_other(alone: Alone) -> None:
    sent = {
        "Content-Type": "image/jpeg",
        "X-Request-Id": "mine.1",
        "X-Top-K": "3",
        "X-Threshold": "0.1",
        "X-Exclude": "a,b*",
        "X-Include": "c",
        "X-Forwarded-For": "10.0.0.1",
        "describe": "True",
        "explain": "True",
        "Authorization": "Bearer the caller's",
        "Cookie": "a=b",
        "X-Query": "k=9",
        "X-Content-Type": "text/evil",
        "X-Body-File": "/etc/hostname",
    }
    alone.post(f"{PREDICT}?k=2&exclude=%0D%0AX-Evil:1", headers=sent)
    [(_, path, headers, body)] = alone.asked
    assert (path, body) == (PREDICT, b"photo")
    for name in ("host", "connection", "authorization", "content-length"):
        headers.pop(name)
    assert headers == {
        "content-type": "application/octet-stream",
        "x-content-type": "image/jpeg",
        "x-query": "k=2&exclude=%0D%0AX-Evil:1",
        "x-request-id": "mine.1",
        "x-top-k": "3",
        "x-threshold": "0.1",
        "x-exclude": "a,b*",
        "x-include": "c",
    }


@pytest.mark.parametrize(
    "given", ["a b", "x" * 65, "a;b", ""], ids=["space", "long", "odd", "none"]
)
def test_a_request_id_that_is_none_is_replaced(alone: Alone, given: str) -> None:
    answer = alone.post(headers={"X-Request-Id": given})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])
    assert alone.asked[0][2]["x-request-id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("size", [0, 1, 250_000])
def test_a_small_body_is_sent(alone: Alone, size: int) -> None:
    photo = os.urandom(size)
    assert alone.post(data=photo).ok
    [(*_, headers, body)] = alone.asked
    assert (body, headers["content-length"], "x-body-file" in headers) == (photo, str(size), False)


def test_a_large_body_lies_in_the_spool_until_it_is_answered(alone: Alone) -> None:
    photo = os.urandom(3_000_000)
    assert alone.post(f"{PREDICT}/1.0?k=2", data=photo, headers={"X-Top-K": "3"}).ok
    [(_, path, headers, body)] = alone.asked
    assert path == f"{PREDICT}/1.0"
    assert (headers["x-query"], headers["x-top-k"]) == ("k=2", "3")
    assert (body, headers["content-length"]) == (photo, "0")
    file = Path(headers["x-body-file"])
    assert file.parent == Path(alone.front.tmp) / "spool"
    assert file.name.isdigit()
    deadline = time.monotonic() + 5  # nginx answers first, and clears up then
    while (left := spooled(alone)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


@pytest.mark.parametrize("size", [0, 5, 260_000])
def test_nobody_elses_file_reaches_an_instance(alone: Alone, size: int) -> None:
    alone.post(data=bytes(size), headers={"X-Body-File": "/etc/hostname"})
    [(*_, headers, body)] = alone.asked
    assert body == bytes(size)
    assert "hostname" not in headers.get("x-body-file", "")


def spooled(alone: Alone) -> list[Path]:
    return [path for path in (Path(alone.front.tmp) / "spool").iterdir() if path.is_file()]


def test_a_caller_who_leaves_takes_the_body_along(alone: Alone) -> None:
    for stand_in in alone.stand_ins:
        stand_in.may_answer.clear()
    with suppress(requests.Timeout):
        alone.post(data=bytes(300_000), timeout=1)
    deadline = time.monotonic() + 5
    while (left := spooled(alone)) and time.monotonic() < deadline:
        time.sleep(0.05)
    asked = len(alone.asked)
    for stand_in in alone.stand_ins:
        stand_in.may_answer.set()
    assert (asked, left) == (1, [])


def test_answers_carry_our_headers_only(alone: Alone) -> None:
    answer = alone.post(headers={"X-Request-Id": "mine"})
    assert set(answer.headers) == {
        *("Server", "Date", "Content-Type", "Content-Length", "Connection"),
        *("X-Request-Id", "X-Content-Type-Options", "Cache-Control"),
    }
    assert (answer.headers["x-request-id"], answer.headers["server"]) == ("mine", "nginx")


@pytest.mark.parametrize("status", [400, 404, 413, 415, 422])
def test_what_the_handler_refuses_passes_as_it_is(alone: Alone, status: int) -> None:
    for stand_in in alone.stand_ins:
        stand_in.status, stand_in.answer = status, b'{"code": %d, "type": "Its"}' % status
    answer = alone.post()
    assert (answer.status_code, answer.json()["type"]) == (status, "Its")
    assert len(alone.asked) == 1


@pytest.mark.parametrize("status", [500, 503, 507])
def test_what_one_instance_fails_at_the_other_does(alone: Alone, status: int) -> None:
    alone.stand_ins[0].status = status
    assert {alone.post().status_code for _ in range(6)} == {200}
    assert alone.stand_ins[0].asked  # or it has shown nothing
    assert {body for *_, body in alone.asked} == {b"photo"}
    alone.stand_ins[1].status = status
    for stand_in in alone.stand_ins:
        stand_in.asked.clear()
    answer = alone.post()
    assert is_error(answer, 503)
    assert answer.headers["retry-after"] == "1"
    assert len(alone.asked) == 2


def test_an_instance_that_is_gone_is_passed_over(alone: Alone) -> None:
    gone = alone.front.instances[0]
    alone.stand_ins[0].shutdown()
    alone.stand_ins[0].server_close()
    try:
        assert {alone.post().status_code for _ in range(6)} == {200}
    finally:
        alone.stand_ins[0] = StandIn(gone.inference)


def test_a_closed_gate_gets_nothing_and_a_new_key_counts_at_once(alone: Alone) -> None:
    first, second = alone.gates
    first.close()
    assert {alone.post().status_code for _ in range(4)} == {200}
    assert alone.stand_ins[0].asked == []
    second.drain()
    second.open("ignored")
    assert is_error(alone.post(), 503)
    assert is_error(requests.get(f"{alone.url}/healthz", timeout=5), 503)
    first.open("new-key")
    assert requests.get(f"{alone.url}/healthz", timeout=5).json() == {"status": "ok"}
    assert alone.post().status_code == 200
    assert alone.stand_ins[0].asked[-1][2]["authorization"] == "Bearer new-key"


def test_gates_open_and_close_under_load_without_a_loss(alone: Alone) -> None:
    end = time.monotonic() + 3

    def call(_: int) -> set[int]:
        found = set()
        with requests.Session() as session:
            while time.monotonic() < end:
                found.add(session.post(alone.url + PREDICT, data=b"photo", timeout=30).status_code)
        return found

    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(call, number) for number in range(2)]
        turn = 0
        while time.monotonic() < end:
            gate = alone.gates[turn % 2]
            gate.close()
            time.sleep(0.01)
            gate.open(f"key-{turn}")
            time.sleep(0.05)  # whoever has just met the one closed finds the other open
            turn += 1
    assert turn > 10
    assert {status for call in calls for status in call.result()} <= {200, 429}
    time.sleep(1)  # the rate limit's bucket


def test_what_an_instance_cannot_hold_is_refused_at_once(alone: Alone) -> None:
    for stand_in in alone.stand_ins:
        stand_in.may_answer.clear()
    with ThreadPoolExecutor(10) as pool:
        calls = [pool.submit(alone.post) for _ in range(10)]
        deadline = time.monotonic() + 10
        while sum(call.done() for call in calls) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        refused = [call.result() for call in calls if call.done()]
        health = requests.get(f"{alone.url}/healthz", timeout=5)
        for stand_in in alone.stand_ins:
            stand_in.may_answer.set()
    assert len(refused) == 2  # of 10, two times four find room
    assert health.status_code == 200
    asked = [alone.logged(a.headers["x-request-id"])["instances"] for a in refused]
    assert asked == ["instances", "instances"]  # the upstream's own name: none of its servers
    assert all(is_error(a, 503) and a.headers["retry-after"] == "1" for a in refused)
    assert all(a.elapsed.total_seconds() < 1 for a in refused)
    assert sum(call.result().status_code == 200 for call in calls) == 8


HIDDEN = (
    *("/", "/ping", "/models", "/models/hashtags", "/metrics", "/api-description", "/token"),
    *("/predictions", "/predictions/", "/predictions/other", "/predictions/hashtags/1.0/k/3"),
    *("/predictions/hashtags/../../models", "/invocations", "/v1/models/hashtags:predict"),
    *("/models/hashtags/invoke", "/wfpredict/x", "/_error", "/_key", "/predictions/hashtags/x"),
    *("/explanations/other", "/.run/server.json", "/nginx.conf", "//models", "/healthz/"),
    *("/_spooled/predictions/hashtags", "/_spooled/etc/hostname", "/spool/0000000001"),
)


@pytest.mark.parametrize("path", HIDDEN)
def test_nothing_else_is_there(alone: Alone, path: str) -> None:
    for method in ("GET", "POST", "OPTIONS", "DELETE"):
        request = requests.Request(method, alone.url + "/x").prepare()
        request.url = alone.url + path  # not tidied up
        with requests.Session() as session:
            assert is_error(session.send(request, timeout=30), 404)
    assert alone.asked == []


@pytest.mark.parametrize(
    ("path", "allowed"),
    [(PREDICT, "POST, PUT"), ("/healthz", "GET, HEAD")],
    ids=["photo", "health"],
)
def test_other_methods_are_refused(alone: Alone, path: str, allowed: str) -> None:
    for method in {"GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"} - set(allowed.split(", ")):
        answer = alone.post(path, method=method)
        assert is_error(answer, 405)
        assert answer.headers["allow"] == allowed
    assert alone.asked == []


def test_bodies_that_are_too_large_are_refused(alone: Alone) -> None:
    limit = alone.front.limits.body
    assert alone.post(data=bytes(limit)).status_code == 200
    alone.reset()
    assert is_error(alone.post(data=bytes(limit + 1)), 413)
    assert is_error(_raw_chunked(alone, limit + 1), 413)
    assert alone.asked == []


def _raw_chunked(alone: Alone, size: int) -> requests.Response:
    pieces = (bytes(1 << 20) for _ in range(size // (1 << 20) + 1))
    return alone.post(data=pieces)


def test_packed_bodies_are_refused(alone: Alone) -> None:
    for encoding in ("gzip", "deflate", "br"):
        assert is_error(alone.post(headers={"Content-Encoding": encoding}), 415)
    assert alone.asked == []
    assert alone.post(headers={"Content-Encoding": "identity"}).status_code == 200


def test_long_addresses_and_headers_are_refused(alone: Alone) -> None:
    assert is_error(alone.post(f"{PREDICT}?exclude={'a' * 5000}"), 414)
    assert is_error(alone.post(headers={"X-Exclude": "a" * 5000}), 431)
    many = {f"X-{number}": "a" * 50 for number in range(10_000)}
    assert is_error(_first_answer(alone, many), 431)
    assert alone.asked == []


def _first_answer(alone: Alone, headers: dict[str, str]) -> requests.Response:
    """The answer also where it comes before all has been sent."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    text = talk(alone, f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
    head, _, body = text.partition(b"\r\n\r\n")
    answer = requests.Response()
    answer.status_code = int(head.split()[1])
    answer._content = body
    for line in head.decode().split("\r\n")[1:]:
        name, _, value = line.partition(": ")
        answer.headers[name] = value
    return answer


def talk(alone: Alone, request: bytes, timeout: float = 3) -> bytes:
    """Everything that comes back for these bytes until the other side closes or is silent."""
    parts = urlsplit(alone.url)
    received = b""
    with socket.create_connection((parts.hostname, parts.port), timeout) as connection:
        with suppress(ConnectionError):  # refused before the end
            connection.sendall(request)
        with suppress(TimeoutError, ConnectionError):
            while piece := connection.recv(65536):
                received += piece
    return received


HEAD = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\n".encode()
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n"
SMUGGLED = b"POST /models HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
MALFORMED = {
    "CL.TE": HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "TE.CL": CHUNKED + b"Content-Length: 4\r\n\r\n5c\r\n" + SMUGGLED + b"\r\n0\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nphoto" + SMUGGLED,
    "negative length": HEAD + b"Content-Length: -1\r\n\r\nphoto",
    "length with a sign": HEAD + b"Content-Length: +5\r\n\r\nphoto",
    "chunk overflow": CHUNKED + b"\r\n10000000000000005\r\nphoto\r\n0\r\n\r\n",
    "chunk without a number": CHUNKED + b"\r\nzz\r\nphoto\r\n0\r\n\r\n",
    "leading NUL": b"\x00" + HEAD + b"Content-Length: 5\r\n\r\nphoto",
    "NUL in a header": HEAD + b"X-Top-K: 1\x00\r\nContent-Length: 5\r\n\r\nphoto",
    "space before the colon": HEAD + b"Content-Length : 5\r\n\r\nphoto",
    "folded header": HEAD + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "odd transfer encoding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "two transfer encodings": CHUNKED + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "HTTP/1.0 in chunks": CHUNKED.replace(b"/1.1", b"/1.0") + b"\r\n0\r\n\r\n" + SMUGGLED,
    "no host": f"POST {PREDICT} HTTP/1.1\r\nContent-Length: 5\r\n\r\nphoto".encode(),
    "another protocol": HEAD.replace(b"HTTP/1.1", b"HTTP/3.0") + b"\r\n",
    "control character in the address": HEAD.replace(b"hashtags", b"hash\x01tags") + b"\r\n",
    "TLS": bytes.fromhex("16030100c8010000c403") + bytes(100),
}


@pytest.mark.parametrize("request_bytes", MALFORMED.values(), ids=MALFORMED)
def test_malformed_requests_get_one_answer_and_go_nowhere(
    alone: Alone, request_bytes: bytes
) -> None:
    received = talk(alone, request_bytes)
    assert received.count(b"HTTP/1.1 ") == 1
    assert re.match(rb"HTTP/1.1 4\d\d ", received), received
    assert b'"code": 4' in received
    assert alone.asked == []


def test_what_nginx_forgives_reaches_torchserve_in_order_only(alone: Alone) -> None:
    """A bare LF after a chunk's extension: TorchServe's Netty would take what follows amiss."""
    received = talk(alone, CHUNKED + b"Connection: close\r\n\r\n5;a\nphoto\r\n0\r\n\r\n")
    assert received.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400"))
    for *_, headers, body in alone.asked:
        assert (headers["content-length"], body) == ("0", b"photo")
        assert "transfer-encoding" not in headers


def test_one_caller_over_the_rate_is_told_so(start: Start) -> None:
    alone = start(limits=Limits(rate=1, burst=3))
    alone.reset()
    answers = [
        alone.post(headers={"X-Forwarded-For": f"10.0.0.{number}", "X-Real-IP": "10.1.1.1"})
        for number in range(8)
    ]
    assert [answer.status_code for answer in answers[:4]] == [200] * 4
    assert all(is_error(a, 429) and a.headers["retry-after"] == "1" for a in answers[4:])
    assert requests.get(f"{alone.url}/healthz", timeout=5).ok
    if sys.platform == "linux":  # all of 127.0.0.0/8 is there
        parts = urlsplit(alone.url)
        with socket.create_connection(
            (parts.hostname, parts.port), 5, source_address=("127.0.0.9", 0)
        ) as connection:
            connection.sendall(HEAD + b"Content-Length: 5\r\n\r\nphoto")
            assert connection.recv(100).startswith(b"HTTP/1.1 200")


@pytest.fixture
def keyed(start: Start, tmp_path: Path) -> tuple[Alone, keys.Keys]:
    held = keys.Keys(tmp_path / "keys")
    held.create()
    return start(keys=held.file), held


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_keys_come_and_go_without_a_restart(keyed: tuple[Alone, keys.Keys]) -> None:
    alone, held = keyed
    phone = held.add("phone")
    answer = alone.post(headers=bearer(phone))
    assert (answer.status_code, alone.logged(answer.headers["x-request-id"])["caller"]) == (
        200,
        "phone",
    )
    assert alone.post(headers={"Authorization": f"Basic {phone}"}).status_code == 200
    desk = held.add("desk")
    assert alone.post(headers=bearer(desk)).status_code == 200
    held.remove("phone")
    assert held.names() == ["desk"]
    assert is_error(alone.post(headers=bearer(phone)), 401)
    assert alone.post(headers=bearer(desk)).status_code == 200


def test_a_large_photo_passes_with_a_key(keyed: tuple[Alone, keys.Keys]) -> None:
    """More than nginx's own limit of a megabyte, which the question for the key must not have."""
    alone, held = keyed
    answer = alone.post(headers=bearer(held.add("phone")), data=bytes(3_000_000))
    assert answer.status_code == 200, answer.text


def test_who_has_no_key_is_told_so_before_the_photo(keyed: tuple[Alone, keys.Keys]) -> None:
    alone, held = keyed
    token = held.add("phone")
    needed, unknown = "An API key is needed: ", "This API key is not known. "
    for headers, message in (
        ({}, needed),
        (bearer(""), unknown),
        (bearer(token[:-8] + "AAAAAAA="), unknown),
        (bearer("key-A"), unknown),
        (bearer("é"), unknown),
        ({"Authorization": "the key"}, unknown),
    ):
        refused = alone.post(headers={k: v.encode() for k, v in headers.items()})
        assert is_error(refused, 401)
        assert refused.json()["message"].startswith(message)
        assert refused.headers["www-authenticate"] == 'Bearer realm="HashStagram"'
    assert talk(alone, HEAD + b"Content-Length: 1000000\r\n\r\n", 2).startswith(b"HTTP/1.1 401")
    assert alone.asked == []
    assert requests.get(f"{alone.url}/healthz", timeout=5).ok


def test_the_file_of_keys_holds_none(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    command = [sys.executable, "-m", "serving.keys", "--file", str(file)]

    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run([*command, *arguments], capture_output=True, text=True)
        return done.returncode, done.stdout.strip()

    code, token = run("add", "phone")
    secret = base64.b64decode(token).decode().removeprefix("phone:")
    assert (code, len(secret)) == (0, 43)  # 256 bits
    assert secret not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert run("add", "phone") == (1, "")
    assert run("add", "a:b") == (1, "")
    assert run("list") == (0, "phone")
    assert run("remove", "phone") == (0, "")
    assert run("remove", "phone") == (1, "")


def test_the_log_is_json_without_the_photo_or_the_query(alone: Alone) -> None:
    alone.post(f"{PREDICT}?exclude=secret", headers={"X-Request-Id": "log.1"}, data=b"my photo")
    line = alone.logged("log.1")
    text = (Path(alone.front.run) / "access.log").read_text()
    assert (line["method"], line["path"], line["status"]) == ("POST", PREDICT, 200)
    assert "secret" not in text
    assert "my photo" not in text


def test_limits_are_given_by_name() -> None:
    assert Limits.parse(["rate=7", "burst=9"]) == Limits(rate=7, burst=9)
    for wrong in ("speed=7", "rate=0", "rate=x", "rate"):
        with pytest.raises(ValueError, match="is no limit"):
            Limits.parse([wrong])


def test_an_address_that_is_taken_is_refused_at_once(
    alone: Alone, archive: Path, tmp_path: Path
) -> None:
    for listen in (alone.front.listen, "127.0.0.1:no", "127.0.0.1"):
        with pytest.raises(StartError, match="cannot listen on"):
            Front.start(archive, tmp_path / "serve", listen=listen)


@pytest.mark.parametrize(
    ("listen", "loopback"),
    [
        *(("127.0.0.1:80", True), ("[::1]:80", True), ("localhost:8000", True)),
        *(("0.0.0.0:80", False), ("[::]:80", False), ("10.0.0.1:80", False), ("a.test:1", False)),
    ],
)
def test_who_else_can_reach_an_address(listen: str, loopback: bool) -> None:
    assert is_loopback(listen) == loopback


def test_without_nginx_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(nginx, "SYSTEM", os.devnull)
    with pytest.raises(FileNotFoundError, match="apt-get install nginx-light"):
        nginx.find_nginx()
