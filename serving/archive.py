"""Archive: what a .mar may hold, checked before TorchServe unpacks and runs it.

Run: python -m serving.archive [--trust] FILE.mar
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import yaml

from hashstagram.checksums import CHECKSUMS, format_checksums, parse_checksums, sha256

MANIFEST = "MAR-INF/MANIFEST.json"
SETTINGS = "model-config.yaml"
HANDLER = "hashtag_handler.py"

# The handler's code, TorchServe's two files, and a bundle. So no pickles in any disguise, no
# requirements.txt for pip, and no way out of the folder that the archive is unpacked into.
_DATA = (".json", ".safetensors", ".xml", ".bin")  # of a bundle; graph.bin is nothing but weights
_ALLOWED = re.compile(
    "|".join(map(re.escape, (MANIFEST, SETTINGS, CHECKSUMS)))
    + r"|(hashstagram/)?\w+\.py|\w+\.(json|safetensors)|graph\.(xml|bin)",
    re.ASCII,
)

# What TorchServe 0.12 reads as whole numbers; it passes over values of any other type in silence,
# and takes 0 for unset.
_NUMBERS = {
    *("minWorkers", "maxWorkers", "batchSize", "maxBatchDelay", "responseTimeout"),
    *("startupTimeout", "maxRetryTimeoutInSec", "jobQueueSize"),
}

# What a file raises that is no zip file, or whose JSON or YAML is none or of another shape.
_MALFORMED = (
    *(OSError, BadZipFile, yaml.YAMLError),
    *(ValueError, TypeError, LookupError, AttributeError),
)


class ArchiveError(RuntimeError):
    """An archive is not one to serve; the message says why, and what to do."""


def check_archive(path: Path) -> None:
    """See that an archive is sound, and one that this store's operator trusts.

    An archive is code, and no look into it tells whether it is harmless. So whoever builds it, or
    has another reason to trust it, enters its hash into SHA256SUMS beside it.

    Raises:
        ArchiveError: it is not.
    """
    check_contents(path)
    listed = _listed(path.parent)
    if listed.get(path.name) != sha256(path):
        wrong = "another hash than" if path.name in listed else "no hash of"
        raise ArchiveError(
            f"{path.parent / CHECKSUMS} has {wrong} {path.name}: build it with build_mar.sh, or, "
            f"if it comes from where you trust, enter it with 'python -m serving.archive --trust'"
        )


def admit(path: Path, store: Path) -> None:
    """Put an archive into the folder that TorchServe takes archives from, if it is one to serve.

    What is not in that folder cannot be registered, whatever key somebody holds.

    Raises:
        ArchiveError: it is not.
    """
    check_archive(path)
    store.mkdir(mode=0o700, exist_ok=True)
    part = store / f"{path.name}.part"
    part.unlink(missing_ok=True)
    try:
        os.link(path, part)
    except OSError:  # another file system
        shutil.copyfile(path, part)
    os.replace(part, store / path.name)


def trust(path: Path) -> None:
    """Enter a sound archive's hash into the SHA256SUMS beside it.

    Raises:
        ArchiveError: it is not sound.
    """
    check_contents(path)
    sums = path.parent / CHECKSUMS
    part = sums.with_suffix(".part")
    text = format_checksums(_listed(path.parent) | {path.name: sha256(path)})
    part.write_text(text, encoding="utf-8")
    os.replace(part, sums)


def check_contents(path: Path) -> None:
    """See that an archive holds what build_mar.sh puts in, whole, and nothing else.

    Raises:
        ArchiveError: it does not.
    """
    try:
        with path.open("rb") as file, ZipFile(file) as archive:
            _check_entries(file, archive)
            _check_manifest(json.loads(archive.read(MANIFEST)))
            _check_settings(yaml.safe_load(archive.read(SETTINGS)))
            _check_bundle(archive)
    except ArchiveError as err:
        raise ArchiveError(f"{path.name} is refused: {err}") from err
    except _MALFORMED as err:
        raise ArchiveError(f"{path.name} is refused: it is no whole archive: {err}") from err


def _listed(store: Path) -> dict[str, str]:
    sums = store / CHECKSUMS
    try:
        return parse_checksums(sums.read_text(encoding="utf-8")) if sums.exists() else {}
    except (OSError, ValueError) as err:
        raise ArchiveError(f"{sums} cannot be read: {err}") from err


def _check_entries(file: BinaryIO, archive: ZipFile) -> None:
    """Names from the list, each once, plain files, and nothing between them.

    TorchServe reads an archive from its first byte on and never sees the directory at its end: an
    entry that the directory leaves out or describes otherwise would be unpacked all the same.
    """
    end = 0
    for entry in archive.infolist():
        if not _ALLOWED.fullmatch(entry.orig_filename):
            raise ArchiveError(f"only handler, settings and bundle go in, not {entry.filename!r}")
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
            raise ArchiveError(f"{entry.filename} is not a plain file")
        if entry.compress_type != ZIP_STORED or entry.flag_bits:
            raise ArchiveError(f"{entry.filename} is not stored as build_mar.sh stores it")
        entry.extra = b""  # the directory's own; FileHeader adds what the entry itself has
        header = entry.FileHeader(zip64=True)
        file.seek(end)
        if entry.header_offset != end or file.read(len(header)) != header:
            raise ArchiveError(f"something is hidden before or in {entry.filename}")
        end += len(header) + entry.compress_size
    if archive.start_dir != end:
        raise ArchiveError("something is hidden behind its last file")
    if len(set(archive.namelist())) < len(archive.namelist()):
        raise ArchiveError("it holds two files of one name")


def _check_manifest(manifest: dict[str, Any]) -> None:
    """Our handler and settings: a manifest could name others, or requirements for pip."""
    model = manifest["model"]
    told = (manifest["runtime"], model.get("handler"), model.get("configFile"), len(model))
    if told != ("python", HANDLER, SETTINGS, 4):  # with the model's name and version
        raise ArchiveError(f"{MANIFEST} is not as build_mar.sh writes it")


def _check_settings(settings: dict[str, Any]) -> None:
    """TorchServe will heed all of model-config.yaml: it never says what it passes over."""
    for name, value in settings.items():
        if name in _NUMBERS:
            if type(value) is not int or value < 1:
                raise ArchiveError(f"{name} in {SETTINGS} is a whole number from 1, not {value!r}")
        elif name == "deviceType":
            if value not in ("cpu", "gpu"):
                raise ArchiveError(f"{name} in {SETTINGS} is cpu or gpu, not {value!r}")
        elif name not in ("handler", "deviceIds"):
            raise ArchiveError(f"{SETTINGS} has a setting {name} that we do not use")


def _check_bundle(archive: ZipFile) -> None:
    """Every file of the bundle is listed in its SHA256SUMS, and is what it was and says it is."""
    digests = parse_checksums(archive.read(CHECKSUMS).decode())
    held = {name for name in archive.namelist() if name.endswith(_DATA)}
    if held - {MANIFEST} != digests.keys():
        raise ArchiveError(f"its {CHECKSUMS} lists other files than it holds")
    for name, digest in digests.items():
        with archive.open(name) as file:
            found = hashlib.file_digest(file, "sha256")  # type: ignore[arg-type]  # IO has readinto
            if found.hexdigest() != digest:
                raise ArchiveError(f"{name} is not the file that {CHECKSUMS} was made for")
            file.seek(0)
            _check_format(name, file.read(9))


def _check_format(name: str, start: bytes) -> None:
    """JSON begins with a brace, safetensors with the length of such JSON; a pickle with neither.

    The numbers of graph.bin begin with anything; OpenVINO takes them for nothing else.
    """
    begins = {
        ".json": start[:1] == b"{",
        ".safetensors": start[8:] == b"{",
        ".xml": start[:5] == b"<?xml",
    }
    if not begins.get(Path(name).suffix, True):
        raise ArchiveError(f"{name} is not what its name says")


def main(argv: Sequence[str] | None = None) -> int:
    """Check one archive; exit 1 with the reason on stderr when it is not one to serve."""
    parser = argparse.ArgumentParser(description="Check a TorchServe archive before it is served.")
    parser.add_argument("archive", type=Path, metavar="FILE.mar")
    parser.add_argument("--trust", action="store_true", help=f"enter it into {CHECKSUMS} beside it")
    args = parser.parse_args(argv)
    try:
        (trust if args.trust else check_archive)(args.archive)
    except ArchiveError as err:
        print(err, file=sys.stderr)
        return 1
    print(f"{args.archive} is sound")
    return 0


if __name__ == "__main__":
    sys.exit(main())
