"""Statements that the baseline does not have, or never as often in one request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from tracekit.analysis.query_texts import KEYS
from tracekit.checks.changes.statements import STATEMENTS, calls_by_trace
from tracekit.checks.comparison import SURE, comparable_changes
from tracekit.findings import Estimate, Finding
from tracekit.stats.aggregates import steady
from tracekit.stats.differences import weighted_absence_probability
from tracekit.stats.tests import holm
from tracekit.text import clean, count, mean_count, p_value, plural

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from tracekit.checks.case import Case
    from tracekit.checks.changes.statements import Statements

_RECORDED: Final = 0.99  # of the database spans of a service, on both sides: with fewer, a text may be new in the data
_NAMED: Final = 3  # findings
_NAME: Final = 80
_STATEMENT: Final = 160  # characters in a sentence
_SAME: Final = 40  # characters that two statements share if one is cut off
_METHOD: Final = (
    "Requests that run a statement more often than any request of the baseline: the probability that all of them are"
    " on one side by chance, adjusted for all statements (Holm). Values in statements are replaced by ?."
)


def queries(case: Case) -> list[Finding]:
    """Return the statements that are new or more frequent than in the baseline, where that is significant."""
    found = case.result(new_queries)
    if found is None:
        return []
    return [_finding(case, row) for row in found.head(_NAMED).to_dict("records")]


def new_queries(case: Case) -> pd.DataFrame | None:
    """Return the statements that are new or more frequent than in the baseline; None without a comparable one.

    One row per ``service_name``, ``operation``, ``statement``: ``trace_count`` and ``call_count`` of the traces that
    run it more often than any of the baseline does (``baseline_most``), ``p_value``; the surest first.
    """
    changes = comparable_changes(case)
    if changes is None or case.baseline is None:
        return None
    table = _more_often(*(one.result(STATEMENTS) for one in (case.baseline, case)))
    return table[table["p_value"] <= SURE]


def _more_often(before: Statements, now: Statements) -> pd.DataFrame:
    """Return every statement of services whose texts are recorded on both sides, with its p-value."""
    known = [one.recorded[one.recorded_ratio >= _RECORDED].index for one in (before, now)]
    services = set(known[0]) & set(known[1])
    old, new = (one.calls[one.calls["service_name"].isin(services)] for one in (before, now))
    most = old.groupby(list(KEYS))["call_count"].max().rename("baseline_most")
    calls = new.merge(most.reset_index(), on=list(KEYS), how="left").fillna({"baseline_most": 0})
    beyond = calls[calls["call_count"] > calls["baseline_most"]]
    rows = beyond.assign(call_count=beyond["call_count"] * beyond["trace_count"]).groupby(list(KEYS), sort=True)
    table = rows.agg(trace_count=("trace_count", "sum"), call_count=("call_count", "sum"), weight=("weight", "sum"),
                     square=("square", "sum"), baseline_most=("baseline_most", "max")).reset_index()  # fmt: skip
    weight, square = (table[name].to_numpy(float) for name in ("weight", "square"))
    p = steady(weighted_absence_probability(weight, square, now.weight_sum, before.n_at_lowest_rate))
    tried = len(pd.concat([old[list(KEYS)], new[list(KEYS)]]).drop_duplicates())
    table["p_value"] = holm(np.concatenate([p, np.ones(tried - len(p))]))[: len(p)]
    is_whole = np.array([not _is_cut(row, old) for row in table.to_dict("records")], bool)
    return table[is_whole].sort_values("p_value", kind="stable", ignore_index=True)


def _is_cut(row: Mapping[Hashable, Any], old: pd.DataFrame) -> bool:
    """Return whether a statement is one of the baseline that was cut off, there or here."""
    if row["baseline_most"]:
        return False
    others = old.loc[old["service_name"] == row["service_name"], "statement"].unique()
    same = [other for other in others if min(len(other), len(row["statement"])) >= _SAME]
    return any(other.startswith(row["statement"]) or row["statement"].startswith(other) for other in same)


def per_request(case: Case, row: Mapping[Hashable, Any], trace_ids: set[str]) -> float:
    """Return how often some requests run a statement on average; NaN without requests."""
    calls = calls_by_trace(case, row)
    total = sum(often for trace_id, often in calls.items() if trace_id in trace_ids)
    return total / len(trace_ids) if trace_ids else float("nan")


def statement_in_words(row: Mapping[Hashable, Any]) -> str:
    """Return a statement for a sentence."""
    return f"`{clean(str(row['statement']).replace('`', ''), limit=_STATEMENT)}`"


def _finding(case: Case, row: Mapping[Hashable, Any]) -> Finding:
    """Return the finding about one statement."""
    changes = comparable_changes(case)
    assert changes is not None
    sides = changes.now, changes.before
    total, was = (side.trace_count for side in sides)
    mean, most = row["call_count"] / row["trace_count"], int(row["baseline_most"])
    what, before = (
        (f"More of a query of {clean(row['service_name'], limit=_NAME)}", f"at most {count(most)} in a request of the")
        if most
        else (f"New query of {clean(row['service_name'], limit=_NAME)}", "not in the")
    )
    recorded = "recorded " * bool(changes.recorded)
    text = (
        f"{what}: {statement_in_words(row)}, {mean_count(mean)} per request in {count(row['trace_count'])} of"
        f" {plural(total, f'{recorded}request')}; {before} baseline (n = {count(was)}; p {p_value(row['p_value'])})."
    )
    values = {name: row[name] for name in (*KEYS, "trace_count", "call_count", "p_value")}
    values |= {"baseline_most": most, "baseline_trace_count": was, "of_count": total, "is_new": not most}
    return Finding(
        "queries",
        "notice",
        text,
        Estimate(float(mean), "calls per request", float(mean), float(mean), int(row["trace_count"])),
        method=_METHOD,
        values=values,
        code="tk.investigate(traces, before, steps=['changes']).findings",
    )
