"""S19, mistake 19: which requests were tried again in traces of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.attributes import pick
from tracekit.checks.quality.call_targets import unanswered, unknown_peers
from tracekit.checks.quality.pii_scan import labels_shown
from tracekit.checks.quality.stitching import Windows, stitch
from tracekit.checks.sampling.words import counted, number, percent
from tracekit.checks.verdicts import finding, not_assessable
from tracekit.findings import Estimate
from tracekit.schema import Kind, ParentState
from tracekit.stats.grouping import dense_codes, group_rows
from tracekit.stats.tests import false_discovery

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.findings import Finding

CHECK, _SUBJECT = "propagation.retry", "Whether retries begin traces of their own"
_FEWEST, _FALSE, _SHARE, _MARGIN = 5, 0.01, 0.01, 0.10
_BACK_OFF_NS, _LONGEST_SHIFT_NS = 5_000_000_000, 60_000_000_000
_NAMES = ["service_name", "operation", "failed_count", "root_count", "after_count", "chance_ratio", "retry_count"]


def retried_roots(case: Case) -> list[Finding]:
    """Say how many traces are repeats of a request that failed in another trace.

    For every service and operation of roots: roots that begin within 5 s (the back-off) after a failed root of the
    same operation and client ended, beyond what circular shifts by 5 to 60 s give by chance (``stitch``, the windows
    after failures in place of the calls).  The client is ``client.address`` of servers, else instance or host.
    Told apart from lost context (``propagation.break``): a continuation lies inside an unanswered call, a retry comes
    after its failure; server roots inside an unanswered call are left out here and counted.  Warns where the false
    discovery rate is at most 1 % and repeats are over 1 % of the failures; fine only if they are at most 10 % of any.
    Assumes that clients retry within 5 s and that failures do not come with more traffic within less than a minute.
    Clients that share an address or are unknown make repeats hard to tell from traffic: never fine then.

    Source: ``trace_guide.md`` mistake 19; the method is that of ``stitch``.
    """
    spans = case.traces.columns.spans
    roots = np.flatnonzero((case.traces.forest.state == ParentState.ROOT) & case.traces.has_duration)
    if not len(roots):
        return [not_assessable(CHECK, _SUBJECT, "root spans with both ends")]
    free = roots[~_continued(case, roots)]
    failed = case.traces.is_error[free]
    if not failed.any():
        text = f"None of {counted(len(free), 'root span')} failed: there was nothing to retry as a new trace."
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
    return [_finding(_judged(evidence), len(roots) - len(free))]


def _continued(case: Case, roots: Array) -> Array:
    """Return which roots are server spans inside an unanswered call of another trace that may have been theirs."""
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
    """Return who asked: the client's address of servers, the instance or host of others; one for all unknown."""
    address, instance, host = (
        case.traces.codes(name).take(rows) for name in ("peer_address", "service_instance_id", "host_name")
    )
    serving = case.traces.columns.spans.kind[rows] == Kind.SERVER
    asked = address._replace(codes=np.where(serving, address.codes, -1))
    own = [one._replace(codes=np.where(serving, -1, one.codes)) for one in (instance, host)]
    return pick([asked, *own])[0].codes.astype(np.int64) + 1


def _after(start: Array, end: Array, failed: Array, client: Array, confidence: float) -> tuple[float, ...]:
    """Return how many roots of one operation follow a failure of their own client, and by chance."""
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
    """Return the operations with their verdicts, the most repeats first."""
    count = evidence["failed_count"]
    q = false_discovery(evidence["p"].to_numpy())
    tried = (q <= _FALSE) & (evidence["low"] > _SHARE * count)
    telling = evidence["chance_ratio"] < 1 - _MARGIN  # where chance covers nearly all, nothing more can be seen
    sure = telling & (evidence["high"] <= _MARGIN * count)
    judged = evidence.drop(columns="p").assign(status=np.select([tried, sure], ["warning", "ok"], "inconclusive"))
    order = {"warning": 0, "inconclusive": 1, "ok": 2}
    return judged.sort_values(
        ["status", "retry_count"],
        ascending=[True, False],
        ignore_index=True,
        key=lambda column: column.map(order) if column.name == "status" else column,
    )


def _finding(evidence: pd.DataFrame, left_out: int) -> Finding:
    """Return what is said of the operation with the most repeats."""
    top = evidence.iloc[0]
    what = f"`{top['operation']}` of `{top['service_name']}`"
    count = f"{number(top['retry_count'])} ({number(top['low'])}-{number(top['high'])})"
    share = percent(top["retry_count"] / top["root_count"])
    text = {
        "warning": (
            f"About {count} of {counted(top['root_count'], 'root trace')} of {what} ({share}) repeat a request that "
            f"failed for the same client less than 5 s before: retries begin traces of their own, so requests and "
            f"errors are counted once an attempt"
        ),
        "ok": (
            f"No retries as new traces found: at most {number(top['high'])} of "
            f"{counted(top['failed_count'], 'failure')} of {what} were retried so "
            f"(n = {counted(top['root_count'], 'root')}); roots can be read as requests"
        ),
    }.get(
        top["status"],
        f"Up to {number(min(top['high'], top['failed_count']))} of {counted(top['failed_count'], 'failure')} of {what} "
        f"may have been retried as new traces: too many other requests begin within 5 s "
        f"(n = {counted(top['root_count'], 'root')}); a longer period or `client.address` on the roots would settle it",
    )
    left = f"; left out: {counted(left_out, 'root')} inside unanswered calls (`propagation.break`)"
    text += left * bool(left_out)
    told = top["status"] != "inconclusive"
    interval = Estimate(top["retry_count"], "count", top["low"], top["high"], int(top["root_count"]))
    return finding(
        CHECK,
        top["status"],
        f"{text}.",
        evidence,
        estimate=interval if told else None,
        assumptions=("clients retry within 5 s", "failures do not come with more traffic within less than a minute"),
        remedy="Keep the trace context over retries, or link every attempt to the first."
        * (top["status"] == "warning"),
    )
