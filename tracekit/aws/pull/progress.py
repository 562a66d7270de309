"""How far a pull is: a line in a terminal, or a call for whoever wants to know."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

_EVERY_S = 0.5


@dataclass(frozen=True)
class Progress:
    """How far a pull is.

    Parameters
    ----------
    done_count, total_count
        Traces.
    rate_per_s
        Traces a second in this run.
    left_s
        Seconds left at this rate; None before anything came.
    """

    done_count: int
    total_count: int
    rate_per_s: float
    left_s: float | None

    def __str__(self) -> str:
        left = "" if self.left_s is None else f", {int(self.left_s) // 60}:{int(self.left_s) % 60:02} left"
        return f"{self.done_count:,} of {self.total_count:,} traces, {self.rate_per_s:,.0f} a second{left}"


class Meter:
    """Counts traces, and tells of it twice a second.

    Parameters
    ----------
    tell
        Hears it; None shows a line in a terminal, and nothing anywhere else.
    """

    def __init__(self, tell: Callable[[Progress], object] | None = None) -> None:
        self._shows = tell is None and sys.stderr.isatty()
        self._tell = tell or (_show if self._shows else None)
        self._begun = self._told = time.monotonic()
        self._total = self._before = self._done = 0

    def begin(self, total: int, done: int) -> None:
        """Say how many traces there are, and how many of them were there before."""
        self._begun = time.monotonic()
        self._total, self._before, self._done = total, done, done
        self._say()

    def add(self, count: int) -> None:
        """Say that so many more are settled."""
        self._done += count
        if time.monotonic() - self._told >= _EVERY_S:
            self._say()

    def _say(self) -> None:
        """Tell how far it is."""
        self._told = time.monotonic()
        came = self._done - self._before
        rate = came / max(self._told - self._begun, 1e-9)
        if self._tell is not None:
            self._tell(Progress(self._done, self._total, rate, (self._total - self._done) / rate if came else None))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._done != self._before:
            self._say()
        if self._shows:
            sys.stderr.write("\n")


def _show(progress: Progress) -> None:
    """Write the line over the last one."""
    sys.stderr.write(f"\r\x1b[2K{progress}")
    sys.stderr.flush()
