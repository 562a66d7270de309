"""Which requests count for an objective and which of them are bad; additive over parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from tracekit.analysis.latency import class_column
from tracekit.analysis.slo.burn_rates import Requests
from tracekit.completeness import is_open
from tracekit.grouping import columns_of
from tracekit.schema import Quality
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.grouping import group_codes
from tracekit.stats.histograms import Histogram
from tracekit.stats.intervals import cluster_sums
from tracekit.traces import matching

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.grouping import By
    from tracekit.traces import Filter, TraceSet

_MS: Final = 1_000_000
_LATEST, _EARLIEST = int(np.iinfo(np.int64).max), int(np.iinfo(np.int64).min)


@dataclass(frozen=True)
class Outcomes:
    """What a good request is.

    Parameters
    ----------
    success
        A condition that a span of it matches; None: its root did not fail.
    latency_ms
        It also takes at most so long; None: any time.
    """

    success: Filter | None
    latency_ms: float | None

    def of(self, traces: TraceSet) -> tuple[Array, Array]:
        """Return the root spans of the requests that count, and which are bad."""
        root = traces.forest.root_row
        counts = ~is_open(traces.lookup)[root] & ((traces.columns.spans.quality[root] & Quality.NO_START) == 0)
        good = ~traces.is_error[root] if self.success is None else matching(traces, self.success)
        if self.latency_ms is not None:
            counts &= traces.has_duration[root]
            good &= traces.duration_ns[root] <= self.latency_ms * _MS
        return root[counts], ~good[counts]


class RequestSums(NamedTuple):
    """Requests that count, in sums: by group and weight class; the number recorded, of these bad, first and last start.

    Without any, the first start is after the last one.
    """

    table: Aggregate
    request_count: int
    bad_count: int
    first_ns: int
    last_ns: int


def tabulate(traces: TraceSet, outcomes: Outcomes, by: By) -> RequestSums:
    """Return the additive table of the requests of whole traces that count, by some names."""
    row, is_bad = outcomes.of(traces)
    trace, weights = traces.forest.trace[row].astype(np.int64), traces.weights.value
    columns = {name: codes.take(row) for name, codes in columns_of(traces, by).items()}
    group, keys = group_codes({**columns, **class_column(traces, trace)}, len(row))
    sums = cluster_sums(group, trace, is_bad, weights, int(group.max(initial=-1)) + 1)
    start = traces.columns.spans.start_ns[row]
    first, last = int(start.min(initial=_LATEST)), int(start.max(initial=_EARLIEST))
    return RequestSums(Aggregate(keys, sums, Histogram.empty()), len(row), int(is_bad.sum()), first, last)


def merged(first: RequestSums, second: RequestSums) -> RequestSums:
    """Return the sums of the requests of both."""
    return RequestSums(
        Aggregate.concatenate([first.table, second.table]).by(list(first.table.keys)),
        first.request_count + second.request_count,
        first.bad_count + second.bad_count,
        min(first.first_ns, second.first_ns),
        max(first.last_ns, second.last_ns),
    )


def summed(traces: TraceSet, outcomes: Outcomes, times_ns: Array) -> Array:
    """Return the weights of the requests moved to some times; see ``Requests.moved_to``."""
    row, is_bad = outcomes.of(traces)
    weight = traces.weights.value[traces.forest.trace[row]]
    return Requests(traces.columns.spans.start_ns[row], is_bad, weight).moved_to(times_ns).weight
