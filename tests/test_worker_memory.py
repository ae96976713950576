"""What photos leave behind in a worker."""

import ctypes
import subprocess
import sys

import pytest

# Buffers of odd sizes, every other of which is freed: holes that glibc keeps.
SCRIPT = """
import psutil
from worker_memory import WorkerMemory

process = psutil.Process()
kept = [bytes(range(256)) * (40 + n % 97) for n in range(20_000)]
del kept[::2]
held = process.memory_info().rss
WorkerMemory().give_back()
print(held - process.memory_info().rss)
"""


def test_freed_memory_goes_back() -> None:
    if not hasattr(ctypes.CDLL(None), "malloc_trim"):
        pytest.skip("this machine's libc keeps what it likes")
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    assert int(told.stdout) > 20 * 2**20
