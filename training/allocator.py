"""Allocator: keep freed memory, instead of handing every activation back to the kernel.

With glibc's defaults each large tensor is mapped, zeroed page by page and unmapped again; for a
small network on CPU that is most of the time. See mallopt(3).
"""

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_GIGABYTE = 1 << 30


def keep_freed_memory() -> None:
    """Tell glibc to reuse freed memory; elsewhere nothing happens."""
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_MMAP_MAX, 0)
        libc.mallopt(_TRIM_THRESHOLD, 2 * _GIGABYTE - 1)
        libc.mallopt(_TOP_PAD, _GIGABYTE // 4)
