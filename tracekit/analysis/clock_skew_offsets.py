"""How far the clocks of every trace are apart, from calls that must lie within their callers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.clock_skew_intervals import agree, place, within
from tracekit.analysis.path_plant import waiting_by_links
from tracekit.analysis.path_tree import Waiting
from tracekit.analysis.self_time import visible_parents
from tracekit.attributes import Codes
from tracekit.schema import KINDS, Kind
from tracekit.stats.grouping import distinct_by

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

POOL_S, DRIFT_PPM, ASYNC_RATIO = 60.0, 20.0, 0.05
_TOGETHER = 50  # calls of a pair, about, that are asked together: enough to outvote those that nobody waited for
_CALLERS, _CALLEES = (np.isin(np.arange(len(KINDS)), (kind, Kind.UNSPECIFIED)) for kind in (Kind.CLIENT, Kind.SERVER))


class Evidence(IntEnum):
    """What the offset of a clock rests on.

    Examples
    --------
    >>> Evidence(1).name
    'POOLED'
    """

    REFERENCE = 0
    POOLED = 1
    OWN = 2
    DISPUTED = 3
    NONE = 4


@dataclass(frozen=True, slots=True, eq=False)
class Calls:
    """Calls from one clock to another; ``low`` and ``high`` limit the callee's offset from the caller, in ns.

    A callee that takes longer than its caller was not waited for, whatever the clocks: ``usable`` is false.
    """

    row: Array
    trace: Array
    caller: Array
    callee: Array
    low: Array
    high: Array
    usable: Array


@dataclass(frozen=True, slots=True, eq=False)
class Offsets:
    """One entry for every clock of every trace in which there is more than one.

    Parameters
    ----------
    clock
        The clock of every span.
    trace, code
        Ordinal of the trace and code of the clock, by (trace, clock).
    offset_ns, low_ns, high_ns
        int64: how far the clock is ahead of that of the trace's root, with its interval.
    evidence
        int8, ``Evidence``; where it is NONE the offset is 0 and the interval means nothing.
    pairs
        One row a pair of clocks and stretch of time; see ``ClockSkew.pairs``.
    """

    clock: Codes
    trace: Array
    code: Array
    offset_ns: Array
    low_ns: Array
    high_ns: Array
    evidence: Array
    pairs: pd.DataFrame

    @property
    def residual_ns(self) -> Array:
        """int64: how far a corrected clock may still be off; 0 where nothing was corrected."""
        rest = np.maximum(self.high_ns - self.offset_ns, self.offset_ns - self.low_ns)
        return np.where(self.offset_ns != 0, rest, 0)

    def of_spans(self, values: Array, of_trace: Array) -> Array:
        """Return one of the columns for every span, 0 where its clock has no entry.

        Parameters
        ----------
        values
            One entry a clock of a trace.
        of_trace
            Ordinal of the trace of every span.
        """
        found = np.zeros(len(of_trace), np.int64)
        told = np.flatnonzero(values != 0)
        if not len(told):
            return found
        size = len(self.clock.labels)
        concerned = np.zeros(int(of_trace.max()) + 1, bool)
        concerned[self.trace[told]] = True
        rows = np.flatnonzero(concerned[of_trace])
        known = self.trace[told].astype(np.int64) * size + self.code[told]
        key = of_trace[rows].astype(np.int64) * size + self.clock.codes[rows]
        at = np.minimum(np.searchsorted(known, key), len(known) - 1)
        found[rows] = np.where(known[at] == key, values[told][at], 0)
        return found


def clocks(traces: TraceSet) -> Codes:
    """Return whose clock every span was timed by: its host, or where that is unknown its service and instance.

    Parameters
    ----------
    traces
        Any traces.

    Returns
    -------
    Codes
        Never -1.

    Examples
    --------
    >>> from tracekit import TraceSet
    >>> frame = pd.DataFrame({"trace_id": "a1", "span_id": ["1", "2"], "name": "x", "start_ns": 0, "end_ns": 9})
    >>> clocks(
    ...     TraceSet.from_spans(frame.assign(service_name=["cart", "shop"], host_name=["h1", None]))
    ... ).series().tolist()
    ['h1', 'shop']
    """
    host = traces.codes("host_name")
    unknown = np.flatnonzero(host.codes < 0)
    if not len(unknown):
        return host
    service, instance = traces.codes("service_name"), traces.codes("service_instance_id")
    process = service.codes[unknown].astype(np.int64) * (len(instance.labels) + 1) + instance.codes[unknown] + 1
    code, distinct = pd.factorize(process, sort=True)
    codes = host.codes.astype(np.int64)
    codes[unknown] = code + len(host.labels)
    names = [
        f"{service.labels[of_service]} {instance.labels[of_instance - 1]}"
        if of_instance
        else service.labels[of_service]
        for of_service, of_instance in zip(*np.divmod(distinct, len(instance.labels) + 1), strict=True)
    ]
    return Codes(codes, [*host.labels, *names])


def calls_between_clocks(traces: TraceSet, clock: Codes, *, any_kind: bool = False) -> Calls:
    """Return every call that somebody waited for from one clock to another, as far as both ends were timed.

    Parameters
    ----------
    traces, any_kind
        See ``clock_skew``.
    clock
        Of every span.

    Returns
    -------
    Calls
        By row; limits allow for the grain of both clocks' text.
    """
    spans, parent = traces.columns.spans, visible_parents(traces.forest.parent_row, traces.is_inferred)
    row = np.flatnonzero((parent >= 0) & (clock.codes != clock.codes[parent]))
    if not any_kind:
        row = row[_CALLERS[spans.kind[parent[row]]] & _CALLEES[spans.kind[row]]]
    timed, waiting = traces.has_duration, waiting_by_links(traces, parent, traces.is_inferred, "async")
    row = row[(waiting[row] == Waiting.AWAITED) & timed[row] & timed[parent[row]]]
    above = parent[row]
    grain = np.maximum(spans.resolution_ns[row], spans.resolution_ns[above]).astype(np.int64)
    grain[grain == 1] = 0
    low, high = spans.end_ns[row] - spans.end_ns[above] - grain, spans.start_ns[row] - spans.start_ns[above] + grain
    caller, callee = clock.codes[above].astype(np.int64), clock.codes[row].astype(np.int64)
    return Calls(row, traces.forest.trace[row].astype(np.int64), caller, callee, low, high, low <= high)


def clock_offsets(
    traces: TraceSet,
    *,
    pool_s: float = POOL_S,
    drift_ppm: float = DRIFT_PPM,
    async_ratio: float = ASYNC_RATIO,
    any_kind: bool = False,
) -> Offsets:
    """Return one offset for every trace and clock.

    Parameters
    ----------
    traces, pool_s, drift_ppm, async_ratio, any_kind
        See ``clock_skew``.

    Returns
    -------
    Offsets
        The offsets.
    """
    clock = clocks(traces)
    return _solved(
        traces, clock, calls_between_clocks(traces, clock, any_kind=any_kind), pool_s, drift_ppm, async_ratio
    )


def needed_offsets(traces: TraceSet) -> Offsets | None:
    """Return the offsets of traces, None where every call lies within its caller, so that no clock need be moved."""
    clock = clocks(traces)
    calls = calls_between_clocks(traces, clock)
    if not (calls.usable & ((calls.low > 0) | (calls.high < 0))).any():
        return None
    return _solved(traces, clock, calls, POOL_S, DRIFT_PPM, ASYNC_RATIO)


def _solved(
    traces: TraceSet, clock: Codes, calls: Calls, pool_s: float, drift_ppm: float, async_ratio: float
) -> Offsets:
    """Return the offsets that calls allow."""
    trace, code, node = _nodes(traces, clock, calls)
    pairs, limits = _limits(traces, calls, clock, pool_s, drift_ppm, async_ratio)
    used = np.flatnonzero(calls.usable)
    caller, callee = node[0][used], node[1][used]
    reference = code == clock.codes[traces.forest.root_row[trace]]
    found = place(caller, callee, limits.low, limits.high, reference)
    worst = np.full(len(trace), Evidence.POOLED, np.int8)
    np.maximum.at(worst, callee, limits.evidence)
    worst[found.is_disputed] = Evidence.DISPUTED
    worst[~found.placed] = Evidence.NONE
    worst[reference] = Evidence.REFERENCE
    return Offsets(clock, trace, code, found.offset, found.low, found.high, worst, pairs)


def _nodes(traces: TraceSet, clock: Codes, calls: Calls) -> tuple[Array, Array, tuple[Array, Array]]:
    """Return trace and clock of every node, and the nodes of callers and callees."""
    size, trace = len(clock.labels), np.unique(calls.trace)
    roots = trace * size + clock.codes[traces.forest.root_row[trace]]
    ends = [calls.trace * size + of for of in (calls.caller, calls.callee)]
    key, at = np.unique(np.concatenate((*ends, roots)), return_inverse=True)
    count = len(calls.trace)
    return key // max(size, 1), key % max(size, 1), (at[:count], at[count : 2 * count])


class _Limits(NamedTuple):
    """What the pairs of clocks allow, one entry a call: limits of the callee's offset from the caller, and on what."""

    low: Array
    high: Array
    evidence: Array


