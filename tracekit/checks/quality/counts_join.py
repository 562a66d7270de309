"""Whether counted requests and traces speak of the same: windows, strata, more traces than requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from tracekit.checks.sampling.words import counted, number
from tracekit.checks.verdicts import finding, not_assessable
from tracekit.findings import Estimate, Status

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.findings import Finding

CHECK = "counts.join"


def counts_join(case: Case) -> list[Finding]:
    """Say whether the counted requests can be those that the traces are of.

    Every stratum and window in which there are more traces than requests is named: a share above 1 is none, it means
    duplicates, retries, another hop, or windows of another clock.  Traces of strata that nobody counted, traces
    outside all windows, and times without a zone are told.  One impossible row in a hundred or more of the traces
    beside the counts: warning.

    Source: ``trace_guide.md`` M1.
    """
    if case.counts is None:
        return [not_assessable(CHECK, "Whether counts and traces are of the same requests", "request counts")]
    if not len(case.traces):
        return [not_assessable(CHECK, "Whether counts and traces are of the same requests", "traces")]
    tally = case.tally
    rows = tally.bins if len(tally.bins) else tally.frame
    over = rows[rows["traces"] > rows["requests"]].copy()
    if "start_ns" in over:
        over["start_time"] = pd.to_datetime(over.pop("start_ns"), unit="ns", utc=True)
    strange = tally.unmatched_count
    held, asked = int(tally.frame["traces"].sum()), float(tally.frame["requests"].sum())
    beside = strange + tally.outside_count
    bad = len(over) > 0.01 * len(rows) or beside > 0.01 * max(held + beside, 1)
    status: Status = "warning" if bad else "ok"
    parts = []
    if len(over):
        first = over.iloc[0]
        where = ", ".join(f"{name} {first.loc[name]}" for name in map(str, over) if name not in {"requests", "traces"})
        parts.append(
            f"{counted(len(over), 'row')} of {number(len(rows))} hold more traces than requests (the first: "
            f"{counted(first['traces'], 'trace')} of {counted(first['requests'], 'request')}"
            f"{f' at {where}' * bool(where)})"
        )
    if strange:
        name = ", ".join(case.counts.dimensions)
        parts.append(f"{counted(strange, 'trace')} of a {name} that was not counted")
    if tally.outside_count:
        parts.append(f"{counted(tally.outside_count, 'trace')} outside the counted windows")
    if services := tally.uncounted_services:
        parts.append(f"what reaches {', '.join(services)} was not counted")
    parts += list(case.counts.notes)
    told = "; ".join(parts)
    meaning = "; shares of requests would be wrong" if bad else ""
    text = f"{counted(held, 'trace')} of {counted(asked, 'counted request')}{f': {told}' if told else ''}{meaning}."
    estimate = Estimate(float(len(over)), "count", float(len(over)), float(len(over)), len(rows))
    remedy = "Count at the hop where traces begin, in UTC, with the same services and routes." if bad else ""
    return [finding(CHECK, status, text, over if len(over) else rows, estimate=estimate, remedy=remedy)]
