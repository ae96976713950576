"""Setting: what a service is told when it starts; it travels in environment variables."""

import os
from dataclasses import dataclass, fields
from pathlib import Path

_PREFIX = "HASHSTAGRAM_PEER_"


@dataclass(frozen=True)
class Setting:
    """One start of a service.

    Args:
        bundle: the model.
        archive: the same, packed by build_mar.sh.
        folder: the service's own, for whatever it writes; removed when it has ended.
        port: on loopback.
        workers: processes, or what the server calls so, that answer at the same time.
        threads: of the network in each of them.
    """

    bundle: Path
    archive: Path
    folder: Path
    port: int
    workers: int
    threads: int

    @property
    def configuration(self) -> str:
        """Workers × threads, for tables."""
        return f"{self.workers}x{self.threads}"

    def environment(self) -> dict[str, str]:
        """The variables that `from_environment` reads."""
        return {_PREFIX + f.name.upper(): str(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_environment(cls) -> "Setting":
        """In the service's process.

        Raises:
            KeyError: nobody set the variables.
        """
        told = {f.name: os.environ[_PREFIX + f.name.upper()] for f in fields(cls)}
        bundle, archive, folder = (Path(told[name]) for name in ("bundle", "archive", "folder"))
        port, workers, threads = (int(told[name]) for name in ("port", "workers", "threads"))
        return cls(bundle, archive, folder, port, workers, threads)
