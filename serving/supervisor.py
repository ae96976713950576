"""Supervisor: the supervisord that keeps the front's processes running."""

import http.client
import subprocess
import sys
import xmlrpc.client
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

from serving.instance import StartError

NAME = "supervisord.conf"


@dataclass(frozen=True)
class Supervisor:
    """The one whose configuration and socket lie in a folder.

    Args:
        folder: private to its owner.
    """

    folder: Path

    def start(self) -> None:
        """Start it, and with it all its programs.

        Raises:
            StartError: it does not start.
        """
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.folder / NAME)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder)
        if done.returncode:
            raise StartError(f"the supervisor did not start:\n{done.stdout}{done.stderr}")

    def stop(self, timeout: float) -> None:
        """End its programs, the last started first, and then itself."""
        pid = self.pid()
        if pid:
            process = psutil.Process(pid)
            process.terminate()
            with suppress(psutil.TimeoutExpired):
                process.wait(timeout)

    def pid(self) -> int | None:
        """Its process, or None when it does not answer."""
        try:
            return int(self._ask("getPID"))
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return None

    def pid_of(self, program: str) -> int:
        """A program's process; 0 while it is away."""
        return int(self._ask("getProcessInfo", program)["pid"])

    def start_program(self, program: str) -> None:
        """Start a program, and wait until it runs."""
        self._ask("startProcess", program)

    def stop_program(self, program: str) -> None:
        """Stop a program, and wait until it has ended; it may have already."""
        with suppress(xmlrpc.client.Fault):
            self._ask("stopProcess", program)

    def reload_program(self, program: str) -> None:
        """Have a program read anew what it read at its start, if it knows SIGHUP."""
        self._ask("signalProcess", program, "HUP")

    def _ask(self, question: str, *arguments: str) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self.folder}/supervisord.sock")
        with closing(transport):
            supervisor = xmlrpc.client.ServerProxy("http://127.0.0.1", transport).supervisor
            return getattr(supervisor, question)(*arguments)
