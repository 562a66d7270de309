"""Duplicated instrumentation: two libraries, or a mesh and the application, record the same request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from tracekit.checks.merged import Merged
from tracekit.checks.names import name_of
from tracekit.checks.patterns.occurrences import Pattern
from tracekit.checks.patterns.sums import Occurrences, totals
from tracekit.checks.shares import added
from tracekit.schema import Kind
from tracekit.stats.grouping import group_rows
from tracekit.text import ratio

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from tracekit.checks.case import Case
    from tracekit.stats.aggregates import Aggregate

_COVERED: Final = 0.8  # of the outer span
_OFTEN: Final = 0.5  # of the spans of the operation
_FEWEST: Final = 5
_KEYS: Final = ["service_name", "operation"]


def _detect(case: Case) -> Occurrences:
    """Return spans below a span of the same kind and service that lasts as long; they cost nothing."""
    traces, spans, up = case.traces, case.traces.columns.spans, case.traces.forest.parent_row
    is_alike = ((spans.kind == Kind.SERVER) | (spans.kind == Kind.CLIENT)) & (spans.kind == spans.kind[up])
    row = np.flatnonzero(is_alike & (up >= 0) & traces.has_duration & ~traces.is_inferred)
    outer, service = up[row].astype(np.int64), traces.codes("service_name").codes
    is_same = (service[outer] == service[row]) & traces.has_duration[outer]
    is_same &= traces.duration_ns[row] >= _COVERED * traces.duration_ns[outer]
    is_same &= np.diff(traces.forest.child_offsets)[outer] == 1
    row, outer = row[is_same], outer[is_same]
    return Occurrences(outer, row, np.full(len(row), 2), np.zeros(len(row)))


def _spans_by_operation(case: Case) -> Aggregate:
    """Return the number of spans by operation."""
    traces = case.traces
    group, keys = group_rows({name: traces.codes(name) for name in _KEYS}, len(traces.columns.spans))
    return totals(keys, {"operation_span_count": np.bincount(group, minlength=len(keys))})


_SPANS: Final[Merged[Aggregate]] = Merged(_spans_by_operation, added)


def _with_share(case: Case, table: pd.DataFrame) -> pd.DataFrame:
    """Add the share of the spans of the inner operation: ``double_ratio``."""
    every = case.result(_SPANS)
    merged = table.merge(pd.DataFrame(every.keys | every.sums), on=_KEYS, how="left")
    return merged.assign(double_ratio=merged["occurrence_count"] / merged["operation_span_count"])


def _say(row: Mapping[Hashable, Any]) -> str:
    """Return which spans are one request."""
    outer = name_of({"service_name": row["caller_service"], "operation": row["caller_operation"]})
    return (
        f"Duplicated instrumentation: {ratio(row['double_ratio'])} of the spans of {name_of(row)} record the same "
        f"request as the span {outer} around them,"
    )


DOUBLE_SPANS: Final = Pattern(
    "patterns.double_spans",
    _detect,
    _say,
    remedy="Switch one of the two off: counts of calls and the cost of tracing are doubled.",
    method="Spans of one service and kind, the inner one the only child and at least 80% of the outer one.",
    complete=_with_share,
    asks=(_SPANS,),
    matters=lambda table: (table["double_ratio"] >= _OFTEN) & (table["occurrence_count"] >= _FEWEST),
    is_heavy=lambda table: table["double_ratio"] < 0,
)
