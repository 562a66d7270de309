"""Occurrences of a pattern, by caller and callee: in how many traces, how often, and what they cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.checks.names import callee_of, name_of
from tracekit.checks.patterns.sums import KEYS, REQUESTS, sums_of, table_of, with_limits
from tracekit.findings import Estimate, Finding
from tracekit.text import duration, interval, plural, ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping
    from typing import Any

    from tracekit.checks.case import Case
    from tracekit.checks.merged import Merged
    from tracekit.checks.patterns.sums import Occurrences, OccurrenceSums
    from tracekit.findings import Severity

MATTERS: Final = 0.05  # of the critical-path time of the affected requests: less is not reported
HEAVY: Final = 0.10  # of the critical-path time of all requests: a warning
_MORE: Final = 1.5  # times the frequency or the cost of the baseline: less is no difference that matters
NAMED: Final = 3  # findings of one pattern
_VALUES: Final = (
    "trace_count", "trace_ratio", "size_p50", "size_max", "cost_ns", "cost_low_ns", "cost_high_ns", "affected_ratio",
    "cost_ratio",
)  # fmt: skip


class Pattern(NamedTuple):
    """A pattern: its name, how it is found, and what is said and advised.

    Parameters
    ----------
    check
        Name of the check.
    detect
        Returns the occurrences.
    say
        Returns the beginning of the sentence about one row of ``table_of``, before the number of traces.
    remedy, method
        As in ``Finding``.
    only
        Leaves out sums of occurrences that are something else, given what all traces say.
    complete
        Adds columns to ``table_of`` that ``say``, ``matters`` and ``is_heavy`` use.
    matters, is_heavy
        Return which rows are reported, and which of these are warnings; default: by cost.
    cost
        What the costs are called.
    needs
        What ``detect`` asks of all traces, see ``Merged``: of a store it takes earlier passes.
    asks
        What ``only`` and ``complete`` ask of all traces.
    """

    check: str
    detect: Callable[[Case], Occurrences]
    say: Callable[[Mapping[Hashable, Any]], str]
    remedy: str
    method: str
    only: Callable[[Case, OccurrenceSums], OccurrenceSums] = lambda _, sums: sums
    complete: Callable[[Case, pd.DataFrame], pd.DataFrame] = lambda _, table: table
    matters: Callable[[pd.DataFrame], pd.Series] = lambda table: table["affected_ratio"] >= MATTERS
    is_heavy: Callable[[pd.DataFrame], pd.Series] = lambda table: table["cost_ratio"] >= HEAVY
    cost: str = "cost"
    needs: tuple[Callable[[Case], Any], ...] = ()
    asks: tuple[Callable[[Case], Any], ...] = ()

    def findings(self, case: Case) -> list[Finding]:
        """Return a finding for each of the costliest callers and callees, one per detail; new ones first."""
        sums = self._found(case)
        if not len(sums):
            return []
        table = self.complete(case, table_of(sums, case.result(REQUESTS)))
        shown = table[self.matters(table)]
        shown = shown.drop_duplicates(["service_name", "detail"]) if "detail" in shown else shown
        before = None if case.baseline is None else _before(self, case.baseline)
        is_old = (
            np.zeros(len(shown), bool)
            if before is None
            else pd.MultiIndex.from_frame(shown[_keys(shown)]).isin(before.index)
        )
        shown = shown.iloc[np.argsort(is_old, kind="stable")].head(NAMED)
        shown = with_limits(case, shown, sums, self.detect, self.needs)
        return [_finding(self, shown.iloc[[k]], before) for k in range(len(shown))]

    def table(self, case: Case) -> pd.DataFrame:
        """Return the occurrences by caller and callee; see ``sums.table_of``."""
        return table_of(self._found(case), case.result(REQUESTS))

    @property
    def sums(self) -> Merged[OccurrenceSums]:
        """How the occurrences of all traces are added up."""
        return sums_of(self.detect, self.needs)

    @property
    def reads(self) -> tuple[Callable[[Case], Any], ...]:
        """What it asks of all traces, apart from what depends on its findings."""
        return (self.sums, REQUESTS, *self.asks)

    def _found(self, case: Case) -> OccurrenceSums:
        """Return the sums of the occurrences."""
        sums = case.result(self.sums)
        return self.only(case, sums) if len(sums) else sums


def _before(pattern: Pattern, baseline: Case) -> pd.DataFrame:
    """Return the occurrences in the baseline, by caller and callee."""
    table = pattern.table(baseline)
    return table.set_index(_keys(table))


def _keys(table: pd.DataFrame) -> list[str]:
    """Return the names of the columns that distinguish rows."""
    return [name for name in (*KEYS, "detail") if name in table]


def _finding(pattern: Pattern, evidence: pd.DataFrame, before: pd.DataFrame | None) -> Finding:
    """Return the finding of one caller and callee."""
    row = evidence.to_dict("records")[0]
    traces = f"{plural(row['trace_count'], 'trace')} ({ratio(row['trace_ratio'])})"
    text = f"{pattern.say(row)} in {traces}: {_cost_text(row, pattern.cost)}.{_baseline_text(row, before)}"
    severity: Severity = "warning" if pattern.is_heavy(evidence).all() else "notice"
    if before is not None and _is_as_before(row, before):
        severity = "info"
    estimate = Estimate(row["cost_ns"], "ns", row["cost_low_ns"], row["cost_high_ns"], int(row["trace_count"]))
    return Finding(
        pattern.check,
        severity,
        text,
        estimate,
        evidence,
        (row["exemplar_trace_id"], row["exemplar_span_id"]),
        remedy=pattern.remedy,
        method=pattern.method,
        code="tk.patterns(traces)" if before is None else "tk.patterns(traces, before)",
        values={"mechanism": text.partition(":")[0]} | {name: row[name] for name in (*KEYS, *_VALUES)},
    )


def _cost_text(row: Mapping[Hashable, Any], name: str) -> str:
    """Return what a pattern costs, in words."""
    limits = ""
    if np.isfinite([row["cost_low_ns"], row["cost_high_ns"]]).all():
        limits = f" ({interval(row['cost_low_ns'], row['cost_high_ns'], duration)})"
    if not row["cost_ns"] > 0:
        return f"no {name} on the critical path"
    mean, these = ("", "this trace") if row["trace_count"] == 1 else ("mean ", "these traces")
    return f"{mean}{name} {duration(row['cost_ns'])}{limits}, {ratio(row['affected_ratio'])} of the latency of {these}"


def _baseline_text(row: Mapping[Hashable, Any], before: pd.DataFrame | None) -> str:
    """Return the same in the baseline, in words; empty without one."""
    if before is None:
        return ""
    key = tuple(row[name] for name in before.index.names)
    if key not in before.index:
        return " Not in the baseline."
    was = before.loc[[key]].iloc[0]
    return f" In the baseline: {plural(was['trace_count'], 'trace')}, {duration(was['cost_ns'])}."


def call_of(row: Mapping[Hashable, Any]) -> str:
    """Return the call in words."""
    callee = callee_of(row)
    return f"{name_of(row)} (calling {callee})" if callee else name_of(row)


def _is_as_before(row: Mapping[Hashable, Any], before: pd.DataFrame) -> bool:
    """Return whether the baseline has the pattern about as often, at about the same cost."""
    key = tuple(row[name] for name in before.index.names)
    if key not in before.index:
        return False
    was = before.loc[[key]].iloc[0]
    return bool(row["trace_ratio"] <= _MORE * was["trace_ratio"] and row["cost_ns"] <= _MORE * was["cost_ns"])


def caller_of(row: Mapping[Hashable, Any]) -> str:
    """Return the caller in words."""
    return name_of({"service_name": row["caller_service"], "operation": row["caller_operation"]})
