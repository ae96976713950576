"""Worker memory: what photos leave behind goes back to the system.

glibc keeps freed memory below memory in use, and for each thread apart. Photos of many sizes leave
some tens of megabytes of it in a worker, large ones their whole size in each thread that decodes:
it looks like a leak, and is lost to others. See mallopt(3) and malloc_trim(3).
"""

import ctypes
import sys
import time

_ARENA_MAX = -8  # mallopt's number for it
EVERY = 1.0  # seconds; it takes about a millisecond, and what was given back is zeroed anew


class WorkerMemory:
    """Has all threads share their memory, and gives what is freed back now and then.

    To be made before there are threads. Elsewhere than with glibc it does nothing.
    """

    def __init__(self) -> None:
        libc = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
        if libc and hasattr(libc, "mallopt"):
            libc.mallopt(_ARENA_MAX, 1)
        self._trim = getattr(libc, "malloc_trim", None)
        self._last = 0.0

    def give_back(self) -> None:
        """Give it back, unless that was done within the last second."""
        now = time.monotonic()
        if self._trim and now - self._last > EVERY:
            self._trim(0)
            self._last = now
