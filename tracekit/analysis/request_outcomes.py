"""Start, duration and outcome of requests in the order of their trace ids: of many, those that a hash selects.

The selected ones do not depend on the parts of a store, and are the same for traces in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from tracekit.analysis.partials import over_parts
from tracekit.completeness import is_open
from tracekit.schema import Quality
from tracekit.stats.distinct_counts import hash_of_pairs, kept_values

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.parts import On, Parts
    from tracekit.traces import TraceSet

MOST: Final = 131_072  # traces that are kept


class Outcomes(NamedTuple):
    """Start, duration and outcome of the requests of traces, in the order of the trace ids.

    Parameters
    ----------
    start_ns, duration_ns
        int64, one per trace.
    is_dated, is_ended, is_timed, is_failed
        bool, one per trace: whether it has a start, an end and a duration, and whether it failed.
    weight
        float64, one per trace.
    trace_hi, trace_lo
        uint64, one per trace: its id.
    """

    start_ns: Array
    duration_ns: Array
    is_dated: Array
    is_ended: Array
    is_timed: Array
    is_failed: Array
    weight: Array
    trace_hi: Array
    trace_lo: Array

    @classmethod
    def of(cls, traces: TraceSet) -> Outcomes:
        """Return the outcomes of the requests of some traces."""
        root, spans, first = traces.forest.root_row, traces.columns.spans, traces.forest.starts[:-1]
        is_dated = (spans.quality[root] & Quality.NO_START) == 0
        ended, timed = ~is_open(traces.lookup)[root], traces.has_duration[root]
        values = spans.start_ns[root], traces.duration_ns[root], is_dated, ended, timed, traces.is_error[root]
        return cls(*values, traces.weights.value, spans.trace_hi[first], spans.trace_lo[first])

    def take(self, rows: Array) -> Outcomes:
        """Return some of them, in this order."""
        return Outcomes(*(column[rows] for column in self))


class KeptOutcomes(NamedTuple):
    """Requests with a limited number of outcomes.

    Parameters
    ----------
    outcomes
        Of the traces that are kept, about 45 bytes each.
    level
        A trace is kept with probability ``2 ** -level``.
    total
        Number of all traces.
    """

    outcomes: Outcomes
    level: int
    total: int

    @property
    def sampled(self) -> tuple[str, ...]:
        """The assumption that the kept traces stand for all; nothing if they are all."""
        kept = f"{len(self.outcomes.weight):,} of {self.total:,} traces"
        return (f"estimated from {kept}, chosen by a hash of their ids",) if self.level else ()


def kept_outcomes(traces: TraceSet | Parts, on: On = None) -> KeptOutcomes:
    """Return the outcomes of the requests of a set or a store, in the order of their trace ids."""
    found = over_parts(traces, _tabulated, _both, on=on).state
    order = np.lexsort((found.outcomes.trace_lo, found.outcomes.trace_hi))
    return found._replace(outcomes=found.outcomes.take(order))


def _tabulated(traces: TraceSet) -> KeptOutcomes:
    """Return those of a part."""
    return _limited(KeptOutcomes(Outcomes.of(traces), 0, len(traces)))


def _both(first: KeptOutcomes, second: KeptOutcomes) -> KeptOutcomes:
    """Return those of two parts."""
    outcomes = Outcomes(*(np.append(*columns) for columns in zip(first.outcomes, second.outcomes, strict=True)))
    return _limited(KeptOutcomes(outcomes, max(first.level, second.level), first.total + second.total))


def _limited(found: KeptOutcomes) -> KeptOutcomes:
    """Return a limited number of them."""
    known, before = found.outcomes, np.array([found.level])
    mixed = hash_of_pairs(known.trace_hi, known.trace_lo)
    kept, level = kept_values(np.zeros(len(mixed), np.int64), mixed, before, MOST)
    return KeptOutcomes(known if kept.all() else known.take(kept), int(level[0]), found.total)


def is_kept(high: Array, low: Array, level: int) -> Array:
    """Return which traces a level keeps, from the halves of their ids."""
    return np.asarray(hash_of_pairs(high, low) < np.uint64(2 ** (64 - level))) if level else np.ones(len(high), bool)
