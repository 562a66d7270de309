"""Additive tables of calls and services: the contribution of a block of traces to a service graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.analysis.self_time import own_times
from tracekit.analysis.service_graph.calls import CALL_TYPES, CALLEE_TYPES, find_calls
from tracekit.attributes import Codes, join
from tracekit.completeness import is_open
from tracekit.grouping import columns_of
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.grouping import distinct_by, group_codes, group_labels, sum_by
from tracekit.stats.histograms import Histogram
from tracekit.stats.intervals import cluster_sums
from tracekit.stats.mover import WEIGHT_CLASS, class_cells, weight_classes

if TYPE_CHECKING:
    from tracekit.analysis.service_graph.calls import Calls
    from tracekit.columns import Array
    from tracekit.grouping import By
    from tracekit.traces import TraceSet

NONE = "(none)"  # spans without a value of the name that services are grouped by
CALL_KEYS = ["caller_service", "callee_service", "callee_type", "call_type"]
PEER_KEYS = ["callee_service", "callee_type"]


@dataclass(frozen=True, slots=True)
class Tables:
    """The additive tables behind a service graph.

    Parameters
    ----------
    services
        By ``service_name``: spans, traces, self time and requests without a recorded call.
    calls
        By ``CALL_KEYS``, ``peer_type`` and ``is_answered``: number of calls.
    requests, edges, peers
        By ``service_name``, by ``CALL_KEYS``, and by ``PEER_KEYS`` for calls without an incoming span; and by
        ``weight_class``: sums over traces of requests and calls (``stats.intervals.cluster_sums``), which are not
        additive over finer keys; the same for those that have ended, ``ended_trial_sum`` and so on; ``timed_sum`` and
        ``timed_square``, the same as ``trial_sum`` and ``trial_square`` for those with a duration; and their durations.
    unnamed_count
        See ``ServiceGraph``.
    """

    services: Aggregate
    calls: Aggregate
    requests: Aggregate
    edges: Aggregate
    peers: Aggregate
    unnamed_count: float


class Measured(NamedTuple):
    """The facts about spans that every table needs."""

    trace: Array
    trace_weight: Array
    inferred: Array
    failed: Array
    ended: Array
    timed: Array
    duration: Array

    def weight_of(self, trace: Array) -> Array | float:
        """Return the weights of traces; one number if all are equal."""
        weights = self.trace_weight
        if len(weights) and weights.min() == weights.max():
            return float(weights[0])
        return np.asarray(weights[trace])

    @classmethod
    def of(cls, traces: TraceSet) -> Measured:
        """Return the facts about the spans of traces."""
        return cls(
            traces.forest.trace,
            traces.weights.value,
            traces.is_inferred,
            traces.is_error,
            ~is_open(traces.lookup),
            traces.has_duration,
            traces.duration_ns,
        )


class Seen(NamedTuple):
    """Calls or requests: their trace, whether they failed and have ended, and the row that has their duration."""

    trace: Array
    failed: Array
    ended: Array
    timed_row: Array


def tabulate(traces: TraceSet, by: By = "service_name") -> Tables:
    """Return the additive tables of whole traces, with the groups of ``by`` as services."""
    node = _nodes(traces, by)
    calls = find_calls(traces, node)
    spans = Measured.of(traces)
    answered = calls.callee_row >= 0
    row = np.where(answered, calls.callee_row, calls.caller_row)
    columns = {
        "caller_service": (calls.caller, node.labels),
        "callee_service": (calls.callee, calls.names),
        "callee_type": (calls.callee_type, CALLEE_TYPES),
        "call_type": (calls.call_type, CALL_TYPES),
        "peer_type": (calls.peer_type, traces.codes("peer_type").labels),
        "is_answered": (answered, (False, True)),
    }
    group, keys = group_codes(columns, len(row))
    weight = spans.weight_of(spans.trace[row])
    counts = {
        "call_count": sum_by(group, weight, len(keys["is_answered"])),
        "paired_count": sum_by(group, weight * calls.is_paired, len(keys["is_answered"])),
    }
    ends, callees = (group_labels(keys, columns, len(keys["is_answered"])) for columns in (CALL_KEYS, PEER_KEYS))
    seen, silent = as_the_caller_saw(calls, spans), np.flatnonzero(~answered)
    unanswered = Seen(*(values[silent] for values in seen))
    return Tables(
        _services(traces, node, calls, spans),
        Aggregate(keys, counts, Histogram.empty()),
        _requests(node, calls, spans),
        _outcomes(spans, ends[0][group], ends[1], seen),
        _outcomes(spans, callees[0][group[silent]], callees[1], unanswered),
        float(spans.trace_weight[spans.trace[calls.unnamed_rows]].sum()),
    )


def merged(first: Tables, second: Tables) -> Tables:
    """Return the tables of the traces of both."""
    names = ("services", "calls", "requests", "edges", "peers")
    pairs = {name: [getattr(first, name), getattr(second, name)] for name in names}
    tables = {name: Aggregate.concatenate(pair).by(list(pair[0].keys)) for name, pair in pairs.items()}
    return Tables(**tables, unnamed_count=first.unnamed_count + second.unnamed_count)


def as_the_caller_saw(calls: Calls, spans: Measured) -> Seen:
    """Return the calls, with the caller's duration if it is known and the call has an incoming span."""
    row = np.where(calls.callee_row >= 0, calls.callee_row, calls.caller_row)
    both = np.flatnonzero(calls.is_paired)
    caller, timed_row, failed, ended = calls.caller_row[both], row.copy(), spans.failed[row], spans.ended[row]
    timed_row[both] = np.where(spans.timed[caller], caller, row[both])
    failed[both] |= spans.failed[caller]
    ended[both] |= spans.ended[caller]
    return Seen(spans.trace[row], failed, ended, timed_row)


