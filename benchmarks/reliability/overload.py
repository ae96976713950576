"""Overload: ten times as many requests as the front can answer."""

import asyncio
from pathlib import Path
from typing import Any

from benchmarks.reliability.load import Answer, openly, percentile, steadily, summary, within
from benchmarks.reliability.stage import photos, stage
from serving.front import Front

CLIENTS = 32  # enough to keep both instances' batches full
ADDRESSES = 100  # where the overload comes from


def overload(archive: Path, seconds: float, times: float) -> dict[str, Any]:
    """Measure the capacity, then send `times` as much, then see whether all is well again."""
    with stage(archive) as front:
        return asyncio.run(_overload(front, seconds, times))


async def _overload(front: Front, seconds: float, times: float) -> dict[str, Any]:
    [photo, *_] = photos()
    await steadily(front.url, [photo], CLIENTS, within(min(5, seconds)))  # warm
    quiet = await steadily(front.url, [photo], CLIENTS, within(seconds / 4))
    capacity = _rate([a for _, a in quiet], seconds / 4)
    answers = await openly(front.url, photo, times * capacity, seconds, clients=ADDRESSES)
    after = await steadily(front.url, [photo], 1, within(2))
    excess = [a for a in answers if a.status in (429, 503)]
    rate = _rate(answers, seconds)
    return {
        "capacity_per_s": round(capacity, 1),
        "offered_per_s": round(times * capacity, 1),
        "good_per_s": round(rate, 1),
        "goodput": round(rate / capacity, 3),
        "excess": len(excess),
        "excess_without_retry_after": sum("retry-after" not in a.headers for a in excess),
        "excess_p50_s": round(percentile([a.seconds for a in excess], 0.5), 4),
        "excess_p99_s": round(percentile([a.seconds for a in excess], 0.99), 4),
        "all": summary(answers),
        "two_seconds_after": summary([a for _, a in after]),
    }


def _rate(answers: list[Answer], seconds: float) -> float:
    return sum(a.status == 200 for a in answers) / seconds
