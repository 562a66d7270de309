"""Whether the p95 latency of an endpoint grew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracekit.checks.comparison import Changes, comparable_changes
from tracekit.checks.names import name_of
from tracekit.findings import Estimate, Finding
from tracekit.text import count, duration, interval, plural

if TYPE_CHECKING:
    from tracekit.checks.case import Case


def endpoints(case: Case) -> list[Finding]:
    """Return the endpoint with the largest increase of p95 latency."""
    changes = comparable_changes(case)
    found = None if changes is None else _slower_entry(changes)
    return [] if found is None else [found]


def _slower_entry(changes: Changes) -> Finding | None:
    """Return the endpoint with the largest increase of p95."""
    table = changes.entries
    grown = table[table["p95_change_low_ns"] > 0]
    if grown.empty:
        return None
    row = grown.iloc[int((grown["p95_ns_now"] - grown["p95_ns_before"]).to_numpy().argmax())]
    before, now = row["p95_ns_before"], row["p95_ns_now"]
    times = f"{now / before:.1f}x, " if before else ""
    text = (
        f"{name_of(row)} p95 regressed {duration(before)} → {duration(now)} ({times}"
        f"{interval(row['p95_low_ns_before'], row['p95_high_ns_before'], duration)} → "
        f"{interval(row['p95_low_ns_now'], row['p95_high_ns_now'], duration, confidence='')}); "
        f"p50 {duration(row['p50_ns_before'])} → {duration(row['p50_ns_now'])} "
        f"(n = {count(row['span_count_before'])} and {count(row['span_count_now'])})."
    )
    if len(grown) > 1:
        text += f" {plural(len(grown) - 1, 'other endpoint')} regressed as well."
    estimate = Estimate(now, "ns", row["p95_low_ns_now"], row["p95_high_ns_now"], int(row["span_count_now"]))
    return Finding("slower", "warning", text, estimate, grown, code="tk.latency(traces, roots=True)")
