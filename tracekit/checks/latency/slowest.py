"""The endpoint with the highest p95 latency."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracekit.checks.names import name_of
from tracekit.checks.overview import Overview, overview
from tracekit.findings import Estimate, Finding
from tracekit.text import duration, interval, plural

if TYPE_CHECKING:
    from tracekit.checks.case import Case


def slowest(case: Case) -> list[Finding]:
    """Return the endpoint with the highest p95 latency."""
    found = _slowest(case.result(overview))
    return [] if found is None else [found]


def _slowest(seen: Overview) -> Finding | None:
    """Return the endpoint with the highest p95."""
    if seen.slowest_entries.empty:
        return None
    row = seen.slowest_entries.iloc[0]
    if row["span_count"] == 1:
        text = f"Slowest endpoint: {name_of(row)}, {duration(row['p50_ns'])} (1 {seen.counted}request)."
    else:
        text = (
            f"Slowest endpoint: {name_of(row)}, p50 {duration(row['p50_ns'])}, p95 {duration(row['p95_ns'])} "
            f"({interval(row['p95_low_ns'], row['p95_high_ns'], duration)}; "
            f"n = {plural(row['span_count'], f'{seen.counted}request')})."
        )
    estimate = Estimate(
        row["p95_ns"], "ns", row["p95_low_ns"], row["p95_high_ns"], int(row["span_count"]), row["n_effective"]
    )
    return Finding("slowest", "notice", text, estimate, row.to_frame().T, code="tk.latency(traces, roots=True)")
