"""What a running server answers to hostile files, eight at a time.

Run: python -m benchmarks.hostile [--url URL] [--key KEY] [--json FILE]
The address and key are those of .run/server.json by default.
"""

import argparse
import json
import logging
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import requests

from benchmarks.hostile_files import Sample, good, hostile
from serving import server
from serving.front import Front

CLIENTS = 8
# An address in memory, a path, a traceback: nothing that a caller should learn.
LEAK = re.compile(
    r"0x[0-9a-f]{4,}|Traceback|(?<![\w<])/[a-z_]+/|\.py\b|site-packages", re.IGNORECASE
)


@dataclass(frozen=True)
class Outcome:
    """What one file got.

    Args:
        name: the file's.
        status: HTTP's, or 0 where the connection broke.
        seconds: until the answer was there.
        wrong: what is wrong with the answer; empty where nothing is.
    """

    name: str
    status: int
    seconds: float
    wrong: str = ""


def send(url: str, key: str, samples: Sequence[Sample]) -> list[Outcome]:
    """Each file to a server's /predictions/hashtags, CLIENTS at a time.

    Args:
        url: the server's base URL.
        key: the key for it, or an empty text where it needs none.
        samples: the files.
    """
    headers = {"Content-Type": "image/jpeg"} | ({"Authorization": f"Bearer {key}"} if key else {})

    def one(sample: Sample) -> Outcome:
        began = time.perf_counter()
        try:
            answer = requests.post(
                f"{url}/predictions/hashtags", data=sample.data, headers=headers, timeout=60
            )
        except requests.RequestException as err:
            return Outcome(sample.name, 0, time.perf_counter() - began, type(err).__name__)
        seconds = time.perf_counter() - began
        return Outcome(sample.name, answer.status_code, seconds, _fault(sample, answer))

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(one, samples))


def _fault(sample: Sample, answer: requests.Response) -> str:
    """What is wrong with an answer."""
    try:
        body = answer.json()
    except ValueError:
        return "no JSON"
    refused = 400 <= answer.status_code < 500
    allowed = {"4xx": refused, "200": answer.status_code == 200}
    if not allowed.get(sample.expected, any(allowed.values())):
        return f"{answer.status_code} instead of {sample.expected}"
    if refused and not {"code", "type", "message"} <= body.keys():
        return "an error without code, type or message"
    return "the message leaks" if refused and LEAK.search(answer.text) else ""


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Counts and times of all answers, and the wrong ones."""
    seconds = np.array([outcome.seconds for outcome in outcomes])
    statuses = Counter(outcome.status for outcome in outcomes)
    slowest = sorted(outcomes, key=lambda outcome: -outcome.seconds)[:5]
    return {
        "files": len(outcomes),
        "by_status": {str(status): count for status, count in sorted(statuses.items())},
        "5xx": sum(count for status, count in statuses.items() if status >= 500),
        "resets": statuses[0],
        "p50_seconds": round(float(np.quantile(seconds, 0.5)), 4),
        "p99_seconds": round(float(np.quantile(seconds, 0.99)), 4),
        "slowest": {outcome.name: round(outcome.seconds, 3) for outcome in slowest},
        "wrong": [asdict(outcome) for outcome in outcomes if outcome.wrong],
    }


def _workers() -> Callable[[], list[str]]:
    """A function that tells the running server's worker processes, none where it is not ours."""
    running = server.running()
    instances = running.instances if isinstance(running, Front) else (running,) if running else ()
    return lambda: sorted(w["pid"] for each in instances for w in each.describe()["workers"])


def main(argv: Sequence[str] | None = None) -> int:
    """Exit 0 when each answer was as it should be and no worker had to be restarted."""
    parser = argparse.ArgumentParser(description="Send hostile files to a running server.")
    parser.add_argument("--url", help="default: the running server's front, or its TorchServe")
    parser.add_argument("--key", default="", help="default: the running server's")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    url, key = (args.url, args.key) if args.url else _running()
    workers = _workers()
    samples, before = hostile(), workers()
    figures = summary(send(url, key, samples))
    figures["workers_restarted"] = before != workers() if before else None
    figures["good"] = summary(send(url, key, good()))
    text = json.dumps(figures, indent=2)
    print(text)
    if args.json:
        args.json.write_text(text + "\n")
    fine = not (figures["wrong"] or figures["good"]["wrong"] or figures["workers_restarted"])
    return 0 if fine else 1


def _running() -> tuple[str, str]:
    running = server.running()
    if isinstance(running, Front):
        return running.url, ""
    if running is None:
        raise SystemExit("nothing is running: make demo or make serve starts it")
    return running.inference, running.key("inference")


if __name__ == "__main__":
    sys.exit(main())
