"""Progress of a pull: a line in a terminal, or a callback."""

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
    """The progress of a pull.

    Parameters
    ----------
    done_count, total_count
        Traces.
    rate_per_s
        Traces per second in this run.
    left_s
        Seconds left at this rate; None before the first trace.
    """

    done_count: int
    total_count: int
    rate_per_s: float
    left_s: float | None

    def __str__(self) -> str:
        left = "" if self.left_s is None else f", {int(self.left_s) // 60}:{int(self.left_s) % 60:02} left"
        return f"{self.done_count:,} of {self.total_count:,} traces, {self.rate_per_s:,.0f}/s{left}"


class Meter:
    """Counts traces, and reports progress twice per second.

    Parameters
    ----------
    report
        Called with the progress; None shows a line in a terminal, and nothing elsewhere.
    """

    def __init__(self, report: Callable[[Progress], object] | None = None) -> None:
        self._is_shown = report is None and sys.stderr.isatty()
        self._report = report or (_show if self._is_shown else None)
        self._started = self._reported = time.monotonic()
        self._total = self._before = self._done = 0

    def begin(self, total: int, done: int) -> None:
        """Start with the total number of traces, and the number already done."""
        self._started = time.monotonic()
        self._total, self._before, self._done = total, done, done
        self._update()

    def add(self, count: int) -> None:
        """Add finished traces."""
        self._done += count
        if time.monotonic() - self._reported >= _EVERY_S:
            self._update()

    def _update(self) -> None:
        """Report the progress."""
        self._reported = time.monotonic()
        new = self._done - self._before
        rate = new / max(self._reported - self._started, 1e-9)
        if self._report is not None:
            self._report(Progress(self._done, self._total, rate, (self._total - self._done) / rate if new else None))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._done != self._before:
            self._update()
        if self._is_shown:
            sys.stderr.write("\n")


def _show(progress: Progress) -> None:
    """Write the line over the last one."""
    sys.stderr.write(f"\r\x1b[2K{progress}")
    sys.stderr.flush()
