"""Server: what runs in this checkout, one instance or the front, known by .run/server.json.

Run: python -m serving.server start | serve | restart | stop | status | key
"""

import argparse
import filecmp
import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from serving.address import is_loopback
from serving.front import Front
from serving.instance import ROOT, RUN, Instance, StartError
from serving.keys import FILE, Keys
from serving.limits import Limits
from serving.page import FEEDBACK, Page, built

logger = logging.getLogger(__name__)

STATE = RUN / "server.json"

ARCHIVE = ROOT / "model_store" / "hashtags.mar"
BUNDLE = ARCHIVE.with_suffix(".bundle")  # build_mar.sh notes there what it packed


Server = Instance | Front


def running() -> Server | None:
    """What STATE names, when it still runs."""
    server = _last()
    return server if server and server.is_running() else None


def _last() -> Server | None:
    """What STATE names, also when it has ended in some other way than by stop()."""
    state = _state()
    try:
        if state["front"]:
            return Front.from_json(state)
        return Instance(**{field.name: state[field.name] for field in fields(Instance)})
    except KeyError:
        return None


def start(archive: Path = ARCHIVE, *, feedback: bool = False) -> Server:
    """Serve the archive: by what already does so, or a new instance in place of another.

    The page is served beside it, where it has been built.

    Args:
        archive: the .mar; its stem is the model's name.
        feedback: whether the page takes some.

    Raises:
        StartError: the archive is not there, or TorchServe did not become ready.
    """
    archive = _built(archive)
    server = running()
    if server and _serves(server, archive) and server.is_ready():
        if isinstance(server, Instance):
            _start_page(server, feedback)
        return server
    if isinstance(server, Front):
        raise StartError("the front serves something else: make restart, or make stop first")
    stop()
    logger.info("starting TorchServe with %s", archive.name)
    instance = Instance.start(archive, RUN / "torchserve")
    _write_state({**asdict(instance), "front": None, "web": None})
    _start_page(instance, feedback)
    return instance


def _start_page(instance: Instance, feedback: bool) -> None:
    """Serve the page beside the instance, unless that is being done, or it was not built."""
    page = _page()
    if not built() or (page and page.is_current()):
        return
    if page:
        page.stop()
    page = Page.start(instance, ROOT, feedback=FEEDBACK if feedback else None)
    _write_state({**asdict(instance), "front": None, "web": page.url, "page": asdict(page)})


def web_address() -> str | None:
    """Where browsers find the page."""
    address: str | None = _state().get("web")
    return address


def _page() -> Page | None:
    """The page beside an instance, also when it has ended."""
    held = _state().get("page")
    return Page(**held) if isinstance(held, dict) else None


