"""The order of traces: by start in the files of a part, so that a window is few row groups, and by id in memory.

The spans of a trace are adjacent in both, and in one row group.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from tracekit.columns import trace_starts

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow.parquet as pq

    from tracekit.columns import Array, Columns

Bounds: TypeAlias = tuple[tuple[str, int, int], ...]
"""Columns with the lowest and the highest value that they may have."""

_ANY = -(1 << 63), (1 << 63) - 1


# -------------------------------------------------------------------- writing


@dataclass(frozen=True)
class InOrder:
    """The rows of a set in another order of its traces.

    Parameters
    ----------
    columns
        The set.
    traces
        Position of each trace.
    starts
        First row of each trace in the new order, and the number of rows.
    """

    columns: Columns
    traces: Array
    starts: Array

    @classmethod
    def of(cls, columns: Columns, traces: Array) -> InOrder:
        """Return the rows in this order of the traces."""
        counts = np.diff(trace_starts(columns.spans))[traces]
        return cls(columns, traces, np.append(0, np.cumsum(counts)))

    @cached_property
    def spans(self) -> Array | None:
        """Row of each span, None if the order is the same."""
        if (self.traces[1:] > self.traces[:-1]).all():
            return None
        return run_rows(trace_starts(self.columns.spans)[self.traces], np.diff(self.starts))

    @cached_property
    def new_row(self) -> Array:
        """New row of each span."""
        assert self.spans is not None
        return inverse(self.spans, len(self.columns.spans))

    def rows(self, table: str) -> Array | None:
        """Return the row of each entry of a table, None if the order is the same."""
        if self.spans is None or table not in {"spans", "events", "links"}:
            return None
        return (
            self.spans if table == "spans" else np.argsort(self.new_row[_spans_of(self.columns, table)], kind="stable")
        )


def _spans_of(columns: Columns, table: str) -> Array:
    """Return the row of the span of each event or link."""
    rows: Array = getattr(columns, table).span_row
    return rows


def group_ends(starts: Array, least: int) -> Array:
    """Return where row groups of at least so many rows end, except the last: always at the end of a trace.

    Examples
    --------
    >>> group_ends(np.array([0, 3, 9, 15, 23, 28]), 8).tolist()
    [9, 23, 28]
    """
    ends, size = [0], int(starts[-1])
    while ends[-1] < size:
        at = int(np.searchsorted(starts, ends[-1] + least))
        ends.append(int(starts[min(at, len(starts) - 1)]))
    return np.array(ends[1:] or [0])


# -------------------------------------------------------------------- reading


@dataclass(frozen=True)
class Chosen:
    """The rows of a file that are read, and the order that they get in memory.

    Parameters
    ----------
    groups
        Row groups; None: all.
    kept
        Positions among the rows of these groups; None: all.
    order
        Positions among those kept, in the order of memory; None: as they are.
    file_rows
        The row in the file of each one kept; None: all.
    """

    groups: Sequence[int] | None = None
    kept: Array | None = None
    order: Array | None = None
    file_rows: Array | None = None

    def of(self, values: Array) -> Array:
        """Return values of the rows of the groups in the order of memory."""
        values = values if self.kept is None else values[self.kept]
        return values if self.order is None else values[self.order]

    def new_row(self, size: int) -> Array | None:
        """Return the row in memory of each of so many rows of the file, -1 where it is not read; None: the same."""
        if self.file_rows is None:
            return None if self.order is None else inverse(self.order, size)
        return inverse(self.file_rows if self.order is None else self.file_rows[self.order], size)


def trace_runs(hi: Array, lo: Array) -> tuple[Array, Array]:
    """Return the first row of each run of equal ids, and the number of its rows.

    Examples
    --------
    >>> [found.tolist() for found in trace_runs(np.array([7, 7, 7, 3]), np.array([1, 1, 2, 2]))]
    [[0, 2, 3], [2, 1, 1]]
    """
    is_first = np.append(True, (hi[1:] != hi[:-1]) | (lo[1:] != lo[:-1]))
    starts = np.flatnonzero(is_first[: len(hi)])
    return starts, np.diff(np.append(starts, len(hi)))


def chosen_traces(
    starts: Array, counts: Array, order: Array, groups: Sequence[int] | None, file_rows: Array | None
) -> Chosen:
    """Return the rows of whole traces in another order.

    Parameters
    ----------
    starts, counts
        First row of each trace among the rows of the groups, and number of its rows.
    order
        Positions of the traces.
    groups
        See ``Chosen``.
    file_rows
        The row in the file of each row of the groups; None: all.
    """
    is_same = bool((order[1:] > order[:-1]).all())
    ends = np.cumsum(counts)
    rows = None if is_same else run_rows((ends - counts)[order], counts[order])
    if file_rows is None or len(file_rows) == ends[-1:].sum():
        return Chosen(groups, None, rows, file_rows)
    kept = run_rows(starts, counts)
    return Chosen(groups, kept, rows, file_rows[kept])


def chosen_rows(spans: Array, new_row: Array | None, groups: Sequence[int] | None, file_rows: Array | None) -> Chosen:
    """Return the events or links of chosen spans.

    Parameters
    ----------
    spans
        Row in the file of the span of each one read.
    new_row
        Row in memory of each span of the file, see ``Chosen.new_row``.
    groups, file_rows
        See ``Chosen``.
    """
    if new_row is None:
        return Chosen()
    own = new_row[spans]
    kept = np.flatnonzero(own >= 0)
    rows = kept if file_rows is None else file_rows[kept]
    is_all = len(kept) == len(spans) and groups is None
    return Chosen(groups, None if is_all else kept, np.argsort(own[kept], kind="stable"), None if is_all else rows)


def run_rows(starts: Array, counts: Array) -> Array:
    """Return the rows of runs: ``starts[0]`` and the next ``counts[0]``, and so on.

    Examples
    --------
    >>> run_rows(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    before = np.cumsum(counts) - counts
    return np.asarray(np.arange(int(counts.sum())) + np.repeat(starts - before, counts))


def firsts(sizes: Sequence[int]) -> Array:
    """Return where each of several tables begins end to end, and where the last one ends.

    Examples
    --------
    >>> firsts([5, 0, 2]).tolist()
    [0, 5, 5, 7]
    """
    return np.append(0, np.cumsum(sizes, dtype=np.int64))


def inverse(rows: Array, size: int) -> Array:
    """Return the position of each of so many rows, -1 for those that are not among them."""
    found = np.full(size, -1, np.int64)
    found[rows] = np.arange(len(rows))
    return found


# -------------------------------------------------------------------- row groups


def groups_within(metadata: pq.FileMetaData, bounds: Bounds) -> list[int]:
    """Return the row groups whose statistics allow values within all bounds."""
    names = [metadata.schema.column(at).name for at in range(metadata.num_columns)]
    return [
        group
        for group in range(metadata.num_row_groups)
        if all(_overlaps(metadata.row_group(group).column(names.index(name)), *limits) for name, *limits in bounds)
    ]


def _overlaps(chunk: pq.ColumnChunkMetaData, low: int, high: int) -> bool:
    """Return whether a column of a row group may have a value from low to high."""
    found = chunk.statistics
    return found is None or not found.has_min_max or (found.min <= high and found.max >= low)


def limits_of_groups(metadata: pq.FileMetaData, name: str, groups: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return row groups with the lowest and highest value of a column by their statistics; any number without."""
    at = [metadata.schema.column(at).name for at in range(metadata.num_columns)].index(name)
    found = [(group, metadata.row_group(group).column(at).statistics) for group in groups]
    return [(group, *((of.min, of.max) if of is not None and of.has_min_max else _ANY)) for group, of in found]


def groups_with(metadata: pq.FileMetaData, rows: Array) -> list[int]:
    """Return the row groups that have some rows of the file."""
    ends = np.cumsum([metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)])
    return sorted(set(np.searchsorted(ends, rows, side="right").tolist()))


def rows_of_groups(metadata: pq.FileMetaData, groups: Sequence[int]) -> Array:
    """Return the rows of row groups in the file."""
    counts = np.array([metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)], np.int64)
    return run_rows((np.cumsum(counts) - counts)[list(groups)], counts[list(groups)])
