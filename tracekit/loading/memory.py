"""Memory that was freed goes back to the system: the C library of Linux keeps it otherwise, as much as a set needs."""

from __future__ import annotations

import ctypes
import sys
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LEAST_SPANS: Final = 250_000  # fewer leave little, and returning it takes some milliseconds


@contextmanager
def freed_returned(span_count: int) -> Iterator[None]:
    """Return freed memory to the system before and after work on so many spans, where the C library can (glibc)."""
    trim = _trim() if span_count >= _LEAST_SPANS else None
    if trim is None:
        yield
        return
    trim(0)
    yield
    trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    """Return ``malloc_trim`` of the C library; None where it has none."""
    if not sys.platform.startswith("linux"):
        return None
    found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return found
