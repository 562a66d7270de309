"""What to see in the chart of contributions to the change in mean latency."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracekit.checks.names import place_of
from tracekit.findings import Finding
from tracekit.text import interval, plural, signed_duration

if TYPE_CHECKING:
    from tracekit.checks.comparison import Changes


def contributions_figure(changes: Changes) -> Finding | None:
    """Return the change in mean latency and its largest contribution; None without a comparison."""
    if changes.comparison is None or changes.comparison.table.empty:
        return None
    table = changes.comparison.table
    total, largest = float(table["change_ns"].sum()), table.iloc[int(table["change_ns"].abs().to_numpy().argmax())]
    significant = int(table["is_significant"].sum())
    limits = interval(largest["change_low_ns"], largest["change_high_ns"], signed_duration)
    verdict = "" if largest["is_significant"] else ", not significant"
    text = (
        f"Mean latency {signed_duration(total)}. Largest contribution: {place_of(largest)}, "
        f"{signed_duration(largest['change_ns'])} ({limits}{verdict}). "
        f"{significant or 'None'} of {plural(len(table), 'operation')} changed significantly."
    )
    values = {"change_ns": total, "largest_ns": float(largest["change_ns"]), "significant_count": significant,
              "operation_count": len(table)}  # fmt: skip
    by = "['service_name', 'operation', 'callee_service']"
    code = f"tk.critical_path(before).compare(tk.critical_path(traces), by={by}).table"
    return Finding("figure.contributions", "info", text, values=values, code=code)
