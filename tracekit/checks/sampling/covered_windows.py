"""Windows of request counts of which the traces cover a part: the first and the last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import pandas as pd

from tracekit.checks.merged import Merged

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.schema import Array

_CHANCE: Final = 0.01


def covered_windows(case: Case) -> pd.DataFrame:
    """Return the share of each window of the counts that the traces cover, and the share of its requests to use.

    If a first window was fully covered, its n traces all lie in a part c of its time with probability c^n; if that is
    below 1%, it counts as covered by c (n + 1) / n.  If its requests are fewer than half-way between those of the next
    window and c times as many, the traffic itself started there, and all of them count; otherwise only that share.  The
    last window likewise.  Only the first and last windows with requests are adjusted: elsewhere traces are missing.
    """
    assert case.counts is not None
    frame = case.counts.frame
    by = frame[frame["count"] > 0].groupby("start_ns")
    begin, end, requests = by["count"].sum().index.to_numpy(), by["end_ns"].max().to_numpy(), by["count"].sum()
    found = pd.DataFrame({"covered_ratio": 1.0, "request_ratio": 1.0}, index=requests.index)
    edges = ((0, 1), (len(begin) - 1, len(begin) - 2)) if len(begin) else ()
    windows = tuple((int(begin[at]), int(end[at])) for at, _ in edges)
    merged: Merged[tuple[_Starts, ...]] = Merged(_StartsIn(windows), _both)
    for (at, adjacent), within in zip(edges, case.result(merged) if windows else (), strict=True):
        share = _covered_ratio(within, begin[at], end[at], is_first=at == 0, is_last=at == len(begin) - 1)
        if share == 1:
            continue
        found.iloc[at, 0] = share
        if 0 <= adjacent < len(begin) and requests.iloc[at] > requests.iloc[adjacent] * (1 + share) / 2:
            found.iloc[at, 1] = share
    return found


class _Starts(NamedTuple):
    """Number of starts in a window, the first and the last."""

    trace_count: int
    first_ns: int
    last_ns: int

    def plus(self, other: _Starts) -> _Starts:
        """Return those of two parts."""
        return _Starts(
            self.trace_count + other.trace_count, min(self.first_ns, other.first_ns), max(self.last_ns, other.last_ns)
        )


def _both(first: tuple[_Starts, ...], second: tuple[_Starts, ...]) -> tuple[_Starts, ...]:
    """Return the starts in some windows of two parts."""
    return tuple(one.plus(other) for one, other in zip(first, second, strict=True))


@dataclass(frozen=True)
class _StartsIn:
    """Returns the starts of the traces of a part in some windows."""

    windows: tuple[tuple[int, int], ...]

    def __call__(self, case: Case) -> tuple[_Starts, ...]:
        """Return those of a case."""
        return tuple(self._within(case.start_ns, begin, end) for begin, end in self.windows)

    def _within(self, start: Array, begin: int, end: int) -> _Starts:
        """Return those of one window; unknown starts are in none."""
        inside = start[(start > 0) & (start >= begin) & (start < end)]
        return _Starts(len(inside), int(inside.min(initial=end)), int(inside.max(initial=begin)))


def _covered_ratio(starts: _Starts, begin: int, end: int, *, is_first: bool, is_last: bool) -> float:
    """Return the share of a window between the first and the last trace that start in it."""
    n = starts.trace_count
    if not n:
        return 1.0
    low, high = starts.first_ns if is_first else begin, starts.last_ns if is_last else end
    share = float(high - low) / float(end - begin)
    return min(share * (n + 1) / n, 1.0) if share**n < _CHANCE else 1.0
