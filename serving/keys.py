"""Keys: the callers' API keys of the front, in a file of hashes that nginx reads for each request.

Run: python -m serving.keys add NAME | remove NAME | list
"""

import argparse
import base64
import hashlib
import logging
import os
import re
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from serving.instance import RUN

FILE = RUN / "keys"

logger = logging.getLogger(__name__)


class KeyNameError(ValueError):
    """The name is taken, unknown or of a wrong form; the message says which."""


@dataclass(frozen=True)
class Keys:
    """The keys in a file of lines NAME:HASH.

    Args:
        file: made by the first `add` or by `create`, for its owner only.
    """

    file: Path

    def create(self) -> None:
        """Make the file where there is none: nobody has a key then."""
        if not self.file.exists():
            self._write({})

    def names(self) -> list[str]:
        """Who has a key."""
        return list(self._read())

    def add(self, name: str) -> str:
        """A new key; it is good at once, and can never be shown again.

        Raises:
            KeyNameError: the name has a key already, or holds other than letters, digits, . _ -.
        """
        hashes = self._read()
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
            raise KeyNameError(f"{name!r}: a name may hold letters, digits, '.', '_' and '-' only")
        if name in hashes:
            raise KeyNameError(f"{name} has a key: remove it first, or add another name")
        secret = secrets.token_urlsafe(32)
        self._write(hashes | {name: _hash(secret)})
        return base64.b64encode(f"{name}:{secret}".encode()).decode()

    def remove(self, name: str) -> None:
        """End a key at once.

        Raises:
            KeyNameError: nobody of that name has one.
        """
        hashes = self._read()
        if name not in hashes:
            raise KeyNameError(f"{name} has no key")
        self._write({other: held for other, held in hashes.items() if other != name})

    def _read(self) -> dict[str, str]:
        try:
            lines = self.file.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return {}
        return dict(line.split(":", 1) for line in lines)

    def _write(self, hashes: dict[str, str]) -> None:
        """Put a new file in the old one's place: nginx never reads half of one."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        part = self.file.with_suffix(".part")
        part.unlink(missing_ok=True)
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.writelines(f"{name}:{held}\n" for name, held in hashes.items())
        part.replace(self.file)


def _hash(secret: str) -> str:
    """A salted SHA-1, of the forms that nginx knows the one that costs it microseconds.

    A slow hash guards passwords, which can be guessed. Of 256 random bits nobody guesses any,
    and SHA-1's weakness, two texts made to have the same hash, is of no use here.
    """
    salt = secrets.token_bytes(8)
    digest = hashlib.sha1(secret.encode() + salt).digest()
    return "{SSHA}" + base64.b64encode(digest + salt).decode()


def main(argv: Sequence[str] | None = None) -> int:
    """Make, end or list keys; those of a running front too."""
    parser = argparse.ArgumentParser(description="API keys of the front's callers.")
    parser.add_argument("--file", type=Path, default=FILE, help="default: %(default)s")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("list", help="print the names that have a key")
    for action, text in (("add", "print a new key, once"), ("remove", "end a key")):
        actions.add_parser(action, help=text).add_argument("name")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    keys = Keys(args.file)
    try:
        if args.action == "list":
            print(*keys.names(), sep="\n")
        elif args.action == "add":
            print(keys.add(args.name))
        else:
            keys.remove(args.name)
    except KeyNameError as err:
        logger.error("keys: %s", err)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
