"""Errors: error rates and error classes by operation, and exceptions.

Exception messages are reduced to templates (numbers, ids and quoted texts replaced), so that equal errors are grouped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.analysis.critical_path.compute import critical_path
from tracekit.analysis.error_flow import error_chains, error_edges
from tracekit.analysis.error_origins import error_origins
from tracekit.analysis.latency import class_column
from tracekit.arguments import check_traces
from tracekit.completeness import is_open
from tracekit.findings import Shown
from tracekit.grouping import columns_of, named
from tracekit.readable_tables import as_html
from tracekit.schema import ERROR_CLASSES, ErrorClass, Quality
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.grouping import group_codes, sum_by
from tracekit.stats.histograms import Histogram
from tracekit.stats.intervals import cluster_sums
from tracekit.stats.mover import WEIGHT_CLASS
from tracekit.stats.weighted_rates import rates
from tracekit.weights.known import Weighted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.columns import Array
    from tracekit.grouping import By, Key
    from tracekit.traces import TraceSet

_READ, _LONGEST = 2000, 300  # characters of a message that are read, and kept
_TEMPLATES = (
    (re.compile(r"\s+"), " "),
    (re.compile(r"(?i)\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r'"[^"]*"|`[^`]*`|(?<!\w)\'[^\']*\'(?!\w)'), "<text>"),
    (re.compile(r"(?i)\b0x[0-9a-f]+\b"), "<hex>"),
    (re.compile(r"(?i)\b(?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{6,}\b"), "<hex>"),
    (re.compile(r"\d+(?:[.:,]\d+)*"), "<n>"),
)
_CLASSES = (ErrorClass.FAULT, ErrorClass.CLIENT, ErrorClass.THROTTLE, ErrorClass.UNSPECIFIED)
_KEYS = ("service_name", "operation")
_EXCEPTION = ["service_name", "exception_type", "exception_message"]
_NO_TIME = np.iinfo(np.int64).min  # pandas' NaT


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
    traces: TraceSet,
    by: By = _KEYS,
    *,
    baseline: TraceSet | None = None,
    customer: Key | None = None,
    roots: bool = False,
    confidence: float = 0.95,
) -> Errors:
    """Return the error rate of each operation, where errors come from and where they end, and the exceptions.

    Parameters
    ----------
    traces
        The traces; not modified.
    by
        What to group ``operations`` by: columns of ``spans``, attribute keys, ``resource.<key>``, ``request.<name>``
        (one value per trace) or an aligned Series, see ``tracekit.grouping``; empty for one row of all spans.
    baseline
        Traces to compare exceptions and origins with: those that are new come first.  ``tk.compare`` compares error
        rates.
    customer
        What identifies a customer, such as ``app.tenant``, to count the customers that errors affect: the value of the
        root span of each request, else of the highest span with one; or a Series, as in ``by``.
    roots
        Use only root spans: error rates of requests.
    confidence
        Confidence level of the intervals.

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
    check_traces(traces, "errors")
    if baseline is not None:
        check_traces(baseline, "errors")
    operations = summarise([tabulate(traces, by, roots=roots)], list(named(by)), confidence=confidence)
    exceptions, origins = _exceptions(traces), error_origins(traces, customer, confidence=confidence)
    table = origins.table
    if baseline is not None:
        exceptions = _against(exceptions, _exceptions(baseline), _EXCEPTION, ["event_count", "trace_count"])
        table = _against(table, error_origins(baseline).table, list(_KEYS), ["request_count", "request_ratio"])
    return Errors(
        operations,
        exceptions,
        error_edges(traces),
        error_chains(traces),
        table,
        origins.over_time,
        traces.weights.statement,
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
    return frame.sort_values(["error_count", "weight_sum"], ascending=False, kind="stable", ignore_index=True)


def message_template(message: str) -> str:
    """Return the message with its variable parts replaced, so that similar messages are equal."""
    text = message[:_READ].strip()
    for pattern, replacement in _TEMPLATES:
        text = pattern.sub(replacement, text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _exceptions(traces: TraceSet) -> pd.DataFrame:
    """Return the exceptions grouped by service, type and message template."""
    events = traces.events
    shown = (events["name"] == "exception") | events["exception_type"].notna()
    span = events["span_row"].to_numpy(np.int64)
    events, span = events[shown], span[shown.to_numpy(bool)]
    visible = ~traces.is_inferred[span]
    events, span = events[visible], span[visible]
    messages = events["exception_message"].cat
    template = [message_template(str(message)) for message in messages.categories]
    started = traces.columns.spans.start_ns[span]
    known = (traces.columns.spans.quality[span] & Quality.NO_START) == 0
    time = events["time_ns"].fillna(pd.Series(started, index=events.index).where(known).astype("Int64"))
    frame = pd.DataFrame(
        {
            "service_name": traces.codes("service_name").take(span).series().astype(object),
            "exception_type": events["exception_type"].astype(object).to_numpy(),
            "exception_message": np.array([*template, None], object)[messages.codes],
            "time": pd.to_datetime(time.to_numpy(np.int64, na_value=_NO_TIME), utc=True),
            "trace": traces.forest.trace[span],
            "span": span,
            "path_time": _path_time_ns(traces)[span] if len(span) else np.zeros(0),
        }
    )
    return _grouped(frame.sort_values(["time", "span"], kind="stable"), traces)


def _grouped(frame: pd.DataFrame, traces: TraceSet) -> pd.DataFrame:
    """Return one row per service, type and template, from events in order of time."""
    kinds = frame.groupby(_EXCEPTION, sort=True, dropna=False)
    table = kinds.agg(
        event_count=("span", "size"),
        trace_count=("trace", "nunique"),
        first_time=("time", "min"),
        last_time=("time", "max"),
        path_time_ns=("path_time", "mean"),
        trace=("trace", "first"),
        span=("span", "first"),
    ).reset_index()
    table["exemplar_trace_id"] = [traces.trace_ids[at] for at in table.pop("trace")]
    ids = traces.columns.spans.span_id
    table["exemplar_span_id"] = [f"{int(ids[at]):016x}" for at in table.pop("span")]
    return table.sort_values("event_count", ascending=False, kind="stable", ignore_index=True)


def _path_time_ns(traces: TraceSet) -> Array:
    """Return the critical-path time of every span with all spans below it."""
    path = critical_path(traces)
    return np.asarray(path.total_ns[: path.tree.span_count])


def _against(now: pd.DataFrame, before: pd.DataFrame, keys: list[str], figures: list[str]) -> pd.DataFrame:
    """Return a table with its figures in the baseline, new rows first; the first figure is a count."""
    names = {name: f"baseline_{name}" for name in figures}
    found = now.merge(before[[*keys, *figures]].rename(columns=names), on=keys, how="left")
    for name, column in names.items():
        found[column] = found[column].fillna(0).astype(before[name].dtype)
    found["is_new"] = found[names[figures[0]]] == 0
    return found.sort_values(["is_new", figures[0]], ascending=False, kind="stable", ignore_index=True)
