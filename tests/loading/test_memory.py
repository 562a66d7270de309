"""Freed memory goes back to the system after work on many spans."""

import subprocess
import sys

import pytest

from tracekit.loading import memory

BLOCKS = """
import pyarrow  # as where parts are read: importing it takes memory, too
from pathlib import Path
from tracekit.loading.memory import freed_returned
def resident():
    return next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmRSS"))
blocks = [bytearray(b"x") * 100_000 for _ in range(1000)]  # 100 MB, each too small for a mapping of its own
del blocks[::2], blocks[::2]
before = resident()
with freed_returned({count}):
    inside = resident()
after = resident()
print((before - inside) // 1000, (before - after) // 1000)
"""


def returned_megabytes(count):
    inside, after = printed(BLOCKS.format(count=count))
    assert inside < 5, "what reading leaves behind is used again"
    return after


def printed(code):
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return [int(word) for word in done.stdout.split()]


@pytest.mark.skipif(memory._trim() is None, reason="the C library of this system has no malloc_trim")
def test_freed_memory_is_returned_for_many_spans_only():
    assert returned_megabytes(300_000) > 50
    assert returned_megabytes(1_000) < 5


@pytest.mark.skipif(memory._trim() is None, reason="the C library of this system has no malloc_trim")
def test_freed_memory_is_returned_when_a_part_is_done():
    returned = BLOCKS.replace("with freed_returned({count}):\n    inside", "return_freed()\ninside")
    assert printed(returned.replace("freed_returned", "return_freed"))[0] > 50
    kept = returned.replace("return_freed()", "return_freed(beyond=2**40)")
    assert printed(kept.replace("freed_returned", "return_freed"))[0] < 50, "of a small process it is used again"


@pytest.mark.skipif(memory._trim() is None, reason="the C library of this system has no malloc_trim")
@pytest.mark.parametrize(("count", "least", "most"), [(1000, 50, 110), (300, -5, 5)])
def test_freed_memory_is_returned_where_there_is_much(count, least, most):
    begun = "from tracekit.loading.memory import Freed\nfreed = Freed()\nblocks = ["
    returned = BLOCKS.replace("with freed_returned({count}):\n    inside", "freed.return_if_much()\ninside")
    assert least < printed(returned.replace("blocks = [", begun).replace("range(1000)", f"range({count})"))[0] < most


FRESH_PAGES = """
import resource
import numpy as np
from tracekit.loading.memory import blocks_kept
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(250_000)  # 2 MB, or 488 pages
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
outside = faults()
with blocks_kept():
    faults()
    inside = faults()
print(*(count // 488 for count in (outside, inside, faults())))
"""


@pytest.mark.skipif(memory._c_function("mallopt") is None, reason="the C library of this system has no mallopt")
def test_blocks_are_kept_where_dask_limits_them_and_limited_again_afterwards(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "65536")
    outside, inside, afterwards = printed(FRESH_PAGES)
    assert outside >= 15
    assert inside == 0
    assert afterwards >= 15


def test_a_system_without_the_function_goes_on(monkeypatch):
    memory._c_function.cache_clear()
    monkeypatch.setattr(sys, "platform", "darwin")
    try:
        with memory.freed_returned(10**6):
            assert memory._trim() is None
            memory.return_freed()
        monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "65536")
        with memory.blocks_kept():
            assert memory._c_function("mallopt") is None
    finally:
        memory._c_function.cache_clear()
