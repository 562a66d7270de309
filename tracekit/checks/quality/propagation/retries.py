"""S19, mistake 19: failed requests that were retried as new traces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.attributes import pick
from tracekit.checks.quality.propagation.call_targets import unanswered, unknown_peers
from tracekit.checks.quality.propagation.continuations import Windows, stitch
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.redaction.scan import labels_shown
from tracekit.schema import Kind, ParentState
from tracekit.stats.grouping import dense_codes, group_rows
from tracekit.stats.tests import false_discovery
from tracekit.text import count, interval, plural, ratio

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.findings import Finding

CHECK, _SUBJECT = "propagation.retry", "Retries as new traces"
_FEWEST, _FALSE, _SHARE, _MARGIN = 5, 0.01, 0.01, 0.10
_BACK_OFF_NS, _LONGEST_SHIFT_NS = 5_000_000_000, 60_000_000_000
_NAMES = ["service_name", "operation", "failed_count", "root_count", "after_count", "chance_ratio", "retry_count"]


def retried_roots(case: Case) -> list[Finding]:
    """Return the number of traces that retry a request that failed in another trace.

    For every service and operation of root spans: roots that start within 5 s (the back-off) after a failed root of the
    same operation and client ended, beyond the number expected by coincidence from circular shifts by 5 to 60 s
    (``stitch``, with the windows after failures in place of the calls).  The client is ``client.address`` of servers,
    else instance or host.  Distinguished from broken context (``propagation.break``): a continuation lies inside an
    unanswered call, a retry comes after its failure; server roots inside an unanswered call are excluded and counted.
    Warns where the false discovery rate is at most 1% and retries exceed 1% of the failures; ok only if they are at
    most 10% of the failures of every operation.  Assumes that clients retry within 5 s, and that failures do not
    coincide with a traffic increase within less than a minute.  With shared or unknown client addresses, retries are
    hard to distinguish from other traffic: then never ok.

    Source: the method is that of ``stitch``.
    """
    spans = case.traces.columns.spans
    roots = np.flatnonzero((case.traces.forest.state == ParentState.ROOT) & case.traces.has_duration)
    if not len(roots):
        return [not_assessable(CHECK, _SUBJECT, "root spans with start and end")]
    free = roots[~_continued(case, roots)]
    failed = case.traces.is_error[free]
    if not failed.any():
        text = f"No retries as new traces: none of {plural(len(free), 'root span')} failed."
        return [finding(CHECK, "ok", text, pd.DataFrame())]
    columns = {"service_name": case.service, "operation": case.traces.codes("operation")}
    group, labels = group_rows({name: (one.codes[free], one.labels) for name, one in columns.items()}, len(free))
    client = _client(case, free)
    rows = []
    for at in np.flatnonzero(np.bincount(group[failed], minlength=len(labels)) >= _FEWEST):
        own = group == at
        result = _after(spans.start_ns[free[own]], spans.end_ns[free[own]], failed[own], client[own], case.confidence)
        rows.append((*labels.loc[at, ["service_name", "operation"]], int((own & failed).sum()), *result))
    if not rows:
        missing = (
            f"at least {_FEWEST} failed root spans of one service and operation "
            f"(found {int(failed.sum())} over all operations)"
        )
        return [not_assessable(CHECK, _SUBJECT, missing)]
    evidence = pd.DataFrame(rows, columns=[*_NAMES, "low", "high", "p"])
    evidence["operation"] = labels_shown(evidence["operation"].fillna("").tolist())
    return [_finding(_judged(evidence), len(roots) - len(free), case.ci)]


def _continued(case: Case, roots: Array) -> Array:
    """Return which roots are server spans inside an unanswered call of another trace that they may continue."""
    spans, service, trace = case.traces.columns.spans, case.service, case.traces.forest.trace
    call, target = unanswered(case)
    free = unknown_peers(case)
    free = free[case.traces.has_duration[free]]
    inside = np.zeros(len(roots), bool)
    serving = spans.kind[roots] == Kind.SERVER
    for callee in np.unique(service.codes[roots[serving]]):
        calls = np.concatenate((call[target == callee], free[service.codes[free] != callee]))
        if not len(calls):
            continue
        own = serving & (service.codes[roots] == callee)
        windows = Windows(spans.start_ns[calls], spans.end_ns[calls], trace[calls])
        inside[own] = windows.cover(spans.start_ns[roots[own]], spans.end_ns[roots[own]], trace[roots[own]])
    return inside


def _client(case: Case, rows: Array) -> Array:
    """Return a code of the client: address for servers, instance or host for others; one code for all unknown."""
    address, instance, host = (
        case.traces.codes(name).take(rows) for name in ("peer_address", "service_instance_id", "host_name")
    )
    serving = case.traces.columns.spans.kind[rows] == Kind.SERVER
    client = address._replace(codes=np.where(serving, address.codes, -1))
    own = [one._replace(codes=np.where(serving, -1, one.codes)) for one in (instance, host)]
    return pick([client, *own])[0].codes.astype(np.int64) + 1


def _after(start: Array, end: Array, failed: Array, client: Array, confidence: float) -> tuple[float, ...]:
    """Return the number of roots of one operation after a failure of their client, and the number by coincidence."""
    lane, distinct = dense_codes(client, int(client.max()) + 1)
    period = int(end.max()) - int(start.min()) + _BACK_OFF_NS
    grain = -(-2 * len(distinct) * period // 2**62)  # 1 ns, unless many clients over a long time
    begun, ended = start // grain, end[failed] // grain
    first = begun.min()
    found = stitch(
        ended - first + 1,
        ended - first + _BACK_OFF_NS // grain,
        begun - first,
        begun - first,
        lanes=(lane[failed], lane),
        shortest_shift_ns=_BACK_OFF_NS // grain,
        longest_shift_ns=_LONGEST_SHIFT_NS // grain,
        confidence=confidence,
    )
    return tuple(found)


def _judged(evidence: pd.DataFrame) -> pd.DataFrame:
    """Return the operations with their status, the most retries first."""
    failed = evidence["failed_count"]
    q = false_discovery(evidence["p"].to_numpy())
    tried = (q <= _FALSE) & (evidence["low"] > _SHARE * failed)
    is_detectable = evidence["chance_ratio"] < 1 - _MARGIN  # not where coincidence covers nearly all roots
    sure = is_detectable & (evidence["high"] <= _MARGIN * failed)
    judged = evidence.drop(columns="p").assign(status=np.select([tried, sure], ["warning", "ok"], "inconclusive"))
    order = {"warning": 0, "inconclusive": 1, "ok": 2}
    return judged.sort_values(
        ["status", "retry_count"],
        ascending=[True, False],
        ignore_index=True,
        key=lambda column: column.map(order) if column.name == "status" else column,
    )


def _finding(evidence: pd.DataFrame, left_out: int, ci: str) -> Finding:
    """Return the finding on the operation with the most retries."""
    top = evidence.iloc[0]
    what = f"`{top['service_name']} {top['operation']}`"
    roots, failures = plural(top["root_count"], "root span"), plural(top["failed_count"], "failure")
    limits = interval(top["low"], top["high"], count, confidence=ci)
    text = {
        "warning": (
            f"Retries as new traces: about {count(top['retry_count'])} ({limits}) of {roots} of {what} "
            f"({ratio(top['retry_count'] / top['root_count'])}) repeat a request of the same client that failed less "
            "than 5 s before. Requests and errors are counted once per attempt."
        ),
        "ok": (
            f"No retries as new traces detected: at most {count(top['high'])} of {failures} of {what} "
            f"(n = {roots}). One root span = one request."
        ),
    }.get(
        top["status"],
        f"Inconclusive: cannot tell whether {failures} of {what} were retried as new traces (up to "
        f"{count(min(top['high'], top['failed_count']))}; n = {roots}).",
    )
    excluded = f" Excluded: {plural(left_out, 'root span')} inside unanswered calls (propagation.break)."
    is_decided = top["status"] != "inconclusive"
    found = Estimate(top["retry_count"], "count", top["low"], top["high"], int(top["root_count"]))
    return finding(
        CHECK,
        top["status"],
        text + excluded * bool(left_out),
        evidence,
        estimate=found if is_decided else None,
        assumptions=("clients retry within 5 s", "failures do not coincide with a traffic increase within a minute"),
        remedy=_REMEDIES.get(top["status"], ""),
    )


_REMEDIES = {
    "warning": "Keep the trace context over retries, or link every attempt to the first.",
    "inconclusive": "Add client.address to root spans, or use a longer window.",
}