def _state() -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads(STATE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return state


def serve(
    archive: Path = ARCHIVE,
    *,
    listen: str | None = None,
    keys: bool | None = None,
    limits: Limits | None = None,
    feedback: bool = False,
) -> Front:
    """Serve the archive by the front, unless it already runs.

    Args:
        archive: the .mar; its stem is the model's name.
        listen: ADDRESS:PORT; else a free port of 127.0.0.1.
        keys: whether callers need a key; else they do when others than this machine can call.
        limits: other limits than the usual ones.
        feedback: whether the page takes some.

    Raises:
        StartError: the archive or nginx is not there, an instance did not become ready, or it
            already runs with other settings.
    """
    archive = _built(archive)
    server = running()
    if isinstance(server, Front):
        _check_settings(server, listen, keys, limits)
        return server
    stop()
    if keys is None:
        keys = listen is not None and not is_loopback(listen)
    if keys:
        Keys(FILE).create()
    logger.info("starting nginx and TorchServe with %s", archive.name)
    front = Front.start(
        archive,
        RUN / "serve",
        listen=listen,
        keys=FILE if keys else None,
        limits=limits,
        page=built() > 0,
        feedback=FEEDBACK if feedback else None,
    )
    _write_state(front.to_json())
    return front


def _check_settings(
    front: Front, listen: str | None, keys: bool | None, limits: Limits | None
) -> None:
    """See that the front that runs is the one that is asked for.

    Raises:
        StartError: it is not.
    """
    asked = (listen, keys, limits)
    runs = (front.listen, front.keys is not None, front.limits)
    if any(a is not None and a != r for a, r in zip(asked, runs, strict=True)):
        raise StartError(f"the front runs at {front.url} with other settings: make stop first")


def restart() -> Front:
    """Restart the front's instances one by one, with the archive as it is now.

    Raises:
        StartError: the front does not run, or an instance did not become ready again.
    """
    server = running()
    if not isinstance(server, Front):
        raise StartError("the front does not run: make serve starts it")
    server.restart(logger.info)
    return server


def stop() -> bool:
    """End what runs and remove what it left, after a crash too; whether it was running."""
    server = _last()
    was_running = server is not None and server.is_running()
    if page := _page():
        page.stop()
    if server:
        server.stop()
    STATE.unlink(missing_ok=True)
    return was_running


def _built(archive: Path) -> Path:
    archive = archive.resolve()
    if not archive.is_file():
        raise StartError(f"there is no archive {archive}: run ./build_mar.sh")
    return archive


def _serves(server: Server, archive: Path) -> bool:
    """Whether it started with the archive as it is now, or changed to it since."""
    instance = server.instances[0] if isinstance(server, Front) else server
    held = instance.store / archive.name
    return instance.archive == str(archive) and held.exists() and filecmp.cmp(held, archive)


def _write_state(state: dict[str, Any]) -> None:
    """Written under another name first: a reader never sees half a file."""
    part = STATE.with_suffix(".part")
    part.write_text(json.dumps(state, indent=2) + "\n")
    os.replace(part, STATE)


def _show(what: str) -> int:
    """Print what callers need: the address, or the key of a TorchServe without a front."""
    server = running()
    if server is None:
        logger.error("nothing is running: make demo or make serve starts it")
        return 1
    if what == "status":
        print(server.url if isinstance(server, Front) else server.inference)
    elif isinstance(server, Instance):
        print(server.key("inference"))
    elif server.keys:
        logger.error("keys are shown once, when made: python -m serving.keys add NAME")
        return 1
    else:
        print("none-needed")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Start, stop or show the server of this checkout."""
    parser = argparse.ArgumentParser(description="Start or stop what serves our archive.")
    actions = ["start", "serve", "restart", "stop", "status", "key"]
    parser.add_argument("action", choices=actions)
    parser.add_argument("--archive", type=Path, default=ARCHIVE, help="default: %(default)s")
    parser.add_argument("--listen", metavar="ADDRESS:PORT", help="serve: default 127.0.0.1:8000")
    parser.add_argument(
        "--keys",
        choices=["on", "off"],
        help="serve: whether callers need a key; default: when they may call from elsewhere",
    )
    parser.add_argument(
        "--limits",
        nargs="*",
        default=[],
        metavar="NAME=NUMBER",
        help=f"serve: {', '.join(field.name for field in fields(Limits))}",
    )
    parser.add_argument("--feedback", action="store_true", help="the page takes feedback")
    args = parser.parse_args(argv)
    try:
        limits = Limits.parse(args.limits) if args.limits else None
    except ValueError as err:
        parser.error(str(err))
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if args.action == "stop":
        logger.info("stopped" if stop() else "nothing was running")
        return 0
    if args.action in ("status", "key"):
        return _show(args.action)
    try:
        if args.action == "start":
            _tell(start(args.archive, feedback=args.feedback))
        elif args.action == "serve":
            keys = {"on": True, "off": False, None: None}[args.keys]
            _tell(
                serve(
                    args.archive,
                    listen=args.listen,
                    keys=keys,
                    limits=limits,
                    feedback=args.feedback,
                )
            )
        else:
            _tell(restart())
    except StartError as err:
        logger.error("%s", err)
        return 1
    return 0


def _tell(server: Server) -> None:
    if isinstance(server, Instance):
        logger.info("%s is served at %s", server.model, server.inference)
    else:
        callers = "with a key of python -m serving.keys" if server.keys else "without a key"
        logger.info("%s is served at %s, %s", server.model, server.url, callers)
    if web := web_address():
        logger.info("the page: %s", web)


if __name__ == "__main__":
    sys.exit(main())
