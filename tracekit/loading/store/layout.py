"""The layout of a store's tables: columns, types, and the tables that codes refer to.

A length and a checksum show that a file is the one that was written.  They do not show that it is a table of this
store: without these checks, numpy, pandas or pyarrow would raise, possibly long after reading.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit import schema
from tracekit.columns import EventColumns, LinkColumns, SpanColumns
from tracekit.loading.building.batches import EVENT_DTYPES, LINK_DTYPES, SPAN_DTYPES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracekit.columns import Array

_TEXT = "large_string"
NUMBERS = {"Int64": "int64", "int64": "int64", "int32": "int32", "bool": "bool"}


OWNED: Final = {
    "attributes": "spans",
    "event_attributes": "events",
    "link_attributes": "links",
    "resource_attributes": "resources",
    "scope_attributes": "scopes",
}
"""The tables of attributes, and the table whose rows have them."""


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
    "weights": {"row": "int32", "value": "double", "source": "int32"},
    **{name: {"row": "int32", "key": "int32", "place": "int32", "kv": "int32"} for name in OWNED},
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


def impossible_codes(table: str, column: str, values: Array, sizes: Mapping[str, int]) -> tuple[str, str] | None:
    """Return which codes a column may have and which it has, None if they agree; ``sizes`` are the rows of tables."""
    if (table, column) not in REFERENCES or not len(values):
        return None
    low, to = REFERENCES[table, column]
    high = sizes[to] if isinstance(to, str) else to
    if values.min() >= low and values.max() < high:
        return None
    return f"{column} from {low} to {high - 1}", f"{values.min()} to {values.max()}"


REFERENCES: Final[dict[tuple[str, str], tuple[int, str | int]]] = {
    ("spans", "name"): (0, "names"),
    ("spans", "resource"): (0, "resources"),
    ("spans", "scope"): (0, "scopes"),
    ("spans", "source"): (0, "sources"),
    ("spans", "kind"): (0, len(schema.KINDS)),
    ("spans", "status_code"): (0, len(schema.STATUS_CODES)),
    ("spans", "record_kind"): (0, len(schema.RecordKind)),
    ("events", "span_row"): (0, "spans"),
    ("links", "span_row"): (0, "spans"),
    ("links", "relation"): (0, len(schema.Relation)),
    ("kv", "key"): (0, "keys"),
    ("kv", "namespace"): (-1, "namespaces"),
    ("kv", "type"): (0, len(schema.ValueType)),
    ("kv", "origin"): (0, len(schema.Origin)),
    ("weights", "source"): (-1, "weight_sources"),
    ("weights", "row"): (0, "spans"),
    **{(name, "key"): (0, "keys") for name in OWNED},
    **{(name, "row"): (0, owner) for name, owner in OWNED.items()},
    **{(name, "place"): (0, 1 << 31) for name in OWNED},
    **{(name, "kv"): (0, "kv") for name in OWNED},
    **{
        (table, column): (-1, "texts")
        for table, columns in {
            "spans": ("status_message", "trace_state"),
            "events": ("name",),
            "links": ("trace_state",),
            "resources": ("schema_url",),
            "scopes": ("name", "version", "schema_url"),
        }.items()
        for column in columns
    },
}
"""The lowest code of a column, and the table that its codes refer to, or their number."""
