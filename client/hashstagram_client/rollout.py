"""Rollout: another version takes over while people use the server, or nothing changes."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from hashstagram_client.archive import Archive, Shelf
from hashstagram_client.drain import Drain
from hashstagram_client.errors import (
    ClientError,
    ConnectionFailedError,
    PhotoTooLargeError,
    RegistrationOffError,
    RolloutFailedError,
    UndecodablePhotoError,
    UnsupportedPhotoError,
)
from hashstagram_client.photo import name_of, to_bytes
from hashstagram_client.terms import Comparison, Rollout, Terms
from hashstagram_client.torchserve import TorchServe
from hashstagram_client.versions import ModelVersion

if TYPE_CHECKING:
    from hashstagram_client.photo import Photo

POLL = 0.5  # seconds
DEATHS = 3  # of each worker while it loads: then its version is one that does not load
DRAIN_LIMIT = 300.0  # seconds; somebody may ask for the old version by its number for ever
HEADROOM = 0.05  # seconds that a new version may always be slower: milliseconds are noise
STRAY = 1  # failed requests that prove nothing

Report = Callable[[str], None]


@dataclass
class Change:
    """From one version to another, in all instances of a server.

    Args:
        instances: of the server.
        archive: of the new version.
        old: the version that is the default now.
        terms: what the new one has to live up to.
        report: told each step.
    """

    instances: Sequence[TorchServe]
    archive: Archive
    old: str
    terms: Terms
    report: Report

    @property
    def model(self) -> str:
        """The model's name."""
        return self.archive.model

    @property
    def new(self) -> str:
        """The version to come."""
        return self.archive.version

    def run(self, shelf: Shelf, smoke_photos: Sequence["Photo"]) -> Rollout:
        """All of it, or, when something fails, nothing.

        Raises:
            RolloutFailedError: the old version is the default as before; the message says why.
        """
        started = time.monotonic()
        photos = self._answered(smoke_photos)
        with self._undone_on_failure():
            self._load()
            comparison = self._compare(photos) if photos else None
            drains = self._switch()
            requests, errors = self._watch(photos, drains)
            shelf.put(self.archive)
            self.report(f"{self.new} is what every start loads from now on")
        left = self._retire(drains)
        seconds = time.monotonic() - started
        return Rollout(
            self.model, self.old, self.new, comparison, requests, errors, tuple(left), seconds
        )

    @contextmanager
    def _undone_on_failure(self) -> Iterator[None]:
        try:
            yield
        except RegistrationOffError:  # nothing has been done yet
            raise
        except BaseException as err:
            self.report(f"going back to {self.old}: {str(err) or type(err).__name__}")
            left = self._undo()
            if not isinstance(err, ClientError | OSError):
                raise
            rest = f" {self.new} is still registered in {', '.join(left)}." if left else ""
            raise RolloutFailedError(
                f"{self.model} {self.new} was not rolled out, {self.old} serves as before: {err}"
                f"{rest}"
            ) from err

    def _answered(self, photos: Sequence["Photo"]) -> list[bytes]:
        """Those that the old version has an answer to; what it takes for no photo is left out.

        Raises:
            OSError: one cannot be read.
            RolloutFailedError: it fails at one, or takes all for none; nothing has been touched.
        """
        answered = []
        for number, photo in enumerate(photos, 1):
            name = name_of(photo) or f"smoke photo {number}"
            try:
                data = to_bytes(photo, shrink=True, download=_no_download)
                self._ask(self.instances[0], data, self.old)
            except (PhotoTooLargeError, UnsupportedPhotoError, UndecodablePhotoError) as err:
                self.report(f"{name} is left out: {err}")
            except ClientError as err:
                raise RolloutFailedError(f"{name}: {err}") from err
            else:
                answered.append(data)
        if photos and not answered:
            raise RolloutFailedError(f"{self.old} takes none of the smoke photos for a photo")
        return answered

    def _load(self) -> None:
        """Have all instances run the new version beside the old one, in as many workers."""
        for instance in self.instances:
            self.report(f"{instance.name}: loading {self.new}")
            workers = instance.default(self.model).wanted
            load(instance, self.archive, workers, self.terms.load_timeout)

    def _compare(self, photos: Sequence[bytes]) -> Comparison:
        """Ask both versions; in all instances the new one, which warms its workers up.

        Raises:
            RolloutFailedError: it does not live up to the terms.
        """
        for instance in self.instances:
            for photo in photos:
                self._ask(instance, photo, self.new)
        first = self.instances[0]
        olds = [self._ask(first, photo, self.old) for photo in photos]
        news = [self._ask(first, photo, self.new) for photo in photos]
        kept = [len(o[0] & n[0]) / max(1, len(o[0])) for o, n in zip(olds, news, strict=True)]
        found = Comparison(
            photos=len(photos),
            agreement=sum(kept) / len(kept),
            old_seconds=median(seconds for _, seconds in olds),
            new_seconds=median(seconds for _, seconds in news),
        )
        self.report(
            f"{found.photos} photos: {found.agreement:.0%} of the hashtags stay; "
            f"{found.new_seconds:.3f} s an answer, before {found.old_seconds:.3f} s"
        )
        if found.agreement < self.terms.agreement:
            raise RolloutFailedError(
                f"only {found.agreement:.0%} of {self.old}'s hashtags stay on the smoke photos, "
                f"{self.terms.agreement:.0%} were asked for"
            )
        if found.new_seconds > found.old_seconds * self.terms.slowdown + HEADROOM:
            raise RolloutFailedError(
                f"it takes {found.new_seconds:.3f} s a photo, {self.old} {found.old_seconds:.3f} s"
            )
        return found

    def _ask(self, instance: TorchServe, photo: bytes, version: str) -> tuple[set[str], float]:
        """A version's hashtags for a photo, and the seconds that they took."""
        started = time.monotonic()
        answer = instance.recommend(photo, self.model, version)
        return {hashtag.tag for hashtag in answer.hashtags}, time.monotonic() - started

    def _switch(self) -> list[Drain]:
        """Make the new version the default everywhere; the old one drains from now on."""
        for instance in self.instances:
            instance.set_default(self.model, self.new)
        self.report(f"{self.new} is the default, and watched for {self.terms.watch:g} s")
        return [Drain(instance, self.model, self.old) for instance in self.instances]

    def _watch(self, photos: Sequence[bytes], drains: Sequence[Drain]) -> tuple[int, int]:
        """Requests, and failed ones among them, while the new version is new.

        Raises:
            RolloutFailedError: too many fail, or an instance has lost the new version.
        """
        before = self._counts()
        end = time.monotonic() + self.terms.watch
        while True:
            for instance in self.instances:
                self._see_that_it_serves(instance)
                for photo in photos[:1]:  # there may be no other callers
                    instance.recommend(photo, self.model)
            requests, errors = (
                now - then for now, then in zip(self._counts(), before, strict=True)
            )
            if errors > STRAY and errors > self.terms.error_rate * requests:
                raise RolloutFailedError(f"{errors} of {requests} requests failed (5xx)")
            for drain in drains:
                drain.is_over()
            if time.monotonic() > end:
                return requests, errors
            time.sleep(POLL)

    def _see_that_it_serves(self, instance: TorchServe) -> None:
        default = instance.default(self.model)
        if default.version != self.new:
            raise RolloutFailedError(f"{instance.name} was restarted meanwhile")
        if not any(worker.ready for worker in default.workers):
            raise RolloutFailedError(f"{instance.name} has no worker of {self.new} left")

    def _counts(self) -> tuple[int, int]:
        requests, errors = zip(*(instance.counts() for instance in self.instances), strict=True)
        return sum(requests), sum(errors)

    def _retire(self, drains: Sequence[Drain]) -> list[str]:
        """Unregister what has drained; the names of instances where it never did."""
        self.report(f"waiting until {drains[0].version} has nothing queued or in flight")
        return [d.instance.name for d in drains if not unregister_when_drained(d, DRAIN_LIMIT)]

    def _undo(self) -> list[str]:
        """Back to the old version; the names of instances where the new one had to stay."""
        switched, left = [], []
        for instance in self.instances:
            try:
                found = instance.version(self.model, self.new)
                if found and found.is_default:
                    instance.set_default(self.model, self.old)
                    switched.append(Drain(instance, self.model, self.new))
                elif found:  # only our own smoke photos went there
                    instance.unregister(self.model, self.new)
            except ClientError as err:  # away; it starts again with the old one
                self.report(f"{instance.name}: {err}")
        for drain in switched:
            try:
                gone = unregister_when_drained(drain, DRAIN_LIMIT)
            except ClientError:
                gone = False
            if not gone:
                left.append(drain.instance.name)
        return left


