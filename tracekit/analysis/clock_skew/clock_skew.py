"""Clock skew: how far the clocks of hosts are apart, by calls that must lie within their callers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.analysis.clock_skew.neighbours import MIN_TRACES
from tracekit.analysis.clock_skew.offsets import ASYNC_RATIO, DRIFT_PPM, POOL_S, clock_offsets
from tracekit.analysis.clock_skew.result import ClockSkew, offsets_table
from tracekit.analysis.critical_path.critical_path import critical_path

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.traces import TraceSet


def clock_skew(
    traces: TraceSet,
    *,
    pool_s: float = POOL_S,
    drift_ppm: float = DRIFT_PPM,
    async_ratio: float = ASYNC_RATIO,
    min_traces: int = MIN_TRACES,
    any_kind: bool = False,
) -> ClockSkew:
    """Return how far the clocks of every trace are apart, and how much of the critical path depends on it.

    Parameters
    ----------
    traces
        Any traces; their times stay as they are.
    pool_s
        Calls between two hosts within so many seconds are taken together.
    drift_ppm
        How fast one clock may run away from another, in millionths: intervals are as much wider.
    async_ratio
        Share of calls that may end after their callers or begin before them without widening an interval.
    min_traces
        How many traces it takes at least to prove an offset where callees end after their callers.  With 1 every trace
        is a proof: only for recordings without asynchronous calls.
    any_kind
        Whether a span of any kind under a span of any kind on another clock is taken for a call that is waited for.
        Without, only SERVER under CLIENT is, as far as kinds were recorded.

    Returns
    -------
    ClockSkew
        ``.offsets`` (one a trace and host, with its interval), ``.pairs``, ``.traces``, ``.moved_ratio``.

    Raises
    ------
    ValueError
        A setting out of its range.

    Notes
    -----
    A call that its caller waited for lies within it, so the callee's clock is ahead by at least ``end - end`` and at
    most ``start - start``.  An asynchronous call, which nobody waits for, looks like a call to a clock that is ahead.
    Messages are therefore left out (see ``messages.message_spans``), and no trace proves an offset by itself: a clock
    is moved only where neighbouring traces of the same two clocks agree.  These are 100 traces, else 50 or 25 next
    to each other, each with one vote; all of the following must hold:

    * With the clocks as they are, so many of the traces are impossible in one direction that this would occur with a
      probability of at most ``0.5 ** min_traces`` if every second trace had an asynchronous call: 16 of 16, 40 of 50,
      72 of 100.  Where callees begin before their callers, which no asynchronous call does, 4 of 4, 7 of 16 or 17 of
      100 are enough.
    * One offset, or one line where a clock drifts, satisfies at least two thirds of them.  A callee that takes longer
      than its caller agrees with nothing.

    So up to half of the calls between two hosts may be asynchronous, whatever their delay.  If nearly all of them are,
    and all with about the same delay, they cannot be distinguished from a skew.  ``tk.quality`` and the critical path
    decide in the same way.

    Intervals are those of about 50 calls next to each other and within ``pool_s`` that one offset must satisfy, but for
    ``async_ratio`` of them (Marzullo 1984, as in NTP, RFC 5905); where they do not, or are so far apart in time that
    drift exceeds what a single call allows, those of the trace itself or of the neighbouring traces.  Offsets add up
    from the root's host outward.  The difference between the way there and the way back does not show in spans; the
    interval allows for it.

    No clock is moved without need: the offset is 0 where the interval allows it; else as far within the interval as 0
    is outside, at most its middle.

    A clock is a host; where no host was recorded, a service and its instance, pod or container.

    Examples
    --------
    The ledger's clock is 1,000 ns ahead: its work seems to begin after the shop's call of it has ended.

    >>> from tracekit import TraceSet
    >>> frame = pd.DataFrame(
    ...     {
    ...         "trace_id": "a1",
    ...         "span_id": ["1", "2"],
    ...         "parent_span_id": [None, "1"],
    ...         "service_name": ["shop", "ledger"],
    ...         "host_name": ["h1", "h2"],
    ...         "name": ["POST /pay", "charge"],
    ...         "start_ns": [0, 1020],
    ...         "end_ns": [100, 1080],
    ...     }
    ... )
    >>> skew = clock_skew(TraceSet.from_spans(frame), min_traces=1)
    >>> skew.offsets[["host", "offset_ns", "low_ns", "high_ns"]].to_numpy().tolist()
    [['h1', 0, 0, 0], ['h2', 1000, 980, 1020]]
    >>> skew.traces[["path_time_ns", "moved_ns"]].to_numpy().tolist()
    [[100, 60]]
    """
    is_share = 0 <= async_ratio < 0.5  # noqa: PLR2004 - no majority is left
    if not pool_s > 0 or not drift_ppm >= 0 or not is_share or not min_traces >= 1:
        raise ValueError(
            "expected pool_s > 0, drift_ppm >= 0, 0 <= async_ratio < 0.5 and min_traces >= 1, "
            f"found {pool_s}, {drift_ppm}, {async_ratio} and {min_traces}"
        )
    estimate, pairs = clock_offsets(
        traces, pool_s=pool_s, drift_ppm=drift_ppm, async_ratio=async_ratio, min_traces=min_traces, any_kind=any_kind
    )
    moved = np.bincount(estimate.trace[estimate.offset_ns != 0], minlength=len(traces))
    bare = ClockSkew(traces, estimate, offsets_table(traces, estimate), pairs, pd.DataFrame(), np.nan)
    latency, elsewhere = _moved(traces, bare)
    table = pd.DataFrame(
        {
            "trace_id": traces.trace_ids,
            "moved_clock_count": moved,
            "path_time_ns": latency,
            "moved_ns": elsewhere,
        }
    )
    weight = traces.weights.value
    whole = float((weight * latency).sum())
    ratio = float((weight * elsewhere).sum()) / whole if whole > 0 else np.nan
    return ClockSkew(traces, estimate, bare.offsets, pairs, table, ratio)


def _moved(traces: TraceSet, skew: ClockSkew) -> tuple[Array, Array]:
    """Return the path time of every trace, and how much of it belongs to other spans once the clocks are right."""
    raw = critical_path(traces, skew="off")
    path_time, elsewhere = np.zeros(len(traces), np.int64), np.zeros(len(traces), np.int64)
    np.add.at(path_time, raw.tree.trace, raw.own_ns)
    if skew.estimate.offset_ns.any():
        np.add.at(elsewhere, raw.tree.trace, np.abs(critical_path(traces, skew=skew).own_ns - raw.own_ns))
    return path_time, elsewhere // 2
