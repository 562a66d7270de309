"""What to see in the chart of requests over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tracekit.checks.overview import ENOUGH
from tracekit.findings import Finding
from tracekit.text import count, duration, moment, plural, ratio

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.analysis.timeline.result import Timeline

_COLUMNS: Final = ["start_time", "trace_count", "error_ratio", "p50_ns", "p95_ns", "p99_ns"]
_CHANCE: Final = f"Steps with at least {ENOUGH} requests. The extremes of many steps also differ by chance."


def over_time_figure(found: Timeline) -> Finding:
    """Return the lowest and the highest p95 and the highest error rate of a step."""
    table = found.table[found.table["trace_count"] > 0]
    usable = table[(table["trace_count"] >= ENOUGH) & table["p95_ns"].notna()]
    steps = f"{plural(len(found.table), 'step')} of {found.step_ns / 1e9:g} s"
    values: dict[str, Any] = {"step_ns": int(found.step_ns), "usable_step_count": len(usable)}
    if usable.empty:
        text = f"{plural(table['trace_count'].sum(), 'request')} in {steps}: fewer than {ENOUGH} with a duration in"
        return _finding(found, f"{text} each, too few for a p95.", values)
    low, high = usable.nsmallest(1, "p95_ns").iloc[0], usable.nlargest(1, "p95_ns").iloc[0]
    values |= {"p95_low_ns": float(low["p95_ns"]), "p95_high_ns": float(high["p95_ns"])}
    whole = f"{len(usable):,} usable steps of {len(found.table):,} ({found.step_ns / 1e9:g} s each)"
    text = f"p95 in {whole}: from {_at(low)} to {_at(high)}." if len(usable) > 1 else f"p95: {_at(low)}."
    failing = usable.sort_values("error_ratio", ascending=False, kind="stable").iloc[0]  # NaN last
    if not failing["error_ratio"] > 0:
        return _finding(found, f"{text} No failed requests in these steps.", values, _CHANCE)
    values["error_high_ratio"] = float(failing["error_ratio"])
    return _finding(found, f"{text} Highest error rate: {_rate(failing)}.", values, _CHANCE)


def _at(row: pd.Series) -> str:
    """Return the p95 of a step, with its start and size."""
    return f"{duration(row['p95_ns'])} ({moment(int(row['start_ns']))} UTC, n = {count(row['trace_count'])})"


def _rate(row: pd.Series) -> str:
    """Return the error rate of a step, with its start and size."""
    return f"{ratio(row['error_ratio'])} ({moment(int(row['start_ns']))} UTC, n = {count(row['trace_count'])})"


def _finding(found: Timeline, text: str, values: dict[str, Any], method: str = "") -> Finding:
    """Return the sentence with the rows of the chart."""
    rows = found.table[_COLUMNS]
    return Finding("figure.over_time", "info", text, evidence=rows, values=values, method=method,
                   code="tk.timeline(traces).table")  # fmt: skip
