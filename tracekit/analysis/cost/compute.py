"""What requests cost, from a price table of spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.cost.caching import cacheable
from tracekit.analysis.cost.plans import plan_costs
from tracekit.analysis.cost.prices import XRAY_RECORDED, price_table
from tracekit.analysis.cost.result import Cost
from tracekit.analysis.siblings import in_a_row, siblings
from tracekit.arguments import check_traces
from tracekit.findings import Estimate
from tracekit.grouping import columns_of
from tracekit.schema import Quality
from tracekit.stats.grouping import group_rows, sum_by
from tracekit.stats.ratio_means import ratio_means
from tracekit.stats.weighted_means import mean_limits
from tracekit.traces import matching_spans

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from tracekit.analysis.cost.prices import Price
    from tracekit.analysis.siblings import Siblings
    from tracekit.columns import Array
    from tracekit.grouping import By
    from tracekit.traces import TraceSet

_HOUR_NS: Final = 3.6e12
_MONTH_NS: Final = 30 * 86_400e9
_NOTHING: Final = 1e-30  # US dollars
_GB: Final = 2**30  # bytes, as functions are billed
_KEYS: Final = ("service_name", "operation")


class _Charges(NamedTuple):
    """What every span costs, and what is not known."""

    usd: Array
    is_charged: Array
    is_unpriced: Array


def cost(
    traces: TraceSet,
    prices: Sequence[Price | str],
    *,
    by: By = _KEYS,
    plans: Mapping[str, Any] | None = None,
    cache_ttl_s: float = 60,
    xray_usd_per_million: float = XRAY_RECORDED,
    confidence: float = 0.95,
) -> Cost:
    """Return what requests cost, by endpoint, tenant or path, from the prices of the calls they make.

    Parameters
    ----------
    traces
        The traces; known sampling weights are used.
    prices
        Price table: ``tk.Price(name, where, ...)``, the name of a list: ``aws-lambda`` (list prices of January 2025),
        or the path of a TOML file (``[[price]]``, then ``name = "bank"``, ``where = "name == 'charge'"``,
        ``usd_per_million = 900``).  A span that several prices match is charged by each.
    by
        What to group requests by: columns of ``spans`` and attributes of the root span, ``resource.<key>``,
        ``request.<name>`` (one value per trace) or an aligned Series, see ``tracekit.grouping``.
    plans
        Sets of sampling rules by name, as for ``tk.plan_sampling``: what tracing would cost with each.
    cache_ttl_s
        How long a cache keeps an answer, in seconds, for ``Cost.cacheable``.
    xray_usd_per_million
        Price of recording a million traces.
    confidence
        Confidence level of the intervals.

    Returns
    -------
    Cost
        ``.table``, ``.items``, ``.repeated``, ``.cacheable``, ``.plans``, ``.per_request``, ``.usd_per_month``,
        ``.tracing_usd_per_month``.

    Raises
    ------
    ValueError
        No prices, an unknown list, a negative price, a name twice, a condition with an unknown name, a ``cache_ttl_s``
        of 0 or less, or rules that ``tk.plan_sampling`` cannot use.

    Notes
    -----
    Durations are those of the spans, not the billed ones (AWS Lambda rounds up to 1 ms and bills the initialization of
    some runtimes). Free tiers and discounts are not applied. Months have 30 days at the request rate of the recording.

    Examples
    --------
    >>> found = tk.cost(shop, [tk.Price("charges", "operation == 'POST /charge'", usd_per_million=900)])
    >>> found.table[["operation", "request_count", "usd_per_request"]].to_numpy().tolist()
    [['POST /pay', 4.0, 0.001125], ['GET /cart', 1.0, 0.0]]
    """
    check_traces(traces, "cost")
    if not cache_ttl_s > 0:
        raise ValueError(f"expected cache_ttl_s above 0 seconds, found {cache_ttl_s!r}")
    items = price_table(prices)
    charges = [_charges(traces, price) for price in items]
    total = np.sum([charge.usd for charge in charges], axis=0)
    weights, trace = traces.weights.value, traces.forest.trace
    each = sum_by(trace, total, len(traces))
    columns = {name: codes.take(traces.forest.root_row) for name, codes in columns_of(traces, by).items()}
    group, keys = group_rows(columns, len(traces))
    everyone = np.arange(len(traces))
    mean, low, high = _means(group, everyone, each, weights, len(keys), confidence)
    spent = sum_by(group, weights * each, len(keys))
    table = keys.assign(
        request_count=sum_by(group, weights, len(keys)),
        usd=spent,
        usd_per_request=mean,
        usd_per_request_low=low,
        usd_per_request_high=high,
        usd_ratio=_share_of(spent),
    )
    whole = _means(np.zeros(len(traces), np.int64), everyone, each, weights, 1, confidence)
    months, tracing_usd = _months(traces), xray_usd_per_million / 1e6
    calls, below = siblings(traces), _with_descendants(traces, total)
    return Cost(
        table.sort_values(["usd", "request_count"], ascending=False, kind="stable", ignore_index=True),
        _items(traces, items, charges),
        _repeated(traces, calls, below),
        cacheable(traces, calls, below, cache_ttl_s),
        plan_costs(traces, plans, tracing_usd, months),
        Estimate(float(whole[0][0]), "usd", float(whole[1][0]), float(whole[2][0]), len(traces)),
        float(spent.sum()) / months,
        len(traces) * tracing_usd / months,
        traces.weights.statement,
    )


def _charges(traces: TraceSet, price: Price) -> _Charges:
    """Return what one price charges every span."""
    charged = matching_spans(traces, price.where) & ~traces.is_inferred
    hours = np.where(traces.has_duration, traces.duration_ns, 0) / _HOUR_NS
    memory, has_memory = traces.lookup.resources_by_key.numbers_of(("faas.max_memory",))
    resource = traces.columns.spans.resource
    gigabytes, is_sized = np.where(has_memory, memory, 0)[resource] / _GB, has_memory[resource]
    rate = price.usd_per_million / 1e6 + hours * price.usd_per_hour + hours * gigabytes * price.usd_per_gb_hour
    is_timed = bool(price.usd_per_hour or price.usd_per_gb_hour)
    unknown = (is_timed & ~traces.has_duration) | (bool(price.usd_per_gb_hour) & ~is_sized)
    return _Charges(np.where(charged, rate, 0.0), charged, charged & unknown)


def _means(
    group: Array, trace: Array, value: Array, weights: Array, groups: int, confidence: float
) -> tuple[Array, Array, Array]:
    """Return the mean per request by group, with limits."""
    mean, moments = ratio_means(group, trace, value, weights, groups)
    return mean, *mean_limits(mean, moments, confidence=confidence)


def _items(traces: TraceSet, prices: Sequence[Price], charges: Sequence[_Charges]) -> pd.DataFrame:
    """Return one row per price."""
    weight = traces.weights.value[traces.forest.trace]
    took = np.where(traces.has_duration, traces.duration_ns, 0)
    rows = [
        (
            price.name,
            float(weight[charge.is_charged].sum()),
            float((weight * took)[charge.is_charged].sum()),
            float((weight * charge.usd).sum()),
            int(charge.is_unpriced.sum()),
        )
        for price, charge in zip(prices, charges, strict=True)
    ]
    table = pd.DataFrame(rows, columns=["item", "call_count", "duration_ns", "usd", "unpriced_count"])
    table.insert(4, "usd_ratio", _share_of(table["usd"].to_numpy()))
    return table.sort_values("usd", ascending=False, kind="stable", ignore_index=True)


def _repeated(traces: TraceSet, found: Siblings, below: Array) -> pd.DataFrame:
    """Return the calls in a row that cost something, and what one call instead would have saved."""
    at = in_a_row(traces, found)
    row = found.row[found.first[at]]
    weight = traces.weights.value[traces.forest.trace[row]]
    calls, spent = found.call_count[at], found.sum(below[found.row])[at]
    columns = {name: traces.codes(name).take(row) for name in _KEYS} | {"callee_service": found.callee.take(row)}
    group, keys = group_rows(columns, len(row))
    table = keys.assign(
        call_count=sum_by(group, weight * calls, len(keys)),
        usd=sum_by(group, weight * spent, len(keys)),
        saved_usd=sum_by(group, weight * spent * (1 - 1 / np.maximum(calls, 1)), len(keys)),
    )
    table = table[table["usd"] > 0]
    return table.sort_values("saved_usd", ascending=False, kind="stable", ignore_index=True)


def _share_of(amount: Array) -> Array:
    """Return the shares of the sum; 0 where there is nothing, or too little to divide."""
    total = amount.sum()
    return np.asarray(amount / total if total > _NOTHING else np.zeros(len(amount)))


def _with_descendants(traces: TraceSet, value: Array) -> Array:
    """Return the sum of a value over each span and all spans below it."""
    order, end = traces.forest.preorder, traces.forest.subtree_end
    total = np.concatenate([[0.0], np.cumsum(value[order])])
    sums = np.empty(len(value))
    sums[order] = total[end] - total[:-1]
    return sums


def _months(traces: TraceSet) -> float:
    """Return the length of the recording in months of 30 days; NaN without times."""
    spans, root = traces.columns.spans, traces.forest.root_row
    start = spans.start_ns[root[(spans.quality[root] & Quality.NO_START) == 0]]
    length = float(np.ptp(start)) if len(start) else 0.0
    return length / _MONTH_NS if length else float("nan")
