"""Service: a peer that runs: from its start to its first answer, its memory, its end."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import requests

from benchmarks.peers.catalogue import Peer
from benchmarks.peers.setting import Setting
from benchmarks.peers.textbook import Tag
from serving.instance import ROOT

START_TIMEOUT = 120.0  # seconds to the first answer
SETTLE_TIMEOUT = 30.0  # seconds until nothing is left of a load
PAUSE = 0.2  # seconds between two looks at that
STOP_TIMEOUT = 20.0  # seconds from SIGTERM to SIGKILL
_MARK = "HASHSTAGRAM_PEER_FOLDER"  # of Setting; all descendants inherit it


class ServiceError(RuntimeError):
    """A service did not start, or does not answer; the message says why."""


class Service:
    """A service's processes.

    Args:
        peer: what it is.
        setting: how it was started.
        process: the first of them.
    """

    def __init__(self, peer: Peer, setting: Setting, process: subprocess.Popen[bytes]) -> None:
        self.peer = peer
        self.setting = setting
        self.process = process
        self.started = time.monotonic()
        self.url = f"http://127.0.0.1:{setting.port}{peer.path}"

    @classmethod
    @contextmanager
    def running(cls, peer: Peer, python: Path, setting: Setting) -> Iterator["Service"]:
        """Start it, and end it and all its descendants afterwards."""
        arguments = [
            part.format(port=setting.port, workers=setting.workers) for part in peer.command
        ]
        with (setting.folder / "console.log").open("wb") as console:
            process = subprocess.Popen(
                [python, *arguments],
                cwd=setting.folder,
                env=_environment(peer, setting),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        service = cls(peer, setting, process)
        try:
            yield service
        finally:
            service.stop()

    def first_answer(self, photo: bytes) -> float:
        """Wait for it; seconds since the start.

        Raises:
            ServiceError: the process ended, or none came in time.
        """
        while time.monotonic() < self.started + START_TIMEOUT:
            if self.process.poll() is not None:
                raise ServiceError(f"it ended: {self.last_words()}")
            with suppress(ServiceError):
                self.ask(photo)
                return time.monotonic() - self.started
            time.sleep(0.05)
        raise ServiceError(f"no answer after {START_TIMEOUT:.0f} s: {self.last_words()}")

    def ask(self, photo: bytes) -> list[Tag]:
        """The hashtags of one photo, best first.

        Raises:
            ServiceError: there is no answer, or it is not a good one.
        """
        try:
            answer = requests.post(
                self.url,
                data=self.peer.wrap(photo),
                headers=dict(self.peer.headers),
                timeout=START_TIMEOUT,
            )
            answer.raise_for_status()
            hashtags: list[Tag] = self.peer.unwrap(answer.content)["hashtags"]
        except (requests.RequestException, ValueError, KeyError, IndexError, TypeError) as err:
            raise ServiceError(f"no good answer: {err}") from err
        return hashtags

    def settle(self) -> None:
        """Wait until it is done with what callers who have left still had in its queues.

        While it works at photos it takes a core or more. Half a minute at most.
        """
        deadline = time.monotonic() + SETTLE_TIMEOUT
        before, now = 0.0, self._busy()
        while now - before > PAUSE / 2 and time.monotonic() < deadline:
            time.sleep(PAUSE)
            before, now = now, self._busy()

    def _busy(self) -> float:
        """Seconds of processor time that its processes have taken."""
        return self._sum(lambda process: sum(process.cpu_times()[:2]))

    def memory(self) -> int:
        """Bytes that all its processes take together: PSS, where shared pages count once."""
        return int(self._sum(lambda process: process.memory_full_info().pss))

    def _sum(self, figure: Callable[[psutil.Process], float]) -> float:
        """A figure of all its processes together; those that end meanwhile have none."""
        total = 0.0
        for process in self.family():
            with suppress(psutil.Error):
                total += figure(process)
        return total

    def family(self) -> list[psutil.Process]:
        """Its processes: those that inherited its mark, and their children.

        Some overwrite their environment, such as nginx, and some leave their parents.
        """
        marked = [p for p in psutil.process_iter() if _is_marked(p, str(self.setting.folder))]
        found = {process.pid: process for process in marked}
        for process in marked:
            with suppress(psutil.Error):
                found |= {child.pid: child for child in process.children(recursive=True)}
        return list(found.values())

    def stop(self) -> None:
        """SIGTERM to the first, and to those that it leaves; SIGKILL to those that stay."""
        family = self.family()
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_TIMEOUT)
        for end in (psutil.Process.terminate, psutil.Process.kill):
            family = [*{*family, *self.family()}]
            for process in family:
                with suppress(psutil.NoSuchProcess):
                    end(process)
            _, family = psutil.wait_procs(family, timeout=STOP_TIMEOUT)
        self.process.wait()

    def last_words(self) -> str:
        """The last line that it wrote and that says something."""
        text = (self.setting.folder / "console.log").read_text(errors="replace")
        lines = [line for line in text.splitlines() if any(map(str.isalnum, line))]
        return (lines or ["without a word"])[-1][:300]


def _environment(peer: Peer, setting: Setting) -> dict[str, str]:
    """No setting of ours, nothing written outside the folder, no network for statistics."""
    clean = {name: v for name, v in os.environ.items() if not name.startswith("HASHSTAGRAM")}
    places = dict.fromkeys(("HOME", "TMPDIR", "TEMP", "BENTOML_HOME"), str(setting.folder))
    return {
        **clean,
        **places,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "handler")]),
        "OMP_NUM_THREADS": str(setting.threads),
        "DO_NOT_TRACK": "1",
        **peer.environment,
        **setting.environment(),
    }


def _is_marked(process: psutil.Process, folder: str) -> bool:
    with suppress(psutil.Error):
        return process.environ().get(_MARK) == folder
    return False
