"""A part of a store as columns that are read when they are first used.

The length and checksum of a file are compared when its first column is used, the values of a column when it is read.
Order and number of the traces are compared at once.
"""

from __future__ import annotations

from dataclasses import fields
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tracekit.attributes import Codes
from tracekit.columns import Columns, ResourceColumns, ScopeColumns, TraceFacts
from tracekit.loading.store.by_key import InFile, StoredAttributes
from tracekit.loading.store.layout import OWNED, impossible_codes
from tracekit.loading.store.on_demand import StoredEvents, StoredKeyValues, StoredLinks, StoredSpans
from tracekit.loading.store.order import (
    Chosen,
    chosen_rows,
    chosen_traces,
    groups_with,
    groups_within,
    limits_of_groups,
    rows_of_groups,
    trace_runs,
)
from tracekit.loading.store.reach import WHOLE, Reach
from tracekit.loading.store.tables import TABLES, FileMark, broken, columns_of, open_ranges, open_table
from tracekit.loading.store.taken import StoredColumns
from tracekit.loading.store.used_values import UsedValues
from tracekit.on_demand import on_demand
from tracekit.weights import Weights

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pyarrow.parquet as pq

    from tracekit.columns import Array
    from tracekit.errors import LoadError
    from tracekit.loading.store.remote import Place
    from tracekit.ragged import Ragged

