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
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

FEWEST: Final = 5  # calls of one operation by one span
_IN_SEQUENCE: Final = 0.8  # of the calls start when all earlier ones have ended
_FAILED: Final = 0.5  # of the calls: more are retries


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


def siblings(traces: TraceSet, callee: Codes | None = None) -> Siblings:
    """Return the calls of every span, grouped by operation and callee.

    Parameters
    ----------
    traces
        Any traces.
    callee
        The service that each span calls, if ``called_services`` has been worked out.

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
    spans, inferred = traces.columns.spans, traces.is_inferred
    up = visible_parents(traces.forest.parent_row, inferred).astype(np.int64)
    service, operation = traces.codes("service_name"), traces.codes("operation")
    outgoing = (spans.kind == Kind.CLIENT) | (spans.kind == Kind.PRODUCER)
    is_call = (up >= 0) & ~inferred & traces.has_duration & (outgoing | (service.codes != service.codes[up]))
    row = np.flatnonzero(is_call)
    callee = called_services(traces) if callee is None else callee
    named = {"service": service.take(row), "operation": operation.take(row), "callee": callee.take(row)}
    name, names = group_numbers(named, len(row))
    order = stable_order(up[row] * names + name, len(up) * names)
    row, name = row[order], name[order]
    begins = np.diff(up[row], prepend=-1) != 0
    begins[1:] |= np.diff(name) != 0
    row = _by_end(row, begins, spans.start_ns[row], spans.end_ns[row])
    first = np.append(np.flatnonzero(begins), len(row))
    return Siblings(row, first, up[row[begins]], callee, _follows(spans.start_ns[row], spans.end_ns[row], begins))


def in_a_row(traces: TraceSet, found: Siblings) -> Array:
    """Return the groups of at least five calls, nearly all in sequence, most of which succeeded: N+1 calls."""
    calls, failed = found.call_count, found.sum(traces.is_error[found.row])
    in_sequence = found.sum(found.follows) + 1
    return np.flatnonzero((calls >= FEWEST) & (in_sequence >= _IN_SEQUENCE * calls) & (failed <= _FAILED * calls))


def _by_end(row: Array, begins: Array, start: Array, end: Array) -> Array:
    """Return the calls of each group, which are in order of their starts, with those of one start by their ends."""
    is_tied = np.append(~begins[1:] & (start[1:] == start[:-1]), False)
    is_tied[1:] |= is_tied[:-1]
    tied = np.flatnonzero(is_tied)
    if not len(tied):
        return row
    group = np.cumsum(begins)[tied]
    row = row.copy()
    row[tied] = row[tied[np.lexsort((end[tied], start[tied], group))]]
    return row


def _follows(start: Array, end: Array, begins: Array) -> Array:
    """Return which calls start when all earlier ones of their group have ended."""
    follows = np.zeros(len(start), bool)
    later = np.flatnonzero(~begins)
    is_alone = begins.copy()
    is_alone[later - 1] = False
    several = np.flatnonzero(~is_alone)  # calls of groups of two or more
    if not len(several):
        return follows
    latest = _running_maximum(end[several], np.cumsum(begins[several]) - 1)
    follows[several[1:]] = ~begins[several[1:]] & (start[several[1:]] >= latest[:-1])
    return follows


def _running_maximum(value: Array, group: Array) -> Array:
    """Return the largest value so far within each group; groups are in ascending order."""
    rank = np.empty(len(value), np.int64)
    order = np.argsort(value, kind="stable")
    rank[order] = np.arange(len(value))
    highest = np.maximum.accumulate(group * len(value) + rank) - group * len(value)
    return np.asarray(value[order[highest]])
