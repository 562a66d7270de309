"""Pools of calls between two clocks, and the offsets they agree on."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.analysis.clock_skew.intervals import agree, within
from tracekit.on_demand import pd
from tracekit.stats.grouping import distinct_by

if TYPE_CHECKING:
    from tracekit.analysis.clock_skew.calls import Calls
    from tracekit.analysis.clock_skew.neighbours import Neighbours
    from tracekit.columns import Array

_TOGETHER = 50  # approximate calls per pool: enough to outvote asynchronous ones


class Evidence(IntEnum):
    """The evidence for the offset of a clock."""

    REFERENCE = 0
    POOLED = 1
    OWN = 2
    DISPUTED = 3
    NONE = 4


class Pools(NamedTuple):
    """Pools of consecutive calls between two clocks: the group of every call, and facts about groups.

    ``call_count`` and ``trace_count`` count usable calls, ``drift_ns`` is the maximum drift from the first to the last,
    and ``is_close`` is true if the drift is small enough to evaluate the calls together.
    """

    group: Array
    call_count: Array
    trace_count: Array
    drift_ns: Array
    is_close: Array


class Limits(NamedTuple):
    """One entry per call: bounds of the callee's offset from the caller, and the evidence; and the agreement of pools.

    ``pooled_low``, ``pooled_high`` and ``agreement_ratio`` have one entry per group, for the clock with the larger
    code; they are undefined, and the ratio is NaN, if a group has no usable call.
    """

    low: Array
    high: Array
    evidence: Array
    pooled_low: Array
    pooled_high: Array
    agreement_ratio: Array
    is_pooled: Array


def pools_of(calls: Calls, *, pool_s: float, drift_ppm: float) -> Pools:
    """Return the pools of calls."""
    lower, higher = np.minimum(calls.caller, calls.callee), np.maximum(calls.caller, calls.callee)
    pair, _ = pd.factorize(lower * (int(higher.max(initial=0)) + 1) + higher)
    stretch, stretches = pd.factorize(calls.begun_ns // max(round(pool_s * 1e9), 1))
    group, groups = _blocks(pair.astype(np.int64) * max(len(stretches), 1) + stretch, calls.begun_ns)
    last, first = within(group, calls.begun_ns, calls.begun_ns, groups)
    drift = np.ceil((last - first) * drift_ppm * 1e-6).astype(np.int64)
    used = np.flatnonzero(calls.usable)
    of = group[used]
    count, traces = np.bincount(of, minlength=groups), distinct_by(of, calls.trace[used], groups)
    clear = calls.high[used] - calls.low[used] >= 2 * drift[of]
    close = (traces > 1) & (2 * np.bincount(of[clear], minlength=groups) >= count)
    return Pools(group, count, traces, drift, close)


def _blocks(key: Array, begun: Array) -> tuple[Array, int]:
    """Return the group of every call and the number of groups: blocks of calls with one key, in order of time."""
    whole, keys = pd.factorize(key)
    size = np.bincount(whole, minlength=len(keys))
    parts = np.maximum(1, size // _TOGETHER)
    rows = np.flatnonzero(parts[whole] > 1)
    rows = rows[np.lexsort((begun[rows], whole[rows]))]
    many = np.where(parts > 1, size, 0)
    rank = np.arange(len(rows)) - np.repeat(np.cumsum(many) - many, many)
    group = (np.cumsum(parts) - parts)[whole]
    group[rows] += rank * parts[whole[rows]] // size[whole[rows]]
    return group, int(parts.sum())


def limits_of(calls: Calls, pools: Pools, near: Neighbours, *, async_ratio: float) -> Limits:
    """Return the bounds from every call's pool, or from the calls of its trace if the pool does not agree.

    Adjacent traces overrule both: without their proof 0 is allowed, with it their bounds replace those that contain 0.
    """
    used = np.flatnonzero(calls.usable)
    forward = (calls.caller < calls.callee)[used]
    low = np.where(forward, calls.low[used], -calls.high[used])  # for the clock with the larger code
    high = np.where(forward, calls.high[used], -calls.low[used])
    of, kept = pd.factorize(pools.group[used])
    found = agree(of, low, high, async_ratio=async_ratio)
    pooled_low, pooled_high = np.zeros((2, len(pools.drift_ns)), np.int64)
    ratio = np.full(len(pools.drift_ns), np.nan)
    pooled_low[kept], pooled_high[kept] = found.low - pools.drift_ns[kept], found.high + pools.drift_ns[kept]
    ratio[kept] = found.ratio
    is_pooled = pools.is_close & (ratio >= 1 - async_ratio)
    drift = pools.drift_ns[kept][of]
    limit_low, limit_high = found.low[of] - drift, found.high[of] + drift
    evidence = np.full(len(used), Evidence.POOLED)
    alone = np.flatnonzero(~is_pooled[kept][of])
    by_trace = [column[used[alone]] for column in (calls.trace, calls.caller, calls.callee)]
    limit_low[alone], limit_high[alone], evidence[alone] = _of_traces(by_trace, low[alone], high[alone], async_ratio)
    outer_high, outer_low = within(of, high, low, len(kept))
    _overrule(limit_low, limit_high, evidence, near.take(used), (outer_low[of], outer_high[of]))
    apart_low, apart_high = _proven(pools, near)
    pooled_low, pooled_high = overruled(pooled_low, pooled_high, apart_low <= apart_high, apart_low, apart_high)
    whole_low, whole_high, whole = np.zeros((3, len(calls)), np.int64)
    whole_low[used] = np.where(forward, limit_low, -limit_high)
    whole_high[used] = np.where(forward, limit_high, -limit_low)
    whole[used] = evidence
    return Limits(whole_low, whole_high, whole, pooled_low, pooled_high, ratio, is_pooled)


def overruled(low: Array, high: Array, is_apart: Array, near_low: Array, near_high: Array) -> tuple[Array, Array]:
    """Return bounds that exclude 0 where adjacent traces prove it, and nowhere else."""
    other = ((low <= 0) & (high >= 0)) | (low > near_high) | (high < near_low)
    return (
        np.where(is_apart, np.where(other, near_low, low), np.minimum(low, 0)),
        np.where(is_apart, np.where(other, near_high, high), np.maximum(high, 0)),
    )


def _overrule(low: Array, high: Array, evidence: Array, near: Neighbours, pool: tuple[Array, Array]) -> None:
    """Set the bounds of calls, in place, to those of adjacent traces, or of the ``pool`` where these prove nothing."""
    new = overruled(low, high, near.is_apart, near.low, near.high)
    changed = (new[0] != low) | (new[1] != high)
    disputed = changed & ~near.is_apart
    evidence[changed] = np.where(disputed, Evidence.DISPUTED, Evidence.POOLED)[changed]
    low[:] = np.where(disputed, np.minimum(pool[0], 0), new[0])
    high[:] = np.where(disputed, np.maximum(pool[1], 0), new[1])


def _proven(pools: Pools, near: Neighbours) -> tuple[Array, Array]:
    """Return the hull of the bounds proven by adjacent traces for every pool; inverted without any."""
    rows = np.flatnonzero(near.is_apart)
    high, low = within(pools.group[rows], near.high[rows], near.low[rows], len(pools.drift_ns))
    return low, high


def _of_traces(by: list[Array], low: Array, high: Array, async_ratio: float) -> tuple[Array, Array, Array]:
    """Return bounds from single traces; the hull of all bounds if their calls contradict each other."""
    trace, caller, callee = by
    size = int(max(caller.max(initial=0), callee.max(initial=0))) + 1
    pair = np.minimum(caller, callee) * size + np.maximum(caller, callee)
    group, _ = pd.factorize(trace * size * size + pair)
    found = agree(group, low, high, async_ratio=async_ratio)
    outer_high, outer_low = within(group, high, low, len(found.size))
    sure = found.ratio >= 1 - async_ratio
    low, high = np.where(sure, found.low, outer_low), np.where(sure, found.high, outer_high)
    return low[group], high[group], np.where(sure, Evidence.OWN, Evidence.DISPUTED)[group]


def pairs_table(calls: Calls, pools: Pools, limits: Limits, names: list[str], pool_s: float) -> pd.DataFrame:
    """Return one row per pair of clocks and group of calls; see ``ClockSkew.pairs``."""
    some = np.zeros(len(pools.drift_ns), np.int64)
    some[pools.group] = np.arange(len(calls))
    one, other = np.minimum(calls.caller, calls.callee)[some], np.maximum(calls.caller, calls.callee)[some]
    step, labels = max(round(pool_s * 1e9), 1), np.array([*names, ""], object)
    dropped = np.bincount(pools.group[~calls.usable], minlength=len(some))
    first = np.full(len(some), np.iinfo(np.int64).max)
    np.minimum.at(first, pools.group, calls.begun_ns)
    table = pd.DataFrame(
        {
            "host": labels[one],
            "peer_host": labels[other],
            "start_ns": first // step * step,
            "call_count": pools.call_count,
            "dropped_count": dropped,
            "trace_count": pools.trace_count,
            "agreement_ratio": limits.agreement_ratio,
            "is_pooled": limits.is_pooled,
            "low_ns": pd.Series(limits.pooled_low, dtype="Int64").where(pools.call_count > 0),
            "high_ns": pd.Series(limits.pooled_high, dtype="Int64").where(pools.call_count > 0),
        }
    )
    return table.iloc[np.lexsort((first, other, one))].reset_index(drop=True)