_IN_ORDER = {("events", "span_row"): "spans", ("links", "span_row"): "spans"}
_IN_PARTS = {"events", "links", "attributes", "event_attributes", "link_attributes"}  # by row of another table
_TEXTS = ("keys", "namespaces", "names", "texts", "weight_sources")
_ON_DEMAND: dict[str, Any] = {"spans": StoredSpans, "events": StoredEvents, "links": StoredLinks, "kv": StoredKeyValues}
_AT_ONCE: dict[str, Any] = {"resources": ResourceColumns, "scopes": ScopeColumns, "facts": TraceFacts}


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
    reach
        What of them is read.
    """

    def __init__(
        self,
        folder: Place,
        marks: dict[str, FileMark],
        source_count: int,
        *,
        whole: bool = False,
        keys: Sequence[str] = (),
        reach: Reach = WHOLE,
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
        self._ids: dict[str, Array] = {}
        self._orders: dict[str, Chosen] = {}
        self._new_rows: dict[str, Array | None] = {}
        self._in_files: dict[str, InFile] = {}
        self._some: dict[str, dict[int, pa.Array]] = {}  # columns of kv by row group, of which not all are read
        self._by_range = reach.by_range
        self._reach = reach
        self.reads_traces = reach.traces is not None  # not all that are in the row groups
        self._wanted: Array | None = None  # first rows of these traces
        self._groups = self._groups_within(reach)

    def _groups_within(self, reach: Reach) -> list[int] | None:
        """Return the row groups of spans to read, None for all; if not all are, files are read by range."""
        if reach.traces is not None:
            whole = PartFiles(self._folder, self._marks, self._sizes["sources"], reach=Reach(by_range=True))
            self._wanted = whole.first_rows(reach.traces)
            return groups_with(whole._file("spans").metadata, self._wanted)
        if not reach.bounds and reach.pieces == 1:
            return None
        self._by_range = True
        metadata = self._file("spans").metadata
        if reach.pieces > 1:
            count = metadata.num_row_groups
            return [group for group in range(count) if group * reach.pieces // count == reach.piece]
        found = groups_within(metadata, reach.bounds)
        if len(found) < metadata.num_row_groups:
            return found
        if not reach.by_range:
            self._by_range = False
            self._files.clear()
        return None

    def columns(self, frames: Mapping[str, Callable[[], Any]]) -> Columns:
        """Return the columns of the part, with sources, issues and notes that these calls return."""
        return on_demand(StoredColumns, lambda name: frames[name]() if name in frames else self._member(name))

    def weights(self) -> Weights:
        """Return the weights of the part's traces."""
        value, source, row = (self.values("weights", name) for name in ("value", "source", "row"))
        starts = self._trace_rows
        at = np.searchsorted(row, starts)
        if not (len(row) > at.max(initial=-1) and (row[at] == starts).all()) or (
            self._groups is None and len(row) != len(starts)
        ):
            found = f"{len(row):,} that do not"
            raise broken(self._path("weights"), f"weights of {len(starts):,} traces, in their order", found)
        at = at[self._trace_order]
        return Weights(value[at], Codes(source[at], self._texts("weight_sources")))

    def check_traces(self, weights: Weights, trace_count: int) -> None:
        """Raise LoadError unless each trace is whole and, if all are read, they are as many as expected.

        To be called before columns are used: it compares the ids as they are in the file.
        """
        starts, _ = self._runs
        hi, lo = (self._ids[name][starts[self._trace_order]] for name in ("trace_hi", "trace_lo"))
        is_whole = (hi[1:] != hi[:-1]) | (lo[1:] != lo[:-1])  # the runs of one that is not would be neighbours
        expected = len(weights.value) if self._groups is not None else trace_count
        if not (len(hi) == len(weights.value) == expected and is_whole.all()):
            found = f"{len(hi):,}, whole or not, and {len(weights.value):,} weights"
            raise broken(self._path("spans"), f"{expected:,} whole traces", found)

    def check_bytes(self) -> None:
        """Raise LoadError unless all files are there and have the bytes that were written; later if they are remote.

        Of a part in pieces, the files are compared with the first one, and not kept.
        """
        if not isinstance(self._folder, Path):
            return
        for name in TABLES:
            if not self._by_range:
                self._file(name)
            elif self._reach.pieces > 1 and self._reach.piece == 0:
                open_table(self._path(name), self._marks[name], name)

    # ---------------------------------------------------------------- order

    @cached_property
    def _runs(self) -> tuple[Array, Array]:
        """First row of each trace that is read among the rows of the row groups, and number of its rows."""
        self._ids = {name: self.values("spans", name) for name in ("trace_hi", "trace_lo")}
        starts, counts = trace_runs(*self._ids.values())
        if self._wanted is None or self._group_rows is None:
            return starts, counts
        is_wanted = np.isin(self._group_rows[starts], self._wanted)
        return starts[is_wanted], counts[is_wanted]

    @cached_property
    def _group_rows(self) -> Array | None:
        """The row in the file of each row of the row groups of spans that are read; None: all."""
        return None if self._groups is None else rows_of_groups(self._file("spans").metadata, self._groups)

    @cached_property
    def _trace_order(self) -> Array:
        """The positions of the traces of the file in the order of their ids."""
        starts, _ = self._runs
        return np.lexsort((self._ids["trace_lo"][starts], self._ids["trace_hi"][starts]))

    @cached_property
    def _trace_rows(self) -> Array:
        """The row in the file of the start of each trace read."""
        starts, _ = self._runs
        return starts if self._group_rows is None else self._group_rows[starts]

    def first_rows(self, traces: Sequence[int]) -> Array:
        """Return the rows in the file of the starts of the traces at some positions in memory."""
        return self._trace_rows[self._trace_order[list(traces)]]

    def chosen(self, table: str) -> Chosen:
        """Return which rows of a table are read, and their order."""
        if table not in self._orders:
            self._orders[table] = self._ordered(table)
        return self._orders[table]

    def _ordered(self, table: str) -> Chosen:
        """Return the same, computed."""
        if table not in {"spans", "events", "links"}:
            return Chosen()
        groups = self._groups_of(table)
        if table == "spans":
            return chosen_traces(*self._runs, self._trace_order, groups, self._group_rows)
        rows = None if groups is None else rows_of_groups(self._file(table).metadata, groups)
        return chosen_rows(self.values(table, "span_row"), self.new_row("spans"), groups, rows)

    def row_count(self, table: str) -> int:
        """Return how many rows of a table are read."""
        rows = self.chosen(table).file_rows
        return self._sizes[table] if rows is None else len(rows)

    def _groups_of(self, table: str) -> list[int] | None:
        """Return the row groups of a table that have rows of the chosen spans, events or links; None for all."""
        if self._groups is None:
            return None
        if table == "spans" or table not in _IN_PARTS:
            return self._groups if table == "spans" else None
        owner, column = (OWNED[table], "row") if table in OWNED else ("spans", "span_row")
        rows = self.chosen(owner).file_rows
        if rows is None:
            return None
        metadata = self._file(table).metadata
        limits = limits_of_groups(metadata, column, range(metadata.num_row_groups))
        return [group for group, low, high in limits if rows.searchsorted(high, "right") > rows.searchsorted(low)]

    def groups_read(self, table: str) -> list[int]:
        """Return the row groups of a table that are read."""
        found = self._groups_of(table)
        return list(range(self._file(table).metadata.num_row_groups)) if found is None else found

    def limits_of(self, table: str, column: str) -> list[tuple[int, int, int]]:
        """Return the row groups of a table that are read, each with the lowest and highest value of a column."""
        return limits_of_groups(self._file(table).metadata, column, self.groups_read(table))

    def sizes_of(self, table: str, groups: list[int]) -> list[int]:
        """Return the number of rows of row groups."""
        metadata = self._file(table).metadata
        return [metadata.row_group(group).num_rows for group in groups]

    def new_row(self, table: str) -> Array | None:
        """Return the row in memory of each row of a table, None if it is the same."""
        if table not in self._new_rows:
            self._new_rows[table] = self.chosen(table).new_row(self._sizes[table])
        return self._new_rows[table]

    def _member(self, name: str) -> Any:
        """Return a member of ``Columns``."""
        if name in _ON_DEMAND:
            made = on_demand(_ON_DEMAND[name], partial(self._column, name))
            if name == "kv":
                object.__setattr__(made, "read_some", self._some_values)
            return made
        if name in _AT_ONCE:
            kind = _AT_ONCE[name]
            return kind(*(self.values(name, column.name) for column in fields(kind)))
        return self._texts(name) if name in _TEXTS else self._ragged(name)

    def _column(self, table: str, column: str) -> Any:
        """Return a column of a table that is read on demand."""
        if table == "kv":
            self._some[column] = {}
            return self._attribute_values(column)
        chosen = self.chosen(table)
        values = self._ids.pop(column) if table == "spans" and column in self._ids else self.values(table, column)
        found, new_row = chosen.of(values), self.new_row("spans") if column == "span_row" else None
        return found if new_row is None else new_row[found]

    def _ragged(self, name: str) -> Ragged:
        """Return an attribute table."""
        return StoredAttributes.stored(self._attributes(name))

    def _attributes(self, name: str) -> InFile:
        """Return an attribute table as it is in the files; kept for a few traces only, as each refers to the other."""
        if not self.reads_traces:
            return InFile(self, name, OWNED[name])
        if name not in self._in_files:
            self._in_files[name] = InFile(self, name, OWNED[name])
        return self._in_files[name]

    def _attribute_values(self, column: str) -> Any:
        """Return a column of the distinct attributes, of all or of those in use."""
        if column in _TEXTS:
            return self._texts(column)
        if self._used is not None:
            found = self._used.column(partial(self._chunks, "kv", column))
            return found.combine_chunks() if column == "text" else self._numbers("kv", column, found)
        if column == "text":
            return self._chunks("kv", "text").combine_chunks()
        return self.key_of if column == "key" else self.values("kv", column)

    @cached_property
    def _kv_starts(self) -> Array:
        """The first code of each row group of distinct attributes, and their number."""
        return np.append(0, np.cumsum(self.sizes_of("kv", self.groups_read("kv"))))

    @cached_property
    def _used(self) -> UsedValues | None:
        """Which distinct attributes the spans have, if only those are read; None for all of them."""
        if not self._reach.only_used:
            return None
        used = (codes for name in OWNED for codes in self._attributes(name).used())
        return UsedValues.of(used, self._kv_starts)

    def own_codes(self, codes: Array) -> Array:
        """Return the codes of distinct attributes in memory."""
        return codes if self._used is None else self._used.new[codes]

    def _some_values(self, kv: StoredKeyValues, codes: Array, column: str) -> Any:
        """Return a column of some attributes: of their row groups, or of all if these are most."""
        if column in _TEXTS:
            return getattr(kv, column)
        if self._used is not None:
            values = getattr(kv, column)
            return values.take(codes) if column == "text" else values[codes]
        known, starts = self._some.setdefault(column, {}), self._kv_starts
        is_all = self._whole or not len(codes) or kv.has_read(column)
        group = np.searchsorted(starts, codes[:0] if is_all else codes, side="right") - 1
        wanted = np.flatnonzero(np.bincount(group))
        if is_all or 2 * len({*wanted.tolist(), *known}) >= len(starts):
            values = getattr(kv, column)
            return values.take(codes) if column == "text" else values[codes]
        for one in wanted.tolist():
            if one not in known:
                known[one] = self._chunks("kv", column, [one]).combine_chunks()
        chunks = [known[one] for one in wanted.tolist()]
        before = np.append(0, np.cumsum([len(chunk) for chunk in chunks]))[np.searchsorted(wanted, group)]
        found = pa.chunked_array(chunks).take(codes - starts[group] + before)
        return found.combine_chunks() if column == "text" else self._numbers("kv", column, found)

    def _texts(self, name: str) -> list[str]:
        """Return a table of texts."""
        found: list[str] = self._chunks(name, "text").to_pylist()
        if name == "keys" and self._keys:
            found += [key for key in self._keys if key not in set(found)]
        return found

    @cached_property
    def key_of(self) -> Array:
        """The key of each distinct attribute."""
        return self.values("kv", "key")

    def values(self, table: str, column: str) -> Array:
        """Return a column of numbers, without a copy if it is contiguous."""
        return self._numbers(table, column, self._chunks(table, column))

    def values_of(self, table: str, columns: list[str], groups: list[int]) -> list[Array]:
        """Return columns of numbers of some row groups, which are read together."""
        found = columns_of(self._path(table), self._file(table), table, columns, groups)
        return [self._numbers(table, column, found.column(column)) for column in columns]

    def _numbers(self, table: str, column: str, chunks: pa.ChunkedArray) -> Array:
        """Return numbers that were read as an array, if they can be those written."""
        whole = chunks.chunk(0) if chunks.num_chunks == 1 else chunks.combine_chunks()
        values = np.asarray(whole.to_numpy(zero_copy_only=False))
        wrong = impossible_codes(table, column, values, self._sizes)
        if wrong:
            raise self.broken(table, *wrong)
        owner = _IN_ORDER.get((table, column))
        if owner and not _is_in_order(values, self._sizes[owner]):
            raise self.broken(table, f"rows in the order of {owner}", "others")
        return values

    def broken(self, table: str, expected: str, found: str) -> LoadError:
        """Return the LoadError for a file of the part that differs from what was written."""
        return broken(self._path(table), expected, found)

    def _chunks(self, table: str, column: str, groups: list[int] | None = None) -> pa.ChunkedArray:
        """Return a column as it was written, of the row groups that are read or of these."""
        if not self._whole:
            groups = self._groups_of(table) if groups is None else groups
            return columns_of(self._path(table), self._file(table), table, [column], groups).column(column)
        if table not in self._tables:
            self._tables[table] = columns_of(self._path(table), self._file(table), table)
        return self._tables[table].column(column)

    def _file(self, name: str) -> pq.ParquetFile:
        """Return a file, compared with its mark on first use."""
        if name not in self._files:
            opened = open_ranges if self._by_range else open_table
            self._files[name] = opened(self._path(name), self._marks[name], name)
        return self._files[name]

    def _path(self, name: str) -> Place:
        return self._folder / f"{name}.parquet"


def _is_in_order(rows: Array, count: int) -> bool:
    """Return whether these are rows of a table of so many, in ascending order."""
    return not len(rows) or bool(rows[0] >= 0 and rows[-1] < count and (rows[1:] >= rows[:-1]).all())
