"""Calls and services as tables that add up: what one block of traces contributes to a service graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.analysis.self_time import self_times
from tracekit.analysis.service_calls import CALL_TYPES, CALLEE_SORTS, find_calls
from tracekit.stats.aggregates import Aggregate, group_rows, sum_by
from tracekit.stats.histograms import Histogram

if TYPE_CHECKING:
    from tracekit.analysis.service_calls import Calls
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

CALL_KEYS = ("caller_service", "callee_service", "callee_sort", "call_type")
PEER_KEYS = ("callee_service", "callee_sort")


@dataclass(frozen=True, slots=True)
class Tables:
    """The additive tables behind a service graph.

    Parameters
    ----------
    services
        By ``service_name``: spans, self time and the requests that begin there.
    calls
        By caller, callee, sort of callee and type.
    peers
        By callee and sort: calls that nobody answered.
    peer_types
        Weight of each ``peer_type`` within ``calls``.
    unnamed_count
        See ``ServiceGraph``.

    Examples
    --------
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
    peers: Aggregate
    peer_types: Aggregate
    unnamed_count: float


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
    trace, value = traces.forest.trace, traces.weights.value
    row = np.where(calls.callee_row >= 0, calls.callee_row, calls.caller_row)
    weight, count = value[trace[row]], len(row)
    timed_row = np.where(calls.is_paired & traces.has_duration[calls.caller_row], calls.caller_row, row)
    failed = traces.is_error[row] | (calls.is_paired & traces.is_error[calls.caller_row])
    facts = {"call_count": weight, "error_count": weight * failed, "paired_count": weight * calls.is_paired}
    columns = {
        "caller_service": (calls.caller, traces.codes("service_name").labels),
        "callee_service": (calls.callee, calls.names),
        "callee_sort": (calls.callee_sort, CALLEE_SORTS),
        "call_type": (calls.call_type, CALL_TYPES),
    }
    edge, edges = group_rows(columns, count)
    columns["peer_type"] = (calls.peer_type, traces.codes("peer_type").labels)
    typed, types = group_rows(columns, count)
    silent = np.flatnonzero(calls.callee_row < 0)
    peer, peers = group_rows({name: (columns[name][0][silent], columns[name][1]) for name in PEER_KEYS}, len(silent))
    few = {name: numbers[silent] for name, numbers in facts.items()}
    return Tables(
        _services(traces, calls),
        _aggregate(traces, edges, edge, row, timed_row, facts),
        _aggregate(traces, peers, peer, row[silent], timed_row[silent], few),
        Aggregate(types, pd.DataFrame({"call_count": sum_by(typed, weight, len(types))}), Histogram.empty()),
        float(value[trace[calls.unnamed_rows]].sum()),
    )


def _services(traces: TraceSet, calls: Calls) -> Aggregate:
    """Return spans, self time and requests by service."""
    service, trace, value = traces.codes("service_name"), traces.forest.trace, traces.weights.value
    live = np.flatnonzero(~traces.is_inferred)
    groups, weight = len(service.labels), value[trace[live]]
    row = calls.entry_rows
    entered = value[trace[row]]
    facts = {
        "request_count": entered,
        "error_count": entered * traces.is_error[row],
        "entry_count": entered * calls.is_root,
    }
    names = pd.DataFrame({"service_name": service.labels}, dtype=object)
    requests = _aggregate(traces, names, service.codes[row], row, row, facts)
    spans = {
        "span_count": np.bincount(service.codes[live], minlength=groups),
        "self_time_ns": sum_by(service.codes[live], weight * self_times(traces)[live], groups),
        "trace_count": _distinct(service.codes[live], trace[live], groups),
    }
    return Aggregate(requests.keys, requests.sums.assign(**spans), requests.histogram)


def _aggregate(
    traces: TraceSet, keys: pd.DataFrame, group: Array, row: Array, timed_row: Array, facts: dict[str, Array]
) -> Aggregate:
    """Return sums, distinct traces and durations by group."""
    groups, trace = len(keys), traces.forest.trace
    sums = {name: sum_by(group, numbers, groups) for name, numbers in facts.items()}
    sums["trace_count"] = _distinct(group, trace[row], groups)
    timed = traces.has_duration[timed_row]
    weight = traces.weights.value[trace[row[timed]]]
    return Aggregate(keys, pd.DataFrame(sums), Histogram.of(group[timed], traces.duration_ns[timed_row[timed]], weight))


def _distinct(group: Array, trace: Array, groups: int) -> Array:
    """Return the number of distinct traces of each group."""
    span = np.uint64(int(trace.max(initial=0)) + 1)
    key = group.astype(np.uint64) * span + trace.astype(np.uint64)
    key.sort()
    first = np.concatenate(([True], key[1:] != key[:-1])) if len(key) else np.zeros(0, bool)
    return np.bincount((key[first] // span).astype(np.int64), minlength=groups)
