"""Wrk: the load generator, and what it measured."""

import json
import math
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("post.lua")
TIMEOUT = 120  # seconds that wrk waits for an answer


class LoadError(RuntimeError):
    """There is no wrk, or it failed; the message says what to do."""


@dataclass(frozen=True)
class Load:
    """What wrk measured.

    Args:
        requests_per_s: those that were answered with a status below 400.
        p50_ms: the median of their time; wrk adds what callers would have seen that had to wait
            for a connection (coordinated omission).
        p99_ms: likewise, all but one in a hundred.
        requests: how many were answered.
        errors: statuses from 400 on, broken connections, and timeouts.
    """

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    requests: int
    errors: int

    @classmethod
    def parse(cls, printed: str) -> "Load":
        """What post.lua prints.

        Raises:
            LoadError: its line is not there.
        """
        lines = [line for line in printed.splitlines() if line.startswith("figures ")]
        if not lines:
            raise LoadError(f"wrk printed no figures: {printed.strip()[-300:]}")
        told = json.loads(lines[-1].removeprefix("figures "))
        good = told["requests"] - told["status"]
        return cls(
            requests_per_s=round(good / told["seconds"], 2),
            p50_ms=round(told["p50"] / 1000, 2),
            p99_ms=round(told["p99"] / 1000, 2),
            requests=told["requests"],
            errors=told["status"] + told["socket"] + told["timeout"],
        )


@dataclass(frozen=True)
class Target:
    """What is put under load.

    Args:
        url: where photos are posted.
        bodies: files with the requests' bodies, sent in turn.
        headers: of each request.
    """

    url: str
    bodies: Sequence[Path]
    headers: Mapping[str, str]

    def load(self, connections: int, seconds: float, rate: float = 0) -> Load:
        """Run wrk.

        Args:
            connections: requests at a time.
            seconds: for how long; wrk counts in whole ones.
            rate: requests a second, as long as there are connections for them; 0 for as many as
                are answered.

        Raises:
            LoadError: there is no wrk, or it failed.
        """
        return self.watched(connections, seconds, lambda: 0, rate)[0]

    def watched(
        self, connections: int, seconds: float, look: Callable[[], int], rate: float = 0
    ) -> tuple[Load, int]:
        """Run wrk, and look at something, such as memory, when most of the time is over.

        Args:
            connections: see load; likewise seconds.
            seconds: see connections.
            look: its result is answered too.
            rate: see load.

        Raises:
            LoadError: there is no wrk, or it failed.
        """
        command = self.command(connections, math.ceil(seconds), rate)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as wrk:
            time.sleep(0.7 * seconds)
            seen = look()
            printed, _ = wrk.communicate()
        return Load.parse(printed.decode(errors="replace")), seen

    def command(self, connections: int, seconds: int, rate: float = 0) -> list[str]:
        """Wrk's command line.

        Raises:
            LoadError: there is no wrk.
        """
        wrk = shutil.which("wrk")
        if wrk is None:
            raise LoadError("there is no wrk: apt-get install wrk")
        options = ["--threads", "1", "--connections", str(connections)]
        options += ["--duration", f"{seconds}s", "--timeout", f"{TIMEOUT}s"]
        for name, value in self.headers.items():
            options += ["--header", f"{name}: {value}"]
        told = [str(rate), *map(str, self.bodies)]
        return [wrk, *options, "--script", str(SCRIPT), self.url, "--", *told]
