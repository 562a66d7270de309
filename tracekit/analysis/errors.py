"""Errors: error rates and error classes by operation, their edges, chains and origins, and exceptions."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.clock_skew.parts import offsets_by_id, part_calls, seem_skewed
from tracekit.analysis.error_flow import (
    EdgeSums,
    chains_of,
    edges_of,
    failed_chains,
    tabulate_chains,
    tabulate_edges,
)
from tracekit.analysis.error_origins import OriginSums, Steps, origins_of, tabulate_origins
from tracekit.analysis.exceptions import Exceptions, exceptions_of, tabulate_exceptions
from tracekit.analysis.latency import class_column, merged
from tracekit.analysis.partials import Part, check_names, check_on, largest_first, on_side, over_parts
from tracekit.arguments import check_traces
from tracekit.completeness import is_open
from tracekit.findings import Shown
from tracekit.grouping import columns_of, named
from tracekit.readable_tables import as_html
from tracekit.schema import ERROR_CLASSES, ErrorClass
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.grouping import group_codes, sum_by
from tracekit.stats.histograms import Histogram
from tracekit.stats.intervals import cluster_sums
from tracekit.stats.mover import WEIGHT_CLASS
from tracekit.stats.weighted_rates import rates
from tracekit.traces import TraceSet
from tracekit.weights.known import Weighted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.occurrences import Occurrences
    from tracekit.grouping import By, Key
    from tracekit.parts import On, Parts
    from tracekit.redaction.policy import Policy

_CLASSES = (ErrorClass.FAULT, ErrorClass.CLIENT, ErrorClass.THROTTLE, ErrorClass.UNSPECIFIED)
_KEYS = ("service_name", "operation")
_EXCEPTION = ["service_name", "exception_type", "exception_message"]


@dataclass(frozen=True, repr=False)
class Errors(Weighted, Shown):
    """Error rates by operation, and exceptions.

    Parameters
    ----------
    operations
        One row per service and operation, or per group of ``by``: the keys; ``span_count`` (recorded); weighted:
        ``error_count``, ``error_ratio`` with its 95% CI ``error_ratio_low`` and ``error_ratio_high`` (clustered by
        trace), and spans by error class: ``fault_count`` (5xx), ``client_count`` (4xx), ``throttle_count`` (429),
        ``unspecified_count``; ``weight_sum``, the estimated number of spans. A server span with status 404 is a client
        error and not an error of the span, so the classes need not add up to ``error_count``.
    exceptions
        One row per service, type and message template: ``service_name``, ``exception_type``, ``exception_message``
        (template), ``event_count`` and ``trace_count`` (recorded), ``first_time`` and ``last_time`` (UTC; the start of
        the span if the event has no time), ``path_time_ns`` (mean critical-path time of the spans, with all below
        them), ``exemplar_trace_id`` and ``exemplar_span_id`` of the first occurrence.  With a baseline, those that it
        does not have come first: ``is_new``, ``baseline_event_count``, ``baseline_trace_count``.
    edges
        What became of failed calls: one row per caller and callee, see ``error_flow.error_edges``: ``error_count``,
        ``originated_count``, and the parts of it ``propagated_count``, ``retried_count``, ``swallowed_count``,
        ``unknown_count``; ``timed_out_count``.
    chains
        The ways of errors from their origin upwards: one row per chain of failed spans, see
        ``error_flow.error_chains``: ``chain``, ``origin_service``, ``origin_operation``, ``reaches_root``,
        ``error_count``, ``trace_count``, ``endpoint_count``.
    origins
        Whom errors affect: one row per service and operation in which errors begin, most affected requests first:
        ``service_name``, ``operation``; weighted: ``error_count`` (spans), of which ``fault_count``, ``client_count``,
        ``throttle_count``, ``unspecified_count``; ``request_count`` with such an error, ``request_ratio`` of all
        requests with its 95% CI ``request_ratio_low`` and ``request_ratio_high``, ``failed_request_count`` (the error
        reached the root span); recorded: ``trace_count``, ``endpoint_count``, ``first_time``, ``last_time`` (UTC),
        ``exemplar_trace_id``, ``exemplar_span_id``.  With a customer: ``customer_count`` and ``customer_ratio`` of all
        customers recorded.  With a baseline, those that it does not have come first: ``is_new``,
        ``baseline_request_count``, ``baseline_request_ratio``.
    over_time
        One row per origin (the 20 with most affected requests) and step of time (at most 60): ``service_name``,
        ``operation``, ``start_ns``, ``start_time``; weighted: ``request_count``, ``request_ratio``,
        ``request_ratio_low``, ``request_ratio_high``.
    statement
        What the weighted figures describe: the source of the weights, or that they are unknown.

    Examples
    --------
    >>> tk.errors(shop)
    Errors(5 errors in 8 operations, 1 exception types; sampling weights unknown)
    """

    operations: pd.DataFrame
    exceptions: pd.DataFrame
    edges: pd.DataFrame
    chains: pd.DataFrame
    origins: pd.DataFrame
    over_time: pd.DataFrame
    statement: str = ""

    def _line(self) -> str:
        """Return the counts in one line."""
        count, operations = self.operations["error_count"].sum(), len(self.operations)
        return f"Errors({count:,.6g} errors in {operations:,} operations, {len(self.exceptions):,} exception types)"

    def _repr_html_(self) -> str:
        tables = (as_html(table.head(10)) for table in (self.operations, self.origins, self.chains, self.exceptions))
        return f"{self.heading()}{''.join(tables)}"


def errors(
    traces: TraceSet | Parts,
    by: By = _KEYS,
    *,
    baseline: TraceSet | Parts | None = None,
    customer: Key | None = None,
    roots: bool = False,
    confidence: float = 0.95,
    on: On = None,
) -> Errors:
    """Return the error rate of each operation, where errors come from and where they end, and the exceptions.

    Parameters
    ----------
    traces
        The traces; not modified.  A store is read part by part: once, and twice more for ``path_time_ns`` of the
        exceptions if calls seem to be affected by clock skew.
    by
        What to group ``operations`` by: columns of ``spans``, attribute keys, ``resource.<key>``, ``request.<name>``
        (one value per trace) or an aligned Series (not with a store), see ``tracekit.grouping``; empty for one row of
        all spans.
    baseline
        Traces to compare exceptions and origins with, or a store: those that are new come first.  ``tk.compare``
        compares error rates.
    customer
        What identifies a customer, such as ``app.tenant``, to count the customers that errors affect: the value of the
        root span of each request, else of the highest span with one; or a Series, as in ``by``.  Between the parts of
        a store, it keeps every customer.
    roots
        Use only root spans: error rates of requests.
    confidence
        Confidence level of the intervals.
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

    Returns
    -------
    Errors
        ``.operations`` (most errors first), ``.origins``, ``.over_time``, ``.edges``, ``.chains``, ``.exceptions``
        (most events first), ``.statement``.

    Notes
    -----
    Spans without an end (no outcome yet) and spans inferred by a backend are not counted. Ratios are weighted and
    clustered by trace (``stats.weighted_rates.rates``). ``exceptions`` lists the span events
    named ``exception``, including those of unfinished spans. An error recorded only as a span status appears in
    ``operations`` only.

    Examples
    --------
    >>> found = tk.errors(shop)
    >>> found.operations[["operation", "span_count", "error_count", "error_ratio"]].round(2).head(3).to_numpy().tolist()
    [['POST', 9, 2.0, 0.22], ['POST /charge', 5, 2.0, 0.4], ['POST /pay', 4, 1.0, 0.25]]
    >>> found.exceptions[["exception_type", "event_count"]].to_numpy().tolist()
    [['BudgetExceeded', 2]]
    """
    sides = [traces] if baseline is None else [traces, baseline]
    for side in sides:
        check_traces(side, "errors")
    check_names(traces, by)
    check_names(traces, () if customer is None else customer)
    check_on(on, *sides)
    found = _read(traces, by, customer, roots=roots, on=on_side(traces, on))
    sums, exceptions = found.state, exceptions_of(found.state.exceptions.found)
    origins = origins_of(sums.origins, Steps.of(traces), confidence=confidence)
    table = origins.table
    if baseline is not None:
        before = _read(baseline, (), None, roots=roots, on=on_side(baseline, on)).state
        exceptions = _against(
            exceptions, exceptions_of(before.exceptions.found), _EXCEPTION, ["event_count", "trace_count"]
        )
        known = origins_of(before.origins, Steps.of(baseline)).table
        table = _against(table, known, list(_KEYS), ["request_count", "request_ratio"])
    return _result(found, by, confidence, exceptions, table, origins.over_time)


def error_rates(
    traces: TraceSet | Parts, by: By = _KEYS, *, roots: bool = False, confidence: float = 0.95
) -> pd.DataFrame:
    """Return ``Errors.operations`` alone: exceptions and origins of errors take most of the time of ``errors``.

    Examples
    --------
    >>> error_rates(shop, (), roots=True).equals(tk.errors(shop, (), roots=True).operations)
    True
    """
    found = over_parts(traces, partial(tabulate, by=by, roots=roots), merged)
    return summarise([found.state], list(named(by)), confidence=confidence)


def redacted_errors(traces: Parts, policy: Policy) -> tuple[Errors, list[str]]:
    """Return the errors of a store as they may leave: messages are redacted before they become templates.

    A template has lost the digits by which a secret is known, so that it cannot be searched any more.  The second value
    has one whole message for each template that something was removed from: the caller notes what was in it.
    """
    found = _read(traces, _KEYS, None, roots=False, on=None, policy=policy)
    origins = origins_of(found.state.origins, Steps.of(traces))
    exceptions = exceptions_of(found.state.exceptions.found)
    result = _result(found, _KEYS, 0.95, exceptions, origins.table, origins.over_time)
    return result, list(found.state.exceptions.whole.values())


def _result(
    found: Part[ErrorSums],
    by: By,
    confidence: float,
    exceptions: pd.DataFrame,
    origins: pd.DataFrame,
    time: pd.DataFrame,
) -> Errors:
    """Return the result from the sums of all traces and the tables of exceptions and origins."""
    return Errors(
        summarise([found.state.operations], list(named(by)), confidence=confidence),
        exceptions,
        edges_of(found.state.edges),
        chains_of(found.state.chains),
        origins,
        time,
        found.weights.statement,
    )


class ErrorSums(NamedTuple):
    """Errors in sums: the tables behind the frames of ``Errors``, and whether any call seems skewed (not in memory)."""

    operations: Aggregate
    exceptions: Exceptions
    edges: EdgeSums
    chains: Occurrences
    origins: OriginSums
    seems_skewed: bool

    def __add__(self, other: ErrorSums) -> ErrorSums:  # type: ignore[override]  # not that of a tuple
        """Return the sums of the traces of both."""
        operations = Aggregate.concatenate([self.operations, other.operations])
        return ErrorSums(
            operations.by(list(operations.keys)),
            self.exceptions + other.exceptions,
            self.edges + other.edges,
            self.chains + other.chains,
            self.origins + other.origins,
            self.seems_skewed or other.seems_skewed,
        )


def _read(
    traces: TraceSet | Parts, by: By, customer: Key | None, *, roots: bool, on: On, policy: Policy | None = None
) -> Part[ErrorSums]:
    """Return the sums of all traces; times on the critical path are those by corrected clocks."""
    skew = "auto" if isinstance(traces, TraceSet) else "off"
    keys: dict[str, Any] = {"by": by, "customer": customer, "roots": roots}
    state = partial(_tabulate_all, **keys, steps=Steps.of(traces), skew=skew, policy=policy)
    found = over_parts(traces, state, ErrorSums.__add__, on=on)
    if isinstance(traces, TraceSet) or not found.state.seems_skewed or not len(found.state.exceptions.found.table):
        return found
    offsets = offsets_by_id(traces.reduce(part_calls, operator.add, on=on))
    later = partial(tabulate_exceptions, skew=offsets or "off", policy=policy)
    again = over_parts(traces, later, Exceptions.__add__, on=on)
    return found._replace(state=found.state._replace(exceptions=again.state))


def _tabulate_all(
    traces: TraceSet, by: By, customer: Key | None, steps: Steps, skew: str, *, roots: bool, policy: Policy | None
) -> ErrorSums:
    """Return the sums of whole traces; with ``skew="off"`` also whether the clocks seem skewed."""
    failed = failed_chains(traces)
    return ErrorSums(
        tabulate(traces, by, roots=roots),
        tabulate_exceptions(traces, skew, policy),
        tabulate_edges(traces),
        tabulate_chains(traces, failed),
        tabulate_origins(traces, steps, customer, failed),
        skew == "off" and seem_skewed(traces),
    )


def tabulate(traces: TraceSet, by: By = _KEYS, *, roots: bool = False) -> Aggregate:
    """Return the additive table behind ``Errors.operations`` for whole traces."""
    rows = traces.forest.root_row if roots else np.arange(len(traces.columns.spans))
    rows = rows[~traces.is_inferred[rows] & ~is_open(traces.lookup)[rows]]
    columns = {name: codes.take(rows) for name, codes in columns_of(traces, by).items()}
    group, keys = group_codes({**columns, **class_column(traces, traces.forest.trace[rows])}, len(rows))
    groups, trace, weights = len(keys[WEIGHT_CLASS]), traces.forest.trace[rows], traces.weights.value
    sums = cluster_sums(group, trace, traces.is_error[rows], weights, groups)
    error_class, weight = traces.codes("error_class").codes[rows], weights[trace]
    for kind in _CLASSES:
        is_kind = error_class == kind
        sums[f"{ERROR_CLASSES[kind]}_count"] = sum_by(group[is_kind], weight[is_kind], groups)
    return Aggregate(keys, sums, Histogram.empty())


def summarise(tables: Sequence[Aggregate], by: Sequence[str] = _KEYS, *, confidence: float = 0.95) -> pd.DataFrame:
    """Return ``Errors.operations`` from the tables of one or more blocks."""
    fine = Aggregate.concatenate(tables).by([*by, WEIGHT_CLASS])
    total = fine.by(by)
    ratio = rates(fine.sums, fine.groups(by)[0], len(total), confidence=confidence)
    columns = {
        "span_count": total.sums["trial_count"],
        "error_count": total.sums["event_sum"],
        "error_ratio": ratio.ratio,
        "error_ratio_low": ratio.low,
        "error_ratio_high": ratio.high,
        **{name: total.sums[name] for name in ("fault_count", "client_count", "throttle_count", "unspecified_count")},
        "weight_sum": total.sums["trial_sum"],
    }
    frame = pd.DataFrame(total.keys | columns)
    return largest_first(frame, "error_count", "weight_sum")


def _against(now: pd.DataFrame, before: pd.DataFrame, keys: list[str], figures: list[str]) -> pd.DataFrame:
    """Return a table with its figures in the baseline, new rows first; the first figure is a count."""
    names = {name: f"baseline_{name}" for name in figures}
    found = now.merge(before[[*keys, *figures]].rename(columns=names), on=keys, how="left")
    for name, column in names.items():
        found[column] = found[column].fillna(0).astype(before[name].dtype)
    found["is_new"] = found[names[figures[0]]] == 0
    return found.sort_values(["is_new", figures[0]], ascending=False, kind="stable", ignore_index=True)
