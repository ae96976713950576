"""Faults: workers and instances killed, and instances restarted, under load."""

import asyncio
import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.reliability.load import Answer, percentile, steadily, summary, within
from benchmarks.reliability.stage import ROOMY, photos, right_tags, stage, workers
from hashstagram_client import ClientError, HashtagClient
from serving.front import NAMES, Front


@dataclass
class Ledger:
    """What callers with our library got."""

    right: int = 0
    wrong: int = 0
    lost: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, seconds: float, right: bool | None, failure: str = "") -> None:
        """One call: its answer was right or wrong, or None came."""
        with self.lock:
            self.seconds.append(seconds)
            self.right += right is True
            self.wrong += right is False
            if right is None:
                self.lost.append(failure)

    def report(self) -> dict[str, Any]:
        """The figures."""
        return {
            "calls": len(self.seconds),
            "right": self.right,
            "wrong": self.wrong,
            "lost": len(self.lost),
            "losses": sorted(set(self.lost))[:5],
            "p50_s": round(percentile(self.seconds, 0.5), 3),
            "p99_s": round(percentile(self.seconds, 0.99), 3),
            "max_s": round(max(self.seconds, default=0), 3),
        }


def kill(archive: Path, seconds: float, clients: int, every: float) -> dict[str, Any]:
    """Kill -9 a worker now and then, and once a whole instance, under callers with our library."""
    with stage(archive, ROOMY) as front:
        pictures = photos()
        right = right_tags(front, pictures)
        ledger = Ledger()
        end = time.monotonic() + seconds
        with ThreadPoolExecutor(clients) as pool:
            for number in range(clients):
                pool.submit(_call_until, end, front.url, pictures, right, ledger, number)
            killed = _kill_workers(front, end, every)
        whole = Ledger()
        end = time.monotonic() + min(seconds, 30)
        with ThreadPoolExecutor(clients) as pool:
            for number in range(clients):
                pool.submit(_call_until, end, front.url, pictures, right, whole, number)
            time.sleep(min(seconds, 30) / 4)
            os.kill(front.pid(NAMES[0]), signal.SIGKILL)
        return {
            "workers": {"killed": killed, **ledger.report()},
            "instance": {"killed": 1, **whole.report()},
        }


def _call_until(
    end: float, url: str, pictures: list[bytes], right: list[list[str]], to: Ledger, number: int
) -> None:
    with HashtagClient(url, timeout=60) as client:
        turn = number
        while time.monotonic() < end:
            turn = (turn + 1) % len(pictures)
            started = time.monotonic()
            try:
                answer = client.recommend(pictures[turn])
            except ClientError as err:
                to.note(time.monotonic() - started, None, f"{type(err).__name__}: {err}")
            else:
                tags = [hashtag.tag for hashtag in answer.hashtags]
                to.note(time.monotonic() - started, tags == right[turn])


def _kill_workers(front: Front, end: float, every: float) -> int:
    dice = random.Random(1)
    killed = 0
    while time.monotonic() + every < end:
        time.sleep(every)
        alive = workers(front)
        if alive:
            try:
                dice.choice(alive).kill()
                killed += 1
            except psutil.NoSuchProcess:
                continue
    return killed


def restart(archive: Path, requests: int, clients: int) -> dict[str, Any]:
    """Restart both instances one by one under callers that never retry."""
    with stage(archive, ROOMY) as front:
        pictures = photos()
        right = right_tags(front, pictures)
        return asyncio.run(_restart(front, pictures, right, requests, clients))


async def _restart(
    front: Front, pictures: list[bytes], right: list[list[str]], requests: int, clients: int
) -> dict[str, Any]:
    rolling = asyncio.create_task(asyncio.to_thread(front.restart))
    started = time.monotonic()
    answers = await steadily(
        front.url, pictures, clients, lambda count: rolling.done() and count >= requests
    )
    await rolling
    wrong = sum(a.status == 200 and a.tags != right[index] for index, a in answers)
    failed = [a for _, a in answers if a.status != 200]
    return {
        **summary([a for _, a in answers]),
        "failed": len(failed),
        "wrong": wrong,
        "seconds": round(time.monotonic() - started, 1),
    }


def curl(archive: Path, seconds: float, clients: int) -> dict[str, Any]:
    """Kill an instance and a worker of nginx under callers that know nothing of retries."""
    with stage(archive, ROOMY) as front:
        return asyncio.run(_curl(front, seconds, clients))


async def _curl(front: Front, seconds: float, clients: int) -> dict[str, Any]:
    async def deeds() -> None:
        await asyncio.sleep(seconds / 4)
        os.kill(front.pid(NAMES[1]), signal.SIGKILL)
        await asyncio.sleep(seconds / 4)
        psutil.Process(front.pid("nginx")).children()[0].kill()

    deed = asyncio.create_task(deeds())
    answers = [a for _, a in await steadily(front.url, photos(), clients, within(seconds))]
    await deed
    return summary(answers) | {"unasked": len([a for a in answers if not _is_allowed(a)])}


def _is_allowed(answer: Answer) -> bool:
    """Good, or such that a caller knows to try again; nginx's own death cuts connections."""
    retry = answer.status in (502, 503) and "retry-after" in answer.headers
    return answer.status == 200 or retry
