"""Critical-path time by group and request, without spans: of one set, or of the parts of a store together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np

from tracekit.analysis.critical_path.cells import Cells, Labels, Requests, cells_by
from tracekit.analysis.critical_path.keys import key_codes
from tracekit.attributes import Codes
from tracekit.grouping import UnknownNameError, named
from tracekit.stats.grouping import group_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.columns import Array
    from tracekit.grouping import By, Key
    from tracekit.parts import Parts
    from tracekit.traces import TraceSet

_SMALL: Final = (np.uint8, np.uint16, np.uint32)


class PathTable(NamedTuple):
    """Critical-path time by group and request.

    Parameters
    ----------
    requests
        The requests.
    cells
        Time by group and request.
    lacking
        Names to group by that no span has; all of their labels are missing.
    corrected_count
        Clocks that were corrected.
    """

    requests: Requests
    cells: Cells
    lacking: frozenset[str]
    corrected_count: int


class Paths(Protocol):
    """Critical paths, of a TraceSet or of a TraceStore."""

    def tabulated(self, by: By, *, may_lack: bool = False) -> PathTable:
        """Return the paths as a table."""

    @property
    def statement(self) -> str:
        """What weighted figures describe."""

    @property
    def source(self) -> TraceSet | Parts:
        """The traces."""

    @property
    def recorded_services(self) -> tuple[str, ...]:
        """All services of the recording."""


def tabulated(path: CriticalPath, by: By, *, may_lack: bool = False) -> PathTable:
    """Return the paths of a set as a table.

    ``may_lack``: a name that no span has is in ``lacking`` and no error, as for one side of a comparison.
    """
    columns, lacking = {}, set()
    for name, key in named(by).items():
        found = _codes(path, key, may_lack=may_lack)
        if found is None:
            lacking.add(name)
        columns[name] = found or Codes(np.full(len(path.tree), -1), [])
    return PathTable(path.requests, cells_by(path, columns), frozenset(lacking), path.corrected_count)


def _codes(path: CriticalPath, key: Key, *, may_lack: bool) -> Codes | None:
    """Return a column, None if it may be lacking and is."""
    try:
        return key_codes(path.source, path.tree, key)
    except UnknownNameError:
        if not may_lack:
            raise
    except ValueError:
        if not may_lack or isinstance(key, str):
            raise
    return None


def only_traces(table: PathTable, kept: Array) -> PathTable:
    """Return the table of some traces: bool, one per trace."""
    if kept.all():
        return table
    requests, cells = table.requests, table.cells
    mine = kept[requests.trace]
    own = mine[cells.request]
    rest = [column[kept] for column in (requests.trace_weight, requests.trace_hi, requests.trace_lo)]
    trace = (np.cumsum(kept) - 1)[requests.trace[mine]]
    columns = {name: getattr(cells, name)[own] for name in ("group", "call_count", "time_ns")}
    some = Cells(cells.keys, request=(np.cumsum(mine) - 1)[cells.request[own]], **columns)
    return table._replace(
        requests=Requests(requests.latency_ns[mine], requests.is_partial[mine], trace, *rest), cells=some
    )


def compact(table: PathTable) -> PathTable:
    """Return the same table with integers as small as they can be, for parts; ``union`` widens them again."""
    return _with_integers(table, _small)


def widened(table: PathTable) -> PathTable:
    """Return the same table with int64 integers, to compute with."""
    return _with_integers(table, _wide)


def _with_integers(table: PathTable, change: Callable[[Array], Array]) -> PathTable:
    """Return a table with its columns of integers in other types."""
    latency, is_partial, trace, *of_traces = table.requests
    keys, *columns = table.cells
    requests = Requests(change(latency), is_partial, change(trace), *of_traces)
    return table._replace(requests=requests, cells=Cells(keys, *(change(column) for column in columns)))


def _small(values: Array) -> Array:
    """Return integers in the smallest of some types, all of which int64 includes."""
    least, most = int(values.min(initial=0)), int(values.max(initial=0))
    kind = next((kind for kind in _SMALL if least >= 0 and most <= np.iinfo(kind).max), np.int64)
    return values.astype(kind)


def _wide(values: Array) -> Array:
    """Return the same integers as int64."""
    return values.astype(np.int64, copy=False)


def union(tables: Sequence[PathTable]) -> PathTable:
    """Return the tables of parts as one, its requests in the order of their trace ids, as in memory."""
    if len(tables) == 1:
        return widened(tables[0])
    requests, order = in_order([table.requests for table in tables])
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    cells = together([table.cells for table in tables])
    first = np.cumsum([0, *(len(table.requests) for table in tables)])
    moved = [place[each.request + at] for each, at in zip(cells, first, strict=False)]
    columns = {
        name: _wide(np.concatenate([getattr(each, name) for each in cells]))
        for name in ("group", "call_count", "time_ns")
    }
    request = np.concatenate(moved)
    by_group = np.lexsort((request, columns["group"]))
    sorted_columns = {name: values[by_group] for name, values in columns.items()}
    whole = Cells(cells[0].keys, request=request[by_group], **sorted_columns)
    lacking = frozenset.intersection(*(table.lacking for table in tables))
    return PathTable(requests, whole, lacking, sum(table.corrected_count for table in tables))


def together(tables: Sequence[Cells]) -> list[Cells]:
    """Return tables with the same groups, in the order of their labels."""
    keys = list(tables[0].keys.columns)
    labels = {key: np.concatenate([each.keys.columns[key] for each in tables]) for key in keys}
    number, joint = group_labels(labels, keys, sum(len(each.keys) for each in tables))
    whole = Labels(joint, int(number.max(initial=-1)) + 1)
    ends = np.cumsum([len(each.keys) for each in tables])[:-1]
    return [_renumbered(each, own, whole) for each, own in zip(tables, np.split(number, ends), strict=True)]


def _renumbered(cells: Cells, number: Array, keys: Labels) -> Cells:
    """Return the cells with their groups renumbered."""
    group = number[cells.group]
    order = np.argsort(group, kind="stable")
    return cells._replace(
        keys=keys,
        group=group[order],
        **{name: getattr(cells, name)[order] for name in ("request", "call_count", "time_ns")},
    )


def in_order(parts: Sequence[Requests]) -> tuple[Requests, Array]:
    """Return the requests of all parts in the order of their trace ids, and the row of each among all parts."""
    ids = [np.concatenate([getattr(part, name) for part in parts]) for name in ("trace_hi", "trace_lo")]
    by_id = np.lexsort((ids[1], ids[0]))
    rank = np.empty(len(by_id), np.int64)
    rank[by_id] = np.arange(len(by_id))
    first = np.cumsum([0, *(len(part.trace_weight) for part in parts)])
    trace = rank[np.concatenate([part.trace + at for part, at in zip(parts, first, strict=False)])]
    order = np.argsort(trace, kind="stable")
    latency, is_partial = (np.concatenate([getattr(part, name) for part in parts]) for name in Requests._fields[:2])
    weight = np.concatenate([part.trace_weight for part in parts])
    found = Requests(
        _wide(latency[order]), is_partial[order], trace[order], weight[by_id], ids[0][by_id], ids[1][by_id]
    )
    return found, order
