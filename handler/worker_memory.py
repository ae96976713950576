"""Worker memory: what photos leave behind goes back to the system.

glibc keeps freed memory below memory in use. Photos of many sizes leave some tens of megabytes of
it in a worker, which looks like a leak and is lost to others; see malloc_trim(3).
"""

import ctypes
import sys
import time

EVERY = 1.0  # seconds; it takes about a millisecond, and what was given back is zeroed anew


class WorkerMemory:
    """Gives freed memory back, now and then; elsewhere than with glibc it does nothing."""

    def __init__(self) -> None:
        libc = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
        self._trim = getattr(libc, "malloc_trim", None)
        self._last = 0.0

    def give_back(self) -> None:
        """Give it back, unless that was done within the last second."""
        now = time.monotonic()
        if self._trim and now - self._last > EVERY:
            self._trim(0)
            self._last = now