def _nodes(traces: TraceSet, by: By) -> Codes:
    """Return the service of each span: its group, named after all its keys; spans without a value are ``(none)``."""
    columns = list(columns_of(traces, by).values())
    if not columns:
        raise ValueError("expected at least one name to group services by, found none")
    complete = [Codes(np.where(codes < 0, len(labels), codes), [*labels, NONE]) for codes, labels in columns]
    return columns[0] if len(columns) == 1 and (columns[0].codes >= 0).all() else join(complete)


def _requests(service: Codes, calls: Calls, spans: Measured) -> Aggregate:
    """Return the requests that arrive at each service."""
    row = calls.entry_rows
    names = {"service_name": np.array(service.labels, object)}
    return _outcomes(spans, service.codes[row], names, Seen(spans.trace[row], spans.failed[row], spans.ended[row], row))


def _outcomes(spans: Measured, group: Array, keys: dict[str, Array], calls: Seen) -> Aggregate:
    """Return sums over traces and durations of calls by their group and weight class."""
    codes, labels = weight_classes(spans.trace_weight)
    cell, owner, code = class_cells(group.astype(np.int64), codes[calls.trace], len(labels))
    every = cluster_sums(cell, calls.trace, calls.failed, spans.trace_weight, len(owner))
    ended, timed = (
        every
        if mask.all()
        else cluster_sums(cell[mask], calls.trace[mask], calls.failed[mask], spans.trace_weight, len(owner))
        for mask in (calls.ended, spans.timed[calls.timed_row])
    )
    sums = every | {f"ended_{name}": values for name, values in ended.items()}
    sums |= {"timed_sum": timed["trial_sum"], "timed_square": timed["trial_square"]}
    own = {name: values[owner] for name, values in keys.items()}
    own |= {WEIGHT_CLASS: np.array([*labels, None], object)[code]}
    return Aggregate(own, sums, _durations(spans, cell, calls.timed_row, spans.weight_of(calls.trace)))


def _durations(spans: Measured, group: Array, row: Array, weight: Array | float) -> Histogram:
    """Return the histogram of durations, without rows that have no usable duration."""
    timed = spans.timed[row]
    if not timed.all():
        group, row = group[timed], row[timed]
        weight = weight if isinstance(weight, float) else weight[timed]
    return Histogram.of(group, spans.duration[row], weight)


def _services(traces: TraceSet, service: Codes, calls: Calls, spans: Measured) -> Aggregate:
    """Return spans, traces, self time and requests without a recorded call, by service."""
    inferred = spans.inferred
    own = own_times(traces.columns.spans, traces.forest, inferred, spans.timed & ~inferred)
    groups, codes, trace = len(service.labels), service.codes, spans.trace
    if inferred.any():
        live = np.flatnonzero(~inferred)
        own, codes, trace = own[live], codes[live], trace[live]
    row = calls.entry_rows
    sums = {
        "span_count": np.bincount(codes, minlength=groups),
        "trace_count": distinct_by(codes, trace, groups),
        "self_time_ns": sum_by(codes, spans.weight_of(trace) * own, groups),
        "entry_count": sum_by(service.codes[row], spans.weight_of(spans.trace[row]) * calls.is_root, groups),
    }
    return Aggregate({"service_name": np.array(service.labels, object)}, sums, Histogram.empty())
