"""Termination: SIGTERM, which says that a machine is about to be taken away."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(Exception):
    """The run was asked to stop, and has saved its state."""


@contextmanager
def deferred_sigterm() -> Iterator[Callable[[], bool]]:
    """While this lasts SIGTERM stops nothing; what is yielded says whether one came."""
    came = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True

    before = signal.signal(signal.SIGTERM, note)
    try:
        yield lambda: came
    finally:
        signal.signal(signal.SIGTERM, before)
