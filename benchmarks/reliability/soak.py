"""Soak: thousands of requests, some hostile; what the processes hold must not grow."""

import asyncio
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks.hostile_files import hostile
from benchmarks.reliability.load import Answer, steadily, summary
from benchmarks.reliability.stage import ROOMY, photos, processes, stage
from serving.front import Front

CLIENTS = 8
THOUSAND = 1000


def soak(archive: Path, requests: int) -> dict[str, Any]:
    """Requests of which every tenth is hostile; figures of each process at each thousand."""
    with stage(archive, ROOMY) as front:
        records = [measure(front)]
        answers: list[tuple[bool, Answer]] = []
        bodies = mixed(photos(), [sample.data for sample in hostile()])
        for _ in range(max(1, requests // THOUSAND)):
            count = min(THOUSAND, requests)
            answers += asyncio.run(_some(front, bodies, count))
            records.append(measure(front))
        return {
            "good": summary([answer for bad, answer in answers if not bad]),
            "hostile": summary([answer for bad, answer in answers if bad]),
            "growth": growth(records),
            "each_thousand": records,
        }


def mixed(good: Sequence[bytes], hostile: Sequence[bytes]) -> list[bytes]:
    """One hostile among ten, as often as there are hostile ones."""
    nine = itertools.cycle(good)
    return [body for bad in hostile for body in (bad, *itertools.islice(nine, 9))]


async def _some(front: Front, bodies: list[bytes], count: int) -> list[tuple[bool, Answer]]:
    answers = await steadily(front.url, bodies, CLIENTS, lambda done: done >= count)
    return [(index % 10 == 0, answer) for index, answer in answers]


def measure(front: Front) -> dict[str, dict[str, float]]:
    """Megabytes, file handles and threads of each process."""
    return {name: _of(process) for name, process in processes(front).items()}


def _of(process: psutil.Process) -> dict[str, float]:
    with process.oneshot():
        rss = round(process.memory_info().rss / 2**20, 1)
        return {"rss_mb": rss, "fds": process.num_fds(), "threads": process.num_threads()}


def growth(records: Sequence[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """From the end of the first thousand to the end: megabytes a thousand; handles, threads."""
    first, last = records[min(1, len(records) - 2)], records[-1]
    thousands = max(1, len(records) - 2)
    return {
        name: {
            "rss_mb_per_1000": round((now["rss_mb"] - first[name]["rss_mb"]) / thousands, 2),
            "fds": now["fds"] - first[name]["fds"],
            "threads": now["threads"] - first[name]["threads"],
        }
        for name, now in last.items()
        if name in first
    }
