"""The command: python -m benchmarks.reliability WHAT [options]; --help lists both.

Each starts a front of its own on loopback, ends it, and ends by itself.
"""

import argparse
import json
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.reliability import abuse, faults, overload, soak
from serving.server import ARCHIVE


def run(args: argparse.Namespace) -> dict[str, Any]:
    """The figures of the subcommand."""
    match args.what:
        case "kill":
            return faults.kill(args.archive, args.seconds or 120, args.clients, args.every)
        case "curl":
            return faults.curl(args.archive, args.seconds or 60, args.clients)
        case "restart":
            return faults.restart(args.archive, args.requests or 2000, args.clients)
        case "overload":
            return overload.overload(args.archive, args.seconds or 60, args.times)
        case "slowloris":
            return abuse.slowloris(args.archive, args.seconds or 60, args.connections)
        case "bodies":
            return abuse.bodies(args.archive, args.megabytes)
        case "bombs":
            return abuse.bombs(args.archive, args.seconds or 20)
        case _:
            return soak.soak(args.archive, args.requests or 10_000)


def parser() -> argparse.ArgumentParser:
    """What may be said on the command line."""
    made = argparse.ArgumentParser(description="Measure what the front promises.")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--archive", type=Path, default=ARCHIVE, help="default: %(default)s")
    shared.add_argument("--seconds", type=float, help="how long")
    shared.add_argument("--requests", type=int, help="restart, soak: how many")
    shared.add_argument("--clients", type=int, default=50, help="default: %(default)s")
    shared.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    subcommands = made.add_subparsers(dest="what", required=True)

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return subcommands.add_parser(name, help=text, parents=[shared])

    every = "seconds between two kills; default: %(default)s"
    add("kill", "workers, then an instance; callers with our library").add_argument(
        "--every", type=float, default=5, help=every
    )
    add("curl", "an instance and a worker of nginx; callers without retries")
    add("restart", "both instances one by one; callers without retries")
    add("overload", "more requests than can be answered").add_argument(
        "--times", type=float, default=10, help="of the capacity; default: %(default)s"
    )
    add("slowloris", "slow headers and slow bodies beside normal clients").add_argument(
        "--connections", type=int, default=500, help="of each kind; default: %(default)s"
    )
    add("bodies", "bodies far too large").add_argument(
        "--megabytes", type=int, default=100, help="default: %(default)s"
    )
    add("bombs", "images that take seconds to decode, beside normal clients")
    add("soak", "thousands of requests, a tenth hostile")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures as JSON."""
    args = parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended too
    figures = {args.what: run(args)}
    text = json.dumps(figures, indent=2)
    if args.json:
        args.json.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
