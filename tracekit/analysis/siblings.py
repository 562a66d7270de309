"""Equal calls of one span: how many, one after another or at once, and with which outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.analysis.callees import called_services
from tracekit.forest import visible_parents
from tracekit.schema import Kind
from tracekit.stats.grouping import group_numbers, stable_order

if TYPE_CHECKING:
    from tracekit.attributes import Codes
    from tracekit.columns import Array, SpanColumns
    from tracekit.traces import TraceSet

FEWEST: Final = 5  # calls of one operation by one span
_IN_SEQUENCE: Final = 0.8  # of the calls start when all earlier ones have ended
_FAILED: Final = 0.5  # of the calls: more are retries


@dataclass(frozen=True)
class CallRows:
    """Calls, by the span that makes them and their start; rows of ``spans``: the call, and that span."""

    row: Array
    parent: Array


@dataclass(frozen=True)
class Siblings:
    """Calls of the same operation from the same span, as groups.

    Parameters
    ----------
    row
        Rows of ``spans``: the calls, by group and start.
    first
        int64, one per group and one more: the calls of group i are ``row[first[i]:first[i + 1]]``.
    parent
        Row of the span that makes the calls, one per group.
    callee
        The service that each span calls, one per span; missing where it is unknown.
    follows
        bool, one per call: it starts when all earlier calls of its group have ended; false for the first of a group.
    """

    row: Array
    first: Array
    parent: Array
    callee: Codes
    follows: Array

    @property
    def call_count(self) -> Array:
        """int64, one per group: number of calls."""
        return np.diff(self.first)

    @property
    def group(self) -> Array:
        """int64, one per call: its group."""
        return np.repeat(np.arange(len(self.parent)), self.call_count)

    def sum(self, value: Array) -> Array:
        """Return the sum of a number per call, by group."""
        total = np.concatenate([np.zeros(1, np.float64), np.cumsum(value, dtype=np.float64)])
        return np.asarray(total[self.first[1:]] - total[self.first[:-1]])


def calls_of(traces: TraceSet) -> CallRows:
    """Return the calls of every span; see ``siblings``.

    Examples
    --------
    >>> found = calls_of(shop.trace("b2"))
    >>> found.row.tolist(), found.parent.tolist()
    ([1, 3, 2, 4, 5], [0, 0, 1, 3, 4])
    """
    spans, inferred, forest = traces.columns.spans, traces.is_inferred, traces.forest
    up, service = visible_parents(forest.parent_row, inferred), traces.codes("service_name").codes
    is_call = (spans.kind == Kind.CLIENT) | (spans.kind == Kind.PRODUCER) | (service != service[up])
    is_call &= (up >= 0) & ~inferred & traces.has_duration
    if up is forest.parent_row:
        row = forest.children[is_call[forest.children]].astype(np.int64)
    else:
        row = np.flatnonzero(is_call)
        row = row[stable_order(up[row], len(up))]
    return CallRows(row, up[row].astype(np.int64))


def siblings(traces: TraceSet, callee: Codes | None = None, calls: CallRows | None = None) -> Siblings:
    """Return the calls of every span, grouped by operation and callee.

    Parameters
    ----------
    traces
        Any traces.
    callee
        The service that each span calls, if ``called_services`` has been worked out.
    calls
        The calls, if ``calls_of`` has been worked out.

    Returns
    -------
    Siblings
        Groups of one call or more.

    Notes
    -----
    A call is a span with a duration and a parent that is outgoing (CLIENT, PRODUCER) or belongs to another service.
    Spans inferred by a backend are skipped.

    Examples
    --------
    >>> found = siblings(shop)
    >>> found.call_count.tolist().count(2), found.row[found.follows].tolist()
    (1, [20])
    """
    spans, calls = traces.columns.spans, calls_of(traces) if calls is None else calls
    callee = called_services(traces) if callee is None else callee
    columns = {"service": traces.codes("service_name"), "operation": traces.codes("operation"), "callee": callee}
    name, names = group_numbers({key: codes.take(calls.row) for key, codes in columns.items()}, len(calls.row))
    order = stable_order(calls.parent * names + name, len(spans) * names)
    row, parent, name = calls.row[order], calls.parent[order], name[order]
    begins = np.ones(len(row), bool)
    begins[1:] = (parent[1:] != parent[:-1]) | (name[1:] != name[:-1])
    is_several = ~begins  # calls of groups of two or more
    is_several[:-1] |= is_several[1:]
    several, follows = np.flatnonzero(is_several), np.zeros(len(row), bool)
    if len(several):
        begun = begins[several]
        row[several] = own = _by_end(row[several], begun, spans)
        follows[several] = _follows(spans.start_ns[own], spans.end_ns[own], begun)
    first = np.flatnonzero(begins)
    return Siblings(row, np.append(first, len(row)), parent[first], callee, follows)


def in_a_row(traces: TraceSet, found: Siblings) -> Array:
    """Return the groups of at least five calls, nearly all in sequence, most of which succeeded: N+1 calls."""
    many = np.flatnonzero(found.call_count >= FEWEST)
    if not len(many):
        return many
    calls, failed = found.call_count[many], found.sum(traces.is_error[found.row])[many]
    in_sequence = found.sum(found.follows)[many] + 1
    return many[(in_sequence >= _IN_SEQUENCE * calls) & (failed <= _FAILED * calls)]


def _by_end(row: Array, begins: Array, spans: SpanColumns) -> Array:
    """Return the calls of each group, which are in order of their starts, with those of one start by their ends."""
    start = spans.start_ns[row]
    is_tied = np.append(~begins[1:] & (start[1:] == start[:-1]), False)
    is_tied[1:] |= is_tied[:-1]
    tied = np.flatnonzero(is_tied)
    if not len(tied):
        return row
    group = np.cumsum(begins)[tied]
    row = row.copy()
    row[tied] = row[tied[np.lexsort((spans.end_ns[row[tied]], start[tied], group))]]
    return row


def _follows(start: Array, end: Array, begins: Array) -> Array:
    """Return which calls start when all earlier ones of their group have ended."""
    follows = ~begins
    follows[1:] &= start[1:] >= _running_maximum(end, np.cumsum(begins) - 1)[:-1]
    return follows


def _running_maximum(value: Array, group: Array) -> Array:
    """Return the largest value so far within each group; groups are in ascending order."""
    rank = np.empty(len(value), np.int64)
    order = np.argsort(value, kind="stable")
    rank[order] = np.arange(len(value))
    highest = np.maximum.accumulate(group * len(value) + rank) - group * len(value)
    return np.asarray(value[order[highest]])
