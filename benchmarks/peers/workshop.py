"""Workshop: each peer's packages in a virtual environment of its own, below .peers.

PyTorch and whatever else the project has installed already is taken from there.
"""

import logging
import subprocess
import sys
import sysconfig
from pathlib import Path

from benchmarks.peers.catalogue import Peer
from serving.instance import ROOT

FOLDER = ROOT / ".peers"

logger = logging.getLogger(__name__)


class InstallError(RuntimeError):
    """A peer's packages cannot be installed; the message is pip's."""


def interpreter(peer: Peer) -> Path:
    """The Python that has the peer's packages; they are installed at the first use.

    Raises:
        InstallError: they cannot be.
    """
    if not peer.packages:
        return Path(sys.executable)
    home = FOLDER / peer.name
    python, stamp = home / "bin" / "python", home / "installed.txt"
    wanted = "\n".join(peer.packages)
    if not stamp.exists() or stamp.read_text() != wanted:
        logger.info("%s: installing %s into %s", peer.name, " ".join(peer.packages), home)
        install(home, *peer.packages)
        stamp.write_text(wanted)
    return python


def install(home: Path, *packages: str) -> None:
    """Make a virtual environment that finds the project's packages behind its own.

    Raises:
        InstallError: pip failed.
    """
    _run(sys.executable, "-m", "venv", "--clear", "--without-pip", str(home))
    python = str(home / "bin" / "python")
    purelib = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    own = Path(subprocess.run(purelib, capture_output=True, text=True, check=True).stdout.strip())
    (own / "project.pth").write_text(sysconfig.get_path("purelib") + "\n")
    _run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", *packages)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise InstallError(lines[-1])
