"""Checksums: a folder's SHA256SUMS, which `sha256sum --check SHA256SUMS` reads as well."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from hashstagram.errors import InvalidBundleError

CHECKSUMS = "SHA256SUMS"

_LINE = re.compile(r"([0-9a-f]{64}) [ *]([\w.-]+)")  # digest and the name of a file beside it


def sha256(path: Path) -> str:
    """A file's SHA-256, as sha256sum prints it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def format_checksums(digests: Mapping[str, str]) -> str:
    """Names with their digests to the text of SHA256SUMS."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))


def parse_checksums(text: str) -> dict[str, str]:
    """The text of SHA256SUMS to names with their digests.

    Raises:
        ValueError: a line is not a digest and the name of a file in the same folder.
    """
    lines = [_LINE.fullmatch(line) for line in text.splitlines()]
    if not all(lines):
        raise ValueError(f"line {lines.index(None) + 1} of {CHECKSUMS} is not 'digest  name'")
    return {line[2]: line[1] for line in lines if line}


def write_checksums(directory: Path, names: Iterable[str]) -> None:
    """Write SHA256SUMS for those of these files that are in the folder."""
    digests = {name: sha256(directory / name) for name in names if (directory / name).is_file()}
    (directory / CHECKSUMS).write_text(format_checksums(digests), encoding="utf-8")


def verify_checksums(directory: Path, files: Iterable[str]) -> None:
    """See that those of these files that are there are listed, and every listed one is as it was.

    Raises:
        InvalidBundleError: they are not; the message names the file.
    """
    try:
        digests = parse_checksums((directory / CHECKSUMS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise InvalidBundleError(f"{directory} has no {CHECKSUMS} to check it by: {err}") from err
    for name in files:
        if name not in digests and (directory / name).exists():
            raise InvalidBundleError(f"{name} is not in {CHECKSUMS} of {directory}")
    for name, digest in digests.items():
        if not (directory / name).is_file():
            raise InvalidBundleError(f"{directory} has no {name}: it is not a complete bundle")
        if sha256(directory / name) != digest:
            raise InvalidBundleError(
                f"{name} is not the file that {CHECKSUMS} of {directory} was made for: it was "
                "damaged or changed"
            )
