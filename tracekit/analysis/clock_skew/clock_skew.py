"""Clock skew: how far the clocks of hosts are apart, told by calls that must lie within their callers."""

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
        Share of calls that may outlive their callers or begin before them, because nobody waits for them.
    any_kind
        Whether a span of any kind under a span of any kind on another clock is taken for a call that is waited for.
        Without, only SERVER under CLIENT is, as far as kinds are told.

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
    most ``start - start``.  About 50 calls between two hosts, next to each other and within ``pool_s``, must be
    satisfied by one offset, but for ``async_ratio`` of them (Marzullo 1984, as in NTP, RFC 5905).  Where they are not,
    or are so far apart that drift would blur what a single call tells, every trace is taken by itself.  Offsets add up
    from the root's host outward.  The interval contains the truth as long as no more calls than that are left alone by
    their callers; how unlike the way there and the way back are cannot be told from spans, the interval allows for it.

    No clock is moved without need: the offset is 0 where the interval allows it; else as far within the interval as 0
    is outside, at most its middle.

    A clock is a host; where no host is told, a service and its instance.  Some share of calls that nobody waits for
    looks exactly like a skew: read ``agreement_ratio`` in ``pairs``.

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
    >>> skew = clock_skew(TraceSet.from_spans(frame))
    >>> skew.offsets[["host", "offset_ns", "low_ns", "high_ns"]].to_numpy().tolist()
    [['h1', 0, 0, 0], ['h2', 1000, 980, 1020]]
    >>> skew.traces[["path_time_ns", "moved_ns"]].to_numpy().tolist()
    [[100, 60]]
    """
    if not pool_s > 0 or not drift_ppm >= 0 or not 0 <= async_ratio < 0.5:  # noqa: PLR2004 - no majority is left
        raise ValueError(
            "expected pool_s > 0, drift_ppm >= 0 and 0 <= async_ratio < 0.5, "
            f"found {pool_s}, {drift_ppm} and {async_ratio}"
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
