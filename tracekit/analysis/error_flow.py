"""How errors travel: from the span in which they originate through its callers, up to where they are handled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.occurrences import Firsts, Occurrences
from tracekit.analysis.partials import largest_first, over_parts
from tracekit.analysis.self_time import first_outside
from tracekit.analysis.service_graph.calls import Calls, find_calls
from tracekit.attributes import join, text_hashes
from tracekit.completeness import is_open
from tracekit.forest import path_hashes, visible_parents
from tracekit.schema import Kind
from tracekit.stats.aggregates import Aggregate, steady
from tracekit.stats.grouping import distinct_by, group_codes, sum_by
from tracekit.stats.histograms import Histogram

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.parts import On, Parts
    from tracekit.traces import TraceSet

FATES: Final = ("propagated", "retried", "swallowed", "unknown")
_EDGE: Final = ["caller_service", "callee_service"]
_SHORT: Final = {"service_name": "service", "operation": "operation"}
_CHAIN: Final = ("chain", "origin_service", "origin_operation", "top_service", "top_operation")
_ENDPOINT: Final = "endpoint"
_NO_NAME: Final = "(no name)"
_SPELT: Final = 24  # spans of a chain in its label


class _Failures(NamedTuple):
    """Failed calls between services, one entry each; see ``edges`` for the columns."""

    call: Array
    fate: Array  # index in FATES
    is_originated: Array
    is_timed_out: Array


def error_edges(traces: TraceSet | Parts, *, on: On = None) -> pd.DataFrame:
    """Return what became of failed calls between services: one row per caller and callee, most errors first.

    Parameters
    ----------
    traces
        Any traces.  A store is read part by part.
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

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
    return edges_of(over_parts(traces, tabulate_edges, EdgeSums.__add__, on=on).state)


class EdgeSums(NamedTuple):
    """Calls between services in sums: all answered ones, and the failed ones, by caller and callee."""

    calls: Aggregate
    failed: Occurrences

    def __add__(self, other: EdgeSums) -> EdgeSums:  # type: ignore[override]  # not that of a tuple
        """Return the sums of the calls of both."""
        calls = Aggregate.concatenate([self.calls, other.calls]).by(_EDGE)
        return EdgeSums(calls, self.failed + other.failed)


def tabulate_edges(traces: TraceSet) -> EdgeSums:
    """Return the additive tables behind ``error_edges`` for whole traces."""
    calls = find_calls(traces)
    answered = np.flatnonzero((calls.call_type == 0) & ~is_open(traces.lookup)[calls.caller_row])
    failures = _failures(traces, calls, answered)
    weights, trace_of = traces.weights.value, traces.forest.trace
    group, keys = group_codes(_ends(calls, answered), len(answered))
    count = sum_by(group, weights[trace_of[calls.caller_row[answered]]], int(group.max(initial=-1)) + 1)
    edge, failed_keys = group_codes(_ends(calls, failures.call), len(failures.call))
    row, edges = calls.caller_row[failures.call], int(edge.max(initial=-1)) + 1
    weight = weights[trace_of[row]]
    sums = {
        "error_count": sum_by(edge, weight, edges),
        "originated_count": sum_by(edge, weight * failures.is_originated, edges),
        **{f"{name}_count": sum_by(edge, weight * (failures.fate == at), edges) for at, name in enumerate(FATES)},
        "timed_out_count": sum_by(edge, weight * failures.is_timed_out, edges),
        "trace_count": distinct_by(edge, trace_of[row], edges),
    }
    firsts = Firsts.of(traces, edge, row, edges, traces.columns.spans.start_ns[row])
    every = Aggregate(keys, {"call_count": count}, Histogram.empty()).by(_EDGE)
    return EdgeSums(every, Occurrences.of(failed_keys, sums, firsts))


def _ends(calls: Calls, chosen: Array) -> dict[str, tuple[Array, list[str]]]:
    """Return caller and callee of some calls as columns."""
    return {name: (codes[chosen], calls.names) for name, codes in zip(_EDGE, (calls.caller, calls.callee), strict=True)}


def edges_of(sums: EdgeSums) -> pd.DataFrame:
    """Return ``error_edges`` from the sums of all parts."""
    failed, every = sums.failed, sums.calls
    number = {ends: at for at, ends in enumerate(zip(*(every.keys[name] for name in _EDGE), strict=True))}
    ends = list(zip(*(failed.table.keys[name] for name in _EDGE), strict=True))
    table = pd.DataFrame(failed.table.keys, dtype=object).assign(
        call_count=every.sums["call_count"][[number[one] for one in ends]],
        **failed.table.sums,
        **failed.firsts.exemplars,
    )
    return largest_first(table, "error_count")


