"""Requests and calls without an end: how many, and in which figures they are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracekit.checks.overview import Overview, overview
from tracekit.findings import Estimate, Finding, Severity
from tracekit.text import count, plural

if TYPE_CHECKING:
    from tracekit.checks.case import Case

_MANY: Final = 0.01


def unfinished(case: Case) -> list[Finding]:
    """Return how many requests, or calls within finished ones, have no end."""
    found = _unfinished(case.result(overview)) if case.result(overview).trace_count else None
    return [] if found is None else [found]


def _unfinished(seen: Overview) -> Finding | None:
    """Return how many requests, or calls within finished ones, have no end: what figures leave out."""
    content, count_of = seen.content, seen.content.counts
    unfinished = seen.trace_count - count_of.finished
    total = plural(seen.trace_count, "request")
    parts = []
    if unfinished:
        verb = "is" if unfinished == 1 else "are"
        parts.append(
            f"{count(unfinished)} of {total} {verb} unfinished (no end time) and excluded from "
            "latency, error rate and critical path"
        )
    if count_of.inside:
        verb = "has" if count_of.inside == 1 else "have"
        parts.append(
            f"{count(count_of.inside)} of {total} {verb} spans without an end time, whose critical-path time "
            "counts only as far as it is known"
        )
    if not parts:
        return None
    share = (unfinished + count_of.inside) / seen.trace_count
    severity: Severity = "warning" if share >= _MANY else "notice"
    estimate = Estimate(share, "ratio", share, share, seen.trace_count)
    rows = content.unfinished
    text, first = f"{'; '.join(parts)}.", tuple(rows.index[:1])
    remedy = "Read these traces again when their requests have ended."
    return Finding("unfinished", severity, text, estimate, rows, first, remedy=remedy, code="traces.summary")
