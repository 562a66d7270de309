"""The young edge of a recording: traces that began so late that others of that time had not arrived when it ended."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.stats.truncated_lags import lag_bounds
from tracekit.weights.counts import COUNT, NAMES, TIME, times_ns
from tracekit.weights.log_strata import held_traces
from tracekit.weights.receipts import NEVER

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.columns import Array
    from tracekit.traces import TraceSet
    from tracekit.weights.counts import Counts
    from tracekit.weights.receipts import Receipts

FEWEST = 20
"""Receipts below which nothing is said about lags."""
_SETTLED = 0.99


class YoungEdge(NamedTuple):
    """From when on a recording is not whole.

    ``begin_ns`` is that moment and ``now_ns`` the end of the recording; ``is_young`` tells which traces began since;
    ``missing``, ``low`` and ``high`` are the share of what began since that had not arrived, if it came evenly.

    Examples
    --------
    >>> YoungEdge(52, 60, np.array([False, True]), 0.2, 0.1, 0.3).age_ns
    8
    """

    begin_ns: int
    now_ns: int
    is_young: Array
    missing: float
    low: float
    high: float

    @property
    def age_ns(self) -> int:
        """How long ago a trace must have begun to be there with a chance of 99 %."""
        return self.now_ns - self.begin_ns


def young_edge(traces: TraceSet, receipts: Receipts, *, level: float = 0.95) -> YoungEdge | None:
    """Return from when on a recording is not whole.

    Parameters
    ----------
    traces
        Any traces.
    receipts
        When they could be found.
    level
        Confidence level of the missing share.

    Returns
    -------
    YoungEdge or None
        None with fewer than 20 usable receipts.

    Notes
    -----
    A trace is there where it arrived before the recording was cut: the later it began and the longer it took, the less
    likely.  The 99th percentile of the time from a trace's *start* to its receipt, with allowance for those that were
    not seen (``stats.truncated_lags``), is the age from which on traces are whole.  Counted from the start, so that
    what is left out does not depend on how long a trace took.  Of polls, the later end of each interval counts; what
    is missing at the last poll is less by half an interval, which is how late a poll comes on average.

    Examples
    --------
    Every trace can be found 4 s after it began, so the last 4 s of 100 s are young:

    >>> import pandas as pd
    >>> from tracekit import TraceSet
    >>> from tracekit.weights.receipts import read_receipts
    >>> start = np.arange(96) * 10**9 + 1
    >>> frame = pd.DataFrame({"trace_id": [f"{n:032x}" for n in range(1, 97)], "span_id": "1", "name": "x"})
    >>> shop = TraceSet.from_spans(frame.assign(start_ns=start, end_ns=start))
    >>> found = young_edge(shop, read_receipts(shop, pd.Series(start + 4 * 10**9, shop.trace_ids), now=100 * 10**9))
    >>> found.age_ns, found.missing, int(found.is_young.sum())
    (4000000000, 1.0, 0)
    """
    start = np.asarray(traces.columns.spans.start_ns[traces.forest.root_row])
    usable = usable_receipts(receipts, start)
    if usable.sum() < FEWEST:
        return None
    begun, after, by = (column[usable].astype(np.float64) for column in (start, receipts.after_ns, receipts.by_ns))
    bounds = lag_bounds(begun, after, by, now=receipts.now_ns, before=receipts.before_ns, level=level)
    age = int(np.ceil(bounds.most.quantile(_SETTLED)[0]))
    shares = bounds.most.missing_within(max(age, 1))
    if shares[0] == 1 and (begun > receipts.now_ns - age).any():  # all came at once: each lag is the longest seen
        age = int(np.ceil((by - begun).max()))
    looked = after > NEVER
    late = float((by - after)[looked].mean() / 2) / max(age, 1) if looked.any() else 0.0
    begin = receipts.now_ns - age
    return YoungEdge(begin, receipts.now_ns, start > begin, *(max(share - late, 0.0) for share in shares))


def usable_receipts(receipts: Receipts, since_ns: Array) -> Array:
    """Return which traces tell a lag since some moment of theirs: received after it, and not before the first poll.

    Examples
    --------
    >>> from tracekit.weights.receipts import Receipts
    >>> usable_receipts(Receipts(np.array([7, 0, 3]), np.array([7, 0, 3]), 9, 9), np.array([5, 5, 5])).tolist()
    [True, False, False]
    """
    by: Array = receipts.by_ns
    known = np.asarray((by > 0) & (since_ns > 0) & (by >= since_ns) & (by <= receipts.now_ns))
    if not receipts.is_polled or not known.any():
        return known
    looked = np.concatenate((by[known], receipts.after_ns[known & (receipts.after_ns > 0)]))
    return np.asarray(known & (since_ns >= looked.min()))


def settled_traces(traces: TraceSet, edge: YoungEdge | None) -> TraceSet:
    """Return the traces without the young ones.

    Examples
    --------
    >>> import pandas as pd
    >>> from tracekit import TraceSet
    >>> frame = pd.DataFrame({"trace_id": ["a1", "b2"], "span_id": "1", "name": "x", "start_ns": [1, 9], "end_ns": 9})
    >>> len(settled_traces(TraceSet.from_spans(frame), YoungEdge(8, 10, np.array([False, True]), 0.5, 0.4, 0.6)))
    1
    """
    if edge is None or not edge.is_young.any():
        return traces
    return traces.where(~edge.is_young[traces.forest.trace])


def settled_counts(counts: Counts, edge: YoungEdge) -> Counts:
    """Return the counts of windows that ended before the young edge, with a note of what could not be cut.

    Parameters
    ----------
    counts
        Requests by window.
    edge
        Of the traces.

    Returns
    -------
    Counts
        A single window that reaches beyond is counted by its share before; without times nothing is cut.

    Examples
    --------
    >>> import pandas as pd
    >>> from tracekit.weights.counts import read_counts
    >>> minutes = pd.DataFrame({"time": pd.to_datetime([0, 60, 120], unit="s", utc=True), "count": [5, 6, 7]})
    >>> edge = YoungEdge(130 * 10**9, 180 * 10**9, np.array([], bool), 0.5, 0.4, 0.6)
    >>> settled_counts(read_counts(minutes), edge).total
    11.0
    """
    if not counts.has_time:
        note = "counts have no times: requests whose traces had not arrived are among them, their traces are left out"
        return replace(counts, notes=(*counts.notes, note))
    whole = counts.frame["end_ns"] <= edge.begin_ns
    if whole.all():
        return counts
    alone = counts.by_balancer
    if whole.any():
        alone = alone[alone["end_ns"] <= edge.begin_ns] if len(alone) else alone
        return replace(counts, frame=counts.frame[whole].reset_index(drop=True), by_balancer=alone)
    note = "no window of the counts ended before the young edge: the last is counted by its share of time before"
    before = [_cut(frame, edge) if len(frame) else frame for frame in (counts.frame, alone)]
    return replace(counts, frame=before[0], by_balancer=before[1], notes=(*counts.notes, note))


def _cut(frame: pd.DataFrame, edge: YoungEdge) -> pd.DataFrame:
    """Return windows up to the young edge, counted by their share of time."""
    left = (edge.begin_ns - frame["start_ns"]) / (frame["end_ns"] - frame["start_ns"])
    end = np.maximum(np.minimum(frame["end_ns"], edge.begin_ns), frame["start_ns"] + 1)
    return frame.assign(end_ns=end, **{COUNT: np.floor(frame[COUNT] * left.clip(0, 1))})


def settled_log(traces: TraceSet, log: pd.DataFrame, edge: YoungEdge) -> pd.DataFrame:
    """Return the logged requests without those since the young edge: of young traces, and later ones without a trace.

    Parameters
    ----------
    traces
        All of them.
    log
        One row a request; without a column of times only the rows of young traces can be told.
    edge
        Of the traces.

    Returns
    -------
    pandas.DataFrame
        Rows as they were.

    Examples
    --------
    >>> import pandas as pd
    >>> from tracekit import TraceSet
    >>> frame = pd.DataFrame({"trace_id": ["a1"], "span_id": "1", "name": "x", "start_ns": 9, "end_ns": 9})
    >>> log = pd.DataFrame({"trace_id": ["a1", "b2", "c3"], "time": pd.to_datetime([9, 3, 9], unit="ns", utc=True)})
    >>> edge = YoungEdge(8, 10, np.array([True]), 0.5, 0.4, 0.6)
    >>> settled_log(TraceSet.from_spans(frame), log, edge)["trace_id"].tolist()
    ['b2']
    """
    column = next((name for name in NAMES[TIME] if name in log), None)
    late = np.zeros(len(log), bool)
    if column is not None:
        told = log[column].notna().to_numpy(bool)
        late[told] = times_ns(log.loc[told, column], []).to_numpy() > edge.begin_ns
    if "trace_id" in log and len(traces):
        held = held_traces(traces, log)
        late = np.where(held >= 0, edge.is_young[held], late)
    return log[~late]
