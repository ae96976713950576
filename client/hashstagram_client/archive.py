"""Archive: a .mar on its way into an instance, and the shelf that every start loads from."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from hashstagram_client.errors import ArchiveRefusedError

MANIFEST = "MAR-INF/MANIFEST.json"
CHECKSUMS = "SHA256SUMS"


@dataclass(frozen=True)
class Archive:
    """An archive that somebody vouches for.

    An archive is code. Who builds it with build_mar.sh, or trusts it for another reason, enters
    its SHA-256 into the SHA256SUMS beside it; the server's own start asks for the same.

    Args:
        path: the .mar.
        model: the name in its manifest, which its answers carry.
        version: likewise.
        sha256: as listed.
    """

    path: Path
    model: str
    version: str
    sha256: str

    @classmethod
    def read(cls, path: Path) -> "Archive":
        """Look into it.

        Raises:
            ArchiveRefusedError: it is no archive, or not listed with its hash.
        """
        try:
            with ZipFile(path) as packed:
                model = json.loads(packed.read(MANIFEST))["model"]
            found = cls(path, model["modelName"], model["modelVersion"], sha256(path))
        except (OSError, BadZipFile, ValueError, LookupError, TypeError) as err:
            raise ArchiveRefusedError(f"{path} is no archive: {err}") from err
        if listed(path.parent).get(path.name) != found.sha256:
            raise ArchiveRefusedError(
                f"{path.parent / CHECKSUMS} does not list {path.name} with its hash: build it with "
                "build_mar.sh, or, if it comes from where you trust, enter it with "
                "'python -m serving.archive --trust'"
            )
        return found

    @contextmanager
    def placed(self, store: Path) -> Iterator[str]:
        """Its name in an instance's store, where it lies as long as the context lasts.

        Raises:
            ArchiveRefusedError: it has changed since it was read.
        """
        place = store / f"{self.model}-{self.version}.mar"
        try:
            self.copy(place)
            yield place.name
        finally:
            place.unlink(missing_ok=True)

    def copy(self, target: Path) -> None:
        """Copy it, and see that the copy is what was vouched for.

        Raises:
            ArchiveRefusedError: it is not.
        """
        shutil.copyfile(self.path, target)
        if sha256(target) != self.sha256:
            target.unlink()
            raise ArchiveRefusedError(f"{self.path} has changed meanwhile")


@dataclass(frozen=True)
class Shelf:
    """What the instances of a server load when they start.

    Args:
        archive: in the model store; `make restart` and `make serve` take it from there.
        stores: of the instances; one that crashed starts again from its own.
    """

    archive: Path
    stores: Sequence[Path]

    @property
    def previous(self) -> Path:
        """What was loaded before the last `put`: the way back."""
        return self.archive.with_suffix(".previous.mar")

    def put(self, new: Archive) -> None:
        """From now on every start loads this archive; what was loaded until now is kept.

        Raises:
            ArchiveRefusedError: it has changed since it was read.
            OSError: the disk is full, say; then nothing has changed.
        """
        folder, now = self.archive.parent, self.stores[0] / self.archive.name
        places = [self.archive, *(store / self.archive.name for store in self.stores)]
        parts = {place: place.with_suffix(".part") for place in (self.previous, *places)}
        try:  # what may fail comes first: half of it would be loaded in one place and not in others
            shutil.copyfile(now, parts[self.previous])
            for place in places:
                new.copy(parts[place])
            entries = {self.archive.name: new.sha256, self.previous.name: sha256(now)}
            _list(folder, listed(folder) | entries)
        except BaseException:
            for part in parts.values():
                part.unlink(missing_ok=True)
            raise
        for place, part in parts.items():
            os.replace(part, place)


def sha256(path: Path) -> str:
    """A file's SHA-256, as sha256sum prints it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def listed(folder: Path) -> dict[str, str]:
    """The files in a folder's SHA256SUMS with their hashes."""
    try:
        lines = (folder / CHECKSUMS).read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = [line.split(maxsplit=1) for line in lines]
    return {pair[1].removeprefix("*"): pair[0] for pair in pairs if len(pair) == 2}


def _list(folder: Path, digests: dict[str, str]) -> None:
    part = folder / f"{CHECKSUMS}.part"
    lines = [f"{digest}  {name}\n" for name, digest in sorted(digests.items())]
    part.write_text("".join(lines), encoding="utf-8")
    os.replace(part, folder / CHECKSUMS)