def check_start(instances: Sequence[TorchServe], archive: Archive) -> str:
    """The version that all instances have as their default, when another one may follow.

    Raises:
        RolloutFailedError: the instances differ, or the new version is there already.
    """
    versions = [v for instance in instances for v in instance.versions(archive.model)]
    defaults = {version.version for version in versions if version.is_default}
    if len(defaults) > 1:
        raise RolloutFailedError(
            f"the instances serve different versions, {' and '.join(sorted(defaults))}: "
            "'make restart' gives all of them what is in the model store"
        )
    if archive.version in defaults:
        raise RolloutFailedError(
            f"{archive.model} {archive.version} is being served already. Build the new archive "
            "with another version: ./build_mar.sh BUNDLE NAME VERSION"
        )
    there = [version.instance for version in versions if version.version == archive.version]
    if there:
        raise RolloutFailedError(
            f"{archive.version} is registered already in {' and '.join(there)}: another rollout "
            "is under way, or one was cut off. Then remove it first: "
            f"hashstagram models unregister {archive.model} {archive.version}"
        )
    return defaults.pop()


def load(instance: TorchServe, archive: Archive, workers: int, timeout: float) -> ModelVersion:
    """Register an archive, and wait until so many of its workers are ready.

    Raises:
        RegistrationOffError: the server registers none.
        RolloutFailedError: its workers die while they load, or take too long; it is removed again.
    """
    if instance.store is None:
        raise RolloutFailedError("archives can only be placed beside the server")
    with archive.placed(instance.store) as name:
        instance.register(archive.model, name)
    try:
        ready = _ready(instance, archive, 1, timeout)
        if workers > 1:  # one first: to load is hard work, and others use the machine
            instance.scale(archive.model, archive.version, workers)
            ready = _ready(instance, archive, workers, timeout)
        return ready
    except RolloutFailedError:
        if instance.version(archive.model, archive.version):
            instance.unregister(archive.model, archive.version)
        raise


