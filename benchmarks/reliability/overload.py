"""Overload: ten times as many requests as the front can answer.

Nearly all of them come from wrk, which takes a tenth of a core for a thousand a second; a few among
them from callers who look at each answer.
"""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.peers.wrk import Target
from benchmarks.reliability.load import Answer, openly, percentile, steadily, summary, within
from benchmarks.reliability.stage import ROOMY, photos, stage
from serving.front import Front

CLIENTS = 32  # enough to keep both instances' batches full
CONNECTIONS = 400  # enough that some are free while as many requests wait as the front lets in
LOOKED_AT = 40  # answers a second
ADDRESSES = 100  # where these come from


def overload(archive: Path, seconds: float, times: float) -> dict[str, Any]:
    """Measure the capacity, then send `times` as much, then see whether all is well again."""
    photo = photos()[0]
    with stage(archive, ROOMY) as front, _target(front, photo) as target:
        return asyncio.run(_overload(front, target, photo, seconds, times))


@contextmanager
def _target(front: Front, photo: bytes) -> Iterator[Target]:
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        file.write(photo)
        file.flush()
        yield Target(f"{front.url}/predictions/{front.model}", [Path(file.name)], {})


async def _overload(
    front: Front, target: Target, photo: bytes, seconds: float, times: float
) -> dict[str, Any]:
    target.load(CLIENTS, min(5, seconds))  # warm
    capacity = target.load(CLIENTS, seconds / 4).requests_per_s
    offered = times * capacity
    load, answers = await asyncio.gather(
        asyncio.to_thread(target.load, CONNECTIONS, seconds, offered - LOOKED_AT),
        openly(front.url, photo, LOOKED_AT, seconds, clients=ADDRESSES),
    )
    after = await steadily(front.url, [photo], 1, within(2))
    excess = [a for a in answers if a.status in (429, 503)]
    good = load.requests_per_s + _rate(answers, seconds)
    return {
        "capacity_per_s": capacity,
        "offered_per_s": round(offered, 1),
        "sent_per_s": round(load.requests / seconds + LOOKED_AT, 1),
        "good_per_s": round(good, 1),
        "goodput": round(good / capacity, 3),
        "excess_without_retry_after": sum("retry-after" not in a.headers for a in excess),
        "excess_p50_s": round(percentile([a.seconds for a in excess], 0.5), 4),
        "excess_p99_s": round(percentile([a.seconds for a in excess], 0.99), 4),
        "looked_at": summary(answers),
        "two_seconds_after": summary([a for _, a in after]),
    }


def _rate(answers: list[Answer], seconds: float) -> float:
    return sum(a.status == 200 for a in answers) / seconds
