"""Server: the one running instance of this checkout, known to others by .run/server.json.

Run: python -m serving.server start | stop | status | key
"""

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from serving.instance import ROOT, RUN, Instance, StartError

logger = logging.getLogger(__name__)

STATE = RUN / "server.json"
ARCHIVE = ROOT / "model_store" / "hashtags.mar"
BUNDLE = ARCHIVE.with_suffix(".bundle")  # build_mar.sh notes there what it packed


def running() -> Instance | None:
    """The instance that STATE names, when it still runs."""
    instance = _last()
    return instance if instance and instance.is_running() else None


def _last() -> Instance | None:
    """The instance that STATE names, also when it has ended in some other way than by stop()."""
    try:
        state = json.loads(STATE.read_text(encoding="utf-8"))
        return Instance(**{field.name: state[field.name] for field in fields(Instance)})
    except (OSError, ValueError, KeyError):
        return None


def start(archive: Path = ARCHIVE) -> Instance:
    """Serve the archive: the instance that already does so, or a new one in place of another.

    Raises:
        StartError: the archive is not there, or TorchServe did not become ready.
    """
    archive = archive.resolve()
    if not archive.is_file():
        raise StartError(f"there is no archive {archive}: run ./build_mar.sh")
    instance = running()
    if instance and _serves(instance, archive) and instance.is_ready():
        return instance
    stop()
    logger.info("starting TorchServe with %s", archive.name)
    instance = Instance.start(archive, RUN / "torchserve")
    _write_state(instance)
    return instance


def stop() -> bool:
    """End the instance and remove what it left, after a crash too; whether it was running."""
    instance = _last()
    was_running = instance is not None and instance.is_running()
    if instance:
        instance.stop()
    STATE.unlink(missing_ok=True)
    return was_running


def _serves(instance: Instance, archive: Path) -> bool:
    return (instance.archive, instance.archive_mtime) == (str(archive), archive.stat().st_mtime)


def _write_state(instance: Instance) -> None:
    """Written under another name first: a reader never sees half a file."""
    part = STATE.with_suffix(".part")
    part.write_text(json.dumps({**asdict(instance), "front": None, "web": None}, indent=2) + "\n")
    os.replace(part, STATE)


def _show(what: str) -> int:
    """Print the running instance's address, or the key that its callers need."""
    instance = running()
    if instance is None:
        logger.error("nothing is running: make demo starts it")
        return 1
    print(instance.key("inference") if what == "key" else instance.inference)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Start, stop or show the server of this checkout."""
    parser = argparse.ArgumentParser(description="Start or stop TorchServe with our archive.")
    parser.add_argument("action", choices=["start", "stop", "status", "key"])
    parser.add_argument("--archive", type=Path, default=ARCHIVE, help="default: %(default)s")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if args.action == "stop":
        logger.info("stopped" if stop() else "nothing was running")
        return 0
    if args.action in ("status", "key"):
        return _show(args.action)
    try:
        instance = start(args.archive)
    except StartError as err:
        logger.error("%s", err)
        return 1
    logger.info("%s is served at %s", instance.model, instance.inference)
    return 0


if __name__ == "__main__":
    sys.exit(main())
