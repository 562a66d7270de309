"""Clock offsets of every trace, from calls that must lie within their callers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.analysis.clock_skew.calls import calls_between_clocks, clocks
from tracekit.analysis.clock_skew.intervals import place
from tracekit.analysis.clock_skew.neighbours import MIN_TRACES, neighbours
from tracekit.analysis.clock_skew.pairs import Evidence, limits_of, pairs_table, pools_of

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.analysis.clock_skew.calls import Calls
    from tracekit.analysis.clock_skew.pairs import Limits
    from tracekit.attributes import Codes
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

POOL_S, DRIFT_PPM, ASYNC_RATIO = 60.0, 20.0, 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Offsets:
    """One entry per trace and clock, for traces with more than one clock.

    Parameters
    ----------
    clock
        The clock of every span.
    trace, code
        Ordinal of the trace and code of the clock, by (trace, clock).
    offset_ns, low_ns, high_ns
        int64: how far the clock is ahead of the root's clock, with its interval.
    evidence
        int8, ``Evidence``; if it is NONE, the offset is 0 and the interval is undefined.
    """

    clock: Codes
    trace: Array
    code: Array
    offset_ns: Array
    low_ns: Array
    high_ns: Array
    evidence: Array

    @property
    def moved(self) -> Offsets:
        """The entries of clocks that were corrected."""
        at = self.offset_ns != 0
        columns = (self.trace, self.code, self.offset_ns, self.low_ns, self.high_ns, self.evidence)
        return Offsets(self.clock, *(each[at] for each in columns))

    @property
    def residual_ns(self) -> Array:
        """int64: remaining uncertainty of a corrected clock; 0 if it was not corrected."""
        rest = np.maximum(self.high_ns - self.offset_ns, self.offset_ns - self.low_ns)
        return np.where(self.offset_ns != 0, rest, 0)

    def of_spans(self, values: Array, of_trace: Array) -> Array:
        """Return one of the columns for every span, 0 if its clock has no entry.

        Parameters
        ----------
        values
            One entry per trace and clock.
        of_trace
            Ordinal of the trace of every span.
        """
        found = np.zeros(len(of_trace), np.int64)
        nonzero = np.flatnonzero(values != 0)
        if not len(nonzero):
            return found
        size = len(self.clock.labels)
        concerned = np.zeros(int(of_trace.max()) + 1, bool)
        concerned[self.trace[nonzero]] = True
        rows = np.flatnonzero(concerned[of_trace])
        known = self.trace[nonzero].astype(np.int64) * size + self.code[nonzero]
        key = of_trace[rows].astype(np.int64) * size + self.clock.codes[rows]
        at = np.minimum(np.searchsorted(known, key), len(known) - 1)
        found[rows] = np.where(known[at] == key, values[nonzero][at], 0)
        return found


class Settings(NamedTuple):
    """What ``clock_skew`` assumes; see there."""

    pool_s: float = POOL_S
    drift_ppm: float = DRIFT_PPM
    async_ratio: float = ASYNC_RATIO
    min_traces: int = MIN_TRACES


def clock_offsets(clock: Codes, calls: Calls, root_clock: Array, settings: Settings) -> tuple[Offsets, pd.DataFrame]:
    """Return one offset for every trace and clock, and the pairs of clocks that they are based on."""
    pools = pools_of(calls, pool_s=settings.pool_s, drift_ppm=settings.drift_ppm)
    near = neighbours(calls, min_traces=settings.min_traces, async_ratio=settings.async_ratio)
    limits = limits_of(calls, pools, near, async_ratio=settings.async_ratio)
    return _placed(clock, calls, limits, root_clock), pairs_table(calls, pools, limits, clock.labels, settings.pool_s)


def needed_offsets(traces: TraceSet) -> Offsets | None:
    """Return the offsets of all traces that have a nonzero one; None without any.

    Only clocks with proven skew have one, so most calls need no further evaluation.
    """
    clock = clocks(traces)
    return offsets_of(clock, calls_between_clocks(traces, clock), clock.codes[traces.forest.root_row])


def offsets_of(clock: Codes, calls: Calls, root_clock: Array) -> Offsets | None:
    """Return the same from the calls between clocks and the clock of the root of every trace."""
    if not calls.seem_skewed.any():
        return None
    near = neighbours(calls, min_traces=MIN_TRACES, async_ratio=ASYNC_RATIO)
    if not near.is_apart.any():
        return None
    moved = np.zeros(len(root_clock), bool)
    moved[calls.trace[near.is_apart]] = True
    pools = pools_of(calls, pool_s=POOL_S, drift_ppm=DRIFT_PPM)
    needed = np.zeros(len(pools.drift_ns), bool)
    needed[pools.group[moved[calls.trace]]] = True
    rows = np.flatnonzero(needed[pools.group])
    calls, pools = calls.take(rows), pools._replace(group=pools.group[rows])
    limits = limits_of(calls, pools, near.take(rows), async_ratio=ASYNC_RATIO)
    inside = np.flatnonzero(moved[calls.trace])
    limits_inside = limits._replace(low=limits.low[inside], high=limits.high[inside], evidence=limits.evidence[inside])
    return _placed(clock, calls.take(inside), limits_inside, root_clock)


def _placed(clock: Codes, calls: Calls, limits: Limits, root_clock: Array) -> Offsets:
    """Return the offsets that satisfy the calls, from the root's clock outward."""
    trace, code, caller, callee = _nodes(clock, calls, root_clock)
    used = np.flatnonzero(calls.usable)
    caller, callee = caller[used], callee[used]
    reference = code == root_clock[trace]
    found = place(caller, callee, limits.low[used], limits.high[used], reference)
    worst = np.full(len(trace), Evidence.POOLED, np.int8)
    np.maximum.at(worst, callee, limits.evidence[used].astype(np.int8))
    worst[found.is_disputed] = Evidence.DISPUTED
    worst[~found.placed] = Evidence.NONE
    worst[reference] = Evidence.REFERENCE
    return Offsets(clock, trace, code, found.offset, found.low, found.high, worst)


def _nodes(clock: Codes, calls: Calls, root_clock: Array) -> tuple[Array, Array, Array, Array]:
    """Return trace and clock of every node, by both, and the nodes of callers and callees."""
    size, trace, count = max(len(clock.labels), 1), np.unique(calls.trace), len(calls)
    roots = trace * size + root_clock[trace]
    ends = [calls.trace * size + of for of in (calls.caller, calls.callee)]
    key, at = np.unique(np.concatenate((*ends, roots)), return_inverse=True)
    return key // size, key % size, at[:count], at[count : 2 * count]
