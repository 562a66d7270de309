"""The layout of a store's tables: columns, types, and the tables that codes refer to.

A length and a checksum show that a file is the one that was written.  They do not show that it is a table of this
store: without these checks, numpy, pandas or pyarrow would raise, possibly long after reading.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np

from tracekit import schema
from tracekit.columns import EventColumns, LinkColumns, SpanColumns, trace_starts
from tracekit.loading.building.batches import EVENT_DTYPES, LINK_DTYPES, SPAN_DTYPES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tracekit.columns import Array, Columns
    from tracekit.weights import Weights

_TEXT = "large_string"
NUMBERS = {"Int64": "int64", "int64": "int64", "int32": "int32", "bool": "bool"}


def _typed(table: type, types: Sequence[type[np.generic]]) -> dict[str, str]:
    """Return the type of each column of a table."""
    return {column.name: np.dtype(kind).name for column, kind in zip(fields(table), types, strict=True)}


TYPES: dict[str, dict[str, str]] = {
    "spans": _typed(SpanColumns, SPAN_DTYPES),
    "events": _typed(EventColumns, EVENT_DTYPES),
    "links": _typed(LinkColumns, LINK_DTYPES),
    "resources": {"schema_url": "int32", "dropped_attributes": "uint32"},
    "scopes": {"name": "int32", "version": "int32", "schema_url": "int32", "dropped_attributes": "uint32"},
    "facts": {
        "trace_hi": "uint64",
        "trace_lo": "uint64",
        "reported_duration_ns": "int64",
        "limit_exceeded": "bool",
    },
    "kv": {
        "key": "int32",
        "type": "int8",
        "text": _TEXT,
        "integer": "int64",
        "double": "double",
        "origin": "int8",
        "namespace": "int32",
        "is_indexed": "bool",
    },
    "weights": {"value": "double", "source": "int32"},
    **{
        f"{owner}attributes": {"row": "int32", "kv": "int32"}
        for owner in ("", "event_", "link_", "resource_", "scope_")
    },
    **{name: {"text": _TEXT} for name in ("keys", "namespaces", "names", "texts", "weight_sources")},
    **{
        name: {column.name: NUMBERS.get(column.dtype, _TEXT) for column in schema.TABLES[name]}
        for name in ("sources", "issues")
    },
    "notes": {"key": _TEXT, "value": _TEXT},
}
MAY_BE_EMPTY = {("kv", "text"), *((name, column) for name in ("sources", "issues") for column in TYPES[name])}


def column_difference(name: str, found: dict[str, str]) -> str:
    """Return the first difference of a table's columns from the layout, "" for none."""
    for column, kind in TYPES[name].items():
        if found.get(column) != kind:
            return f"{column} as {found[column]} instead of {kind}" if column in found else f"no column {column}"
    more = sorted(found.keys() - TYPES[name].keys())
    return f"a column {more[0]}, which is not part of a store" if more else ""


def impossible_numbers(
    columns: Columns, weights: Weights, trace_count: int, source_count: int
) -> tuple[str, str, str] | None:
    """Return the first table with impossible numbers, what was expected and what was found; None for none."""
    for table, column, values, low, high in _references(columns, weights, source_count):
        if len(values) and (values.min() < low or values.max() >= high):
            return table, f"{column} from {low} to {high - 1}", f"{values.min()} to {values.max()}"
    for table in ("events", "links"):
        if (np.diff(getattr(columns, table).span_row) < 0).any():
            return table, "rows in the order of their spans", "others"
    starts = trace_starts(columns.spans)
    hi, lo = columns.spans.trace_hi[starts[:-1]], columns.spans.trace_lo[starts[:-1]]
    is_sorted = (hi[1:] > hi[:-1]) | ((hi[1:] == hi[:-1]) & (lo[1:] > lo[:-1]))
    if not (len(starts) - 1 == len(weights.value) == trace_count and is_sorted.all()):
        found = f"{len(starts) - 1:,}, in order or not, and {len(weights.value):,} weights"
        return "spans", f"{trace_count:,} traces in order", found
    return None


def _references(columns: Columns, weights: Weights, source_count: int) -> Iterator[tuple[str, str, Array, int, int]]:
    """Yield table, name and values of each column of codes, the lowest valid code and the first invalid one."""
    spans, kv = columns.spans, columns.kv
    texts, names, rows = len(columns.texts), len(columns.names), len(spans)
    yield "spans", "name", spans.name, 0, names
    yield "spans", "resource", spans.resource, 0, len(columns.resources)
    yield "spans", "scope", spans.scope, 0, len(columns.scopes)
    yield "spans", "source", spans.source, 0, source_count
    yield "spans", "kind", spans.kind, 0, len(schema.KINDS)
    yield "spans", "status_code", spans.status_code, 0, len(schema.STATUS_CODES)
    yield "spans", "record_kind", spans.record_kind, 0, len(schema.RecordKind)
    yield "events", "span_row", columns.events.span_row, 0, rows
    yield "links", "span_row", columns.links.span_row, 0, rows
    yield "links", "relation", columns.links.relation, 0, len(schema.Relation)
    yield "kv", "key", kv.key, 0, len(kv.keys)
    yield "kv", "namespace", kv.namespace, -1, len(kv.namespaces)
    yield "kv", "type", kv.type, 0, len(schema.ValueType)
    yield "kv", "origin", kv.origin, 0, len(schema.Origin)
    yield "weights", "source", weights.source.codes, -1, len(weights.source.labels)
    for table, column in _OF_TEXTS:
        yield table, column, getattr(getattr(columns, table), column), -1, texts
    for name in (one for one in TYPES if one.endswith("attributes")):
        yield name, "kv", getattr(columns, name).codes, 0, len(kv)


_OF_TEXTS: tuple[tuple[str, str], ...] = (
    ("spans", "status_message"),
    ("spans", "trace_state"),
    ("events", "name"),
    ("links", "trace_state"),
    ("resources", "schema_url"),
    ("scopes", "name"),
    ("scopes", "version"),
    ("scopes", "schema_url"),
)
