"""S19, mistake 19: failed requests that were retried as new traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from tracekit.checks.quality.propagation.continuations import Stitch, Windows, stitch
from tracekit.checks.quality.propagation.ends import ENDS
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.redaction.scan import labels_shown
from tracekit.stats.grouping import dense_codes, group_codes
from tracekit.stats.tests import false_discovery
from tracekit.text import count, interval, plural, ratio

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracekit.checks.case import Case
    from tracekit.checks.quality.propagation.ends import Ends, Labels, Spans
    from tracekit.columns import Array
    from tracekit.findings import Finding

CHECK, _SUBJECT = "propagation.retry", "Retries as new traces"
_FEWEST, _FALSE, _SHARE, _MARGIN = 5, 0.01, 0.01, 0.10
_BACK_OFF_NS, _LONGEST_SHIFT_NS = 5_000_000_000, 60_000_000_000
_SHORTEST = 2  # back-offs that a stretch lasts at least
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
    hard to distinguish from other traffic: then never ok.  Of a store with tens of thousands of roots of a service,
    those in stretches of time are examined, as for ``propagation.break``; roots and failures are counted.

    Source: the method is that of ``stitch``.
    """
    ends = case.result(ENDS)
    every, _, failures = ends.all_roots.tolist()
    if not every:
        return [not_assessable(CHECK, _SUBJECT, "root spans with start and end")]
    examined = _examined(ends)
    left_out = round(int(examined.is_continued.sum()) * every / max(len(examined.roots), 1))
    found = failures if ends.sampled else int(examined.is_failed.sum())
    if not found:
        text = f"No retries as new traces: none of {plural(every - left_out, 'root span')} failed."
        return [finding(CHECK, "ok", text, pd.DataFrame(), assumptions=ends.sampled)]
    rows = [(*names, often, *result) for names, often, result in _estimates(ends, examined, case.confidence)]
    if not rows:
        missing = (
            f"at least {_FEWEST} failed root spans of one service and operation (found {found} over all operations)"
        )
        return [not_assessable(CHECK, _SUBJECT, missing)]
    evidence = pd.DataFrame(rows, columns=[*_NAMES, "low", "high", "p"])
    evidence["operation"] = labels_shown(evidence["operation"].fillna("").tolist())
    return [_finding(_judged(evidence), left_out, case.ci, ends.sampled)]


def _estimates(ends: Ends, examined: _Examined, confidence: float) -> Iterator[tuple[Labels, int, Stitch]]:
    """Yield the names of every operation with enough failures, their number, and the estimate."""
    roots, is_free = examined.roots, ~examined.is_continued
    group, keys = group_codes({name: roots.names[name] for name in ("service_name", "operation")}, len(roots))
    number = {names: at for at, names in enumerate(zip(*(labels.tolist() for labels in keys.values()), strict=True))}
    failed = np.bincount(group[examined.is_failed], minlength=len(number))
    level = np.zeros(len(number), np.int64)
    level[group] = examined.level
    for names, (total, _, failures) in ends.root_counts.items():
        at = number.get(names)
        often = int(failures if at is None or level[at] else failed[at])
        if often < _FEWEST:
            continue
        if at is None:  # none of its roots was kept
            yield names, often, Stitch.unknown(int(total), often)
            continue
        some = roots.where((group == at) & is_free)
        if level[at]:
            yield names, often, _in_stretches(some, ends, int(level[at]), (int(total), often), confidence)
        else:
            yield names, often, _after(some.start_ns, some.end_ns, some.columns["is_error"], _client(some), confidence)


class _Examined(NamedTuple):
    """Roots, the level of the stretches that each is of, and whether it may continue a call."""

    roots: Spans
    level: Array
    is_continued: Array

    @property
    def is_failed(self) -> Array:
        """Which roots failed, of those that continue no call."""
        return np.asarray(self.roots.columns["is_error"] & ~self.is_continued)


