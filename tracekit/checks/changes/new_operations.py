"""Operations that occur on one side of a comparison only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.partials import over_parts
from tracekit.checks.comparison import FDR, Changes, comparable_changes
from tracekit.checks.names import KEYS, name_of
from tracekit.findings import Finding
from tracekit.stats.differences import weighted_absence_probability
from tracekit.stats.tests import false_discovery
from tracekit.text import count, plural, round_ratio

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.traces import TraceSet

_NAMED: Final = 5  # operations that are named in a sentence


def new_operations(case: Case) -> list[Finding]:
    """Return the operations that are new or gone, where that is significant."""
    changes = comparable_changes(case)
    found = None if changes is None or case.baseline is None else _others(changes, case.baseline, case)
    return [] if found is None else [found]


def operations_of(case: Case) -> _Operations:
    """Return the operations of one side."""
    return over_parts(case.source, _tabulate, _Operations.__add__).state


def _others(changes: Changes, *cases: Case) -> Finding | None:
    """Return the operations that only one side has, where that is significant."""
    sides = changes.before, changes.now
    seen = [case.result(operations_of) for case in cases]
    tables, weights = [each.most_first for each in seen], [side.weights for side in sides]
    only = [mine[~mine.index.isin(other.index)] for mine, other in (tables, tables[::-1])]
    p = [
        weighted_absence_probability(
            mine["weight"].to_numpy(),
            mine["square"].to_numpy(),
            own.weight_sum,
            other.weight_sum / largest.largest_weight if largest.largest_weight else 0.0,
        )
        for mine, own, other, largest in zip(only, weights, weights[::-1], seen[::-1], strict=True)
    ]
    tried = len(tables[0].index.union(tables[1].index))
    p_all = np.concatenate([*p, np.ones(tried - sum(map(len, p)))])
    is_real = false_discovery(p_all)[: len(p[0]) + len(p[1])] <= FDR
    gone, new = only[0][is_real[: len(p[0])]], only[1][is_real[len(p[0]) :]]
    sentences = []
    for words, mine, k in (("new", new, 1), ("gone", gone, 0)):
        if mine.empty:
            continue
        names = [
            f"{name_of(row)} ({count(row['trace_count'])} of {count(weights[k].trace_count)} traces)"
            for _, row in mine.reset_index().iterrows()
        ]
        rest = f" and {len(names) - _NAMED} more" * (len(names) > _NAMED)
        sentences.append(f"{plural(len(names), f'{words} operation')}: {', '.join(names[:_NAMED])}{rest}.")
    method = (
        f"Absent from the other side (false discovery rate {round_ratio(FDR)}; {plural(tried, 'operation')} tested)."
    )
    return (
        Finding("operations", "notice", " ".join(sentences), method=method, code="tk.latency(traces).table")
        if sentences
        else None
    )


class _Operations(NamedTuple):
    """Operations in sums.

    Parameters
    ----------
    table
        ``trace_count``, ``weight`` and ``square`` of the traces with each operation, by its name.
    largest_weight
        The largest weight of all traces.
    """

    table: pd.DataFrame
    largest_weight: float

    def __add__(self, other: _Operations) -> _Operations:  # type: ignore[override]  # not that of a tuple
        """Return the sums of the traces of both."""
        both = pd.concat([self.table, other.table]).groupby(level=list(KEYS)).sum()
        return _Operations(both, max(self.largest_weight, other.largest_weight))

    @property
    def most_first(self) -> pd.DataFrame:
        """The table, most traces first."""
        return self.table.sort_values("trace_count", ascending=False, kind="stable")


def _tabulate(traces: TraceSet) -> _Operations:
    """Return number, weight and squared weights of the traces with each operation."""
    rows = np.flatnonzero(~traces.is_inferred)
    frame = pd.DataFrame({name: traces.codes(name).take(rows).series().astype(str) for name in KEYS})
    distinct = frame.assign(trace=traces.forest.trace[rows]).drop_duplicates()
    weight = traces.weights.value[distinct["trace"]]
    found = distinct.assign(weight=weight, square=weight**2).groupby(list(KEYS), observed=True)
    table = found.agg(trace_count=("trace", "size"), weight=("weight", "sum"), square=("square", "sum"))
    return _Operations(table, float(traces.weights.value.max(initial=0.0)))
