"""How errors travel: from the span in which they originate through its callers, up to where they are handled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.self_time import first_outside
from tracekit.analysis.service_graph.calls import Calls, find_calls
from tracekit.attributes import Codes, join
from tracekit.completeness import is_open
from tracekit.forest import path_hashes, visible_parents
from tracekit.schema import Kind
from tracekit.stats.grouping import group_rows, sum_by

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

FATES: Final = ("propagated", "retried", "swallowed", "unknown")
_EDGE: Final = ["caller_service", "callee_service"]
_SPELT: Final = 24  # spans of a chain in its label


class _Failures(NamedTuple):
    """Failed calls between services, one entry each; see ``edges`` for the columns."""

    call: Array
    fate: Array  # index in FATES
    is_originated: Array
    is_timed_out: Array


def error_edges(traces: TraceSet) -> pd.DataFrame:
    """Return what became of failed calls between services: one row per caller and callee, most errors first.

    Parameters
    ----------
    traces
        Any traces.

    Returns
    -------
    pandas.DataFrame
        ``caller_service``, ``callee_service``; weighted: ``call_count``, ``error_count`` of them (either side failed),
        ``originated_count`` (no call or span below it failed), and what became of them: ``propagated_count`` (the
        caller failed as well), ``retried_count`` (the caller made the same call again), ``swallowed_count`` (the caller
        succeeded), ``unknown_count`` (the caller is not recorded or has not ended); these four sum to ``error_count``.
        ``timed_out_count``: the call failed while the callee worked on.  ``trace_count`` (recorded, with errors),
        ``exemplar_trace_id``, ``exemplar_span_id`` (of the first failed call).  Messages have no answer and are left
        out; calls without an end have no outcome.

    Examples
    --------
    >>> error_edges(shop).iloc[:, :7].to_numpy().tolist()
    [['shop', 'ledger', 5.0, 2.0, 2.0, 1.0, 1.0]]
    """
    calls = find_calls(traces)
    answered = np.flatnonzero((calls.call_type == 0) & ~is_open(traces.lookup)[calls.caller_row])
    failures = _failures(traces, calls, answered)
    names = Codes(calls.caller, calls.names), Codes(calls.callee, calls.names)
    group, keys = group_rows({name: one.take(answered) for name, one in zip(_EDGE, names, strict=True)}, len(answered))
    of_call = np.full(len(calls.caller), -1, np.int64)
    of_call[answered] = group
    edge, trace = of_call[failures.call], traces.forest.trace[calls.caller_row[failures.call]]
    weight, groups = traces.weights.value[trace], len(keys)
    first = np.full(groups, -1, np.int64)
    order = np.argsort(traces.columns.spans.start_ns[calls.caller_row[failures.call]], kind="stable")[::-1]
    first[edge[order]] = calls.caller_row[failures.call[order]]
    table = keys.assign(
        call_count=sum_by(group, traces.weights.value[traces.forest.trace[calls.caller_row[answered]]], groups),
        error_count=sum_by(edge, weight, groups),
        originated_count=sum_by(edge, weight * failures.is_originated, groups),
        **{f"{name}_count": sum_by(edge, weight * (failures.fate == at), groups) for at, name in enumerate(FATES)},
        timed_out_count=sum_by(edge, weight * failures.is_timed_out, groups),
        trace_count=pd.Series(trace).groupby(edge).nunique().reindex(range(groups), fill_value=0).to_numpy(),
        first=first,
    )
    table = table[table["first"] >= 0].sort_values(["error_count", *_EDGE], ascending=[False, True, True])
    return _with_exemplars(traces, table.reset_index(drop=True), table["first"].to_numpy()).drop(columns="first")


def _failures(traces: TraceSet, calls: Calls, answered: Array) -> _Failures:
    """Return the failed calls among those with an answer, and what became of them."""
    spans, failed, took = traces.columns.spans, traces.is_error, traces.duration_ns
    up = visible_parents(traces.forest.parent_row, traces.is_inferred).astype(np.int64)
    caller, callee = calls.caller_row[answered], calls.callee_row[answered]
    is_failed = failed[caller] | ((callee >= 0) & failed[callee])
    outgoing = (spans.kind == Kind.CLIENT) | (spans.kind == Kind.PRODUCER)
    handler = first_outside(up, outgoing & (up >= 0))[caller]
    is_known = ~outgoing[handler] & ~is_open(traces.lookup)[handler]
    retried = _retried(traces, calls, answered, handler)
    fate = np.select([retried, ~is_known, failed[handler]], [1, 3, 0], 2)
    failed_below = np.zeros(len(failed) + 1, bool)
    failed_below[up[failed & (up >= 0)]] = True
    is_client = outgoing[caller] & (callee >= 0) & failed[caller]
    is_timed_out = is_client & (
        is_open(traces.lookup)[callee] | (traces.has_duration[callee] & (took[callee] > took[caller]))
    )
    at = np.flatnonzero(is_failed)
    return _Failures(answered[at], fate[at], ~failed_below[callee][at], is_timed_out[at])


def _retried(traces: TraceSet, calls: Calls, answered: Array, handler: Array) -> Array:
    """Return which calls end before their caller starts the same call again."""
    spans, caller = traces.columns.spans, calls.caller_row[answered]
    operation = traces.codes("operation").codes[caller]
    order = np.lexsort((spans.start_ns[caller], operation, calls.callee[answered], handler))
    is_same = np.ones(max(len(order) - 1, 0), bool)
    for key in (handler, calls.callee[answered], operation):
        is_same &= np.diff(key[order]) == 0
    ends_before = spans.end_ns[caller][order][:-1] <= spans.start_ns[caller][order][1:]
    retried = np.zeros(len(order), bool)
    retried[order[:-1]] = is_same & ends_before
    return retried


class FailedChains(NamedTuple):
    """Failed spans (rows of ``spans``), the entry of the failed parent of each, and the chains of errors.

    ``origin``: entries without a failed child, one per chain; ``top``: the row of the highest failed span of each.
    """

    rows: Array
    above: Array
    origin: Array
    top: Array


def failed_chains(traces: TraceSet) -> FailedChains:
    """Return the failed spans, and the chains from the origin of each error upwards.

    Parameters
    ----------
    traces
        Any traces.

    Returns
    -------
    FailedChains
        Inferred spans are skipped.

    Examples
    --------
    >>> len(failed_chains(shop).origin)
    2
    """
    failed = traces.is_error & ~traces.is_inferred
    visible = visible_parents(traces.forest.parent_row, traces.is_inferred).astype(np.int64)
    up = np.where(failed & (visible >= 0) & failed[visible], visible, -1)
    rows = np.flatnonzero(failed)
    place = np.full(len(failed) + 1, -1, np.int64)
    place[rows] = np.arange(len(rows))
    above = place[up[rows]]
    is_origin = np.ones(len(rows), bool)
    is_origin[above[above >= 0]] = False
    origin = np.flatnonzero(is_origin)
    return FailedChains(rows, above, origin, rows[_tops(above)[origin]])


def error_chains(traces: TraceSet) -> pd.DataFrame:
    """Return the ways that errors took: one row per chain of failed spans, most errors first.

    Parameters
    ----------
    traces
        Any traces.

    Returns
    -------
    pandas.DataFrame
        ``chain`` (service and operation of each failed span, from the highest to the origin), ``origin_service``,
        ``origin_operation``, ``top_service``, ``top_operation``, ``span_count`` (of the chain), ``reaches_root``:
        whether the highest one is a root span, so that the request failed; ``error_count`` (weighted); recorded:
        ``trace_count``, ``endpoint_count`` (operations of the roots of these traces), ``first_time``, ``last_time``
        (UTC), ``exemplar_trace_id``, ``exemplar_span_id`` (the first origin).

    Notes
    -----
    The origin of an error is a failed span without a failed child; the chain ends below a span that did not fail.

    Examples
    --------
    >>> error_chains(shop)[["chain", "reaches_root"]].to_numpy().tolist()[1]
    ['shop POST /pay > shop POST > ledger POST /charge', True]
    """
    spans = traces.columns.spans
    rows, above, origin, top = failed_chains(traces)
    name = join([traces.codes("service_name"), traces.codes("operation")]).take(rows)
    chain = path_hashes(name.codes.astype(np.int64) + 1, above)
    trace = traces.forest.trace[rows[origin]]
    roots = traces.codes("operation").codes[traces.forest.root_row[trace]]
    seen = pd.DataFrame(
        {
            "path": chain[origin],
            "reaches_root": traces.forest.is_root[top],
            "first": origin,
            "error_count": traces.weights.value[trace],
            "trace": trace,
            "endpoint": roots,
            "time": spans.start_ns[rows[origin]],
        }
    )
    grouped = seen.sort_values(["time", "first"], kind="stable").groupby(["path", "reaches_root"])
    table = grouped.agg(
        error_count=("error_count", "sum"),
        trace_count=("trace", "nunique"),
        endpoint_count=("endpoint", "nunique"),
        first_time=("time", "min"),
        last_time=("time", "max"),
        first=("first", "first"),
    ).reset_index()
    table = table.sort_values(["error_count", "first"], ascending=[False, True], ignore_index=True)
    return _spelt(traces, table, rows, above, name)


def _tops(above: Array) -> Array:
    """Return the highest span of the chain of each span."""
    top = np.where(above >= 0, above, np.arange(len(above)))
    while (top[top] != top).any():
        top = top[top]
    return np.asarray(top)


def _spelt(traces: TraceSet, table: pd.DataFrame, rows: Array, above: Array, name: Codes) -> pd.DataFrame:
    """Return the table with the names of the spans of each chain."""
    service, operation = traces.codes("service_name"), traces.codes("operation")
    chains = [_upwards(first, above) for first in table.pop("first").tolist()]
    ends = {"origin": [rows[one[0]] for one in chains], "top": [rows[one[-1]] for one in chains]}
    table = table.drop(columns="path")
    table.insert(0, "chain", [_label(name, one[::-1]) for one in chains])
    for at, (end, found) in enumerate(ends.items()):
        table.insert(1 + 2 * at, f"{end}_service", [service.at(row) for row in found])
        table.insert(2 + 2 * at, f"{end}_operation", [operation.at(row) for row in found])
    table.insert(5, "span_count", [len(one) for one in chains])
    for column in ("first_time", "last_time"):
        table[column] = pd.to_datetime(table[column], utc=True)
    return _with_exemplars(traces, table, np.array(ends["origin"], np.int64))


def _upwards(row: int, above: Array) -> list[int]:
    """Return a span and the failed spans above it."""
    chain = [row]
    while above[chain[-1]] >= 0:
        chain.append(int(above[chain[-1]]))
    return chain


def _label(name: Codes, chain: list[int]) -> str:
    """Return the names of a chain, without the middle of a long one."""
    names = [name.at(row) or "(no name)" for row in chain]
    if len(names) > _SPELT:
        names = [*names[: _SPELT // 2], f"({len(names) - _SPELT} more)", *names[-_SPELT // 2 :]]
    return " > ".join(names)


def _with_exemplars(traces: TraceSet, table: pd.DataFrame, row: Array) -> pd.DataFrame:
    """Add the ids of an exemplar span of each row."""
    ids = traces.columns.spans.span_id
    return table.assign(
        exemplar_trace_id=[traces.trace_ids[at] for at in traces.forest.trace[row]],
        exemplar_span_id=[f"{int(ids[at]):016x}" for at in row],
    )
