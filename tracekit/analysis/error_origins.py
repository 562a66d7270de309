"""Origins of errors: the operations in which errors begin, whom they affect, and how often over time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.error_flow import failed_chains
from tracekit.analysis.latency import class_column
from tracekit.analysis.occurrences import Firsts, Occurrences
from tracekit.analysis.partials import check_names, over_parts
from tracekit.analysis.timeline.steps import period_of, places_of, step_of, steps_of
from tracekit.grouping import REQUEST, columns_of
from tracekit.schema import ERROR_CLASSES, ErrorClass, Quality
from tracekit.stats.aggregates import Aggregate, steady
from tracekit.stats.grouping import dense_codes, group_codes, sum_by
from tracekit.stats.histograms import Histogram
from tracekit.stats.mover import WEIGHT_CLASS
from tracekit.stats.weighted_rates import rates
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.error_flow import FailedChains
    from tracekit.columns import Array
    from tracekit.grouping import Key
    from tracekit.parts import On, Parts
    from tracekit.stats.intervals import Ratio

KEYS: Final = ["service_name", "operation"]
_ENTRY: Final = {"entry_service": "service_name", "entry_operation": "operation"}
_STEP: Final = "step"  # number of the step of time in which a request began, -1 without a start
_CUSTOMER: Final = "customer"
_CLASSES: Final = (ErrorClass.FAULT, ErrorClass.CLIENT, ErrorClass.THROTTLE, ErrorClass.UNSPECIFIED)
_FOLLOWED: Final = 20  # origins over time


class ErrorOrigins(NamedTuple):
    """Origins of errors as tables; see ``errors.Errors``."""

    table: pd.DataFrame
    over_time: pd.DataFrame


class Steps(NamedTuple):
    """Steps of time: the start of the first one and their length, in ns, and how many there are."""

    first_ns: int
    step_ns: int
    steps: int

    @classmethod
    def of(cls, traces: TraceSet | Parts) -> Steps:
        """Return the steps of a recording: those of ``tk.timeline``."""
        if isinstance(traces, TraceSet):
            root, spans = traces.forest.root_row, traces.columns.spans
            period = period_of(spans.start_ns[root][(spans.quality[root] & Quality.NO_START) == 0])
        else:
            period = traces.period_ns
        step = step_of(period, None)
        first, count = steps_of(period, step)
        return cls(first, step, count)


class OriginSums(NamedTuple):
    """Origins of errors in sums.

    Parameters
    ----------
    origins
        By origin and endpoint: errors and affected requests.
    affected
        By origin, step and weight class: weights of the affected requests.
    requests
        By step and weight class: all requests.
    customers
        By origin and customer: affected requests; None without a name of a customer.
    everyone
        By customer: all requests; likewise.
    """

    origins: Occurrences
    affected: Aggregate
    requests: Aggregate
    customers: Aggregate | None = None
    everyone: Aggregate | None = None

    def __add__(self, other: OriginSums) -> OriginSums:  # type: ignore[override]  # not that of a tuple
        """Return the sums of the requests of both."""
        return OriginSums(
            self.origins + other.origins,
            _both(self.affected, other.affected),
            _both(self.requests, other.requests),
            _both_known(self.customers, other.customers),
            _both_known(self.everyone, other.everyone),
        )


def _both(first: Aggregate, second: Aggregate) -> Aggregate:
    """Return the sums of two tables."""
    return Aggregate.concatenate([first, second]).by(list(first.keys))


def _both_known(first: Aggregate | None, second: Aggregate | None) -> Aggregate | None:
    """Return the sums of two tables, None if there are none."""
    return None if first is None or second is None else _both(first, second)


class _Affected(NamedTuple):
    """Requests with an error of an origin, one entry per origin and trace."""

    origin: Array
    trace: Array
    reaches_root: Array


def error_origins(
    traces: TraceSet | Parts, customer: Key | None = None, *, confidence: float = 0.95, on: On = None
) -> ErrorOrigins:
    """Return the operations in which errors begin, with the requests, endpoints and customers that they affect.

    Parameters
    ----------
    traces
        Any traces.  A store is read part by part.
    customer
        Name of what identifies a customer, such as ``app.tenant``: the value of the root span of a request, else that
        of the highest span with one; or an aligned Series (not with a store).
    confidence
        Confidence level of the intervals.
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

    Returns
    -------
    ErrorOrigins
        ``.table``: most affected requests first; ``.over_time``: the first 20 origins by time.

    Notes
    -----
    The origin of an error is a failed span without a failed child, as in ``error_flow.error_chains``.  Between the
    parts of a store it keeps one row per origin and endpoint, one per origin, step and weight class, and with
    ``customer`` one per customer, however many there are: they are counted exactly.

    Examples
    --------
    >>> found = error_origins(shop).table
    >>> found[["operation", "error_count", "request_count", "failed_request_count"]].to_numpy().tolist()
    [['POST /charge', 2.0, 2.0, 1.0]]
    """
    check_names(traces, () if customer is None else customer)
    steps = Steps.of(traces)
    state = partial(tabulate_origins, steps=steps, customer=customer)
    return origins_of(over_parts(traces, state, OriginSums.__add__, on=on).state, steps, confidence=confidence)


def tabulate_origins(
    traces: TraceSet, steps: Steps, customer: Key | None = None, failed: FailedChains | None = None
) -> OriginSums:
    """Return the additive tables behind ``error_origins`` for whole traces.

    ``failed``: ``failed_chains(traces)``, if known.
    """
    chains = failed_chains(traces) if failed is None else failed
    row = chains.rows[chains.origin]
    origin, keys = group_codes({name: traces.codes(name).take(row) for name in KEYS}, len(row))
    trace, count = traces.forest.trace[row].astype(np.int64), int(origin.max(initial=-1)) + 1
    cell, pairs = dense_codes(origin * max(len(traces), 1) + trace, max(count * len(traces), 1))
    reaches = sum_by(cell, traces.forest.is_root[chains.top], len(pairs)) > 0
    found = _Affected(pairs // max(len(traces), 1), pairs % max(len(traces), 1), reaches)
    origins = _by_endpoint(traces, row, cell, found, keys)
    affected, requests = _by_step(traces, found, keys, steps)
    if customer is None:
        return OriginSums(origins, affected, requests)
    return OriginSums(origins, affected, requests, *_by_customer(traces, found, keys, customer))


def _by_endpoint(traces: TraceSet, row: Array, cell: Array, found: _Affected, keys: dict[str, Array]) -> Occurrences:
    """Return errors and affected requests by origin and endpoint; ``cell`` is the entry of ``found`` of each error."""
    root, weights, spans = traces.forest.root_row, traces.weights.value, traces.columns.spans
    entry = {name: traces.codes(column).take(root[found.trace]) for name, column in _ENTRY.items()}
    group, names = group_codes({**_columns(keys, found.origin), **entry}, len(found.trace))
    groups = int(group.max(initial=-1)) + 1
    weight, kind, of_error = weights[traces.forest.trace[row]], traces.codes("error_class").codes[row], group[cell]
    sums = {
        "error_count": sum_by(of_error, weight, groups),
        **{f"{ERROR_CLASSES[one]}_count": sum_by(of_error, weight * (kind == one), groups) for one in _CLASSES},
        "trace_count": np.bincount(group, minlength=groups),
        "request_count": sum_by(group, weights[found.trace], groups),
        "failed_request_count": sum_by(group, weights[found.trace] * found.reaches_root, groups),
    }
    is_known = (spans.quality[row] & Quality.NO_START) == 0
    return Occurrences.of(names, sums, Firsts.of(traces, of_error, row, groups, spans.start_ns[row], is_known))


def _columns(keys: dict[str, Array], number: Array) -> dict[str, tuple[Array, Sequence[str]]]:
    """Return the labels of groups at some entries as columns; missing ones stay missing."""
    coded = {name: pd.factorize(labels, sort=True) for name, labels in keys.items()}
    return {name: (codes[number], labels.tolist()) for name, (codes, labels) in coded.items()}


def _by_step(traces: TraceSet, found: _Affected, keys: dict[str, Array], steps: Steps) -> tuple[Aggregate, Aggregate]:
    """Return affected requests by origin, step and weight class, and all requests by the latter two."""
    spans, root, weights = traces.columns.spans, traces.forest.root_row, traces.weights.value
    dated = (spans.quality[root] & Quality.NO_START) == 0
    place = np.where(dated, places_of(spans.start_ns[root], steps.first_ns, steps.step_ns), -1)
    code, number = pd.factorize(place)
    step = {_STEP: (code, number.tolist())}
    of_trace = {**step, **class_column(traces, np.arange(len(traces)))}
    both = {
        name: (codes[found.trace] if len(codes) > 1 else codes, labels) for name, (codes, labels) in of_trace.items()
    }
    tables = []
    for columns, trace in (({**_columns(keys, found.origin), **both}, found.trace), (of_trace, np.arange(len(traces)))):
        group, names = group_codes(columns, len(trace))
        groups, weight = int(group.max(initial=-1)) + 1, weights[trace]
        sums = {"count": np.bincount(group, minlength=groups), "weight": sum_by(group, weight, groups)}
        sums |= {"square": sum_by(group, weight**2, groups)}
        tables.append(Aggregate(names, sums, Histogram.empty()).by(list(names)))
    return tables[0], tables[1]


def _by_customer(
    traces: TraceSet, found: _Affected, keys: dict[str, Array], customer: Key
) -> tuple[Aggregate, Aggregate]:
    """Return affected requests by origin and customer, and all requests by customer."""
    name = f"{REQUEST}{customer.removeprefix(REQUEST)}" if isinstance(customer, str) else customer
    (codes,) = columns_of(traces, name).values()
    who = codes.take(traces.forest.root_row)
    known = who.codes[found.trace] >= 0
    affected = {**_columns(keys, found.origin[known]), _CUSTOMER: who.take(found.trace[known])}
    every = {_CUSTOMER: who.take(np.flatnonzero(who.codes >= 0))}
    tables = []
    for columns in (affected, every):
        group, names = group_codes(columns, len(columns[_CUSTOMER][0]))
        sums = {"count": np.bincount(group, minlength=int(group.max(initial=-1)) + 1)}
        tables.append(Aggregate(names, sums, Histogram.empty()).by(list(names)))
    return tables[0], tables[1]


def origins_of(sums: OriginSums, steps: Steps, *, confidence: float = 0.95) -> ErrorOrigins:
    """Return the origins of errors from the sums of all parts."""
    total = sums.origins.by(KEYS)
    keys, figures = total.table.keys, total.table.sums
    owner, _ = sums.origins.table.groups(KEYS)
    everywhere = _shares(sums, keys, np.arange(len(total.table)), None, confidence)
    table = pd.DataFrame(keys, index=pd.RangeIndex(len(total.table)), dtype=object).assign(
        error_count=figures["error_count"],
        **{name: figures[name] for one in _CLASSES for name in [f"{ERROR_CLASSES[one]}_count"]},
        trace_count=figures["trace_count"],
        request_count=figures["request_count"],
        request_ratio=everywhere.ratio,
        request_ratio_low=everywhere.low,
        request_ratio_high=everywhere.high,
        failed_request_count=figures["failed_request_count"],
        endpoint_count=np.bincount(owner, minlength=len(total.table)),
        **total.firsts.times,
        **total.firsts.exemplars,
    )
    table = _with_customers(table, sums)
    order = np.lexsort([-steady(table[name].to_numpy()) for name in ("error_count", "request_count")])
    over_time = _over_time(sums, table, order[:_FOLLOWED], steps, confidence)
    return ErrorOrigins(table.take(order).reset_index(drop=True), over_time)


def _with_customers(table: pd.DataFrame, sums: OriginSums) -> pd.DataFrame:
    """Add the customers with an affected request: ``customer_count``, and their share of all: ``customer_ratio``."""
    if sums.customers is None or sums.everyone is None:
        return table
    number = {key: at for at, key in enumerate(table[KEYS].itertuples(index=False, name=None))}
    found = zip(*(sums.customers.keys[name] for name in KEYS), strict=True)
    count = np.bincount([number[key] for key in found], minlength=len(table)).astype(np.int64)
    everyone = len(sums.everyone)
    return table.assign(customer_count=count, customer_ratio=count / everyone if everyone else np.nan)


def _over_time(sums: OriginSums, table: pd.DataFrame, chosen: Array, steps: Steps, confidence: float) -> pd.DataFrame:
    """Return one row per origin and step of time."""
    keys = {name: table[name].to_numpy(object) for name in KEYS}
    share = _shares(sums, keys, chosen, steps.steps, confidence)
    owner, place, dated = _places(sums.affected, keys, chosen, steps.steps)
    count = sum_by((owner * steps.steps + place)[dated], sums.affected.sums["weight"][dated], len(chosen) * steps.steps)
    starts = np.tile(steps.first_ns + np.arange(steps.steps, dtype=np.int64) * steps.step_ns, len(chosen))
    labels = table[KEYS].take(np.repeat(chosen, steps.steps)).reset_index(drop=True)
    return labels.assign(
        start_ns=starts,
        start_time=pd.to_datetime(starts, utc=True),
        request_count=count,
        request_ratio=share.ratio,
        request_ratio_low=share.low,
        request_ratio_high=share.high,
    )


def _places(
    affected: Aggregate, keys: dict[str, Array], chosen: Array, steps: int | None
) -> tuple[Array, Array, Array]:
    """Return for each group the position of its origin among the chosen, its step, and whether it has both."""
    number = {key: at for at, key in enumerate(zip(*(keys[name][chosen] for name in KEYS), strict=True))}
    origin = np.array([number.get(key, -1) for key in zip(*(affected.keys[name] for name in KEYS), strict=True)], int)
    step = affected.keys[_STEP].astype(np.int64) if steps is not None else np.zeros(len(affected), np.int64)
    return origin, step, (origin >= 0) & (step >= 0)


def _shares(sums: OriginSums, keys: dict[str, Array], chosen: Array, steps: int | None, confidence: float) -> Ratio:
    """Return the share of affected requests of each chosen origin, in each step or (None) in all."""
    columns = [WEIGHT_CLASS] if steps is None else [_STEP, WEIGHT_CLASS]
    requests = sums.requests if steps is None else sums.requests.where(sums.requests.keys[_STEP].astype(int) >= 0)
    requests, affected = requests.by(columns), sums.affected.by([*KEYS, *columns])
    number = {key: at for at, key in enumerate(zip(*(requests.keys[name] for name in columns), strict=True))}
    origin, _, used = _places(affected, keys, chosen, steps)
    cell = np.array([number.get(key, -1) for key in zip(*(affected.keys[name] for name in columns), strict=True)], int)
    cells, places, origins = len(requests), 1 if steps is None else steps, len(chosen)
    event = (origin * cells + cell)[used]
    place = np.zeros(cells, np.int64) if steps is None else requests.keys[_STEP].astype(np.int64)
    count, total, square = (np.tile(requests.sums[name], origins) for name in ("count", "weight", "square"))
    affected_square = sum_by(event, affected.sums["square"][used], origins * cells)
    tables = {
        "cluster_count": count,
        "trial_count": count,
        "trial_sum": total,
        "event_sum": sum_by(event, affected.sums["weight"][used], origins * cells),
        "weight_square": square,
        "trial_square": square,
        "trial_event": affected_square,
        "event_square": affected_square,
    }
    owners = (np.arange(origins)[:, None] * places + place).ravel()
    return rates(tables, owners, origins * places, confidence=confidence)
