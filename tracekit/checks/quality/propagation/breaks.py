"""S19: broken context propagation, which splits requests into several traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree

from tracekit.analysis.skew import clock_skew
from tracekit.checks.quality.propagation.call_targets import unanswered, unknown_peers
from tracekit.checks.quality.propagation.continuations import stitch
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.schema import Kind, ParentState
from tracekit.stats.tests import false_discovery
from tracekit.text import count, interval, plural, ratio

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracekit.analysis.clock_skew.result import ClockSkew
    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.findings import Finding

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
    without client spans, are not assessable.

    Times are compared on a reference clock (``reference_clock``) with the offsets and intervals of ``tk.clock_skew``.
    Assumes synchronous calls, and no skew between clocks without calls; messages are linked, not nested, and are not
    examined.

    Source: the method is our own, measured in the tests.
    """
    roots = _roots(case)
    if not len(roots):
        return [not_assessable(CHECK, _SUBJECT, "root spans of kind SERVER")]
    if not np.any(case.traces.columns.spans.kind == Kind.CLIENT):
        return [not_assessable(CHECK, _SUBJECT, "spans of kind CLIENT: without them callees are unknown")]
    evidence = case.result(continuations)
    if not len(evidence):
        return [_without_pairs(case, len(roots), evidence)]
    broken = evidence[evidence["status"] == "failed"]
    if not len(broken):
        return [_without_breaks(evidence, len(roots))]
    return [_finding(row, evidence, case.ci) for _, row in broken.iterrows()]


def _roots(case: Case) -> Array:
    """Return rows of the root spans of kind SERVER with start and end."""
    state, kind = case.traces.forest.state, case.traces.columns.spans.kind
    return np.flatnonzero((state == ParentState.ROOT) & (kind == Kind.SERVER) & case.traces.has_duration)


def continuations(case: Case) -> pd.DataFrame:
    """Return the estimated number of roots of every callee that continue unanswered calls of every caller."""
    spans, trace, labels = case.traces.columns.spans, case.traces.forest.trace, case.service.labels
    edges = list(_edges(case, _roots(case)))
    clock = reference_clock(clock_skew(case.traces)) if edges else ReferenceClock(trace[:0], trace[:0])
    found = [
        stitch(
            *clock.widest(calls, spans.start_ns[calls], spans.end_ns[calls]),
            *clock.narrowest(begun, spans.start_ns[begun], spans.end_ns[begun]),
            traces=(trace[calls], trace[begun]),
            confidence=case.confidence,
        )
        for _, _, calls, begun in edges
    ]
    rows = [
        (labels[caller], labels[callee], len(calls), *result[:6])
        for (caller, callee, calls, _), result in zip(edges, found, strict=True)
    ]
    names = ["caller_service", "callee_service", "unanswered_count", "root_count", "covered_count", "chance_ratio"]
    table = pd.DataFrame(rows, columns=[*names, "broken_count", "low", "high"])
    q = false_discovery(np.array([result.p for result in found]))
    lost = (q <= _FALSE) & (table["broken_count"] > _SHARE * table["root_count"]) & (table["low"] > 0)
    sure = table["high"] <= _MARGIN * table["root_count"]
    table["status"] = np.select([lost, sure], ["failed", "ok"], "inconclusive")
    return table.sort_values("broken_count", ascending=False, ignore_index=True)


def _without_pairs(case: Case, roots: int, evidence: pd.DataFrame) -> Finding:
    """Return the finding if no pair of services has enough unanswered calls and roots."""
    open_ones = len(unanswered(case)[0]) + len(unknown_peers(case))
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


def _without_breaks(evidence: pd.DataFrame, roots: int) -> Finding:
    """Return the finding if no pair of services has significantly many continuations."""
    unsure = evidence[evidence["status"] == "inconclusive"]
    text = f"No broken context propagation detected ({plural(roots, 'root span')})."
    method = f"Unanswered calls between {plural(len(evidence), 'pair')} of services, compared with time-shifted roots."
    if not len(unsure):
        text += " One root span = one request."
        return finding(CHECK, "ok", text, evidence, assumptions=_ASSUMED, method=method)
    row = unsure.iloc[int((unsure["high"] / unsure["root_count"]).to_numpy().argmax())]
    text += (
        f" Inconclusive for up to {count(row['high'])} of {plural(row['root_count'], 'root span')} of "
        f"`{row['callee_service']}`, which may be continuations of calls by `{row['caller_service']}`."
    )
    remedy = "Use a longer window."
    return finding(CHECK, "inconclusive", text, evidence, assumptions=_ASSUMED, remedy=remedy, method=method)


