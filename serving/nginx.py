"""nginx: finding it, and becoming it as the supervisor's child.

Run by the supervisor: python -m serving.nginx FOLDER
"""

import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

NAME = "nginx.conf"
SYSTEM = "/usr/sbin:/usr/local/sbin:/opt/homebrew/bin"  # not on every user's PATH


def find_nginx() -> str:
    """The nginx command.

    Raises:
        FileNotFoundError: it is not installed; the message says how to.
    """
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:{SYSTEM}")
    if nginx is None:
        raise FileNotFoundError(
            "make serve needs nginx: apt-get install nginx-light (1.22 or later). "
            "make demo works without."
        )
    return nginx


def command(folder: Path) -> list[str]:
    """How to start nginx with the folder's configuration."""
    return [find_nginx(), "-e", "stderr", "-p", str(folder), "-c", str(folder / NAME)]


def retire(folder: Path) -> None:
    """Let workers that outlived their master finish, and free its sockets for a new one."""
    orphans = [process for process in psutil.process_iter(["name"]) if _is_of(process, folder)]
    for orphan in orphans:
        with suppress(psutil.NoSuchProcess):
            orphan.send_signal(signal.SIGQUIT)
    if orphans:
        time.sleep(0.2)  # until they no longer listen
    for path in folder.glob("*.sock"):
        if path.name != "supervisord.sock":
            path.unlink()


def _is_of(process: psutil.Process, folder: Path) -> bool:
    """Workers rewrite their command line; their working directory tells whose they are."""
    try:
        return process.info["name"] == "nginx" and process.cwd() == str(folder)
    except psutil.Error:
        return False


def main(argv: Sequence[str] | None = None) -> int:
    """Take the place of an nginx that ended in whatever way."""
    [folder] = map(Path, sys.argv[1:] if argv is None else argv)
    retire(folder)
    os.chdir(folder)
    os.execv(command(folder)[0], command(folder))


if __name__ == "__main__":
    sys.exit(main())
