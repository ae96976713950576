"""Another version of the model takes over under load, or is sent back, at a real TorchServe."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from benchmarks.reliability.stage import ROOMY
from hashstagram_client import (
    ArchiveRefusedError,
    ClientError,
    HashtagClient,
    ManagementClient,
    RegistrationOffError,
    RolloutFailedError,
    Terms,
)
from serving.archive import check_archive
from serving.front import NAMES, Front
from serving.instance import Instance
from tests.conftest import ROOT, clean_environment
from tests.serving.test_archive import Contents, flip_a_bit, manifest, replace, write
from tests.serving.test_archive import contents as contents

pytestmark = pytest.mark.serving

API = {"enable_model_api": "true"}
COMMAND = str(Path(sys.executable).with_name("hashstagram"))
QUICK = Terms(watch=2.0, slowdown=100.0)  # the machine is busy with the callers
CLIENTS = 2
# Each worker answers the smoke photos, and from its third request on raises.
FAILS_LATER = b"""

def _counted(handle, calls=[]):
    def counted(self, data, context):
        calls.append(data)
        if len(calls) > 2:
            raise RuntimeError("not any more")
        return handle(self, data, context)
    return counted

HashtagHandler.handle = _counted(HashtagHandler.handle)
"""


def version(contents: Contents, number: str) -> Contents:
    """The same model under another version."""
    made = dict(contents)
    manifest(modelVersion=number)(made)
    return made


def store(folder: Path, contents: Contents, name: str) -> Path:
    """An archive in a store of its own, listed there beside the others, sound or not."""
    folder.mkdir(exist_ok=True)
    sums = folder / "SHA256SUMS"
    held = sums.read_text() if sums.exists() else ""
    path = write(folder / name, contents)
    sums.write_text(held + sums.read_text())
    return path


@pytest.fixture(scope="module")
def started(contents: Contents, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("rollout")
    first = store(folder / "store", version(contents, "1.0"), "hashtags.mar")
    instance = Instance.start(first, folder / "ts", settings=API)
    yield instance
    instance.stop()


@pytest.fixture
def served(started: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """An instance that serves 1.0, and each test leaves it so."""
    beside(tmp_path, monkeypatch, {**asdict(started), "front": None})
    return started


def beside(folder: Path, monkeypatch: pytest.MonkeyPatch, state: dict[str, Any]) -> None:
    (folder / ".run").mkdir()
    (folder / ".run" / "server.json").write_text(json.dumps(state))
    monkeypatch.chdir(folder)
    for name in os.environ.keys() - clean_environment().keys():
        monkeypatch.delenv(name)


def while_asking(client: HashtagClient, photo: bytes, work: Callable[[], object]) -> list[str]:
    """The versions that callers were answered by while the work was done; each call succeeds."""
    over = Event()

    def ask() -> list[str]:
        versions = []
        while not over.is_set():
            versions.append(client.recommend(photo).version)
        return versions

    with ThreadPoolExecutor(CLIENTS) as pool:
        callers = [pool.submit(ask) for _ in range(CLIENTS)]
        try:
            work()
        finally:
            over.set()
        return [seen for caller in callers for seen in caller.result()]


def defaults(manager: ManagementClient) -> list[str]:
    assert all(found.is_default for found in manager.describe())
    return [found.version for found in manager.describe()]


def test_what_does_not_load_or_disagrees_never_becomes_the_default(
    served: Instance, contents: Contents, tmp_path: Path, jpeg: bytes
) -> None:
    broken, other = version(contents, "2.0"), version(contents, "3.0")
    flip_a_bit(broken)
    names = json.loads(other["index_to_name.json"])
    others = {index: f"not{name}" for index, name in names.items()}
    replace("index_to_name.json", json.dumps(others).encode())(other)
    spoilt = {
        r"does not load in .*weights\.safetensors": store(tmp_path / "store", broken, "2.mar"),
        r"only 0% of 1\.0's hashtags": store(tmp_path / "store", other, "3.mar"),
    }
    before = Path(served.archive).read_bytes()
    with ManagementClient() as manager, HashtagClient(retries=0, timeout=20) as client:
        for reason, mar in spoilt.items():

            def attempt(mar: Path = mar, reason: str = reason) -> None:
                with pytest.raises(RolloutFailedError, match=rf"1\.0 serves as before: .*{reason}"):
                    manager.rollout("hashtags", mar, smoke_photos=[jpeg], terms=QUICK)

            assert set(while_asking(client, jpeg, attempt)) == {"1.0"}
            assert defaults(manager) == ["1.0"]
        with pytest.raises(RolloutFailedError, match="nothing to go back to"):
            manager.rollback()
    assert Path(served.archive).read_bytes() == before


def test_a_version_that_fails_after_the_switch_is_sent_back(
    served: Instance, contents: Contents, tmp_path: Path, jpeg: bytes
) -> None:
    """It answers the first requests, which are our smoke photos, and fails all later ones."""
    failing = version(contents, "2.0")
    failing["hashtag_handler.py"] += FAILS_LATER
    new = store(tmp_path / "store", failing, "2.mar")
    with ManagementClient() as manager, pytest.raises(RolloutFailedError, match=r"1\.0 serves as"):
        manager.rollout("hashtags", new, smoke_photos=[jpeg], terms=QUICK)
    with ManagementClient() as manager, HashtagClient() as client:
        assert defaults(manager) == ["1.0"]
        assert client.recommend(jpeg).version == "1.0"


def test_forth_and_back_by_the_docs_without_a_lost_request(
    served: Instance, contents: Contents, tmp_path: Path, jpeg: bytes
) -> None:
    """Forth by docs/client.md's Python, back by its shell."""
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "1.jpg").write_bytes(jpeg)
    new = store(tmp_path / "model_store", version(contents, "2.0"), "hashtags-2.0.mar")
    page = (ROOT / "docs" / "client.md").read_text("utf-8").partition("## Models")[2]
    [program] = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    commands = re.findall(r"^hashstagram models .*", page, flags=re.MULTILINE)
    told: list[str] = []

    def change() -> None:
        told.append(run(sys.executable, "-c", program))
        assert defaults(manager) == ["2.0"]
        assert (served.store / "hashtags.mar").read_bytes() == new.read_bytes()
        check_archive(Path(served.archive))
        assert Path(served.archive).read_bytes() == new.read_bytes()
        told.extend(run(COMMAND, *shlex.split(line)[1:]) for line in (commands[0], commands[2]))

    with ManagementClient() as manager, HashtagClient(retries=0, timeout=30) as client:
        seen = while_asking(client, jpeg, change)
        assert defaults(manager) == ["1.0"]
    assert set(seen) == {"1.0", "2.0"}
    assert {path.name for path in served.store.iterdir()} == {"hashtags.mar"}
    assert "1 photos: 100% of the hashtags stay" in told[0]
    assert "2.0 serves; 0 of" in told[0]
    assert told[1].split("\t")[1:4] == ["hashtags", "2.0", "default"]
    assert "hashtags 1.0 serves in the place of 2.0" in told[2]


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_operator_is_told_what_is_missing(
    instance: Instance,
    contents: Contents,
    tmp_path: Path,
    jpeg: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    beside(tmp_path, monkeypatch, {**asdict(instance), "front": None})
    new = store(tmp_path / "store", version(contents, "2.0"), "2.mar")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(jpeg[: len(jpeg) // 2])
    told: list[str] = []
    with ManagementClient() as manager:
        with pytest.raises(RegistrationOffError, match="enable_model_api=true"):
            manager.rollout("hashtags", new, smoke_photos=[jpeg, broken], report=told.append)
        assert told[0].startswith(f"{broken} is left out: ")
        with pytest.raises(RolloutFailedError, match="none of the smoke photos"):
            manager.rollout("hashtags", new, smoke_photos=[broken])
        with pytest.raises(RolloutFailedError, match=r"x\.jpg: smoke photos have to lie on this"):
            manager.rollout("hashtags", new, smoke_photos=[jpeg, "http://elsewhere/x.jpg"])
        with pytest.raises(RegistrationOffError, match=r"operator\.properties"):
            manager.register(str(new))
        (tmp_path / "store" / "SHA256SUMS").write_text("")
        with pytest.raises(ArchiveRefusedError, match="does not list"):
            manager.rollout("hashtags", new, smoke_photos=[jpeg])
        same = store(tmp_path / "store", version(contents, "1.0"), "1.mar")
        with pytest.raises(RolloutFailedError, match="another version"):
            manager.rollout("hashtags", same, smoke_photos=[jpeg])
        with pytest.raises(RolloutFailedError, match="smoke photos"):
            manager.rollout("hashtags", new, smoke_photos=[])


def test_both_instances_of_the_front_and_each_start_after_it(
    contents: Contents,
    tmp_path: Path,
    jpeg: bytes,
    monkeypatch: pytest.MonkeyPatch,
    nginx_is_here: None,
) -> None:
    first = store(tmp_path / "store", version(contents, "1.0"), "hashtags.mar")
    new = store(tmp_path / "store", version(contents, "2.0"), "2.mar")
    front = Front.start(first, tmp_path / "serve", settings=API, limits=ROOMY)
    try:
        beside(tmp_path, monkeypatch, front.to_json())
        with ManagementClient() as manager, HashtagClient(retries=0, timeout=40) as client:
            seen = while_asking(
                client,
                jpeg,
                lambda: manager.rollout("hashtags", new, smoke_photos=[jpeg], terms=QUICK),
            )
            assert set(seen) == {"1.0", "2.0"}
            assert defaults(manager) == ["2.0", "2.0"]
            killed = front.pid(NAMES[0])
            os.kill(killed, signal.SIGKILL)
            wait(lambda: front.pid(NAMES[0]) not in (0, killed) and served_by(manager) == {"2.0"})
            front.restart()
            wait(lambda: served_by(manager) == {"2.0"})
    finally:
        front.stop()


def served_by(manager: ManagementClient) -> set[str]:
    """The versions in all instances; none while one of them is away or loading."""
    with suppress(ClientError):
        found = manager.describe()
        return {version.version for version in found} if all(v.ready for v in found) else set()
    return set()


def wait(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)
