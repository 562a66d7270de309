"""A part of a store as columns that are read when they are first used.

The length and checksum of a file are compared when its first column is used, the values of a column when it is read.
Order and number of the traces are compared at once.
"""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tracekit.attributes import Codes
from tracekit.columns import (
    Columns,
    EventColumns,
    KeyValues,
    LinkColumns,
    Ragged,
    ResourceColumns,
    ScopeColumns,
    SpanColumns,
    TraceFacts,
    trace_starts,
)
from tracekit.loading.store.layout import impossible_codes
from tracekit.loading.store.tables import OWNED, TABLES, FileMark, broken, columns_of, open_table
from tracekit.weights import Weights

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tracekit.columns import Array

_IN_ORDER = {("events", "span_row"): "spans", ("links", "span_row"): "spans"} | {
    (name, "row"): owner for name, owner in OWNED.items()
}
_TEXTS = ("keys", "namespaces", "names", "texts", "weight_sources")


def _first_use(table: Any, name: str) -> Any:
    """Return a column that was not used before (``__getattr__`` is called for empty slots), and keep it."""
    if name not in type(table).__dataclass_fields__:
        raise AttributeError(f"{type(table).__name__!r} object has no attribute {name!r}")
    value = table.read(name)
    object.__setattr__(table, name, value)
    return value


class _Spans(SpanColumns):
    __slots__ = ("read",)
    __getattr__ = _first_use


class _Events(EventColumns):
    __slots__ = ("read",)
    __getattr__ = _first_use


class _Links(LinkColumns):
    __slots__ = ("read",)
    __getattr__ = _first_use


class _KeyValues(KeyValues):
    __slots__ = ("read",)
    __getattr__ = _first_use


class _Columns(Columns):
    __slots__ = ("read",)
    __getattr__ = _first_use


_Table = TypeVar("_Table")
_ON_DEMAND: dict[str, Any] = {"spans": _Spans, "events": _Events, "links": _Links, "kv": _KeyValues}
_AT_ONCE: dict[str, Any] = {"resources": ResourceColumns, "scopes": ScopeColumns, "facts": TraceFacts}


def _on_demand(kind: type[_Table], read: Callable[[str], Any]) -> _Table:
    """Return a table without columns that reads them."""
    made = kind.__new__(kind)
    object.__setattr__(made, "read", read)
    return made


class PartFiles:
    """The files of a part.

    Parameters
    ----------
    folder
        The part's.
    marks
        What is expected of each.
    source_count
        Sources of the store.
    whole
        Read all columns of a file at once: faster if all are used.
    keys
        Attribute keys of all parts.
    """

    def __init__(
        self,
        folder: Path,
        marks: dict[str, FileMark],
        source_count: int,
        *,
        whole: bool = False,
        keys: Sequence[str] = (),
    ) -> None:
        for name in TABLES:
            if name not in marks:
                raise broken(folder / f"{name}.parquet", "its length in the store's marker", "none")
        self._folder = folder
        self._marks = marks
        self._sizes = {name: mark.rows for name, mark in marks.items()} | {"sources": source_count}
        self._whole = whole
        self._keys = keys
        self._files: dict[str, pq.ParquetFile] = {}
        self._tables: dict[str, pa.Table] = {}

    def columns(self, sources: pd.DataFrame, issues: pd.DataFrame, notes: dict[str, str]) -> Columns:
        """Return the columns of the part, with these sources, issues and notes."""
        made = _on_demand(_Columns, self._member)
        for name, value in {"sources": sources, "issues": issues, "notes": notes}.items():
            object.__setattr__(made, name, value)
        return made

    def weights(self) -> Weights:
        """Return the weights of the part's traces."""
        return Weights(
            self._values("weights", "value"), Codes(self._values("weights", "source"), self._texts("weight_sources"))
        )

    def check_traces(self, spans: SpanColumns, weights: Weights, trace_count: int) -> None:
        """Raise LoadError unless the traces are in order and as many as expected."""
        starts = trace_starts(spans)
        hi, lo = spans.trace_hi[starts[:-1]], spans.trace_lo[starts[:-1]]
        is_sorted = (hi[1:] > hi[:-1]) | ((hi[1:] == hi[:-1]) & (lo[1:] > lo[:-1]))
        if not (len(starts) - 1 == len(weights.value) == trace_count and is_sorted.all()):
            found = f"{len(starts) - 1:,}, in order or not, and {len(weights.value):,} weights"
            raise broken(self._path("spans"), f"{trace_count:,} traces in order", found)

    def check_bytes(self) -> None:
        """Raise LoadError unless all files are there and have the bytes that were written."""
        for name in TABLES:
            self._file(name)

    def _member(self, name: str) -> Any:
        """Return a member of ``Columns``."""
        if name in _ON_DEMAND:
            return _on_demand(_ON_DEMAND[name], partial(self._column, name))
        if name in _AT_ONCE:
            kind = _AT_ONCE[name]
            return kind(*(self._values(name, column.name) for column in fields(kind)))
        return self._texts(name) if name in _TEXTS else self._ragged(name)

    def _column(self, table: str, column: str) -> Any:
        """Return a column of a table that is read on demand."""
        if table == "kv" and column in _TEXTS:
            return self._texts(column)
        if table == "kv" and column == "text":
            return self._chunks("kv", "text").combine_chunks()
        return self._values(table, column)

    def _ragged(self, name: str) -> Ragged:
        """Return an attribute table."""
        rows = self._values(name, "row")
        offsets = np.searchsorted(rows, np.arange(self._sizes[OWNED[name]] + 1, dtype=np.int32))
        return Ragged(offsets, self._values(name, "kv"))

    def _texts(self, name: str) -> list[str]:
        """Return a table of texts."""
        found: list[str] = self._chunks(name, "text").to_pylist()
        if name == "keys" and self._keys:
            found += [key for key in self._keys if key not in set(found)]
        return found

    def _values(self, table: str, column: str) -> Array:
        """Return a column of numbers, without a copy if it is contiguous."""
        chunks = self._chunks(table, column)
        whole = chunks.chunk(0) if chunks.num_chunks == 1 else chunks.combine_chunks()
        values = np.asarray(whole.to_numpy(zero_copy_only=False))
        wrong = impossible_codes(table, column, values, self._sizes)
        if wrong:
            raise broken(self._path(table), *wrong)
        owner = _IN_ORDER.get((table, column))
        if owner and not _is_in_order(values, self._sizes[owner]):
            raise broken(self._path(table), f"rows in the order of {owner}", "others")
        return values

    def _chunks(self, table: str, column: str) -> pa.ChunkedArray:
        """Return a column as it was written."""
        if not self._whole:
            return columns_of(self._path(table), self._file(table), table, [column]).column(column)
        if table not in self._tables:
            self._tables[table] = columns_of(self._path(table), self._file(table), table)
        return self._tables[table].column(column)

    def _file(self, name: str) -> pq.ParquetFile:
        """Return a file, compared with its mark on first use."""
        if name not in self._files:
            self._files[name] = open_table(self._path(name), self._marks[name], name)
        return self._files[name]

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.parquet"


def _is_in_order(rows: Array, count: int) -> bool:
    """Return whether these are rows of a table of so many, in ascending order."""
    return not len(rows) or bool(rows[0] >= 0 and rows[-1] < count and (rows[1:] >= rows[:-1]).all())
