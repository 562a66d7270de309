"""Clock skew: offsets between the clocks of hosts, from calls that must lie within their callers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.analysis.clock_skew.neighbours import MIN_TRACES
from tracekit.analysis.clock_skew.offsets import ASYNC_RATIO, DRIFT_PPM, POOL_S, clock_offsets
from tracekit.analysis.clock_skew.result import ClockSkew, offsets_table
from tracekit.analysis.critical_path.compute import critical_path
from tracekit.arguments import check_traces

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
    """Return the clock offsets of every trace, and how much of the critical path depends on them.

    Parameters
    ----------
    traces
        The traces; their timestamps are not modified.
    pool_s
        Calls between two hosts within this many seconds are evaluated together.
    drift_ppm
        Maximum drift between two clocks, in parts per million; intervals are widened accordingly.
    async_ratio
        Fraction of calls that may end after or begin before their callers without widening an interval.
    min_traces
        Minimum number of traces that prove an offset if callees end after their callers. With 1, every trace is a
        proof: only for datasets without asynchronous calls.
    any_kind
        Whether any span under a span on another clock counts as a synchronous call. If false, only SERVER under CLIENT
        does, if kinds were recorded.

    Returns
    -------
    ClockSkew
        ``.offsets`` (one per trace and host, with its interval), ``.pairs``, ``.traces``, ``.moved_ratio``.

    Raises
    ------
    ValueError
        A parameter out of range.

    Notes
    -----
    A synchronous call lies within its caller, so the callee's clock is ahead by at least ``end - end`` and at most
    ``start - start``. An asynchronous call looks like a call to a clock that is ahead. Messages are therefore excluded
    (see ``messages.message_spans``), and a single trace does not prove an offset: a clock is corrected only if adjacent
    traces of the same two clocks agree. These are 100 consecutive traces, else 50 or 25, each with one vote; all of the
    following must hold:

    * With uncorrected clocks, the number of traces that are impossible in one direction would occur with a probability
    of at most ``0.5 ** min_traces`` if every second trace had an asynchronous call: 16 of 16, 40 of 50, 72 of 100. If
    callees begin before their callers, which asynchronous calls do not, 4 of 4, 7 of 16 or 17 of 100 are sufficient.  *
    One offset, or one line if a clock drifts, satisfies at least two thirds of them. A callee that takes longer than
    its caller satisfies none.

    So up to half of the calls between two hosts may be asynchronous, with any delay. If nearly all are, with about the
    same delay, they cannot be distinguished from clock skew. ``tk.quality`` and the critical path use the same rule.

    An interval contains the offsets that satisfy about 50 consecutive calls within ``pool_s``, except ``async_ratio``
    of them (Marzullo 1984, as in NTP, RFC 5905); if there is none, or drift exceeds what a single call allows, it is
    that of the trace itself or of the adjacent traces. Offsets are summed from the root's host outward. Spans do not
    show asymmetric network delays; the interval includes them.

    Corrections are minimal: the offset is 0 if the interval contains 0; otherwise it is as far inside the interval as 0
    is outside, at most its middle.

    A clock is a host, or a service and its instance, pod or container if no host was recorded.

    Examples
    --------
    >>> late = shop.spans.copy()
    >>> late.loc[late["host_name"] == "shop-2", ["start_ns", "end_ns"]] += 1_000_000_000
    >>> skew = tk.clock_skew(tk.TraceSet.from_spans(late), min_traces=1)
    >>> skew.offsets.groupby("host")[["offset_ns", "low_ns", "high_ns"]].max().to_dict("index")["shop-2"]
    {'offset_ns': 1000000000, 'low_ns': 994919900, 'high_ns': 1005080100}
    """
    check_traces(traces, "clock_skew")
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
    total = float((weight * latency).sum())
    ratio = float((weight * elsewhere).sum()) / total if total > 0 else np.nan
    return ClockSkew(traces, estimate, bare.offsets, pairs, table, ratio)


def _moved(traces: TraceSet, skew: ClockSkew) -> tuple[Array, Array]:
    """Return the path time of every trace in ns, and how much of it the correction attributes to other spans."""
    raw = critical_path(traces, skew="off")
    path_time, elsewhere = np.zeros(len(traces), np.int64), np.zeros(len(traces), np.int64)
    np.add.at(path_time, raw.tree.trace, raw.own_ns)
    if skew.estimate.offset_ns.any():
        np.add.at(elsewhere, raw.tree.trace, np.abs(critical_path(traces, skew=skew).own_ns - raw.own_ns))
    return path_time, elsewhere // 2
