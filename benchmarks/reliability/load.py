"""Load: callers over plain sockets, without retries, from as many client addresses as wanted.

Addresses are those of loopback, 127.0.x.y: to the front each is another client. (Linux has them
all; elsewhere only 127.0.0.1.)
"""

import asyncio
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

TIMEOUT = 60.0  # seconds a caller waits for an answer


@dataclass(frozen=True)
class Answer:
    """What a caller got.

    Args:
        status: of the HTTP answer, or 0 where none came.
        seconds: from the first byte sent to the last received.
        headers: in lower case.
        body: all of it.
        failure: the exception's name where no answer came.
    """

    status: int
    seconds: float
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    failure: str = ""

    @property
    def tags(self) -> list[str]:
        """The hashtags, best first."""
        return [hashtag["tag"] for hashtag in json.loads(self.body)["hashtags"]]


class Caller:
    """One client with one kept connection, as browsers and libraries have.

    Args:
        url: base URL.
        number: which client address it calls from.
    """

    def __init__(self, url: str, number: int = 0) -> None:
        self.host, self.port = urlsplit(url).hostname, urlsplit(url).port
        self.source = address(number)
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, body: bytes, path: str = "/predictions/hashtags", **headers: str) -> Answer:
        """Post once; a connection that the server closed between two requests is made anew."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(TIMEOUT):
                status, got, text = await self._exchange(body, path, headers)
        except (OSError, ValueError, TimeoutError, EOFError) as err:
            self.close()
            return Answer(0, time.monotonic() - started, failure=type(err).__name__)
        return Answer(status, time.monotonic() - started, got, text)

    async def _exchange(
        self, body: bytes, path: str, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        if self.streams is None or self.streams[0].at_eof():
            self.close()
            self.streams = await asyncio.open_connection(
                self.host, self.port, local_addr=(self.source, 0) if self.source else None
            )
        reader, writer = self.streams
        lines = [f"POST {path} HTTP/1.1", f"Host: {self.host}", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()
        answer = await read_answer(reader)
        if answer[1].get("connection") == "close":
            self.close()
        return answer

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self.streams:
            self.streams[1].close()
        self.streams = None


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer with a Content-Length."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:-2])}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return int(head[0].split()[1]), headers, body


def address(number: int) -> str | None:
    """The loopback address of a client, or None where there is but one."""
    return f"127.0.{1 + number // 250}.{1 + number % 250}" if sys.platform == "linux" else None


async def steadily(
    url: str,
    photos: Sequence[bytes],
    clients: int,
    done: Callable[[int], bool],
    *,
    first: int = 0,
) -> list[tuple[int, Answer]]:
    """Clients that each ask again as soon as they have an answer.

    Args:
        url: base URL.
        photos: sent in turn.
        clients: how many at a time, each from an address of its own.
        done: told the number of answers so far, whether that is enough.
        first: number of the first client's address.

    Returns:
        For each answer the photo's index and the answer.
    """
    answers: list[tuple[int, Answer]] = []
    turn = itertools.cycle(range(len(photos)))

    async def client(number: int) -> None:
        caller = Caller(url, number)
        while not done(len(answers)):
            index = next(turn)
            answers.append((index, await caller.ask(photos[index])))
        caller.close()

    await asyncio.gather(*(client(first + number) for number in range(clients)))
    return answers


async def openly(
    url: str, photo: bytes, rate: float, seconds: float, *, clients: int
) -> list[Answer]:
    """Requests that come at a rate, whether those before were answered or not.

    Args:
        url: base URL.
        photo: what each sends.
        rate: requests a second.
        seconds: for how long.
        clients: how many addresses they come from.
    """
    tasks = []
    started = time.monotonic()
    for number in range(round(rate * seconds)):
        await asyncio.sleep(started + number / rate - time.monotonic())
        tasks.append(asyncio.create_task(_once(url, photo, number % clients)))
    return list(await asyncio.gather(*tasks))


async def _once(url: str, photo: bytes, number: int) -> Answer:
    caller = Caller(url, number)
    try:
        return await caller.ask(photo)
    finally:
        caller.close()


@asynccontextmanager
async def beside(work: Any) -> AsyncIterator["asyncio.Task[Any]"]:
    """Run a coroutine beside the body, and end it afterwards."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def within(seconds: float) -> Callable[[int], bool]:
    """Enough when the time is over."""
    end = time.monotonic() + seconds
    return lambda count: time.monotonic() > end


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of them does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def summary(answers: Sequence[Answer]) -> dict[str, Any]:
    """How many of each status, and how long they took."""
    seconds = [answer.seconds for answer in answers]
    statuses = Counter(str(answer.status or answer.failure) for answer in answers)
    return {
        "requests": len(answers),
        "answers": dict(sorted(statuses.items())),
        "p50_s": round(percentile(seconds, 0.5), 3),
        "p99_s": round(percentile(seconds, 0.99), 3),
        "max_s": round(max(seconds, default=0.0), 3),
    }
