"""Exemplars of numbers: the span whose duration is nearest to a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tracekit.checks.measured import BASELINE, CURRENT

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from tracekit.checks.case import Case
    from tracekit.findings import Finding


def span_of_evidence(case: Case, found: Finding) -> Sequence[str] | None:
    """Return an exemplar of the first row of a finding's evidence, None if it is not about operations."""
    table = found.evidence
    if not len(table) or not {"service_name", "operation"} <= set(table.columns):
        return None
    first = table.iloc[0]
    is_time = found.estimate is not None and found.estimate.unit == "ns"
    row: dict[Hashable, Any] = {
        "service_name": first["service_name"],
        "operation": first["operation"],
        "side": CURRENT,
        "scope": "spans",
        "unit": "ns",
        "value": found.estimate.value if is_time and found.estimate is not None else np.nan,
    }
    return nearest_span(case, row)


def nearest_span(case: Case, row: Mapping[Hashable, Any]) -> Sequence[str]:
    """Return ids of the trace and span whose duration is nearest to a value, among those that a row is about."""
    before = case.baseline
    traces = before.traces if row["side"] == BASELINE and before is not None else case.traces
    is_mine = traces.has_duration & ~traces.is_inferred
    for column in ("service_name", "operation"):
        if isinstance(row[column], str) and row[column]:
            codes, labels = traces.codes(column)
            is_mine = is_mine & (codes == (list(labels).index(row[column]) if row[column] in set(labels) else -2))
    if row["scope"] == "requests" or not row["service_name"]:
        is_root = np.zeros(len(is_mine), bool)
        is_root[traces.forest.root_row] = True
        is_mine = is_mine & is_root
    places = np.flatnonzero(is_mine)
    if not len(places) or row.get("attribute_value"):
        return ()
    took = traces.duration_ns[places].astype(np.float64)
    is_time = row["unit"] == "ns" and np.isfinite(row["value"])
    place = places[int(np.abs(took - row["value"]).argmin() if is_time else took.argmax())]
    return traces.trace_ids[int(traces.forest.trace[place])], f"{int(traces.columns.spans.span_id[place]):016x}"
