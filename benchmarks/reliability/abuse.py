"""Abuse: connections that are slow, bodies that are too large, images that cost too much."""

import asyncio
import gzip
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.hostile_files import scan_bomb
from benchmarks.reliability.load import (
    Answer,
    address,
    beside,
    read_answer,
    steadily,
    summary,
    within,
)
from benchmarks.reliability.stage import memory, photos, stage
from serving.front import Front

NORMAL = 8  # clients that behave
ATTACKER = 200  # number of the address that abuse comes from
PAUSE = 10.0  # seconds between two bytes of a slow sender


def slowloris(archive: Path, seconds: float, connections: int) -> dict[str, Any]:
    """Slow headers and as many slow bodies, opened again when closed, beside normal clients."""
    with stage(archive) as front:
        return asyncio.run(_slowloris(front, seconds, connections))


async def _slowloris(front: Front, seconds: float, connections: int) -> dict[str, Any]:
    quiet = await _normal(front, seconds / 3)
    lives: dict[str, list[float]] = {"headers": [], "bodies": []}
    openings = {"headers": b"POST /predictions/x HTTP/1.1\r\nHost: x\r\nX-A: ", "bodies": _HEAD}
    slow = [
        _slow(front, openings[kind], lives[kind]) for kind in openings for _ in range(connections)
    ]
    async with beside(_all(slow)):
        await asyncio.sleep(2)
        beset = await _normal(front, seconds)
    return {
        "quiet": summary(quiet),
        "beset": summary(beset),
        "closed": {kind: len(times) for kind, times in lives.items()},
        "longest_s": {kind: round(max(times, default=0), 1) for kind, times in lives.items()},
    }


_HEAD = b"POST /predictions/hashtags HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"


async def _normal(front: Front, seconds: float) -> list[Answer]:
    return [a for _, a in await steadily(front.url, photos(), NORMAL, within(seconds))]


async def _all(work: list[Any]) -> None:
    await asyncio.gather(*work)


async def _slow(front: Front, opening: bytes, lives: list[float]) -> None:
    """One connection after the other, each fed a byte now and then until the front closes it."""
    while True:
        started = time.monotonic()
        with suppress(OSError):
            reader, writer = await _connect(front)
            writer.write(opening)
            waiting = asyncio.create_task(reader.read())  # until the front closes
            while not waiting.done():
                await asyncio.wait([waiting], timeout=PAUSE)
                writer.write(b"a")
            writer.close()
            await waiting
        lives.append(time.monotonic() - started)


async def _connect(front: Front) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(front.url)
    source = address(ATTACKER)
    local = (source, 0) if source else None
    return await asyncio.open_connection(parts.hostname, parts.port, local_addr=local)


def bodies(archive: Path, megabytes: int) -> dict[str, Any]:
    """Bodies far over the limit: with their length, in chunks without it, and a gzip bomb."""
    with stage(archive) as front:
        before = memory(front)
        sent = {kind: asyncio.run(_send(front, make())) for kind, make in _kinds(megabytes).items()}
        after = memory(front)
        growth = {name: after[name] - before.get(name, 0.0) for name in after}
        return {
            "answers": sent,
            "growth_mb": {name: round(grown, 1) for name, grown in growth.items()},
            "growth_of_all_mb": round(sum(growth.values()), 1),
            "files_left": sum(path.is_file() for path in Path(front.tmp).glob("*/*")),
        }


def _kinds(megabytes: int) -> dict[str, Callable[[], AsyncIterator[bytes]]]:
    return {
        "length": lambda: _with_length(megabytes),
        "chunked": lambda: _chunked(megabytes),
        "gzip": lambda: _gzip(megabytes),
    }


async def _with_length(megabytes: int) -> AsyncIterator[bytes]:
    yield _start(f"Content-Length: {megabytes << 20}")
    for _ in range(megabytes):
        yield bytes(1 << 20)


async def _chunked(megabytes: int) -> AsyncIterator[bytes]:
    yield _start("Transfer-Encoding: chunked")
    for _ in range(megabytes):
        yield b"100000\r\n" + bytes(1 << 20) + b"\r\n"
    yield b"0\r\n\r\n"


async def _gzip(megabytes: int) -> AsyncIterator[bytes]:
    """A thousand times as long when unpacked."""
    packed = gzip.compress(bytes(megabytes << 20))
    yield _start(f"Content-Encoding: gzip\r\nContent-Length: {len(packed)}")
    yield packed


def _start(headers: str) -> bytes:
    return f"POST /predictions/hashtags HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n".encode()


async def _send(front: Front, pieces: AsyncIterator[bytes]) -> dict[str, Any]:
    """Send until an answer comes; how much was taken until then."""
    reader, writer = await _connect(front)
    answer = asyncio.create_task(read_answer(reader))
    taken = 0
    with suppress(ConnectionError):
        async for piece in pieces:
            writer.write(piece)
            await writer.drain()
            taken += len(piece)
            if answer.done():
                break
    status, headers, body = await asyncio.wait_for(answer, 30)
    writer.close()
    json = headers.get("content-type") == "application/json"
    taken_mb = round(taken / 2**20, 1)
    return {"status": status, "json": json, "taken_mb": taken_mb, "body": body.decode()}


def bombs(archive: Path, seconds: float) -> dict[str, Any]:
    """Four JPEGs of thousands of scans, again and again, beside normal clients."""
    with stage(archive) as front:
        return asyncio.run(_bombs(front, seconds))


async def _bombs(front: Front, seconds: float) -> dict[str, Any]:
    quiet = await _normal(front, seconds)
    answers: list[tuple[int, Answer]] = []
    bomb = scan_bomb(4000, 7000)

    async def throw() -> None:
        while True:
            answers.extend(
                await steadily(front.url, [bomb], 4, lambda count: count >= 4, first=ATTACKER)
            )

    async with beside(throw()):
        beset = await _normal(front, seconds)
    return {
        "quiet": summary(quiet),
        "beset": summary(beset),
        "bombs": summary([answer for _, answer in answers]),
    }
