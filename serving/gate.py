"""Gate: whether the front sends requests to an instance, and with which key.

A gate is a symbolic link that nginx follows anew for each request, so that opening, closing and
a new key need no reload of nginx, which would cut idle connections off. It leads to the folder
"closed", or to a folder whose name holds the instance's key.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

CLOSED = "closed"
OPEN = "open-"


@dataclass(frozen=True)
class Gate:
    """The gate of one instance.

    Args:
        folder: the instance's run folder, which only its owner may enter.
    """

    folder: Path

    @property
    def link(self) -> Path:
        """What nginx follows."""
        return self.folder / "gate"

    @property
    def _drained(self) -> Path:
        return self.folder / "drained"

    def open(self, key: str) -> None:
        """Let requests in, with this key, unless the instance is being drained."""
        self._lead_to(OPEN + key)
        if self.is_drained():  # looked at last: `drain` marks first and closes then
            self.close()

    def close(self) -> None:
        """Let no more requests in."""
        self._lead_to(CLOSED)

    def drain(self) -> None:
        """Close, and keep closed until `release`."""
        self._drained.touch()
        self.close()

    def release(self) -> None:
        """Allow opening again."""
        self._drained.unlink(missing_ok=True)

    def is_open(self) -> bool:
        """Whether requests come in."""
        return self._target() not in ("", CLOSED)

    def is_drained(self) -> bool:
        """Whether it must not be opened."""
        return self._drained.exists()

    def _target(self) -> str:
        try:
            return os.readlink(self.link)
        except OSError:
            return ""

    def _lead_to(self, target: str) -> None:
        """Put a new link in the old one's place: nginx finds the one or the other."""
        before = self._target()
        if before == target:
            return
        (self.folder / target).mkdir(exist_ok=True)
        part = self.folder / f"gate.{os.getpid()}"  # a drain and the watch may meet here
        part.unlink(missing_ok=True)
        part.symlink_to(target)
        part.replace(self.link)
        if before.startswith(OPEN):
            with suppress(OSError):
                (self.folder / before).rmdir()
