"""How the client library does: against a server that fails, and on a slow line.

Run: python -m benchmarks.client faults --calls 10000
     python -m benchmarks.client shrink --photos DIR
     python -m benchmarks.client folder --photos DIR
     python -m benchmarks.client start
     python -m benchmarks.client rollout
     python -m benchmarks.client tokens
"""

import argparse
import json
import math
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from io import BytesIO
from itertools import islice
from pathlib import Path
from statistics import mean, median
from threading import Event

import numpy as np
import requests
from PIL import Image

from benchmarks.faults import FaultyServer, digest, tag_of
from benchmarks.reliability.stage import photos as sunsets
from benchmarks.rollout import rollout
from benchmarks.slow_line import SlowLine
from hashstagram_client import (
    ClientError,
    ConnectionFailedError,
    HashtagClient,
    UnsupportedPhotoError,
)
from serving.instance import ROOT, Instance

ARCHIVE = ROOT / "model_store" / "hashtags.mar"
PHONE = 12_000_000  # pixels
NOISE = 10  # grey levels, up and down
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


def phone_photo(path: Path, dice: np.random.Generator) -> bytes:
    """A photo enlarged to 12 megapixels with a sensor's noise, as a phone would store it."""
    with Image.open(path) as image:
        scale = math.sqrt(PHONE / (image.width * image.height))
        size = round(image.width * scale), round(image.height * scale)
        pixels = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC))
    noise = dice.integers(-NOISE, NOISE + 1, pixels.shape, np.int16)
    buffer = BytesIO()
    Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


@contextmanager
def served(**settings: str) -> Iterator[Instance]:
    """The archive of `make mar`, served as long as the context lasts."""
    with tempfile.TemporaryDirectory() as run:
        instance = Instance.start(ARCHIVE, Path(run, "torchserve"), settings=settings)
        try:
            yield instance
        finally:
            instance.stop()


def stability(instance: Instance, photos: Iterable[bytes]) -> None:
    """Print how many of a photo's five hashtags stay when it is made smaller."""
    key = instance.key("inference")
    with (
        HashtagClient(instance.inference, key, shrink=False) as whole,
        HashtagClient(instance.inference, key) as shrunk,
    ):
        kept = [len(_tags(whole, photo) & _tags(shrunk, photo)) for photo in photos]
    print(f"{len(kept)} photos of {PHONE / 1e6:g} megapixels: {mean(kept):.3f} of 5 hashtags stay")


def journeys(instance: Instance, photos: Sequence[bytes], megabits: float, shrink: bool) -> None:
    """Print what a call sends, and how long it takes, on a slow uplink."""
    key, seconds = instance.key("inference"), []
    with (
        SlowLine(instance.inference, megabits * 1e6).running() as line,
        HashtagClient(line.url, key, shrink=shrink, timeout=300) as client,
    ):
        for photo in photos:
            started = time.monotonic()
            client.recommend(photo)
            seconds.append(time.monotonic() - started)
    sent = line.sent / len(photos) / 1e3
    what = "made smaller" if shrink else "as they are"
    print(f"{what}: {sent:.0f} kB, {median(seconds):.2f} s a photo at {megabits:g} Mbit/s")


def _tags(client: HashtagClient, photo: bytes) -> set[str]:
    return {hashtag.tag for hashtag in client.recommend(photo).hashtags}


def plain_loop(instance: Instance, paths: Sequence[Path]) -> float:
    """Photos a second of the loop that everyone writes first."""
    url = f"{instance.inference}/predictions/hashtags"
    headers = {"Authorization": f"Bearer {instance.key('inference')}"}
    started = time.monotonic()
    for path in paths:
        requests.post(url, path.read_bytes(), headers=headers, timeout=30).raise_for_status()
    return len(paths) / (time.monotonic() - started)


