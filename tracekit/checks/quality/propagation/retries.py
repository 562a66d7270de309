"""S19, mistake 19: failed requests that were retried as new traces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.checks.quality.propagation.breaks import by_label
from tracekit.checks.quality.propagation.continuations import Windows, stitch
from tracekit.checks.quality.propagation.ends import ENDS
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.redaction.scan import labels_shown
from tracekit.stats.grouping import dense_codes, group_rows
from tracekit.stats.tests import false_discovery
from tracekit.text import count, interval, plural, ratio

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.checks.quality.propagation.ends import Ends
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
    ends = case.result(ENDS)
    if not len(ends.roots):
        return [not_assessable(CHECK, _SUBJECT, "root spans with start and end")]
    free = ends.roots.where(~_continued(ends))
    failed = free.columns["is_error"]
    if not failed.any():
        text = f"No retries as new traces: none of {plural(len(free), 'root span')} failed."
        return [finding(CHECK, "ok", text, pd.DataFrame())]
    group, labels = group_rows({name: free.names[name] for name in ("service_name", "operation")}, len(free))
    client = free.names["client"].codes.astype(np.int64) + 1
    rows = []
    for at in np.flatnonzero(np.bincount(group[failed], minlength=len(labels)) >= _FEWEST):
        own = group == at
        result = _after(free.start_ns[own], free.end_ns[own], failed[own], client[own], case.confidence)
        rows.append((*labels.loc[at, ["service_name", "operation"]], int((own & failed).sum()), *result))
    if not rows:
        missing = (
            f"at least {_FEWEST} failed root spans of one service and operation "
            f"(found {int(failed.sum())} over all operations)"
        )
        return [not_assessable(CHECK, _SUBJECT, missing)]
    evidence = pd.DataFrame(rows, columns=[*_NAMES, "low", "high", "p"])
    evidence["operation"] = labels_shown(evidence["operation"].fillna("").tolist())
    return [_finding(_judged(evidence), len(ends.roots) - len(free), case.ci)]


def _continued(ends: Ends) -> Array:
    """Return which roots are server spans inside an unanswered call of another trace that they may continue."""
    calls, roots = ends.calls, ends.roots
    of_calls, of_roots = ends.trace
    target, caller = calls.names["callee_service"], calls.names["service_name"]
    inside = np.zeros(len(roots), bool)
    for callee, own in by_label(roots.names["service_name"], np.flatnonzero(roots.columns["is_server"])):
        to_it, from_it = (
            column.codes == column.labels.index(callee) if callee in column.labels else np.zeros(len(calls), bool)
            for column in (target, caller)
        )
        may = np.flatnonzero(to_it | ((target.codes < 0) & ~from_it))
        if not len(may):
            continue
        windows = Windows(calls.start_ns[may], calls.end_ns[may], of_calls[may])
        inside[own] = windows.cover(roots.start_ns[own], roots.end_ns[own], of_roots[own])
    return inside


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
