"""Origins of errors: the operations in which errors begin, whom they affect, and how often over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.error_flow import failed_chains
from tracekit.analysis.timeline.steps import period_of, places_of, step_of, steps_of
from tracekit.grouping import REQUEST, columns_of
from tracekit.schema import ERROR_CLASSES, ErrorClass, Quality
from tracekit.stats.grouping import dense_codes, distinct_by, group_rows, sum_by
from tracekit.stats.mover import class_cells, weight_classes
from tracekit.stats.weighted_rates import rates

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.grouping import Key
    from tracekit.stats.intervals import Ratio
    from tracekit.traces import TraceSet

KEYS: Final = ["service_name", "operation"]
_CLASSES: Final = (ErrorClass.FAULT, ErrorClass.CLIENT, ErrorClass.THROTTLE, ErrorClass.UNSPECIFIED)
_FOLLOWED: Final = 20  # origins over time
_NO_TIME: Final = np.iinfo(np.int64).min  # pandas' NaT


class ErrorOrigins(NamedTuple):
    """Origins of errors as tables; see ``errors.Errors``."""

    table: pd.DataFrame
    over_time: pd.DataFrame


class _Affected(NamedTuple):
    """Requests with an error of an origin, one entry per origin and trace."""

    origin: Array
    trace: Array
    reaches_root: Array


def error_origins(traces: TraceSet, customer: Key | None = None, *, confidence: float = 0.95) -> ErrorOrigins:
    """Return the operations in which errors begin, with the requests, endpoints and customers that they affect.

    Parameters
    ----------
    traces
        Any traces.
    customer
        Name of what identifies a customer, such as ``app.tenant``: the value of the root span of a request, else that
        of the highest span with one; or an aligned Series.
    confidence
        Confidence level of the intervals.

    Returns
    -------
    ErrorOrigins
        ``.table``: most affected requests first; ``.over_time``: the first 20 origins by time.

    Notes
    -----
    The origin of an error is a failed span without a failed child, as in ``error_flow.error_chains``.

    Examples
    --------
    >>> found = error_origins(shop).table
    >>> found[["operation", "error_count", "request_count", "failed_request_count"]].to_numpy().tolist()
    [['POST /charge', 2.0, 2.0, 1.0]]
    """
    chains = failed_chains(traces)
    row = chains.rows[chains.origin]
    origin, keys = group_rows({name: traces.codes(name).take(row) for name in KEYS}, len(row))
    trace = traces.forest.trace[row].astype(np.int64)
    cell, pairs = dense_codes(origin * max(len(traces), 1) + trace, max(len(keys) * len(traces), 1))
    reaches = sum_by(cell, traces.forest.is_root[chains.top], len(pairs)) > 0
    found = _Affected(pairs // max(len(traces), 1), pairs % max(len(traces), 1), reaches)
    table = _table(traces, row, origin, keys, found, confidence)
    if customer is not None:
        table = _with_customers(traces, table, found, customer)
    order = table.sort_values(["request_count", "error_count", *KEYS], ascending=[False, False, True, True]).index
    return ErrorOrigins(
        table.loc[order].reset_index(drop=True),
        _over_time(traces, keys, found, order.to_numpy(np.int64)[:_FOLLOWED], confidence),
    )


def _table(
    traces: TraceSet, row: Array, origin: Array, keys: pd.DataFrame, found: _Affected, confidence: float
) -> pd.DataFrame:
    """Return one row per origin; ``row`` and ``origin`` are those of every error."""
    origins, weights = len(keys), traces.weights.value
    weight, kind = weights[traces.forest.trace[row]], traces.codes("error_class").codes[row]
    classes = {f"{ERROR_CLASSES[one]}_count": sum_by(origin, weight * (kind == one), origins) for one in _CLASSES}
    everywhere = np.zeros(len(traces), np.int64)
    share = _affected(found, origins, everywhere, 1, weights, confidence)
    root, spans = traces.forest.root_row, traces.columns.spans
    endpoint, _ = group_rows({name: traces.codes(name).take(root) for name in KEYS}, len(root))
    known = (spans.quality[row] & Quality.NO_START) == 0
    dated = pd.Series(spans.start_ns[row], dtype="Int64").where(known).groupby(origin)
    order = np.lexsort((row, spans.start_ns[row], origin))
    first = row[order[np.flatnonzero(np.diff(origin[order], prepend=-1))]]
    return keys.assign(
        error_count=sum_by(origin, weight, origins),
        **classes,
        trace_count=np.bincount(found.origin, minlength=origins),
        request_count=sum_by(found.origin, weights[found.trace], origins),
        request_ratio=share.ratio,
        request_ratio_low=share.low,
        request_ratio_high=share.high,
        failed_request_count=sum_by(found.origin, weights[found.trace] * found.reaches_root, origins),
        endpoint_count=distinct_by(found.origin, endpoint[found.trace], origins),
        first_time=_moments(dated.min()),
        last_time=_moments(dated.max()),
        exemplar_trace_id=[traces.trace_ids[at] for at in traces.forest.trace[first]],
        exemplar_span_id=[f"{int(spans.span_id[at]):016x}" for at in first],
    )


def _moments(times_ns: pd.Series) -> pd.DatetimeIndex:
    """Return times in UTC; missing where the time is."""
    return pd.to_datetime(times_ns.to_numpy(np.int64, na_value=_NO_TIME), utc=True)


def _with_customers(traces: TraceSet, table: pd.DataFrame, found: _Affected, customer: Key) -> pd.DataFrame:
    """Add the customers with an affected request: ``customer_count``, and their share of all: ``customer_ratio``."""
    name = f"{REQUEST}{customer.removeprefix(REQUEST)}" if isinstance(customer, str) else customer
    (codes,) = columns_of(traces, name).values()
    who = codes.take(traces.forest.root_row).codes
    known = who[found.trace] >= 0
    count = distinct_by(found.origin[known], who[found.trace[known]], len(table))
    everyone = len(np.unique(who[who >= 0]))
    return table.assign(customer_count=count, customer_ratio=count / everyone if everyone else np.nan)


def _over_time(
    traces: TraceSet, keys: pd.DataFrame, found: _Affected, chosen: Array, confidence: float
) -> pd.DataFrame:
    """Return one row per origin and step of time; the steps are those of ``tk.timeline``."""
    spans, root = traces.columns.spans, traces.forest.root_row
    dated = (spans.quality[root] & Quality.NO_START) == 0
    start = spans.start_ns[root]
    period = period_of(start[dated])
    step = step_of(period, None)
    begin, steps = steps_of(period, step)
    place = np.where(dated, places_of(start, begin, step), -1)
    number = np.full(len(keys), -1, np.int64)
    number[chosen] = np.arange(len(chosen))
    kept = (number[found.origin] >= 0) & dated[found.trace]
    followed = _Affected(number[found.origin[kept]], found.trace[kept], found.reaches_root[kept])
    weights = traces.weights.value
    share = _affected(followed, len(chosen), place, steps, weights, confidence)
    at = followed.origin * steps + place[followed.trace]
    starts = np.tile(begin + np.arange(steps, dtype=np.int64) * step, len(chosen))
    labels = keys.take(np.repeat(chosen, steps)).reset_index(drop=True)
    return labels.assign(
        start_ns=starts,
        start_time=pd.to_datetime(starts, utc=True),
        request_count=sum_by(at, weights[followed.trace], len(starts)),
        request_ratio=share.ratio,
        request_ratio_low=share.low,
        request_ratio_high=share.high,
    )


def _affected(found: _Affected, origins: int, place: Array, places: int, weights: Array, confidence: float) -> Ratio:
    """Return the share of affected requests of each origin and place; traces with place -1 do not count."""
    codes, labels = weight_classes(weights)
    trace = np.flatnonzero(place >= 0)
    cell, owner, _ = class_cells(place[trace], codes[trace], len(labels))
    cells = len(owner)
    of_trace = np.zeros(len(place), np.int64)
    of_trace[trace] = cell
    event = found.origin * cells + of_trace[found.trace]
    count, total, square = (
        np.tile(sum_by(cell, value, cells), origins) for value in (1.0, weights[trace], weights[trace] ** 2)
    )
    squares = sum_by(event, weights[found.trace] ** 2, origins * cells)
    sums = {
        "cluster_count": count,
        "trial_count": count,
        "trial_sum": total,
        "event_sum": sum_by(event, weights[found.trace], origins * cells),
        "weight_square": square,
        "trial_square": square,
        "trial_event": squares,
        "event_square": squares,
    }
    owners = (np.arange(origins)[:, None] * places + owner).ravel()
    return rates(sums, owners, origins * places, confidence=confidence)
