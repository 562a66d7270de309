"""The requests that were open when and where lines without an id were written: the state of a part, and of several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.analysis.logs.nearby import known_hosts, nearby
from tracekit.stats.grouping import places

if TYPE_CHECKING:
    from tracekit.analysis.logs.nearby import Known, Spot
    from tracekit.columns import Array
    from tracekit.traces import TraceSet


class Only(NamedTuple):
    """Lines with one open request, one entry each.

    ``line``: its number.  ``trace_hi``, ``trace_lo``: id of the request.  ``span_id``, ``place``: the innermost span,
    and how many spans of its trace before it have the same id; 0 and -1 if spans were side by side.
    """

    line: Array
    trace_hi: Array
    trace_lo: Array
    span_id: Array
    place: Array

    def of(self, rows: Array) -> Only:
        """Return some of them, in this order."""
        return Only(*(column[rows] for column in self))


class OpenRequests(NamedTuple):
    """Requests that were open: 16 bytes for each line with any, 36 more for each with one; those of parts add.

    ``line``: number of the line, ascending.  ``open_count``, ``weight``: number of requests, and sum of their weights.
    """

    line: Array
    open_count: Array
    weight: Array
    only: Only

    def plus(self, other: OpenRequests) -> OpenRequests:
        """Return those of two parts: the one request of a line is known if no other part has one."""
        line, at = np.unique(np.append(self.line, other.line), return_inverse=True)
        count = np.bincount(at, np.append(self.open_count, other.open_count), len(line))
        weight = np.bincount(at, np.append(self.weight, other.weight), len(line))
        only = Only(*(np.append(*both) for both in zip(self.only, other.only, strict=True)))
        only = only.of(np.flatnonzero(count[np.searchsorted(line, only.line)] == 1))
        return OpenRequests(line, count.astype(np.int32), weight, only.of(np.argsort(only.line)))


@dataclass(frozen=True, eq=False)
class OpenAt:
    """Returns the requests of a part that were open at the places and times of lines: 12 bytes for each line.

    Parameters
    ----------
    spots
        Where lines were written.
    spot, time_ns
        Of each line, the spot (a code) and the time.
    known
        What all parts say about hosts.
    """

    spots: tuple[Spot, ...]
    spot: Array
    time_ns: Array
    known: Known

    def __call__(self, traces: TraceSet) -> OpenRequests:
        """Return those of some traces."""
        found = nearby(traces, self.spots, self.spot, self.time_ns, self.known)
        line = np.flatnonzero(found.open_count)
        one = np.flatnonzero(found.trace >= 0)
        trace, span, spans = found.trace[one], found.span[one], traces.columns.spans
        first = traces.forest.starts[trace]
        span_id = np.where(span >= 0, np.append(spans.span_id, np.uint64(0))[span], np.uint64(0))
        only = Only(one.astype(np.int32), spans.trace_hi[first], spans.trace_lo[first], span_id, _places(traces, span))
        count = found.open_count[line].astype(np.int32)
        return OpenRequests(line.astype(np.int32), count, found.weight[line], only)


@dataclass(frozen=True)
class KnownHosts:
    """Returns what a part says about hosts that lines name."""

    hosts: frozenset[str]

    def __call__(self, traces: TraceSet) -> Known:
        """Return what is known of some traces."""
        return known_hosts(traces, self.hosts)


def _places(traces: TraceSet, span: Array) -> Array:
    """Return how many recorded spans of the trace before each span have the same id; -1 for no span."""
    trace = traces.forest.trace
    is_near = np.zeros(len(traces), bool)
    is_near[trace[span[span >= 0]]] = True
    rows = np.flatnonzero(is_near[trace] & ~traces.is_inferred)
    place = np.full(len(trace) + 1, -1, np.int64)
    place[rows] = places(trace[rows], traces.columns.spans.span_id[rows])
    return place[span]
