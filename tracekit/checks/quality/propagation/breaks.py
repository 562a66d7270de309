"""S19: broken context propagation, which splits requests into several traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
import scipy

from tracekit.analysis.clock_skew.offsets import Settings, clock_offsets
from tracekit.attributes import Codes
from tracekit.checks.quality.clocks.host_pairs import CLOCK_CALLS
from tracekit.checks.quality.propagation.continuations import Stitch, stitch
from tracekit.checks.quality.propagation.ends import ENDS
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.stats.tests import false_discovery
from tracekit.text import count, interval, plural, ratio

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tracekit.checks.case import Case
    from tracekit.checks.quality.propagation.ends import Ends, Labels
    from tracekit.checks.quality.propagation.stretches import Stretches
    from tracekit.columns import Array
    from tracekit.findings import Finding

Times: TypeAlias = "tuple[Array, Array]"
CHECK = "propagation.break"
_SUBJECT = "Context propagation"
_FEWEST, _FALSE, _SHARE, _MARGIN = 5, 0.02, 0.01, 0.10
_CENTRAL = (0.05, 0.95)  # quantiles over time: drift widens the interval, a few wrong windows do not


def propagation(case: Case) -> list[Finding]:
    """Return the pairs of services with broken context propagation, and the number of split traces.

    For every caller and callee: server spans of the callee that are roots, and client spans of the caller to that
    callee without a child server span; ``stitch`` estimates how many of these roots lie inside such calls of another
    trace, beyond coincidence.  Calls to unnamed peers are tried with every callee that has such roots.  Reported where
    the false discovery rate over all pairs is at most 2% and at least 1% of the roots are affected; otherwise ok only
    if at most 10% of the roots of any pair may be continuations.  Fewer than five unanswered calls or roots, and traces
    without client spans, are not assessable.  Where a store has tens of thousands of roots of a service, or calls of
    a pair, those at the start of each of 16 to 32 equal parts of the time are examined (``stretches``): the numbers of
    continuations are then estimates, the assumptions say so, and those of roots and calls are counted.

    Times are compared on a reference clock (``reference_clock``) with the offsets and intervals of ``tk.clock_skew``.
    Assumes synchronous calls, and no skew between clocks without calls; messages are linked, not nested, and are not
    examined.

    Source: the method is our own, measured in the tests.
    """
    ends = case.result(ENDS)
    roots = int(ends.all_roots[1])
    if not roots:
        return [not_assessable(CHECK, _SUBJECT, "root spans of kind SERVER")]
    if not ends.has_calls:
        return [not_assessable(CHECK, _SUBJECT, "spans of kind CLIENT: without them callees are unknown")]
    evidence = case.result(continuations)
    if not len(evidence):
        return [_without_pairs(ends.open_count, roots, evidence)]
    broken = evidence[evidence["status"] == "failed"]
    if not len(broken):
        return [_without_breaks(evidence, roots, ends.sampled)]
    return [_finding(row, evidence, case.ci, ends.sampled) for _, row in broken.iterrows()]


def continuations(case: Case) -> pd.DataFrame:
    """Return the estimated number of roots of every callee that continue unanswered calls of every caller."""
    ends = case.result(ENDS)
    examined = list(_on_reference(case, ends, list(_edges(ends))))
    found = [_estimated(one, case.confidence) for one in examined]
    rows = [
        (edge.caller, edge.callee, int(ends.call_counts[edge.owner][0]), *result[:6])
        for (edge, *_), result in zip(examined, found, strict=True)
    ]
    names = ["caller_service", "callee_service", "unanswered_count", "root_count", "covered_count", "chance_ratio"]
    table = pd.DataFrame(rows, columns=[*names, "broken_count", "low", "high"])
    q = false_discovery(np.array([result.p for result in found]))
    lost = (q <= _FALSE) & (table["broken_count"] > _SHARE * table["root_count"]) & (table["low"] > 0)
    sure = table["high"] <= _MARGIN * table["root_count"]
    table["status"] = np.select([lost, sure], ["failed", "ok"], "inconclusive")
    order = ["broken_count", *names[:2]]
    return table.sort_values(order, ascending=[False, True, True], ignore_index=True)


def _estimated(one: _Examined, confidence: float) -> Stitch:
    """Return the estimate for a pair: of all its roots if some are examined, and unknown if these are too few."""
    edge = one.edge
    if edge.level and min(len(one.calls[0]), len(one.roots[0])) < _FEWEST:
        return Stitch.unknown(edge.root_count, edge.root_count)
    found = stitch(*one.calls, *one.roots, traces=one.traces, confidence=confidence)
    return found.of_all(edge.root_count, edge.root_count / found.roots, confidence) if edge.level else found


class _Examined(NamedTuple):
    """A pair with the times of its calls and roots, on the reference clock, and the traces of both."""

    edge: _Edge
    calls: Times
    roots: Times
    traces: Times


def _on_reference(case: Case, ends: Ends, edges: Sequence[_Edge]) -> Iterator[_Examined]:
    """Yield each pair with the times of its calls and roots on the reference clock, as wide and as narrow as can be."""
    if not edges:  # clock offsets are expensive
        return
    of_calls, of_roots = ends.trace
    every = case.result(CLOCK_CALLS).every
    _, pairs = clock_offsets(Codes(np.zeros(0, np.int64), every.clocks), every.calls, every.root_clock, Settings())
    clock = reference_clock(pairs, every.clocks)
    number = {name: code for code, name in enumerate(every.clocks)}
    calls, roots = (
        np.array([*(number[name] for name in side.names["clock"].labels), -1])[side.names["clock"].codes]
        for side in (ends.calls, ends.roots)
    )
    for edge in edges:
        own, begun = edge.calls, edge.roots
        wide = clock.widest(calls[own], ends.calls.start_ns[own], ends.calls.end_ns[own])
        narrow = clock.narrowest(roots[begun], ends.roots.start_ns[begun], ends.roots.end_ns[begun])
        one = _Examined(edge, wide, narrow, (of_calls[own], of_roots[begun]))
        yield _joined(one, ends.stretches) if edge.level else one


def _joined(one: _Examined, stretches: Stretches) -> _Examined:
    """Return a pair with its stretches one after the other, and the roots that are inside of them on that clock."""
    level, (of_calls, of_roots) = one.edge.level, one.traces
    inside = stretches.is_within(*one.roots, level)
    calls, roots = (
        (stretches.joined(start, level), stretches.joined(end, level))
        for start, end in (one.calls, (one.roots[0][inside], one.roots[1][inside]))
    )
    return _Examined(one.edge, calls, roots, (of_calls, of_roots[inside]))


def _without_pairs(open_ones: int, roots: int, evidence: pd.DataFrame) -> Finding:
    """Return the finding if no pair of services has enough unanswered calls and roots."""
    if open_ones:
        missing = (
            f"two services, one with at least {_FEWEST} client spans without a server span and one with at least "
            f"{_FEWEST} root spans (no pair has both; over all services: {count(open_ones)} and {count(roots)})"
        )
        return not_assessable(CHECK, _SUBJECT, missing)
    text = (
        f"No broken context propagation detected ({plural(roots, 'root span')}): every call was answered in its own "
        f"trace."
    )
    return finding(CHECK, "ok", text, evidence)


def _without_breaks(evidence: pd.DataFrame, roots: int, sampled: tuple[str, ...]) -> Finding:
    """Return the finding if no pair of services has significantly many continuations."""
    unsure = evidence[evidence["status"] == "inconclusive"]
    text = f"No broken context propagation detected ({plural(roots, 'root span')})."
    method = f"Unanswered calls between {plural(len(evidence), 'pair')} of services, compared with time-shifted roots."
    assumed = (*_ASSUMED, *sampled)
    if not len(unsure):
        text += " One root span = one request."
        return finding(CHECK, "ok", text, evidence, assumptions=assumed, method=method)
    row = unsure.iloc[int((unsure["high"] / unsure["root_count"]).to_numpy().argmax())]
    text += (
        f" Inconclusive for up to {count(row['high'])} of {plural(row['root_count'], 'root span')} of "
        f"`{row['callee_service']}`, which may be continuations of calls by `{row['caller_service']}`."
    )
    remedy = "Use a longer window."
    return finding(CHECK, "inconclusive", text, evidence, assumptions=assumed, remedy=remedy, method=method)


_ASSUMED = (
    "calls are synchronous; messages are not examined",
    "clocks without calls between them agree",
)


def _finding(row: pd.Series, evidence: pd.DataFrame, ci: str, sampled: tuple[str, ...]) -> Finding:
    """Return the finding on one pair of services."""
    caller, callee = row["caller_service"], row["callee_service"]
    share = row["broken_count"] / row["root_count"]
    limits = interval(row["low"], row["high"], count, confidence=ci)
    text = (
        f"Broken context propagation: about {count(row['broken_count'])} ({limits}) of "
        f"{count(row['root_count'])} root spans of `{callee}` ({ratio(share)}) continue "
        f"calls by `{caller}`. The traces of these requests end at `{caller}`, without `{callee}`."
    )
    estimate = Estimate(row["broken_count"], "count", row["low"], row["high"], int(row["root_count"]))
    remedy = f"Forward `traceparent` (or `X-Amzn-Trace-Id`) from `{caller}` to `{callee}`; check proxies in between."
    return finding(CHECK, "failed", text, evidence, estimate=estimate, assumptions=(*_ASSUMED, *sampled), remedy=remedy)


class _Edge(NamedTuple):
    """A caller and a callee, with the entries of the unanswered calls and of the roots.

    ``owner``: the names by which the calls are counted, without the callee if it is unknown.  ``root_count``: number of
    all server spans among the roots of the callee.  ``level``: that of the stretches which both sides are of.
    """

    caller: str
    callee: str
    calls: Array
    roots: Array
    owner: Labels
    root_count: int
    level: int = 0


def _edges(ends: Ends) -> Iterator[_Edge]:
    """Yield every caller and callee with enough unanswered calls and roots, also if too few of these are kept."""
    calls, roots, is_server = ends.calls.entries, ends.roots.entries, ends.roots.columns["is_server"]
    callers: dict[str | None, list[Labels]] = {}
    for owner, number in ends.call_counts.items():
        if number[0] >= _FEWEST:
            callers.setdefault(owner[1], []).append(owner)
    for callee, server_count in ends.server_counts.items():
        own = roots.get((callee,), _NONE)
        for owner in callers.get(callee, []) + (callers.get(None, []) if callee is not None else []):
            if owner[0] != callee and server_count >= _FEWEST:
                names, entries = (owner[0] or "", callee or ""), (calls.get(owner, _NONE), own[is_server[own]])
                yield _in_stretches(ends, _Edge(*names, *entries, owner, server_count))


def _in_stretches(ends: Ends, edge: _Edge) -> _Edge:
    """Return a pair with the spans in the stretches that were kept of both sides."""
    level = max(ends.calls.level.get(edge.owner, 0), ends.roots.level.get((edge.callee or None,), 0))
    if not level:
        return edge
    calls, roots, stretches = edge.calls, edge.roots, ends.stretches
    calls = calls[stretches.is_touching(ends.calls.start_ns[calls], ends.calls.end_ns[calls], level)]
    roots = roots[stretches.is_within(ends.roots.start_ns[roots], ends.roots.end_ns[roots], level)]
    return edge._replace(calls=calls, roots=roots, level=level)


_NONE = np.zeros(0, np.int64)


class ReferenceClock(NamedTuple):
    """Limits of the offset of every clock from the reference, in ns; positive if it is ahead.

    The last entry is that of spans without a clock.
    """

    low: Array
    high: Array

    def widest(self, clock: Array, start: Array, end: Array) -> Times:
        """Return the earliest starts and the latest ends of spans, given the number of their clock."""
        return start - self.high[clock], end - self.low[clock]

    def narrowest(self, clock: Array, start: Array, end: Array) -> Times:
        """Return the latest starts and the earliest ends of spans, given the number of their clock."""
        return start - self.low[clock], end - self.high[clock]


def reference_clock(pairs: pd.DataFrame, clocks: Sequence[str]) -> ReferenceClock:
    """Return the offset of every clock.

    A pair of clocks with an interval that includes 0 counts as synchronous, any other has the offset of its interval
    (the central 90% of its limits over time).  Offsets are summed along the pairs with the narrowest intervals.  Clocks
    without calls between them count as synchronous.

    Source: a minimum spanning tree of the widths of ``tk.clock_skew(traces).pairs``.
    """
    names = {name: at for at, name in enumerate(clocks)}
    size = len(names) + 1  # the last entry: spans without a clock
    low, high = np.zeros((2, size), np.int64)
    known = pairs[pairs["is_pooled"] & pairs["low_ns"].notna()]
    if len(known):
        by = known.groupby(["host", "peer_host"])
        least, most = by["low_ns"].quantile(_CENTRAL[0]), by["high_ns"].quantile(_CENTRAL[1])
        one, other = (np.array([names[name] for name in least.index.get_level_values(at)]) for at in (0, 1))
        limits = np.stack((least.to_numpy(np.float64), most.to_numpy(np.float64))).astype(np.int64)
        limits[:, (limits[0] <= 0) & (limits[1] >= 0)] = 0
        low, high = _summed(size, one, other, limits)
    return ReferenceClock(low, high)


def _summed(size: int, one: Array, other: Array, limits: Array) -> tuple[Array, Array]:
    """Return the limits of each clock's offset (ns) from the one with most neighbours that it is connected with."""
    low, high = np.zeros((2, size), np.int64)
    csgraph = scipy.sparse.csgraph
    width = scipy.sparse.csr_matrix((limits[1] - limits[0] + 1.0, (one, other)), shape=(size, size))
    tree = csgraph.minimum_spanning_tree(width)
    edge = {(int(a), int(b)): limits[:, at] for at, (a, b) in enumerate(zip(one, other, strict=True))}
    _, member = csgraph.connected_components(tree, directed=False)
    neighbours = tree.getnnz(axis=0) + tree.getnnz(axis=1)
    central = np.argsort(-neighbours, kind="stable")  # so that few intervals are summed
    for begin in central[np.unique(member[central], return_index=True)[1]]:
        order, before = csgraph.breadth_first_order(tree, int(begin), directed=False)
        for node in order[1:].tolist():
            above = int(before[node])
            least, most = edge[above, node] if (above, node) in edge else -edge[node, above][::-1]
            low[node], high[node] = low[above] + least, high[above] + most
    return low, high
