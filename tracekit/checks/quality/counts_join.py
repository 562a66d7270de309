"""Consistency of request counts and traces: windows, strata, more traces than requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from tracekit.findings import Estimate, Status, finding, not_assessable
from tracekit.text import count, plural

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.findings import Finding

CHECK, _SUBJECT = "counts.join", "Consistency of request counts and traces"


def counts_join(case: Case) -> list[Finding]:
    """Return whether the request counts are consistent with the traces.

    Lists every stratum and window with more traces than requests: a share above 1 means duplicates, retries, another
    hop, or windows of another clock.  Reports traces of uncounted strata, traces outside all windows, and times without
    a time zone.  Warning above 1% of impossible rows, or of traces outside the counts.
    """
    if case.counts is None:
        return [not_assessable(CHECK, _SUBJECT, "request counts")]
    if not case.held.trace_count:
        return [not_assessable(CHECK, _SUBJECT, "traces")]
    tally = case.tally
    rows = tally.bins if len(tally.bins) else tally.frame
    over = rows[rows["traces"] > rows["requests"]].copy()
    if "start_ns" in over:
        over["start_time"] = pd.to_datetime(over.pop("start_ns"), unit="ns", utc=True)
    recorded, requested = int(tally.frame["traces"].sum()), float(tally.frame["requests"].sum())
    uncounted = tally.unmatched_count + tally.outside_count
    bad = len(over) > 0.01 * len(rows) or uncounted > 0.01 * max(recorded + uncounted, 1)
    status: Status = "warning" if bad else "ok"
    notes = "; ".join(_differences(case, over, len(rows)))
    meaning = " Trace coverage computed from them would be wrong." if bad else ""
    total = f"{plural(recorded, 'trace')} of {plural(requested, 'counted request')}"
    text = f"{total}{f': {notes}' if notes else ''}.{meaning}"
    estimate = Estimate(float(len(over)), "count", float(len(over)), float(len(over)), len(rows))
    remedy = "Count requests at the hop where traces start, in UTC, with the same services and routes." if bad else ""
    return [finding(CHECK, status, text, over if len(over) else rows, estimate=estimate, remedy=remedy)]


def _differences(case: Case, over: pd.DataFrame, row_count: int) -> list[str]:
    """Return how counts and traces differ; ``over`` are the rows with more traces than requests."""
    assert case.counts is not None
    tally, parts = case.tally, []
    if len(over):
        first = over.iloc[0]
        where = ", ".join(f"{name} {first.loc[name]}" for name in map(str, over) if name not in {"requests", "traces"})
        parts.append(
            f"{plural(len(over), 'row')} of {count(row_count)} with more traces than requests (first: "
            f"{plural(first['traces'], 'trace')} of {plural(first['requests'], 'request')}"
            f"{f' at {where}' * bool(where)})"
        )
    if strange := tally.unmatched_count:
        name = ", ".join(case.counts.dimensions)
        parts.append(f"{plural(strange, 'trace')} of a {name} that was not counted")
    if tally.outside_count:
        parts.append(f"{plural(tally.outside_count, 'trace')} outside the counted windows")
    if services := tally.uncounted_services:
        parts.append(f"requests to {', '.join(services)} were not counted")
    return [*parts, *case.counts.notes]
