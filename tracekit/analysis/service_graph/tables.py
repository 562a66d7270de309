"""Calls and services as tables that add up: what one block of traces contributes to a service graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.analysis.self_time import own_times
from tracekit.analysis.service_graph.calls import CALL_TYPES, CALLEE_SORTS, find_calls
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.grouping import distinct_by, group_codes, group_labels, sum_by
from tracekit.stats.histograms import Histogram

if TYPE_CHECKING:
    from tracekit.analysis.service_graph.calls import Calls
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

CALL_KEYS = ["caller_service", "callee_service", "callee_sort", "call_type"]
PEER_KEYS = ["callee_service", "callee_sort"]


@dataclass(frozen=True, slots=True)
class Tables:
    """The additive tables behind a service graph.

    Parameters
    ----------
    services
        By ``service_name``: spans, self time and the requests that begin there.
    calls
        By ``CALL_KEYS``, ``peer_type`` and ``is_answered``: calls and their durations.
    call_traces, peer_traces
        By ``CALL_KEYS``, and by ``PEER_KEYS`` for calls that nobody answered: distinct traces, which do not add up over
        finer keys.
    unnamed_count
        See ``ServiceGraph``.

    Examples
    --------
    >>> import pandas as pd
    >>> from tracekit import TraceSet
    >>> one = TraceSet.from_spans(
    ...     pd.DataFrame(
    ...         {
    ...             "trace_id": "a1",
    ...             "span_id": ["1"],
    ...             "service_name": "shop",
    ...             "name": "GET /",
    ...             "start_ns": 0,
    ...             "end_ns": 9,
    ...         }
    ...     )
    ... )
    >>> tabulate(one).services.sums["span_count"].tolist()
    [1]
    """

    services: Aggregate
    calls: Aggregate
    call_traces: Aggregate
    peer_traces: Aggregate
    unnamed_count: float


class _Measured(NamedTuple):
    """What every table needs of each span."""

    trace: Array
    trace_weight: Array
    inferred: Array
    failed: Array
    timed: Array
    duration: Array

    def weight_of(self, trace: Array) -> Array | float:
        """Return the weights of traces; one number where all weigh the same."""
        weights = self.trace_weight
        if len(weights) and weights.min() == weights.max():
            return float(weights[0])
        return np.asarray(weights[trace])


def tabulate(traces: TraceSet) -> Tables:
    """Return the additive tables of whole traces.

    Parameters
    ----------
    traces
        A set, or one block of a larger one; links are followed within it.

    Returns
    -------
    Tables
        Tables of disjoint traces add.
    """
    calls = find_calls(traces)
    spans = _Measured(
        traces.forest.trace,
        traces.weights.value,
        traces.is_inferred,
        traces.is_error,
        traces.has_duration,
        traces.duration_ns,
    )
    answered = calls.callee_row >= 0
    row = np.where(answered, calls.callee_row, calls.caller_row)
    columns = {
        "caller_service": (calls.caller, traces.codes("service_name").labels),
        "callee_service": (calls.callee, calls.names),
        "callee_sort": (calls.callee_sort, CALLEE_SORTS),
        "call_type": (calls.call_type, CALL_TYPES),
        "peer_type": (calls.peer_type, traces.codes("peer_type").labels),
        "is_answered": (answered, (False, True)),
    }
    group, keys = group_codes(columns, len(row))
    trace = spans.trace[row]
    silent, unheard = np.flatnonzero(~answered), ~keys["is_answered"].astype(bool)
    peers = {name: keys[name][unheard] for name in PEER_KEYS}
    return Tables(
        _services(traces, calls, spans),
        _calls(calls, spans, keys, group, row),
        _traces(keys, CALL_KEYS, group, trace),
        _traces(peers, PEER_KEYS, (np.cumsum(unheard) - 1)[group[silent]], trace[silent]),
        float(spans.trace_weight[spans.trace[calls.unnamed_rows]].sum()),
    )


def _calls(calls: Calls, spans: _Measured, keys: dict[str, Array], group: Array, row: Array) -> Aggregate:
    """Return the calls of each group; the caller's duration where it is known and the call was answered."""
    groups, both, weight = len(keys[CALL_KEYS[0]]), np.flatnonzero(calls.is_paired), spans.weight_of(spans.trace[row])
    caller, timed_row, failed = calls.caller_row[both], row.copy(), spans.failed[row]
    timed_row[both] = np.where(spans.timed[caller], caller, row[both])
    failed[both] |= spans.failed[caller]
    sums = {
        "call_count": sum_by(group, weight, groups),
        "error_count": sum_by(group, weight * failed, groups),
        "paired_count": sum_by(group, weight * calls.is_paired, groups),
    }
    return Aggregate(keys, sums, _durations(spans, group, timed_row, weight))


def _durations(spans: _Measured, group: Array, row: Array, weight: Array | float) -> Histogram:
    """Return the histogram of the durations of rows, those left out that cannot be measured."""
    timed = spans.timed[row]
    if not timed.all():
        group, row = group[timed], row[timed]
        weight = weight if isinstance(weight, float) else weight[timed]
    return Histogram.of(group, spans.duration[row], weight)


def _traces(keys: dict[str, Array], columns: list[str], group: Array, trace: Array) -> Aggregate:
    """Return the number of distinct traces by some of the keys."""
    coarse, merged = group_labels(keys, columns, len(keys[columns[0]]))
    counts = distinct_by(coarse[group], trace, len(merged[columns[0]]))
    return Aggregate(merged, {"trace_count": counts}, Histogram.empty())


def _services(traces: TraceSet, calls: Calls, spans: _Measured) -> Aggregate:
    """Return spans, self time and requests by service."""
    service, inferred = traces.codes("service_name"), spans.inferred
    own = own_times(traces.columns.spans, traces.forest, inferred, spans.timed & ~inferred)
    groups, codes, trace = len(service.labels), service.codes, spans.trace
    if inferred.any():
        live = np.flatnonzero(~inferred)
        own, codes, trace = own[live], codes[live], trace[live]
    row = calls.entry_rows
    entered, weight = service.codes[row], spans.weight_of(spans.trace[row])
    sums = {
        "span_count": np.bincount(codes, minlength=groups),
        "trace_count": distinct_by(codes, trace, groups),
        "self_time_ns": sum_by(codes, spans.weight_of(trace) * own, groups),
        "request_count": sum_by(entered, weight, groups),
        "error_count": sum_by(entered, weight * spans.failed[row], groups),
        "entry_count": sum_by(entered, weight * calls.is_root, groups),
    }
    names = {"service_name": np.array(service.labels, object)}
    return Aggregate(names, sums, _durations(spans, entered, row, weight))