def _examined(ends: Ends) -> _Examined:
    """Return the roots; server spans inside an unanswered call of another trace may continue it."""
    calls, roots, stretches = ends.calls, ends.roots, ends.stretches
    of_calls, of_roots = ends.trace
    target, caller = calls.names["callee_service"], calls.names["service_name"]
    inside, kept, level = np.zeros(len(roots), bool), np.ones(len(roots), bool), np.zeros(len(roots), np.int64)
    for (callee,), own in roots.entries.items():
        to_it, from_it = (
            column.codes == column.labels.index(callee) if callee in column.labels else np.zeros(len(calls), bool)
            for column in (target, caller)
        )
        served = own[roots.columns["is_server"][own]]
        may = np.flatnonzero(to_it | ((target.codes < 0) & ~from_it)) if len(served) else served[:0]
        callers = [
            one for (name, to), one in calls.level.items() if to == callee or (to is None and name != callee)
        ] * bool(len(may))
        level[own] = most = max([roots.level.get((callee,), 0), *callers])
        kept[own] = stretches.is_within(roots.start_ns[own], roots.end_ns[own], most)
        if len(may):
            windows = Windows(calls.start_ns[may], calls.end_ns[may], of_calls[may])
            inside[served] = windows.cover(roots.start_ns[served], roots.end_ns[served], of_roots[served])
    return _Examined(roots.where(kept), level[kept], inside[kept])


def _in_stretches(roots: Spans, ends: Ends, level: int, total: tuple[int, int], confidence: float) -> Stitch:
    """Return what ``_after`` does from the roots in the stretches of a level, if these are enough, and long enough.

    Roots at the beginning of a stretch are left out: failures before them are unknown.  ``total``: number of all roots
    and of the failed ones; retries are as many times as many in all as failures are.
    """
    stretches, failed = ends.stretches, roots.columns["is_error"]
    is_late = stretches.since(roots.start_ns) >= _BACK_OFF_NS
    failures = int((failed & is_late).sum())
    if stretches.length_ns(level) < _SHORTEST * _BACK_OFF_NS or failures < _FEWEST:
        return Stitch.unknown(*total)
    start, end = (stretches.joined(at, level) for at in (roots.start_ns, roots.end_ns))
    found = _after(start, end, failed, _client(roots), confidence, is_late)
    return found.of_all(total[0], total[1] / failures, confidence)


def _client(roots: Spans) -> Array:
    """Return the number of the client of each root, 0 if unknown."""
    return np.asarray(roots.names["client"].codes.astype(np.int64) + 1)


def _after(
    start: Array, end: Array, failed: Array, client: Array, confidence: float, is_root: Array | slice = slice(None)
) -> Stitch:
    """Return the number of roots of one operation after a failure of their client, and the number by coincidence.

    ``is_root``: which of them are counted, all unless given; failures are those of all.
    """
    lane, distinct = dense_codes(client, int(client.max()) + 1)
    period = int(end.max()) - int(start.min()) + _BACK_OFF_NS
    grain = -(-2 * len(distinct) * period // 2**62)  # 1 ns, unless many clients over a long time
    begun, ended = start[is_root] // grain, end[failed] // grain
    first = start.min() // grain
    return stitch(
        ended - first + 1,
        ended - first + _BACK_OFF_NS // grain,
        begun - first,
        begun - first,
        lanes=(lane[failed], lane[is_root]),
        shortest_shift_ns=_BACK_OFF_NS // grain,
        longest_shift_ns=_LONGEST_SHIFT_NS // grain,
        confidence=confidence,
    )


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


def _finding(evidence: pd.DataFrame, left_out: int, ci: str, sampled: tuple[str, ...]) -> Finding:
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
        assumptions=(
            "clients retry within 5 s",
            "failures do not coincide with a traffic increase within a minute",
            *sampled,
        ),
        remedy=_REMEDIES.get(top["status"], ""),
    )


_REMEDIES = {
    "warning": "Keep the trace context over retries, or link every attempt to the first.",
    "inconclusive": "Add client.address to root spans, or use a longer window.",
}