def folder(instance: Instance, paths: Sequence[Path], output: Path) -> float:
    """Photos a second of recommend_many, stopped in the middle and started again."""
    started = time.monotonic()
    with HashtagClient(instance.inference, instance.key("inference")) as client:
        outcomes = client.recommend_many(paths, output=output)
        first = sum(1 for _ in islice(outcomes, len(paths) // 2))
        outcomes.close()
        rest = sum(1 for _ in client.recommend_many(paths, output=output))
    rows = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    errors = sum("error" in row for row in rows)
    print(f"{len(paths)} photos, stopped after {first}, then {rest} more")
    print(f"{len(rows) - errors} rows with hashtags, {errors} with an error")
    return len(paths) / (time.monotonic() - started)


def tokens(minutes: float, clients: int) -> None:
    """Print what callers beside the server notice of keys that live for one minute."""
    with served(token_expiration_min="1") as instance, tempfile.TemporaryDirectory() as folder:
        (Path(folder) / ".run").mkdir()
        state = {**asdict(instance), "front": None}
        (Path(folder) / ".run" / "server.json").write_text(json.dumps(state))
        keys, failures, over = set(), Counter[str](), Event()

        def ask(_: int) -> int:
            calls = 0
            while not over.is_set():
                try:
                    client.recommend(photo)
                except ClientError as err:
                    failures[f"{type(err).__name__}: {err}"] += 1
                calls += 1
            return calls

        photo, *_ = sunsets()
        with chdir(folder), HashtagClient(retries=0) as client, ThreadPoolExecutor(clients) as pool:
            calls = [pool.submit(ask, number) for number in range(clients)]
            end = time.monotonic() + 60 * minutes
            while time.monotonic() < end:
                keys.add(json.loads(Path(instance.key_file).read_text())["inference"]["key"])
                time.sleep(0.5)
            over.set()
            total = sum(call.result() for call in calls)
    print(f"{total} calls in {minutes:g} min, {len(keys)} keys, {sum(failures.values())} failed")
    for failure, count in failures.most_common(5):
        print(f"  {count} × {failure}")


def start(rounds: int = 11) -> None:
    """Print how long the import and the command's help take, each in fresh processes."""
    for what, arguments in {
        "python": ["-c", "pass"],
        "import hashstagram_client": ["-c", "import hashstagram_client"],
        "hashstagram --help": ["-m", "hashstagram_client.cli", "--help"],
    }.items():
        seconds = []
        for _ in range(rounds):
            started = time.monotonic()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.monotonic() - started)
        print(f"{what}: {1e3 * median(seconds):.0f} ms, best {1e3 * min(seconds):.0f} ms")


def measure_shrinking(instance: Instance, paths: Sequence[Path], args: argparse.Namespace) -> None:
    """Print what smaller photos change, and what they save."""
    dice = np.random.default_rng(0)
    stability(instance, (phone_photo(path, dice) for path in paths))
    timed = [phone_photo(path, dice) for path in paths[: args.timed]]
    for shrink in (False, True):
        journeys(instance, timed, args.megabits, shrink)


def measure_folder(instance: Instance, paths: Sequence[Path]) -> None:
    """Print the speeds of the plain loop, and of recommend_many with three broken photos more."""
    plain = plain_loop(instance, paths)
    with tempfile.TemporaryDirectory() as scratch:
        broken = [Path(scratch, f"{number}.jpg") for number in range(3)]
        for path in broken:
            path.write_bytes(b"broken")
        ours = folder(instance, [*broken[:1], *paths, *broken[1:]], Path(scratch, "tags.jsonl"))
    print(f"recommend_many {ours:.1f} photos/s, a loop of requests.post {plain:.1f} photos/s")


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures of one benchmark."""
    parser = argparse.ArgumentParser(description="Measure the client library.")
    commands = parser.add_subparsers(dest="command", required=True)
    faulty = commands.add_parser("faults", help="against a server that fails")
    faulty.add_argument("--calls", type=int, default=10_000, help="default: %(default)s")
    faulty.add_argument("--share", type=float, default=0.2, help="of faults: %(default)s")
    faulty.add_argument("--timeout", type=float, default=30.0, help="seconds: %(default)s")
    commands.add_parser("start", help="how long the import takes")
    change = commands.add_parser("rollout", help="a new version and the way back, under load")
    change.add_argument("--requests", type=int, default=2000, help="default: %(default)s")
    change.add_argument("--clients", type=int, default=16, help="default: %(default)s")
    expiry = commands.add_parser("tokens", help="keys that expire each minute, under load")
    expiry.add_argument("--minutes", type=float, default=5.0, help="default: %(default)s")
    expiry.add_argument("--clients", type=int, default=16, help="default: %(default)s")
    slow = commands.add_parser("shrink", help="what smaller photos change and save")
    slow.add_argument("--megabits", type=float, default=10.0, help="a second: %(default)s")
    slow.add_argument("--timed", type=int, default=10, help="photos sent slowly: %(default)s")
    many = commands.add_parser("folder", help="many photos at once")
    for command, count in ((slow, 200), (many, 997)):
        command.add_argument("--photos", type=Path, required=True, metavar="DIR")
        command.add_argument("--count", type=int, default=count, help="default: %(default)s")
    args = parser.parse_args(argv)
    if args.command == "faults":
        faults(args.calls, args.share, args.timeout)
        deadline(args.calls // 50, timeout=1.5)
        return 0
    if args.command == "start":
        start()
        return 0
    if args.command == "rollout":
        rollout(ARCHIVE, args.requests, args.clients)
        return 0
    if args.command == "tokens":
        tokens(args.minutes, args.clients)
        return 0
    paths = sorted(args.photos.rglob("*.jpg"))
    chosen = random.Random(0).sample(paths, min(args.count, len(paths)))
    with served() as instance:
        if args.command == "shrink":
            measure_shrinking(instance, chosen, args)
        else:
            measure_folder(instance, chosen)
    return 0


if __name__ == "__main__":
    sys.exit(main())
