"""Clock skew: offsets between the clocks of hosts, from calls that must lie within their callers."""

from __future__ import annotations

import operator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.clock_skew.calls import calls_between_clocks, clocks
from tracekit.analysis.clock_skew.neighbours import MIN_TRACES
from tracekit.analysis.clock_skew.offsets import ASYNC_RATIO, DRIFT_PPM, POOL_S, Settings, clock_offsets
from tracekit.analysis.clock_skew.parts import OffsetsById, all_calls, part_calls
from tracekit.analysis.clock_skew.result import ClockSkew, offsets_table
from tracekit.analysis.critical_path.compute import critical_path
from tracekit.analysis.partials import check_on
from tracekit.arguments import check_traces
from tracekit.attributes import Codes
from tracekit.frames import hexes
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.columns import Array
    from tracekit.parts import On, Parts


def clock_skew(
    traces: TraceSet | Parts,
    *,
    pool_s: float = POOL_S,
    drift_ppm: float = DRIFT_PPM,
    async_ratio: float = ASYNC_RATIO,
    min_traces: int = MIN_TRACES,
    any_kind: bool = False,
    on: On = None,
) -> ClockSkew:
    """Return the clock offsets of every trace, and how much of the critical path depends on them.

    Parameters
    ----------
    traces
        The traces; their timestamps are not modified.  A store is read twice: for the calls between clocks, and for
        what the offsets change.  Between them it keeps about 80 bytes for every such call and trace.
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
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

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
    check_on(on, traces)
    is_share = 0 <= async_ratio < 0.5  # noqa: PLR2004 - no majority is left
    if not pool_s > 0 or not drift_ppm >= 0 or not is_share or not min_traces >= 1:
        raise ValueError(
            "expected pool_s > 0, drift_ppm >= 0, 0 <= async_ratio < 0.5 and min_traces >= 1, "
            f"found {pool_s}, {drift_ppm}, {async_ratio} and {min_traces}"
        )
    settings = Settings(pool_s, drift_ppm, async_ratio, min_traces)
    if isinstance(traces, TraceSet):
        clock = clocks(traces)
        calls = calls_between_clocks(traces, clock, any_kind=any_kind)
        estimate, pairs = clock_offsets(clock, calls, clock.codes[traces.forest.root_row], settings)
        ids = np.array(traces.trace_ids, object)
        bare = ClockSkew(traces, estimate, offsets_table(ids, estimate), pairs, pd.DataFrame(), np.nan)
        (moves,) = moved(traces, bare)
    else:
        every = all_calls(traces.reduce(partial(part_calls, any_kind=any_kind), operator.add, on=on))
        clock = Codes(np.zeros(0, np.int64), every.clocks)
        estimate, pairs = clock_offsets(clock, every.calls, every.root_clock, settings)
        ids = hexes(every.trace_hi, every.trace_lo)
        bare = ClockSkew(traces, estimate, offsets_table(ids, estimate), pairs, pd.DataFrame(), np.nan)
        offsets = OffsetsById(every.clocks, every.trace_hi, every.trace_lo, estimate)
        moves = by_id(traces.reduce(partial(moved, skew=offsets), operator.add, on=on))
    table = pd.DataFrame(
        {
            "trace_id": ids,
            "moved_clock_count": np.bincount(estimate.trace[estimate.offset_ns != 0], minlength=len(ids)),
            "path_time_ns": moves.path_time_ns,
            "moved_ns": moves.moved_ns,
        }
    )
    total = float((moves.weight * moves.path_time_ns).sum())
    ratio = float((moves.weight * moves.moved_ns).sum()) / total if total > 0 else np.nan
    return replace(bare, traces=table, moved_ratio=ratio)


class Moves(NamedTuple):
    """One entry per trace: id, sampling weight, path time in ns, and how much of it the correction moves to others."""

    trace_hi: Array
    trace_lo: Array
    weight: Array
    path_time_ns: Array
    moved_ns: Array


def moved(traces: TraceSet, skew: ClockSkew | OffsetsById) -> list[Moves]:
    """Return how much path time of every trace the correction attributes to other spans."""
    raw = critical_path(traces, skew="off")
    path_time, elsewhere = np.zeros(len(traces), np.int64), np.zeros(len(traces), np.int64)
    np.add.at(path_time, raw.tree.trace, raw.own_ns)
    offsets = skew.of(traces) if isinstance(skew, OffsetsById) else skew.estimate
    if offsets is not None and offsets.offset_ns.any():
        np.add.at(elsewhere, raw.tree.trace, np.abs(critical_path(traces, skew=skew).own_ns - raw.own_ns))
    spans, first = traces.columns.spans, traces.forest.starts[:-1]
    ids = spans.trace_hi[first], spans.trace_lo[first]
    return [Moves(*ids, traces.weights.value, path_time, elsewhere // 2)]


def by_id(parts: Sequence[Moves]) -> Moves:
    """Return the traces of all parts in the order of their ids, as they are in memory."""
    whole = Moves(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    order = np.lexsort((whole.trace_lo, whole.trace_hi))
    return Moves(*(column[order] for column in whole))
