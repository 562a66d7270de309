"""Freed memory goes back to the system around work on many spans."""

import subprocess
import sys

import pytest

from tracekit.loading import memory

BLOCKS = """
from pathlib import Path
from tracekit.loading.memory import freed_returned
def resident():
    return next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmRSS"))
blocks = [bytearray(b"x") * 100_000 for _ in range(1000)]  # 100 MB, each too small for a mapping of its own
del blocks[::2], blocks[::2]
before = resident()
with freed_returned({count}):
    inside = resident()
print((before - inside) // 1000)
"""


def returned_megabytes(count):
    return printed(BLOCKS.format(count=count))


def printed(code):
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return int(done.stdout)


@pytest.mark.skipif(memory._trim() is None, reason="the C library of this system has no malloc_trim")
def test_freed_memory_is_returned_for_many_spans_only():
    assert returned_megabytes(300_000) > 50
    assert returned_megabytes(1_000) < 5


@pytest.mark.skipif(memory._trim() is None, reason="the C library of this system has no malloc_trim")
def test_freed_memory_is_returned_when_a_part_is_done():
    returned = BLOCKS.replace("with freed_returned({count}):\n    inside", "return_freed()\ninside")
    assert printed(returned.replace("freed_returned", "return_freed")) > 50


def test_a_system_without_the_function_goes_on(monkeypatch):
    memory._trim.cache_clear()
    monkeypatch.setattr(sys, "platform", "darwin")
    try:
        with memory.freed_returned(10**6):
            assert memory._trim() is None
            memory.return_freed()
    finally:
        memory._trim.cache_clear()
