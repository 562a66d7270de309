"""Conditions of ``tracekit diff`` that would have stopped a regression, tried on it and on the baseline alone."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pandas as pd

from tracekit.analysis.compare.compute import compare
from tracekit.analysis.compare.gates import evaluate
from tracekit.checks.changes.endpoints import most_regressed
from tracekit.checks.overview import ENOUGH
from tracekit.checks.postmortem.recorded import middle_ns
from tracekit.checks.postmortem.removed_names import is_removed
from tracekit.checks.screen.cause import cause_of
from tracekit.findings import Finding
from tracekit.text import clean, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tracekit.analysis.compare.gates import Gate
    from tracekit.analysis.compare.result import Comparison
    from tracekit.checks.case import Case
    from tracekit.checks.screen.made import Made

_PERCENT: Final = tuple(f"{amount}%" for amount in (10, 20, 30, 50, 100, 200))
_POINTS: Final = tuple(f"{amount} points" for amount in (0.5, 1, 2, 5, 10))
_LONGEST: Final = 200  # characters of a name in a condition
_METRICS: Final = {"frequency": "calls_per_request", "duration": "mean_ms"}


class _Compared(NamedTuple):
    """The comparison with the baseline, and that of the baseline's second half with its first; None without one."""

    found: Comparison
    null: Comparison | None


def _compared(case: Case) -> _Compared | None:
    """Return both comparisons; None without a baseline."""
    if case.baseline is None:
        return None
    before: Any = case.baseline.source  # a TraceSet or a TraceStore, which have the same methods
    at, null = middle_ns(case.baseline), None
    if at is not None:
        middle = pd.Timestamp(at, tz="UTC")
        halves = before.between(None, middle), before.between(middle, None)
        if min(map(len, halves)) >= ENOUGH:
            null = compare(*halves)
    return _Compared(compare(before, case.source), null)


def symptom_gates(made: Made) -> list[Finding]:
    """Return the conditions on what users noticed: latency of the endpoint, error rate."""
    if made.regression is None or made.changes is None:
        return []
    row = most_regressed(made.changes)
    found = []
    if made.regression.metric == "error_rate":
        found.append(_smallest(made, "error_rate rises", _POINTS))
    if row is not None and (place := _place(made, row)):
        found.append(_smallest(made, f"p95_ms of {place} rises", _PERCENT))
    if not found or not any(found):
        found.append(_smallest(made, "mean_ms rises", _PERCENT))
    return [one for one in found if one is not None]


def cause_gates(made: Made) -> list[Finding]:
    """Return the conditions on the operation that explains the regression."""
    row = cause_of(made).row if made.regression is not None else None
    if row is None or made.changes is None or made.changes.comparison is None:
        return []
    found = []
    if row["baseline_trace_count"] == 0:
        found.append(_smallest(made, "new operation", ("",)))
    elif place := _place(made, row):
        for name, metric in _METRICS.items():
            if row[f"{name}_change_ns"] > 0:
                found.append(_smallest(made, f"{metric} of {place} rises", _PERCENT))
    return [one for one in found if one is not None]


def _place(made: Made, row: pd.Series) -> str:
    """Return the name of an operation as a condition takes it; empty where it cannot be written in one."""
    name = f"{row['service_name']} {row['operation']}"
    is_plain = clean(name) == name and " ".join(name.split()) == name and len(name) <= _LONGEST and "`" not in name
    return name if is_plain and not is_removed(made.case, name) else ""


def _smallest(made: Made, start: str, amounts: Sequence[str]) -> Finding | None:
    """Return the condition with the smallest amount that is met now, and not by the baseline; None without one."""
    both = made.case.result(_compared)
    if both is None:
        return None
    tried = list(_met(start, amounts, both))
    best = next((one for one in tried if one[1] is not None and one[1].outcome == "passed"), None)
    best = best or next((one for one in tried if one[1] is None or one[1].traces_needed is not None), None)
    return None if best is None else _said(*best)


def _met(start: str, amounts: Sequence[str], both: _Compared) -> Iterator[tuple[Gate, Gate | None]]:
    """Yield the conditions that are met now, with what the baseline alone says of each."""
    for amount in amounts:
        condition = f"{start} {amount}".strip()
        try:
            gate = evaluate(condition, both.found)
            null = None if both.null is None else evaluate(condition, both.null)
        except ValueError:  # the name is that of several places, or one side lacks it: no such condition can be written
            return
        if gate.outcome != "failed":
            return
        yield gate, null


def _said(gate: Gate, null: Gate | None) -> Finding:
    """Return what a condition says of the regression, and of the baseline alone."""
    command = f"tracekit diff BASELINE CURRENT --fail-if {shlex.quote(gate.condition)}"
    needed = None if null is None else null.traces_needed
    rest = "The second half of the baseline passes it, compared with the first."
    if null is None:
        rest = "The baseline is too small to try it alone."
    elif needed is not None:
        rest = "Within the baseline, too few traces decide it (exit code 3): it needs about"
        rest += f" {plural(needed, 'trace')} a side."
    outcome = None if null is None else null.outcome
    values = {"kind": "diff", "command": command, "null_outcome": outcome, "traces_needed": needed}
    text = f"{command} would have failed: {gate.sentence} {rest}"
    return Finding("postmortem.check", "info", text, values=values, code="tk.compare(before, traces)")
