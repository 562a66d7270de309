"""What to see in the distributions of latency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from tracekit.findings import Finding
from tracekit.text import duration, plural, with_interval

if TYPE_CHECKING:
    from tracekit.checks.overview import Overview

_QUANTILES: Final = ("p50", "p95", "p99")


def latency_figure(seen: Overview, before: Overview | None) -> Finding | None:
    """Return what half, 95% and 99% of the requests take, and the same of the baseline; None without a duration."""
    row = _all(seen)
    if row is None:
        return None
    limits = ", ".join(f"{name} {_limited(row, name)}" for name in _QUANTILES)
    text = f"{plural(row['span_count'], f'{seen.recorded}request')}: {limits}; longest {duration(row['max_ns'])}."
    values: dict[str, Any] = {name: float(row[f"{name}_ns"]) for name in (*_QUANTILES, "max")}
    was = None if before is None else _all(before)
    if was is not None:
        text += f" Baseline: {', '.join(f'{name} ' + duration(was[f'{name}_ns']) for name in _QUANTILES)}."
        values |= {f"baseline_{name}": float(was[f"{name}_ns"]) for name in _QUANTILES}
    rows = pd.concat([one.entries.table.assign(side=name) for name, one in _sides(seen, before)])
    columns = ["service_name", "operation", *["side"] * (before is not None), "span_count"]
    columns += ["p50_ns", "p95_ns", "p95_low_ns", "p95_high_ns", "p99_ns", "max_ns"]
    rows = rows[columns].rename(columns={"span_count": "request_count"})
    by = ["request_count", "service_name", "operation"]
    rows = rows.sort_values(by, ascending=[False, True, True], kind="stable")
    return Finding("figure.latency", "info", text, evidence=rows.reset_index(drop=True), values=values,
                   code="tk.latency(traces, by=(), roots=True).table")  # fmt: skip


def _all(seen: Overview) -> pd.Series | None:
    """Return the row of all requests; None without a duration."""
    table = seen.requests.table
    return None if table.empty or not table["span_count"].iloc[0] else table.iloc[0]


def _sides(seen: Overview, before: Overview | None) -> list[tuple[str, Overview]]:
    """Return the current traces, and the baseline if there is one."""
    return [("current", seen), *([("baseline", before)] if before is not None else [])]


def _limited(row: pd.Series, name: str) -> str:
    """Return a quantile with its interval."""
    return with_interval(row[f"{name}_ns"], row[f"{name}_low_ns"], row[f"{name}_high_ns"], duration)
