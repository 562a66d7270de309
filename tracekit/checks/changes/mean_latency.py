"""Whether the mean latency changed, and in which operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.checks.changes.operations import CODE, METHOD, exemplar_of, factors_of, is_noticeable
from tracekit.checks.comparison import Changes, comparable_changes
from tracekit.checks.names import place_of
from tracekit.findings import Finding, Severity
from tracekit.text import from_to, interval, ratio, signed_duration

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.analysis.critical_path.compare import PathComparison
    from tracekit.checks.case import Case

_WORTH: Final = 0.1  # a mean that grew by a tenth is a warning
_ROUNDED: Final = 0.005  # shares this near to one are all of it


def mean_latency(case: Case) -> list[Finding]:
    """Return by how much the mean latency changed, and in which operation."""
    changes = comparable_changes(case)
    return [] if changes is None else [_whole(changes)]


def _whole(changes: Changes) -> Finding:
    """Return by how much the mean latency changed, and in which operation."""
    compared = changes.comparison
    if compared is None:
        text = "Latency cannot be compared: one side has no request with a start, an end and a sampling weight above 0."
        return Finding("change", "notice", text, code="traces.summary")
    before, now = (float(value) for value in compared.sides["mean_latency_ns"])
    change = compared.change
    limits = interval(change.low, change.high, signed_duration)
    if not (change.low > 0 or change.high < 0):
        verdict = (
            "no significant change" if np.isfinite([change.low, change.high]).all() else "too few traces to compare"
        )
        text = f"Mean latency{changes.recorded} {from_to(before, now)}: {verdict} ({limits})."
        return Finding("change", "info", text, change, compared.table.head(10), method=METHOD, code=CODE)
    verb = "regressed" if change.value > 0 else "improved"
    means = f"{from_to(before, now)} ({signed_duration(change.value)}; {limits})"
    text = f"Mean latency{changes.recorded} {verb} {means}."
    parts = compared.table[compared.table["change_ns"] * change.value > 0]
    significant = parts[parts["is_significant"]]
    exemplars: tuple[str, ...] = ()
    if not changes.has_same_clocks:
        text += " Operations are not compared: clock skew was corrected on one side only, which shifts their times."
    elif not significant.empty:
        text += _where(compared, significant.iloc[0], change.value)
        exemplars = exemplar_of(changes, significant.iloc[0])
    elif not parts.empty and abs(parts["change_ns"].iloc[0]) > _WORTH * abs(change.value):
        text += _largest(parts.iloc[0])
        exemplars = exemplar_of(changes, parts.iloc[0])
    is_felt = change.value > 0 and not significant.empty and is_noticeable(compared, significant.iloc[0])
    severity: Severity = "warning" if is_felt or change.value > _WORTH * before else "notice"
    return Finding("change", severity, text, change, compared.table.head(10), exemplars, method=METHOD, code=CODE)


def _where(compared: PathComparison, row: pd.Series, whole: float) -> str:
    """Return the sentence about the operation that changed most."""
    share, kind = row["change_ns"] / whole, "increase" if whole > 0 else "decrease"
    part = f"{ratio(share)} of the {kind}" if share < 1 - _ROUNDED else f"All of the {kind}"
    part = part if share <= 1 + _ROUNDED else f"The largest {kind}"
    why = factors_of(compared, row)
    where = f"{part} ({signed_duration(row['change_ns'])}) is in {place_of(row)}"
    return f" {where}{': ' * bool(why)}{', '.join(why)}."


def _largest(row: pd.Series) -> str:
    """Return the sentence about the largest of many changes none of which is significant."""
    limits = interval(row["change_low_ns"], row["change_high_ns"], signed_duration)
    largest = f"{signed_duration(row['change_ns'])} ({limits}) in {place_of(row)}"
    return f" No single operation changed significantly; the largest change is {largest}."
