"""Whether the p95 latency of an endpoint grew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracekit.checks.comparison import Changes, comparable_changes
from tracekit.checks.names import name_of
from tracekit.findings import Estimate, Finding
from tracekit.text import count, factor, from_to, intervals_from_to, plural
from tracekit.weights.comparability import SIDES

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.checks.case import Case


def endpoints(case: Case) -> list[Finding]:
    """Return the endpoint with the largest increase of p95 latency."""
    changes = comparable_changes(case)
    found = None if changes is None else _slower_entry(changes)
    return [] if found is None else [found]


def _slower_entry(changes: Changes) -> Finding | None:
    """Return the endpoint with the largest increase of p95."""
    grown, row = _grown(changes), most_regressed(changes)
    if row is None:
        return None
    before, now = row["baseline_p95_ns"], row["current_p95_ns"]
    times = f"{factor(now / before)}; " if before else ""
    limits = [(row[f"{side}_p95_low_ns"], row[f"{side}_p95_high_ns"]) for side in SIDES]
    text = (
        f"{name_of(row)} p95 regressed {from_to(before, now)} ({times}"
        f"{intervals_from_to(limits[0], limits[1])}). "
        f"p50 {from_to(row['baseline_p50_ns'], row['current_p50_ns'])} "
        f"(n = {from_to(row['baseline_span_count'], row['current_span_count'], count)})."
    )
    if len(grown) > 1:
        text += f" {plural(len(grown) - 1, 'other endpoint')} regressed as well."
    estimate = Estimate(
        now, "ns", row["current_p95_low_ns"], row["current_p95_high_ns"], int(row["current_span_count"])
    )
    return Finding("slower", "warning", text, estimate, grown, code="tk.latency(traces, roots=True)")


def most_regressed(changes: Changes) -> pd.Series | None:
    """Return the row of ``entries`` with the largest significant increase of p95; None without one."""
    grown = _grown(changes)
    if grown.empty:
        return None
    return grown.iloc[int((grown["current_p95_ns"] - grown["baseline_p95_ns"]).to_numpy().argmax())]


def _grown(changes: Changes) -> pd.DataFrame:
    """Return the endpoints whose p95 increased significantly."""
    return changes.entries[changes.entries["p95_change_low_ns"] > 0]
