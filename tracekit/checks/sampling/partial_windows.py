"""First and last windows of the counts, which the traces may cover only in part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.schema import Array

_CHANCE = 0.01


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
    starts = np.sort(case.start_ns[case.start_ns > 0])
    for at, adjacent in ((0, 1), (len(begin) - 1, len(begin) - 2)) if len(begin) else ():
        within = starts[(starts >= begin[at]) & (starts < end[at])]
        share = _covered(within, begin[at], end[at], is_first=at == 0, is_last=at == len(begin) - 1)
        if share == 1:
            continue
        found.iloc[at, 0] = share
        if 0 <= adjacent < len(begin) and requests.iloc[at] > requests.iloc[adjacent] * (1 + share) / 2:
            found.iloc[at, 1] = share
    return found


def _covered(starts: Array, begin: int, end: int, *, is_first: bool, is_last: bool) -> float:
    """Return the share of a window between the first and the last trace that start in it."""
    n = len(starts)
    if not n:
        return 1.0
    low, high = starts[0] if is_first else begin, starts[-1] if is_last else end
    share = float(high - low) / float(end - begin)
    return min(share * (n + 1) / n, 1.0) if share**n < _CHANCE else 1.0
