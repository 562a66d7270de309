"""Operations that regressed although the mean latency of all requests did not increase significantly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.analysis.critical_path.keys import key_codes
from tracekit.checks.comparison import FDR, SURE, Changes, comparable_changes
from tracekit.checks.names import WAITS, place_of
from tracekit.findings import Estimate, Finding, Severity
from tracekit.text import duration, from_to, interval, mean_count, plural, ratio, round_ratio, signed_duration

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.analysis.critical_path.compare import PathComparison
    from tracekit.checks.case import Case
    from tracekit.columns import Array

_WORTH: Final = 0.1  # a factor is named from a tenth of a change
_FELT: Final = 0.05  # of the mean latency: added by a slower operation to a request that has it, to be a warning
METHOD: Final = "Mean critical-path time per request; the contributions of the operations sum to the total."
CODE: Final = f"tk.critical_path(before).compare(tk.critical_path(traces), by={list(WAITS)})"


def operations(case: Case) -> list[Finding]:
    """Return the operations that regressed where the mean of all requests does not show it."""
    changes = comparable_changes(case)
    found = None if changes is None else _regressed(changes)
    return [] if found is None else [found]


def _regressed(changes: Changes) -> Finding | None:
    """Return the operations that regressed where the mean of all requests does not show it."""
    compared = changes.comparison
    if compared is None or compared.change.low > 0:
        return None
    table = compared.table
    grown = table[(table["change_ns"] > 0) & table["is_significant"]]
    if grown.empty:
        return None
    row = grown.iloc[0]
    rest = f" {plural(len(grown) - 1, 'other operation')} regressed as well." if len(grown) > 1 else ""
    limits = interval(row["change_low_ns"], row["change_high_ns"], signed_duration)
    why = ", ".join([f"{signed_duration(row['change_ns'])} per request ({limits})", *factors_of(compared, row)])
    text = f"{place_of(row)} regressed although the mean latency did not increase significantly: {why}.{rest}"
    estimate = Estimate(
        row["change_ns"], "ns", row["change_low_ns"], row["change_high_ns"], int(compared.sides["trace_count"].sum())
    )
    severity: Severity = "warning" if is_noticeable(compared, row) else "notice"
    method = f"{METHOD} False discovery rate {round_ratio(FDR)}; {plural(len(table), 'operation')} tried."
    shown = exemplar_of(changes, row)
    return Finding("regressed", severity, text, estimate, grown.head(10), shown, method=method, code=CODE)


def factors_of(compared: PathComparison, row: pd.Series) -> list[str]:
    """Return which of requests affected, calls per request and time per call changed."""
    parts = compared.parts
    mine = parts[np.logical_and.reduce([_equal(parts[key], row[key]) for key in WAITS])]
    named = mine[(mine["change_ns"].abs() >= _WORTH * abs(row["change_ns"]))].set_index("factor")
    forms: dict[str, tuple[str, Any]] = {
        "presence": ("requests affected", ratio),
        "frequency": ("calls per request", mean_count),
        "duration": ("time per call", duration),
    }
    pairs = {
        name: (float(named["baseline_value"][name]), float(named["current_value"][name]))
        for name in forms
        if name in named.index
    }
    return [
        f"{forms[name][0]} {from_to(before, now, forms[name][1])}"
        for name, (before, now) in pairs.items()
        if np.isfinite([before, now]).all()
    ]


def presence_of(compared: PathComparison, row: pd.Series) -> tuple[float, float] | None:
    """Return which share of the requests has an operation, in the baseline and now; None where that is not known."""
    parts = compared.parts
    is_mine = np.logical_and.reduce([_equal(parts[key], row[key]) for key in WAITS])
    mine = parts[is_mine & (parts["factor"] == "presence")]
    if mine.empty:
        return None
    found = float(mine["baseline_value"].iloc[0]), float(mine["current_value"].iloc[0])
    return found if np.isfinite(found).all() else None


def added_per_call(compared: PathComparison, row: pd.Series) -> float:
    """Return what longer calls of an operation add to the mean request (ns), not by more calls; 0 if unknown."""
    parts = compared.parts
    is_mine = np.logical_and.reduce([_equal(parts[key], row[key]) for key in WAITS])
    added = parts.loc[is_mine & (parts["factor"] == "duration"), "change_ns"]
    return float(added.sum())


def is_noticeable(compared: PathComparison, row: pd.Series) -> bool:
    """Return whether an operation regressed beyond doubt, and by enough of what a request with it takes."""
    requests, latency_ns = (compared.sides[name].to_numpy(float) for name in ("trace_count", "mean_latency_ns"))
    added = row["change_ns"] * requests[1] / max(row["current_trace_count"], 1)
    return bool(row["q_value"] <= 2 * SURE and added >= _FELT * latency_ns[0])


def exemplar_of(changes: Changes, row: pd.Series) -> tuple[str, ...]:
    """Return the trace that shows the change of an operation, and the span with its longest critical-path time."""
    trace_id = str(row["exemplar_trace_id"])
    for side in (changes.now, changes.before):
        path = side.path_of([trace_id])
        spans = path.spans
        keys = [key_codes(path.source, path.tree, key).series().astype(object) for key in WAITS]
        is_mine = np.logical_and.reduce([_equal(key, row[name]) for key, name in zip(keys, WAITS, strict=True)])
        mine = spans[is_mine & (spans["trace_id"].astype(str) == trace_id).to_numpy()]
        if len(mine):
            return trace_id, str(mine["span_id"].iloc[int(mine["path_time_ns"].to_numpy().argmax())])
    return (trace_id,)


def _equal(column: pd.Series, value: object) -> Array:
    """Return where a column has a value, or has none where there is none."""
    return (column.eq(value) if isinstance(value, str) else column.isna()).to_numpy(bool)
