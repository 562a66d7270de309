"""Exemplars of numbers: the span whose duration is nearest to a value, of a store found from its parts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from tracekit.analysis.partials import over_parts
from tracekit.checks.measured import BASELINE, CURRENT

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.findings import Finding
    from tracekit.traces import TraceSet


class Wanted(NamedTuple):
    """A span that is wanted as an exemplar.

    Parameters
    ----------
    side
        Of which side.
    service, operation
        Its names; any if empty.
    is_root
        Whether it has to be a root span.
    value_ns
        Wanted duration, in ns; NaN for the longest.
    """

    side: str
    service: str
    operation: str
    is_root: bool
    value_ns: float


_Near: TypeAlias = "tuple[float, int, int, int, int]"
"""A span: how far its duration is from the wanted one, both halves of its trace id, its place in the trace, its id."""


def wanted_by(row: Mapping[Hashable, Any]) -> Wanted | None:
    """Return the span that illustrates a measured number; None for an attribute value, whose spans are not known."""
    if row.get("attribute_value"):
        return None
    service, operation = (row[name] if isinstance(row[name], str) else "" for name in ("service_name", "operation"))
    is_time = row["unit"] == "ns" and np.isfinite(row["value"])
    value = float(row["value"]) if is_time else math.nan
    side = BASELINE if row["side"] == BASELINE else CURRENT
    return Wanted(side, service, operation, row["scope"] == "requests" or not row["service_name"], value)


def wanted_by_finding(found: Finding) -> Wanted | None:
    """Return the span that illustrates the first row of a finding's evidence, None if it is not about operations."""
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
    return wanted_by(row)


def nearest_spans(case: Case, wanted: Sequence[Wanted]) -> dict[Wanted, Sequence[str]]:
    """Return ids of the trace and span of each that exists; the parts of a store are read once for all of them."""
    found: dict[Wanted, Sequence[str]] = {}
    before = case if case.baseline is None else case.baseline
    for side, source in ((CURRENT, case.source), (BASELINE, before.source)):
        some = list(dict.fromkeys(one for one in wanted if one.side == side))
        if not some:
            continue
        near = over_parts(source, partial(_nearest, wanted=tuple(some)), _nearer).state
        ids = {one: each for one, each in zip(some, near, strict=True) if each is not None}
        found |= {one: (f"{hi:016x}{lo:016x}", f"{span:016x}") for one, (_, hi, lo, _, span) in ids.items()}
    return found


def _nearest(traces: TraceSet, wanted: Sequence[Wanted]) -> list[_Near | None]:
    """Return the nearest span for each that is wanted; None if there is none."""
    spans, known = traces.columns.spans, _Known.of(traces)
    found: list[_Near | None] = []
    for one in wanted:
        rows = known.rows(one)
        if not len(rows):
            found.append(None)
            continue
        took = traces.duration_ns[rows].astype(np.float64)
        far = -took if math.isnan(one.value_ns) else np.abs(took - one.value_ns)
        row = int(rows[far == far.min()].min())
        place = row - int(traces.forest.starts[traces.forest.trace[row]])
        hi, lo, span = (int(column[row]) for column in (spans.trace_hi, spans.trace_lo, spans.span_id))
        found.append((float(far.min()), hi, lo, place, span))
    return found


def _nearer(first: list[_Near | None], second: list[_Near | None]) -> list[_Near | None]:
    """Return the nearer span of two parts for each that is wanted; of equal ones the first by trace."""
    pairs = zip(first, second, strict=True)
    return [other if one is None else one if other is None else min(one, other) for one, other in pairs]


@dataclass(frozen=True)
class _Known:
    """The spans of some traces that can be exemplars, by service: its rows, and those that are roots."""

    traces: TraceSet
    of_service: dict[str, Array]
    is_root: Array

    @classmethod
    def of(cls, traces: TraceSet) -> _Known:
        """Return those of some traces: spans with a duration, that their service sent."""
        rows = np.flatnonzero(traces.has_duration & ~traces.is_inferred)
        is_root = np.zeros(len(traces.has_duration), bool)
        is_root[traces.forest.root_row] = True
        codes, labels = traces.codes("service_name")
        order = np.argsort(codes[rows], kind="stable")
        ends = np.searchsorted(codes[rows][order], np.arange(len(labels) + 1))
        parts = {str(label): rows[order[ends[at] : ends[at + 1]]] for at, label in enumerate(labels)}
        return cls(traces, {"": rows, **parts}, is_root)

    def rows(self, wanted: Wanted) -> Array:
        """Return the rows of the spans with the names that are wanted."""
        rows = self.of_service.get(wanted.service, np.zeros(0, np.int64))
        if wanted.operation:
            codes, labels = self.traces.codes("operation")
            at = list(labels).index(wanted.operation) if wanted.operation in set(labels) else -2
            rows = rows[codes[rows] == at]
        return rows[self.is_root[rows]] if wanted.is_root else rows