def _ready(instance: TorchServe, archive: Archive, workers: int, timeout: float) -> ModelVersion:
    """Wait until it is; TorchServe starts a worker that dies while it loads again and again."""
    deadline = time.monotonic() + timeout
    pids: set[int] = set()
    while True:
        found = instance.version(archive.model, archive.version)
        if found and found.ready and len(found.workers) >= workers:
            return found
        pids |= {w.pid for w in found.workers if w.pid and not w.ready} if found else set()
        if found is None or len(pids) > (DEATHS - 1) * workers:
            raise RolloutFailedError(f"it does not load in {instance.name}{_reason(instance)}")
        if time.monotonic() > deadline:
            raise RolloutFailedError(
                f"it is not ready in {instance.name} after {timeout:g} s{_reason(instance)}"
            )
        time.sleep(POLL)


def unregister_when_drained(drain: Drain, limit: float) -> bool:
    """Remove a version as soon as nobody waits for it; whether that was within the limit.

    Args:
        drain: of the version.
        limit: seconds.
    """
    deadline = time.monotonic() + limit
    while not _is_over(drain):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    if drain.instance.version(drain.model, drain.version):
        drain.instance.unregister(drain.model, drain.version)
    return True


def _is_over(drain: Drain) -> bool:
    try:
        return drain.is_over()
    except ConnectionFailedError:  # it starts again
        return False


def _reason(instance: TorchServe) -> str:
    """The last error that a worker wrote, and where there is more."""
    log = (instance.folder or Path()) / "logs" / "worker.log"
    try:
        lines = log.read_text("utf-8", errors="replace").splitlines()[-200:]
    except OSError:
        return ""
    errors = [line for line in lines if "Error: " in line]
    told = f": {_message(errors[-1])}" if errors else ""
    return f"{told} (see {log})"


def _message(line: str) -> str:
    """What comes after the first exception's name, in a log of JSON lines."""
    return re.split(r'"|\\n', line.partition("Error: ")[2])[0].strip()


def _no_download(url: str) -> bytes:
    raise RolloutFailedError("smoke photos have to lie on this machine")
