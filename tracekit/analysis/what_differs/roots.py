"""Root spans of traces: one entry a trace, of a set or of all parts of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.analysis.partials import over_parts
from tracekit.frames import hexes
from tracekit.schema import Quality
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.parts import On, Parts


class Roots(NamedTuple):
    """Root spans in the order of the ids of their traces; about 50 bytes a trace.

    Parameters
    ----------
    hi, lo
        uint64: the halves of the trace id.
    start_ns, is_dated
        Start, and whether it is known.
    duration_ns, is_timed
        Duration, and whether it is known.
    is_inferred
        Whether a backend wrote the root.
    weight
        float64: sampling weight of the trace.
    """

    hi: Array
    lo: Array
    start_ns: Array
    is_dated: Array
    duration_ns: Array
    is_timed: Array
    is_inferred: Array
    weight: Array

    @property
    def trace_count(self) -> int:
        """Number of traces."""
        return len(self.hi)

    @property
    def order(self) -> Array:
        """Positions in the order of the ids."""
        return np.lexsort((self.lo, self.hi))

    @property
    def started_ns(self) -> Array:
        """float64: start of each root, NaN where it is unknown."""
        return np.where(self.is_dated, self.start_ns.astype(np.float64), np.nan)

    @property
    def packed_ids(self) -> Array:
        """The ids as 16 bytes each."""
        return np.asarray(np.column_stack((self.hi, self.lo)).view("S16").ravel())

    def take(self, rows: Array) -> Roots:
        """Return some of the roots."""
        return Roots(*(column[rows] for column in self))

    def ids(self, rows: Array) -> list[str]:
        """Return the trace ids of some roots as text."""
        return list(hexes(self.hi[rows], self.lo[rows]))

    def with_(self, other: Roots) -> Roots:
        """Return the roots of both, one after the other."""
        return Roots(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))


def tabulate(traces: TraceSet) -> Roots:
    """Return the root spans of a set."""
    spans, root, first = traces.columns.spans, traces.forest.root_row, traces.forest.starts[:-1]
    return Roots(
        spans.trace_hi[first],
        spans.trace_lo[first],
        spans.start_ns[root],
        (spans.quality[root] & Quality.NO_START) == 0,
        traces.duration_ns[root],
        traces.has_duration[root],
        traces.is_inferred[root],
        traces.weights.value,
    )


def roots_of(traces: TraceSet | Parts, on: On = None) -> Roots:
    """Return the root spans of a set or a store."""
    found = over_parts(traces, tabulate, Roots.with_, on=on).state
    return found if isinstance(traces, TraceSet) else found.take(found.order)