def _limits(
    traces: TraceSet, calls: Calls, clock: Codes, pool_s: float, drift_ppm: float, async_ratio: float
) -> tuple[pd.DataFrame, _Limits]:
    """Return the pairs of clocks, and what the usable calls of a pair and stretch, or else of one trace, allow."""
    begun = traces.columns.spans.start_ns[calls.row]
    forward = calls.caller < calls.callee
    keys = pd.DataFrame(
        {
            "host": np.where(forward, calls.caller, calls.callee),
            "peer_host": np.where(forward, calls.callee, calls.caller),
            "stretch": begun // max(round(pool_s * 1e9), 1),
        }
    )
    keys["block"] = _blocks(keys, begun)
    used = np.flatnonzero(calls.usable)
    low = np.where(forward, calls.low, -calls.high)[used]  # of the clock with the larger code
    high = np.where(forward, calls.high, -calls.low)[used]
    by_pair = keys.iloc[used].groupby(list(keys))
    group = by_pair.ngroup().to_numpy()
    pooled = agree(group, low, high, async_ratio=async_ratio)
    count = len(pooled.size)
    last, first = within(group, begun[used], begun[used], count)
    drift = np.ceil((last - first) * drift_ppm * 1e-6).astype(np.int64)
    trace_count = distinct_by(group, calls.trace[used], count)
    width = pd.Series(high - low).groupby(group).median().to_numpy()
    together = (trace_count > 1) & (pooled.ratio >= 1 - async_ratio) & (2 * drift <= width)
    limit_low, limit_high = (pooled.low - drift)[group], (pooled.high + drift)[group]
    evidence = np.full(len(used), Evidence.POOLED)
    alone = np.flatnonzero(~together[group])
    own = keys.iloc[used[alone]].assign(trace=calls.trace[used[alone]]).groupby(["host", "peer_host", "trace"])
    limit_low[alone], limit_high[alone], evidence[alone] = _of_traces(
        own.ngroup().to_numpy(), low[alone], high[alone], async_ratio
    )
    dropped = keys[~calls.usable].groupby(list(keys)).size().rename("dropped_count")
    table = (
        by_pair.size()
        .to_frame("call_count")
        .assign(
            trace_count=trace_count,
            agreement_ratio=pooled.ratio,
            is_pooled=together,
            low_ns=pooled.low - drift,
            high_ns=pooled.high + drift,
        )
        .join(dropped, how="outer")
        .reset_index()
    )
    ahead = forward[used]
    limits = _Limits(np.where(ahead, limit_low, -limit_high), np.where(ahead, limit_high, -limit_low), evidence)
    return _named(table, clock, pool_s), limits