_ASSUMED = (
    "calls are synchronous; messages are not examined",
    "clocks without calls between them agree",
)


def _finding(row: pd.Series, evidence: pd.DataFrame, ci: str) -> Finding:
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
    return finding(CHECK, "failed", text, evidence, estimate=estimate, assumptions=_ASSUMED, remedy=remedy)


def _edges(case: Case, roots: Array) -> Iterator[tuple[int, int, Array, Array]]:
    """Yield caller, callee, unanswered calls and roots for every pair with enough of both."""
    traces, service = case.traces, case.service
    client, target = unanswered(case)
    free = unknown_peers(case)
    free = free[traces.has_duration[free]]
    for callee in np.unique(service.codes[roots]):
        begun = roots[service.codes[roots] == callee]
        if len(begun) < _FEWEST:
            continue
        for calls in (client[target == callee], free):
            for caller in np.unique(service.codes[calls]):
                from_caller = calls[service.codes[calls] == caller]
                if caller != callee and len(from_caller) >= _FEWEST:
                    yield int(caller), int(callee), from_caller, begun


class ReferenceClock(NamedTuple):
    """Limits of the offset of every span's clock from the reference, in ns; positive if it is ahead."""

    low: Array
    high: Array

    def widest(self, rows: Array, start: Array, end: Array) -> tuple[Array, Array]:
        """Return the earliest starts and the latest ends of spans."""
        return start - self.high[rows], end - self.low[rows]

    def narrowest(self, rows: Array, start: Array, end: Array) -> tuple[Array, Array]:
        """Return the latest starts and the earliest ends of spans."""
        return start - self.low[rows], end - self.high[rows]


def reference_clock(skew: ClockSkew) -> ReferenceClock:
    """Return the offset of every span's clock.

    A pair of clocks with an interval that includes 0 counts as synchronous, any other has the offset of its interval
    (the central 90% of its limits over time).  Offsets are summed along the pairs with the narrowest intervals.  Clocks
    without calls between them count as synchronous.

    Source: a minimum spanning tree of the widths of ``tk.clock_skew(traces).pairs``.
    """
    clock, names = skew.estimate.clock, {name: at for at, name in enumerate(skew.estimate.clock.labels)}
    size = len(names) + 1  # the last entry: spans without a clock
    low, high = np.zeros((2, size), np.int64)
    known = skew.pairs[skew.pairs["is_pooled"] & skew.pairs["low_ns"].notna()]
    if len(known):
        by = known.groupby(["host", "peer_host"])
        least, most = by["low_ns"].quantile(_CENTRAL[0]), by["high_ns"].quantile(_CENTRAL[1])
        one, other = (np.array([names[name] for name in least.index.get_level_values(at)]) for at in (0, 1))
        limits = np.stack((least.to_numpy(np.float64), most.to_numpy(np.float64))).astype(np.int64)
        limits[:, (limits[0] <= 0) & (limits[1] >= 0)] = 0
        low, high = _summed(size, one, other, limits)
    return ReferenceClock(low[clock.codes], high[clock.codes])


def _summed(size: int, one: Array, other: Array, limits: Array) -> tuple[Array, Array]:
    """Return the limits of each clock's offset (ns) from the one with most neighbours that it is connected with."""
    low, high = np.zeros((2, size), np.int64)
    width = sparse.csr_matrix((limits[1] - limits[0] + 1.0, (one, other)), shape=(size, size))
    tree = minimum_spanning_tree(width)
    edge = {(int(a), int(b)): limits[:, at] for at, (a, b) in enumerate(zip(one, other, strict=True))}
    _, member = connected_components(tree, directed=False)
    neighbours = tree.getnnz(axis=0) + tree.getnnz(axis=1)
    central = np.argsort(-neighbours, kind="stable")  # so that few intervals are summed
    for begin in central[np.unique(member[central], return_index=True)[1]]:
        order, before = breadth_first_order(tree, int(begin), directed=False)
        for node in order[1:].tolist():
            above = int(before[node])
            least, most = edge[above, node] if (above, node) in edge else -edge[node, above][::-1]
            low[node], high[node] = low[above] + least, high[above] + most
    return low, high