def _failures(traces: TraceSet, calls: Calls, answered: Array) -> _Failures:
    """Return the failed calls among those with an answer, and what became of them."""
    spans, failed, took = traces.columns.spans, traces.is_error, traces.duration_ns
    up = visible_parents(traces.forest.parent_row, traces.is_inferred).astype(np.int64)
    caller, callee = calls.caller_row[answered], calls.callee_row[answered]
    is_failed = failed[caller] | ((callee >= 0) & failed[callee])
    outgoing = (spans.kind == Kind.CLIENT) | (spans.kind == Kind.PRODUCER)
    handler = first_outside(up, outgoing & (up >= 0))[caller]
    is_known = ~outgoing[handler] & ~is_open(traces.lookup)[handler]
    retried = np.zeros(len(answered), bool)
    has_failed = np.zeros(len(failed), bool)
    has_failed[handler[is_failed]] = True
    near = np.flatnonzero(has_failed[handler])  # calls of a caller that has a failed one
    retried[near] = _retried(traces, calls, answered[near], handler[near])
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


def error_chains(traces: TraceSet | Parts, *, on: On = None) -> pd.DataFrame:
    """Return the ways that errors took: one row per chain of failed spans, most errors first.

    Parameters
    ----------
    traces
        Any traces.  A store is read part by part.
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

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
    Between the parts of a store it keeps one row per chain and endpoint.

    Examples
    --------
    >>> error_chains(shop)[["chain", "reaches_root"]].to_numpy().tolist()[1]
    ['shop POST /pay > shop POST > ledger POST /charge', True]
    """
    return chains_of(over_parts(traces, tabulate_chains, Occurrences.__add__, on=on).state)


def tabulate_chains(traces: TraceSet, failed: FailedChains | None = None) -> Occurrences:
    """Return the additive table behind ``error_chains`` for whole traces: by chain and endpoint.

    ``failed``: ``failed_chains(traces)``, if known.
    """
    rows, above, origin, top = failed_chains(traces) if failed is None else failed
    names = {name: traces.codes(name) for name in ("service_name", "operation")}
    name = join(list(names.values())).take(rows)
    path, distinct = pd.factorize(path_hashes(text_hashes(name), above)[origin])
    trace = traces.forest.trace[rows[origin]].astype(np.int64)
    ends = {"origin": rows[origin], "top": top}
    columns = {"path": (path, np.asarray(distinct).tolist())}
    columns |= {f"{end}_{_SHORT[key]}": codes.take(row) for end, row in ends.items() for key, codes in names.items()}
    columns |= {"reaches_root": (traces.forest.is_root[top], (False, True))}
    columns |= {_ENDPOINT: names["operation"].take(traces.forest.root_row[trace])}
    group, keys = group_codes(columns, len(origin))
    groups = int(group.max(initial=-1)) + 1
    example = np.zeros(groups, np.int64)
    example[group[::-1]] = origin[::-1]
    texts = np.array([*(text or _NO_NAME for text in name.labels), _NO_NAME], object)
    up, own = above.tolist(), texts[name.codes].tolist()
    spelt = [_upwards(one, up) for one in example.tolist()]
    labels = np.array([_label([own[row] for row in reversed(one)]) for one in spelt], object)
    lengths = np.array([len(one) for one in spelt], object)
    sums = {
        "error_count": sum_by(group, traces.weights.value[trace], groups),
        "trace_count": distinct_by(group, trace, groups),
    }
    firsts = Firsts.of(traces, group, rows[origin], groups, traces.columns.spans.start_ns[rows[origin]])
    return Occurrences.of({**keys, "chain": labels, "span_count": lengths}, sums, firsts)


def chains_of(found: Occurrences) -> pd.DataFrame:
    """Return ``error_chains`` from the sums of all parts."""
    whole = [name for name in found.table.keys if name != _ENDPOINT]
    group, _ = found.table.groups(whole)
    total = found.by(whole)
    keys = total.table.keys
    table = pd.DataFrame({name: keys[name] for name in _CHAIN}).assign(
        span_count=keys["span_count"].astype(np.int64),
        reaches_root=keys["reaches_root"].astype(bool),
        **total.table.sums,
        endpoint_count=np.bincount(group, minlength=len(total.table)),
        **total.firsts.times,
        **total.firsts.exemplars,
    )
    return table.take(np.lexsort((*total.firsts.by_id, -steady(table["error_count"].to_numpy())))).reset_index(
        drop=True
    )


def _tops(above: Array) -> Array:
    """Return the highest span of the chain of each span."""
    top = np.where(above >= 0, above, np.arange(len(above)))
    while (top[top] != top).any():
        top = top[top]
    return np.asarray(top)


def _upwards(row: int, above: list[int]) -> list[int]:
    """Return a span and the failed spans above it."""
    chain = [row]
    while (row := above[row]) >= 0:
        chain.append(row)
    return chain


def _label(names: list[str]) -> str:
    """Return the names of a chain, without the middle of a long one."""
    if len(names) > _SPELT:
        names = [*names[: _SPELT // 2], f"({len(names) - _SPELT} more)", *names[-_SPELT // 2 :]]
    return " > ".join(names)