def _blocks(keys: pd.DataFrame, begun: Array) -> Array:
    """Return for the calls of every pair and stretch, in order of time, which of them are asked together."""
    group = keys.groupby(list(keys)).ngroup().to_numpy()
    order = np.lexsort((begun, group))
    size = np.bincount(group)
    rank = np.empty(len(group), np.int64)
    rank[order] = np.arange(len(group)) - np.repeat(np.cumsum(size) - size, size)
    return rank * np.maximum(1, size // _TOGETHER)[group] // size[group]


def _of_traces(group: Array, low: Array, high: Array, async_ratio: float) -> tuple[Array, Array, Array]:
    """Return limits of single traces; around everything where its calls contradict each other."""
    found = agree(group, low, high, async_ratio=async_ratio)
    outer_high, outer_low = within(group, high, low, len(found.size))
    sure = found.ratio >= 1 - async_ratio
    low, high = np.where(sure, found.low, outer_low), np.where(sure, found.high, outer_high)
    return low[group], high[group], np.where(sure, Evidence.OWN, Evidence.DISPUTED)[group]


def _named(pairs: pd.DataFrame, clock: Codes, pool_s: float) -> pd.DataFrame:
    """Return the pairs as a reader wants them: names, and the moment at which a stretch begins."""
    names = np.array([*clock.labels, ""], object)
    counts = {name: pairs[name].fillna(0).astype(np.int64) for name in ("call_count", "dropped_count", "trace_count")}
    whole = pairs.assign(
        host=names[pairs["host"]],
        peer_host=names[pairs["peer_host"]],
        start_ns=pairs["stretch"] * round(pool_s * 1e9),
        is_pooled=pairs["is_pooled"].fillna(value=False).astype(bool),
        **counts,
        **{name: pairs[name].astype("Int64") for name in ("low_ns", "high_ns")},
    )
    columns = ["host", "peer_host", "start_ns", "call_count", "dropped_count", "trace_count"]
    columns += ["agreement_ratio", "is_pooled", "low_ns", "high_ns"]
    return whole[columns]
