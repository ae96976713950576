"""The whole front while parts of it die, restart and end."""

import asyncio
import itertools
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
import requests
import yaml

from benchmarks.reliability.load import Answer, steadily
from benchmarks.reliability.stage import processes, workers
from hashstagram_client import HashtagClient
from serving.front import NAMES, Front
from serving.gate import Gate
from serving.instance import Instance, ready_workers
from serving.readiness import WORKERS
from tests.conftest import ROOT
from tests.serving.test_metrics import scrape

pytestmark = pytest.mark.serving

PREDICT = "/predictions/hashtags"
CLIENTS = 6
BATCH = yaml.safe_load((ROOT / "handler" / "model-config.yaml").read_text())["batchSize"]
READY = 120.0  # seconds


def wait(condition: Callable[[], Any], timeout: float = READY) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.1)


def while_asking(front: Front, photo: bytes, work: Callable[[], Any]) -> list[Answer]:
    """What callers without retries get while the work is done."""

    async def run() -> list[Answer]:
        task = asyncio.create_task(asyncio.to_thread(work))
        answers = await steadily(front.url, [photo], CLIENTS, lambda _: task.done())
        await task
        return [answer for _, answer in answers]

    return asyncio.run(run())


def test_the_library_is_answered_like_at_torchserve_itself(
    front: Front, instance: Instance, jpeg: bytes
) -> None:
    with HashtagClient(front.url) as client:
        answer = client.recommend(jpeg)
    with HashtagClient(instance.inference, instance.key("inference")) as direct:
        assert direct.recommend(jpeg).hashtags == answer.hashtags


@pytest.mark.parametrize("more", [0, 300_000], ids=["sent", "by a file"])
def test_every_form_of_request_passes(front: Front, jpeg: bytes, more: int) -> None:
    url, photo = front.url + PREDICT, jpeg + bytes(more)
    field = {"image": ("my.jpg", photo, "image/jpeg")}
    answers = [
        requests.put(f"{url}?k=3", data=photo, timeout=60),
        requests.post(url, files=field, data={"k": "3"}, timeout=60),
        requests.post(url, files=field, headers={"X-Top-K": "3"}, timeout=60),
    ]
    for answer in answers:
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["hashtags"]) == 3
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert len({str(answer.json()["hashtags"]) for answer in answers}) == 1


def test_what_upsets_torchserve_stops_at_the_front(
    front: Front, instance: Instance, jpeg: bytes
) -> None:
    """Each first at a bare TorchServe, then through the front."""
    key = {"Authorization": f"Bearer {instance.key('inference')}"}
    bare, ours = instance.inference + PREDICT, front.url + PREDICT
    too_large = bytes(front.limits.body + 1)
    assert requests.post(bare, too_large, headers=key, timeout=60).content == b""
    assert requests.post(ours, too_large, timeout=60).json()["code"] == 413
    described = requests.post(bare, jpeg, headers=key | {"describe": "True"}, timeout=60)
    assert "architecture" in described.text
    assert "hashtags" in requests.post(ours, jpeg, headers={"describe": "True"}, timeout=60).json()
    assert requests.delete(bare, headers=key, timeout=60).status_code != 405
    assert requests.delete(ours, timeout=60).status_code == 405
    own_id = {"X-Request-Id": "mine"}
    assert requests.post(bare, jpeg, headers=key | own_id, timeout=60).headers["x-request-id"] != (
        "mine"
    )
    assert requests.post(ours, jpeg, headers=own_id, timeout=60).headers["x-request-id"] == "mine"
    assert requests.get(f"{instance.metrics}/metrics", timeout=60).status_code == 200
    assert requests.get(f"{front.url}/metrics", timeout=60).status_code == 404


def test_a_form_of_many_fields_costs_nothing(front: Front, jpeg: bytes) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    started = time.monotonic()
    answer = requests.post(front.url + PREDICT, b"a=&" * 1_000_000, headers=form, timeout=60)
    assert 400 <= answer.status_code < 500
    assert time.monotonic() - started < 10  # TorchServe's own decoder takes minutes


def test_many_large_bodies_at_once_exhaust_no_instance(front: Front, jpeg: bytes) -> None:
    """Java never has them: its heap would have to hold all that wait."""
    large = jpeg + bytes(front.limits.body - len(jpeg) - 1000)
    servers = [psutil.Process(front.pid(name)) for name in NAMES]
    before = [server.memory_info().rss for server in servers]

    def send(_: int) -> requests.Response:
        return requests.put(front.url + PREDICT, data=large, timeout=120)

    with ThreadPoolExecutor(48) as pool:
        answers = list(pool.map(send, range(48)))
    assert {answer.status_code for answer in answers} == {200}
    for server, memory in zip(servers, before, strict=True):
        assert server.memory_info().rss < memory + 100e6


def test_nobody_works_for_callers_who_have_left(
    front: Front, slow_photo: bytes, jpeg: bytes
) -> None:
    def abandoned() -> float:
        series = [scrape(instance) for instance in front.instances]
        return sum(
            each.get('hashstagram_errors_totalreason="AbandonedError",', 0) for each in series
        )

    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(slow_photo)}\r\n\r\n"
    server = urlsplit(front.url)

    def send(_: int) -> socket.socket:
        caller = socket.create_connection((server.hostname, server.port), 60)
        caller.sendall(head.encode() + slow_photo)
        return caller

    before = abandoned()
    with ThreadPoolExecutor(60) as pool:
        callers = list(pool.map(send, range(60)))
        # The workers have read one batch each; what waits beyond these still lies in the spool.
        wait(lambda: sum(map(front.in_flight, front.instances)) > len(NAMES) * WORKERS * BATCH)
    for caller in callers:
        caller.close()
    wait(lambda: abandoned() > before)
    assert requests.put(front.url + PREDICT, data=jpeg, timeout=60).ok


