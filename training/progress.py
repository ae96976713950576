"""Progress: a bar with the time that is left on a terminal, a line now and then elsewhere."""

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import TypeVar

from rich.console import Console
from rich.highlighter import NullHighlighter
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

logger = logging.getLogger(__name__)

T = TypeVar("T")

CONSOLE = Console(stderr=True)
SECONDS = 60  # between two lines where there is no terminal


def set_up_logging() -> None:
    """Messages as plain lines on stderr; of several processes the first tells, others only fail."""
    handler = (
        RichHandler(  # it writes above the bar
            console=CONSOLE,
            show_time=False,
            show_level=False,
            show_path=False,
            highlighter=NullHighlighter(),
        )
        if CONSOLE.is_terminal
        else logging.StreamHandler()
    )
    level = logging.INFO if _is_first() else logging.ERROR
    logging.basicConfig(level=level, format="%(message)s", handlers=[handler])


def track(items: Iterable[T], name: str, total: int, note: Callable[[], str] = str) -> Iterator[T]:
    """Go through the items, and show how far it is.

    Args:
        items: what to go through.
        name: what is done to them.
        total: how many there are.
        note: what to say beside the bar, asked after each item.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    terminal = CONSOLE.is_terminal
    with Progress(*columns, console=CONSOLE, disable=not (terminal and _is_first())) as progress:
        task = progress.add_task(name, total=total, note="")
        begun = told = time.monotonic()
        for number, item in enumerate(items, start=1):
            yield item
            progress.update(task, advance=1, note=note())
            if not terminal and time.monotonic() - told >= SECONDS:
                told = time.monotonic()
                left = timedelta(seconds=round((told - begun) / number * (total - number)))
                told_of = filter(None, (f"{number} of {total}", f"{left} left", note()))
                logger.info("%s: %s", name, ", ".join(told_of))


def _is_first() -> bool:
    """Whether this is the first of the processes that torchrun started, or the only one."""
    return os.environ.get("RANK", "0") == "0"
