"""What becomes of freed memory: it is kept while reading, because fresh memory costs more, and goes back afterwards."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_KEPT: Final = 31 << 20  # bytes, just below the most that glibc allows
_LIMITS: Final = (
    (-3, "MALLOC_MMAP_THRESHOLD_", 128 << 10, 32 << 20),
    (-1, "MALLOC_TRIM_THRESHOLD_", 128 << 10, 64 << 20),
)
"""Limits of glibc, by number: the variable that sets each, its first value, and the most that it grows to."""
_MUCH: Final = 64 << 20  # bytes
_LEAST_SPANS: Final = 250_000  # fewer leave little, and returning it takes some milliseconds


@cache
def keep_freed() -> None:
    """Let the C library of Linux (glibc) keep freed memory, and in large pages: touching fresh pages costs too much.

    It keeps blocks up to the size of the largest that was ever freed. The next ones are therefore taken from what it
    keeps, numpy asks the system for large pages there, and these stay when they are freed. None of them is touched.
    """
    np.empty(_KEPT, np.uint8)
    [np.empty(_KEPT - (1 << 20), np.uint8) for _ in range(2)]  # both at once: one behind the other


@contextmanager
def freed_returned(span_count: int) -> Iterator[None]:
    """Return freed memory to the system after work on so many spans, where the C library can (glibc).

    Not before: what reading leaves behind is used again then, and fresh pages would cost more than they save.
    """
    trim = _trim() if span_count >= _LEAST_SPANS else None
    yield
    if trim is not None:
        trim(0)


@contextmanager
def blocks_kept() -> Iterator[None]:
    """Let the C library (glibc) keep freed memory meanwhile, also where a variable of the environment limits it.

    Dask sets ``MALLOC_TRIM_THRESHOLD_`` for its workers to a value that makes fresh pages of each array: ten times as
    many page faults, and twice the processor time.  The limits grow by themselves only where no variable sets them.
    """
    set_limit = _c_function("mallopt") if any(name in os.environ for _, name, *_ in _LIMITS) else None
    if set_limit is None:
        yield
        return
    for number, _, _, most in _LIMITS:
        set_limit(number, most)
    try:
        yield
    finally:
        for number, name, first, _ in _LIMITS:
            wanted = os.environ.get(name, "")
            set_limit(number, int(wanted) if wanted.isdecimal() else first)


def return_freed(beyond: int = 0) -> None:
    """Return freed memory to the system: what the C library keeps, where it can (glibc), and what Arrow keeps.

    Both keep what lies between blocks in use: after a part of a store about as much as the part.

    Parameters
    ----------
    beyond
        Only if the process has more bytes in memory than that, or the system does not say (Linux does): what is kept is
        used again, and fresh pages of a report of a store take a tenth of its processor time.
    """
    if 0 < resident_bytes() <= beyond:
        return
    import pyarrow as pa  # noqa: PLC0415 - for parts of stores only

    pa.default_memory_pool().release_unused()
    trim = _trim()
    if trim is not None:
        trim(0)


class Freed:
    """Returns freed memory to the system where the memory of this process has grown much since it last did.

    Work that makes large arrays leaves as much behind; returning it takes some milliseconds, so not after each step.
    """

    def __init__(self) -> None:
        self._least = resident_bytes()

    def return_if_much(self) -> None:
        """Return freed memory if the process has grown by ``_MUCH`` bytes since the last time."""
        if resident_bytes() < self._least + _MUCH:
            return
        return_freed()
        self._least = resident_bytes()


def resident_bytes() -> int:
    """Return the memory of this process, 0 where the system does not say (Linux does)."""
    try:
        pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * mmap.PAGESIZE


def _trim() -> Callable[[int], int] | None:
    """Return ``malloc_trim`` of the C library; None where it has none."""
    return _c_function("malloc_trim")


@cache
def _c_function(name: str) -> Callable[..., int] | None:
    """Return a function of the C library of Linux; None where it has none."""
    if not sys.platform.startswith("linux"):
        return None
    found: Callable[..., int] | None = getattr(ctypes.CDLL(None), name, None)
    return found