def test_only_loopback_hears_us(front: Front) -> None:
    listening = {
        connection.laddr.ip.removeprefix("::ffff:")
        for process in processes(front).values()
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}
    for folder in (front.run, front.tmp, *(instance.tmp for instance in front.instances)):
        assert Path(folder).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("victim", ["worker", "instance", "nginx's worker"])
def test_a_killed_process_costs_nobody_an_answer(front: Front, jpeg: bytes, victim: str) -> None:
    wait(front.is_ready)

    def kill() -> None:
        time.sleep(0.5)
        if victim == "worker":
            workers(front)[0].kill()
        elif victim == "instance":
            os.kill(front.pid(NAMES[1]), signal.SIGKILL)
        else:
            psutil.Process(front.pid("nginx")).children()[0].kill()
        time.sleep(2)

    answers = while_asking(front, jpeg, kill)
    assert len(answers) > CLIENTS
    cut = [answer for answer in answers if answer.status == 0]
    assert len(cut) <= (CLIENTS if victim == "nginx's worker" else 0)  # its own connections only
    assert {answer.status for answer in answers} - {0} == {200}
    wait(front.is_ready)


@pytest.mark.parametrize("count", [0, 1])
def test_scaling_an_instance_down_costs_one_batch_at_most(
    front: Front, jpeg: bytes, count: int
) -> None:
    """The one that TorchServe was gathering for a worker as it took it away."""
    wait(front.is_ready)
    scaled = front.instances[0]

    def restored() -> bool:
        with suppress(OSError, ValueError, KeyError):  # while readiness starts it anew
            return len(ready_workers(scaled.describe())) == WORKERS
        return False

    def scale() -> None:
        time.sleep(0.5)
        scaled.scale(count)
        time.sleep(2)
        wait(restored)

    answers = while_asking(front, jpeg, scale)
    assert len(answers) > CLIENTS
    assert {answer.status for answer in answers} <= {200, 503}
    assert sum(answer.status == 503 for answer in answers) <= BATCH
    wait(front.is_ready)


def test_torchserve_itself_leaves_its_queue_waiting_once_it_is_scaled_to_none(
    archive: Path, tmp_path: Path, slow_photo: bytes
) -> None:
    bare = Instance.start(archive, tmp_path / "run")
    key = {"Authorization": f"Bearer {bare.key('inference')}"}

    def ask(_: int) -> int:
        url = bare.inference + PREDICT
        return requests.put(url, slow_photo, headers=key, timeout=8).status_code

    try:
        with ThreadPoolExecutor(24) as pool:
            calls = [pool.submit(ask, number) for number in range(24)]
            wait(lambda: done(calls))  # the first batch; the others wait in TorchServe
            bare.scale(0)
            assert any(isinstance(call.exception(), requests.ReadTimeout) for call in calls)
    finally:
        bare.stop()


def test_a_rolling_restart_loses_nothing(front: Front, jpeg: bytes) -> None:
    wait(front.is_ready)
    before = [(front.pid(name), os.readlink(Path(front.run) / name / "gate")) for name in NAMES]
    answers = while_asking(front, jpeg, front.restart)
    after = [(front.pid(name), os.readlink(Path(front.run) / name / "gate")) for name in NAMES]
    assert {answer.status for answer in answers} == {200}
    assert len(answers) > 50
    assert not set(itertools.chain(*before)) & set(itertools.chain(*after))  # pids and keys


def test_a_drained_instance_stays_out(front: Front, jpeg: bytes) -> None:
    wait(front.is_ready)
    gate = Gate(Path(front.instances[0].run))
    gate.drain()
    time.sleep(2)  # the watch looks several times
    assert not gate.is_open()
    assert requests.put(front.url + PREDICT, jpeg, timeout=60).ok
    gate.release()
    wait(front.is_ready)


def done(calls: "Sequence[Future[Any]]") -> int:
    return sum(call.done() for call in calls)


def test_stop_answers_what_is_in_flight_and_leaves_nothing(
    archive: Path, tmp_path: Path, jpeg: bytes, nginx_is_here: None
) -> None:
    front = Front.start(archive, tmp_path / "serve")
    family = list(processes(front).values())
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(requests.put, front.url + PREDICT, jpeg, timeout=60) for _ in range(8)]
        wait(lambda: sum(map(front.in_flight, front.instances)) + done(calls) >= 8, 30)
        front.stop()
        assert {call.result().status_code for call in calls} == {200}
    assert not any(process.is_running() for process in family)
    assert not Path(front.tmp).exists()
    for instance in front.instances:
        assert not Path(instance.tmp).exists()
        assert not Path(instance.key_file).exists()
        assert not Gate(Path(instance.run)).is_open()


def test_stop_clears_up_after_the_supervisor_was_killed(
    archive: Path, tmp_path: Path, nginx_is_here: None
) -> None:
    front = Front.start(archive, tmp_path / "serve")
    family = list(processes(front).values())
    supervisor = psutil.Process(front.pid("nginx")).parent()
    assert supervisor
    supervisor.kill()
    wait(lambda: not front.is_running(), 10)
    assert requests.get(f"{front.url}/healthz", timeout=5).ok  # what it started still serves
    front.stop()
    assert not any(process.is_running() for process in family)
    assert not Path(front.tmp).exists()
