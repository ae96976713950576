"""Rollouts under load: versions that differ, clients that never retry, and what became of them."""

import json
import logging
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import cycle
from pathlib import Path
from threading import Event, Lock
from zipfile import ZipFile

from benchmarks.reliability.stage import ROOMY, photos
from benchmarks.repack import repack
from hashstagram_client import ClientError, HashtagClient, ManagementClient, RolloutFailedError
from serving.front import Front

logger = logging.getLogger(__name__)

Contents = dict[str, bytes]
PATIENCE = 60.0  # seconds, after which a caller counts as hung
ALIKE = 4  # of so many hashtags one is called otherwise in the version that agrees
NEW = "zz"  # what those begin with


@dataclass
class Callers:
    """What callers got while the model changed."""

    versions: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    mixed: int = 0
    longest: float = 0.0
    lock: Lock = field(default_factory=Lock)

    def note(self, version: str, pure: bool, seconds: float) -> None:
        """An answer: the version it names, and whether its hashtags are that version's."""
        with self.lock:
            self.versions[version] += 1
            self.mixed += not pure
            self.longest = max(self.longest, seconds)

    def lose(self, error: ClientError) -> None:
        """A call without an answer."""
        with self.lock:
            self.failures[f"{type(error).__name__}: {error}"] += 1

    def report(self, what: str) -> None:
        """Print it."""
        calls = sum(self.versions.values()) + sum(self.failures.values())
        print(
            f"{what}: {calls} requests, {sum(self.failures.values())} failed, "
            f"{sum('Deadline' in failure for failure in self.failures.elements())} hung, "
            f"{self.mixed} with another version's hashtags; longest {self.longest:.2f} s; "
            f"by version {dict(sorted(self.versions.items()))}"
        )
        for failure, count in self.failures.most_common(5):
            print(f"  {count} × {failure}")


def rollout(archive: Path, requests: int, clients: int) -> None:
    """Print what callers saw of versions that fail, of one that is rolled out, and the way back."""
    with tempfile.TemporaryDirectory(prefix="hashstagram-bench-") as folder:
        store = Path(folder, "store")
        store.mkdir()
        first = _version(archive, store / "hashtags.mar", "1.0", lambda contents: None)
        with _front(first, Path(folder)) as front, ManagementClient() as manager:
            for name, version, edit in (
                ("does not load", "3.0", _no_threads),
                ("disagrees", "4.0", lambda contents: _rename(contents, 1)),
            ):
                mar = _version(archive, store / f"{version}.mar", version, edit)
                _refused(front, manager, mar, name, clients)
            mar = _version(archive, store / "2.0.mar", "2.0", lambda c: _rename(c, ALIKE))
            _forth_and_back(front, manager, mar, requests, clients)


@contextmanager
def _front(archive: Path, folder: Path) -> Iterator[Front]:
    """The whole front, and we in the folder where its server file lies."""
    front = Front.start(
        archive, folder / "serve", limits=ROOMY, settings={"enable_model_api": "true"}
    )
    try:
        (folder / ".run").mkdir()
        (folder / ".run" / "server.json").write_text(json.dumps(front.to_json()))
        with chdir(folder):
            yield front
    finally:
        front.stop()


def _refused(front: Front, manager: ManagementClient, mar: Path, what: str, clients: int) -> None:
    def attempt() -> None:
        try:
            manager.rollout("hashtags", mar, smoke_photos=photos(), report=logger.info)
            print(f"A VERSION THAT {what.upper()} WAS ROLLED OUT")
        except RolloutFailedError as err:
            print(f"refused: {err}")

    with calling(front, clients) as callers:
        attempt()
    callers.report(f"a version that {what}")
    print(f"  the default is {_defaults(manager)}")


def _forth_and_back(
    front: Front, manager: ManagementClient, mar: Path, requests: int, clients: int
) -> None:
    with calling(front, clients) as callers:
        for change in (
            lambda: manager.rollout("hashtags", mar, smoke_photos=photos(), report=logger.info),
            lambda: manager.rollback(report=logger.info),
        ):
            done = change()
            print(f"{done.old} to {done.new} in {done.seconds:.0f} s; default {_defaults(manager)}")
        while sum(callers.versions.values()) < requests:
            time.sleep(0.5)
    callers.report("forth and back")


def _defaults(manager: ManagementClient) -> str:
    return " and ".join(v.version for v in manager.describe() if v.is_default)


@contextmanager
def calling(front: Front, clients: int) -> Iterator[Callers]:
    """Clients without retries that ask again and again as long as the context lasts."""
    callers, over, pictures = Callers(), Event(), photos()
    right = _tags(front, pictures)

    def call(number: int) -> None:
        turns = cycle(range(number, number + len(pictures)))
        with HashtagClient(front.url, timeout=PATIENCE, retries=0) as client:
            while not over.is_set():
                turn = next(turns) % len(pictures)
                started = time.monotonic()
                try:
                    answer = client.recommend(pictures[turn])
                except ClientError as err:
                    callers.lose(err)
                    continue
                tags = [hashtag.tag for hashtag in answer.hashtags]
                if answer.version != "1.0":
                    tags = [tag.removeprefix(NEW) for tag in tags]
                pure = tags == right[turn]
                callers.note(answer.version, pure, time.monotonic() - started)

    with ThreadPoolExecutor(clients) as pool:
        calls = [pool.submit(call, number) for number in range(clients)]
        try:
            yield callers
        finally:
            over.set()
        for ended in calls:
            ended.result()


def _tags(front: Front, pictures: list[bytes]) -> list[list[str]]:
    with HashtagClient(front.url) as client:
        answers = [client.recommend(picture) for picture in pictures]
    return [[hashtag.tag for hashtag in answer.hashtags] for answer in answers]


def _version(archive: Path, target: Path, version: str, edit: Callable[[Contents], None]) -> Path:
    """An archive with another version and some other content."""
    with ZipFile(archive) as packed:
        contents = {name: packed.read(name) for name in packed.namelist()}
    manifest = json.loads(contents["MAR-INF/MANIFEST.json"])
    manifest["model"]["modelVersion"] = version
    contents["MAR-INF/MANIFEST.json"] = json.dumps(manifest).encode()
    edit(contents)
    return repack(archive, target, contents)


def _no_threads(contents: Contents) -> None:
    """PyTorch refuses to run in less than one thread."""
    settings = contents["model-config.yaml"]
    contents["model-config.yaml"] = settings.replace(b"threads: 0", b"threads: -1")


def _rename(contents: Contents, every: int) -> None:
    """Call each so-manieth hashtag otherwise, and seal the bundle again."""
    name = "usage.json" if "usage.json" in contents else "index_to_name.json"
    held = json.loads(contents[name])
    if name == "usage.json":
        changed = {_other(tag, i, every): reasons for i, (tag, reasons) in enumerate(held.items())}
    else:
        changed = {i: _other(tag, int(i), every) for i, tag in held.items()}
    contents[name] = json.dumps(changed).encode()
    files = [line.split()[1] for line in contents["SHA256SUMS"].decode().splitlines()]
    sums = [f"{sha256(contents[file]).hexdigest()}  {file}\n" for file in files]
    contents["SHA256SUMS"] = "".join(sums).encode()


def _other(tag: str, index: int, every: int) -> str:
    return f"{NEW}{tag}" if index % every == 0 else tag
