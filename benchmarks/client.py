"""How the client library does: against a server that fails, and on a slow line.

Run: python -m benchmarks.client faults --calls 10000
     python -m benchmarks.client shrink --photos DIR
     python -m benchmarks.client folder --photos DIR
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from benchmarks.faults import FaultyServer, digest, tag_of
from hashstagram_client import (
    ClientError,
    ConnectionFailedError,
    HashtagClient,
    UnsupportedPhotoError,
)

THREADS = 50
BROKEN = 10  # each tenth photo is no image


@dataclass(frozen=True)
class Call:
    """One call: whether it ended as it should, and seconds that it took."""

    right: bool
    seconds: float


def _photos(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield b"%s %d" % (b"photo" if number % BROKEN else b"broken", number)


def call(client: HashtagClient, photo: bytes) -> Call:
    """Ask for a photo's hashtag; what is no image has to be refused."""
    started = time.monotonic()
    try:
        answer = client.recommend(photo).hashtags[0].tag
        right = answer == tag_of(photo)
    except UnsupportedPhotoError:
        right = photo.startswith(b"broken")
    except ClientError:
        right = False
    return Call(right, time.monotonic() - started)


def faults(calls: int, share: float, timeout: float) -> None:
    """Print what became of many calls while a share of the answers fails."""
    with (
        FaultyServer(digest, share=share).running() as server,
        HashtagClient(server.url, timeout=timeout) as client,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        started = time.monotonic()
        results = list(pool.map(partial(call, client), _photos(calls)))
        seconds = time.monotonic() - started
    right = sum(result.right for result in results)
    longest = max(result.seconds for result in results)
    print(f"{calls} calls from {THREADS} threads, {share:.0%} faults, {seconds:.0f} s")
    print(f"right {100 * right / calls:.2f} % ({calls - right} wrong)")
    print(f"tries a call {sum(server.tries.values()) / calls:.3f}")
    print(f"longest call {longest:.2f} s, {max(0.0, longest - timeout):.2f} s past its deadline")
    print(f"4xx tried again {server.asked_again}")


def deadline(calls: int, timeout: float) -> None:
    """Print how far calls go past their deadline when no answer ever comes in whole."""

    def overrun(photo: bytes) -> float:
        started = time.monotonic()
        try:
            client.recommend(photo)
        except ConnectionFailedError:
            return time.monotonic() - started - timeout
        raise AssertionError("there was an answer")

    with (
        FaultyServer(digest, faults=["stall", "drip"], share=1).running() as server,
        HashtagClient(server.url, timeout=timeout) as client,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        late = max(pool.map(overrun, _photos(calls)))
    print(f"no whole answer: {calls} calls of {timeout:g} s end {late:.2f} s late at most")


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures of one benchmark."""
    parser = argparse.ArgumentParser(description="Measure the client library.")
    commands = parser.add_subparsers(dest="command", required=True)
    faulty = commands.add_parser("faults", help="against a server that fails")
    faulty.add_argument("--calls", type=int, default=10_000, help="default: %(default)s")
    faulty.add_argument("--share", type=float, default=0.2, help="of faults: %(default)s")
    faulty.add_argument("--timeout", type=float, default=30.0, help="seconds: %(default)s")
    args = parser.parse_args(argv)
    faults(args.calls, args.share, args.timeout)
    deadline(args.calls // 50, timeout=1.5)
    return 0


if __name__ == "__main__":
    sys.exit(main())
