"""Requests and calls without an end: how many, and in which figures they are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.checks.overview import Overview, overview
from tracekit.completeness import is_open
from tracekit.findings import Estimate, Finding, Severity
from tracekit.text import count, plural

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array

_MANY: Final = 0.01


def unfinished(case: Case) -> list[Finding]:
    """Return how many requests, or calls within finished ones, have no end."""
    found = _unfinished(case.result(overview)) if len(case.traces) else None
    return [] if found is None else [found]


def _unfinished(seen: Overview) -> Finding | None:
    """Return how many requests, or calls within finished ones, have no end: what figures leave out."""
    traces, finished = seen.traces, seen.finished
    inside = np.zeros(len(traces), bool)
    inside[traces.forest.trace[is_open(traces.lookup)]] = True
    inside &= finished
    total = plural(len(traces), "request")
    parts = []
    if not finished.all():
        parts.append(
            f"{count((~finished).sum())} of {total} {_be(~finished)} unfinished (no end time) and excluded from "
            "latency, error rate and critical path"
        )
    if inside.any():
        parts.append(
            f"{count(inside.sum())} of {total} {_have(inside)} spans without an end time, whose critical-path time "
            "counts only as far as it is known"
        )
    if not parts:
        return None
    touched = ~finished | inside
    share = float(touched.mean())
    severity: Severity = "warning" if share >= _MANY else "notice"
    estimate = Estimate(share, "ratio", share, share, len(traces))
    rows = traces.summary[touched]
    text, first = f"{'; '.join(parts)}.", tuple(rows.index[:1])
    remedy = "Read these traces again when their requests have ended."
    return Finding("unfinished", severity, text, estimate, rows.head(10), first, remedy=remedy, code="traces.summary")


def _be(chosen: Array) -> str:
    """Return the verb for some of several."""
    return "is" if chosen.sum() == 1 else "are"


def _have(chosen: Array) -> str:
    """Return the verb for some of several."""
    return "has" if chosen.sum() == 1 else "have"
