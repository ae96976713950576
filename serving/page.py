"""Page: the Gunicorn that serves the web page, beside the instance of `make demo`.

Behind the front, the supervisor runs the same: deploy/supervisord.conf.j2.
"""

import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from serving.instance import ROOT, RUN, Instance, StartError, free_port
from web.assets import MANIFEST

STATIC = ROOT / "web" / "static"
FEEDBACK = RUN / "feedback.sqlite"
PORT = 8000
READY_TIMEOUT = 60.0  # seconds
OWN_HOSTS = '["127.0.0.1", "localhost", "[::1]"]'  # names of this machine, in JSON


@dataclass(frozen=True)
class Page:
    """A running page.

    Args:
        url: where browsers find it.
        pid: Gunicorn's process.
        built: when what it serves was built.
    """

    url: str
    pid: int
    built: float

    @classmethod
    def start(cls, instance: Instance, home: Path, *, feedback: Path | None = None) -> "Page":
        """Start it and wait until it answers.

        Args:
            instance: what it asks for hashtags.
            home: the folder with .run/server.json, which tells it where the instance's keys are.
            feedback: SQLite file for feedback; None to take none.

        Raises:
            StartError: it did not start.
        """
        address = f"127.0.0.1:{free_port(PORT)}"
        log = Path(instance.run) / "logs" / "page.log"
        with log.open("wb") as console:
            server = subprocess.Popen(
                [*gunicorn(), "--bind", address, "web:create_app()"],
                cwd=home,
                env=_environment(instance, feedback),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        page = cls(f"http://{address}", server.pid, built())
        try:
            page._wait(server, log)
        except BaseException:
            page.stop()
            raise
        server.returncode = 0  # it outlives this object on purpose, which would warn of it
        return page

    def is_current(self) -> bool:
        """Whether it runs, and serves the page as it was built last."""
        return self.is_running() and self.built == built()

    def is_running(self) -> bool:
        """Whether the process still lives, and is ours and not a later one of the same number."""
        with suppress(psutil.Error):
            process = psutil.Process(self.pid)
            address = self.url.removeprefix("http://")
            return process.status() != psutil.STATUS_ZOMBIE and address in process.cmdline()
        return False

    def stop(self, timeout: float = 20) -> None:
        """Answer what is under way, and end."""
        if not self.is_running():
            return
        with suppress(psutil.Error):
            process = psutil.Process(self.pid)
            family = [process, *process.children()]
            process.terminate()
            _, left = psutil.wait_procs(family, timeout)
            for stubborn in left:
                stubborn.kill()

    def _wait(self, server: "subprocess.Popen[bytes]", log: Path) -> None:
        deadline = time.monotonic() + READY_TIMEOUT
        while not self._answers():
            if server.poll() is not None or time.monotonic() > deadline:
                raise StartError(f"the page did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        with suppress(requests.RequestException):
            return requests.get(self.url, timeout=5).ok
        return False


def built() -> float:
    """When the page was built, in seconds of the epoch; 0 where it was not."""
    try:
        return (STATIC / MANIFEST).stat().st_mtime
    except FileNotFoundError:
        return 0.0


def gunicorn() -> list[str]:
    """How to start Gunicorn with our settings; the address and the application come after it."""
    return [sys.executable, "-m", "gunicorn", "--config", str(ROOT / "web" / "gunicorn.conf.py")]


def _environment(instance: Instance, feedback: Path | None) -> dict[str, str]:
    """The instance's address; its key is found beside it, and changes."""
    inherited = {name: value for name, value in os.environ.items() if "HASHSTAGRAM" not in name}
    ours = {
        "HASHSTAGRAM_URL": instance.inference,
        "HASHSTAGRAM_WEB_TRUSTED_HOSTS": OWN_HOSTS,
    }
    if feedback:
        ours["HASHSTAGRAM_WEB_FEEDBACK"] = str(feedback)
    return inherited | ours
