"""Freed memory goes back to the system."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

# Pieces too large for Python's own allocator, with one kept at the end of the heap.
SCRIPT = """
import psutil
from tests.support.waiting import wait_until
from workers.memory import keep_trimmed
pieces = [bytes(1_000) for _ in range(100_000)]
kept = pieces[-1]
del pieces
process = psutil.Process()
before = process.memory_info().rss
assert keep_trimmed(every_s=0.05) is not None
wait_until(lambda: process.memory_info().rss < before - 60_000_000, 20, "memory to go back")
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has malloc_trim")
def test_what_is_free_between_pieces_in_use_is_given_back() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
