"""Windows of counts of which the traces cover only a part: the first and the last of a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.schema import Array

_CHANCE = 0.01


def covered_windows(case: Case) -> pd.DataFrame:
    """Return what share of each window of the counts the traces cover, and how many of its requests that concerns.

    A first window that holds n traces, all of them in a part c of its time, was full with chance c^n; where that is
    below 1 % it is taken for covered by c (n + 1) / n.  If its requests are fewer than half-way between those of the
    next window and c times as many, the traffic itself began there, and they all count; otherwise only that share of
    them.  The last window likewise.  A window is judged only where no other holds requests before (after) it:
    otherwise traces are missing, which is what the check is to tell.
    """
    assert case.counts is not None
    frame = case.counts.frame
    by = frame[frame["count"] > 0].groupby("start_ns")
    begin, end, requests = by["count"].sum().index.to_numpy(), by["end_ns"].max().to_numpy(), by["count"].sum()
    found = pd.DataFrame({"covered_ratio": 1.0, "request_ratio": 1.0}, index=requests.index)
    starts = np.sort(case.start_ns[case.start_ns > 0])
    for at, beside in ((0, 1), (len(begin) - 1, len(begin) - 2)) if len(begin) else ():
        within = starts[(starts >= begin[at]) & (starts < end[at])]
        share = _covered(within, begin[at], end[at], is_first=at == 0, is_last=at == len(begin) - 1)
        if share == 1:
            continue
        found.iloc[at, 0] = share
        if 0 <= beside < len(begin) and requests.iloc[at] > requests.iloc[beside] * (1 + share) / 2:
            found.iloc[at, 1] = share
    return found


def _covered(starts: Array, begin: int, end: int, *, is_first: bool, is_last: bool) -> float:
    """Return what share of a window lies between the first and the last trace that begin in it."""
    n = len(starts)
    if not n:
        return 1.0
    low, high = starts[0] if is_first else begin, starts[-1] if is_last else end
    share = float(high - low) / float(end - begin)
    return min(share * (n + 1) / n, 1.0) if share**n < _CHANCE else 1.0
