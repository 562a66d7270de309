"""What requests cost, from a price table of spans."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.cost.caching import Reads, cacheable, tabulate_reads
from tracekit.analysis.cost.plans import plan_costs
from tracekit.analysis.cost.prices import XRAY_RECORDED, price_table
from tracekit.analysis.cost.result import Cost
from tracekit.analysis.partials import check_names, largest_first, over_parts
from tracekit.analysis.siblings import in_a_row, siblings
from tracekit.arguments import check_traces
from tracekit.findings import Estimate
from tracekit.grouping import columns_of
from tracekit.schema import Quality
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.grouping import group_codes, positions, sum_by
from tracekit.stats.histograms import Histogram
from tracekit.stats.mover import NO_CLASS, WEIGHT_CLASS
from tracekit.stats.ratio_means import Cells, mean_of, moments_of
from tracekit.stats.weighted_means import mean_limits
from tracekit.traces import matching_spans

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from tracekit.analysis.cost.prices import Price
    from tracekit.analysis.siblings import Siblings
    from tracekit.columns import Array
    from tracekit.grouping import By
    from tracekit.parts import On, Parts
    from tracekit.traces import TraceSet

_HOUR_NS: Final = 3.6e12
_MONTH_NS: Final = 30 * 86_400e9
_NOTHING: Final = 1e-30  # US dollars
_GB: Final = 2**30  # bytes, as functions are billed
_KEYS: Final = ("service_name", "operation")
_WHOLE: Final = "\0all"  # the key column that tells all requests from groups; no name of a user
_LATEST, _EARLIEST = int(np.iinfo(np.int64).max), int(np.iinfo(np.int64).min)


class _Charges(NamedTuple):
    """What every span costs, and what is not known."""

    usd: Array
    is_charged: Array
    is_unpriced: Array


def cost(
    traces: TraceSet | Parts,
    prices: Sequence[Price | str],
    *,
    by: By = _KEYS,
    plans: Mapping[str, Any] | None = None,
    cache_ttl_s: float = 60,
    xray_usd_per_million: float = XRAY_RECORDED,
    confidence: float = 0.95,
    on: On = None,
) -> Cost:
    """Return what requests cost, by endpoint, tenant or path, from the prices of the calls they make.

    Parameters
    ----------
    traces
        The traces; known sampling weights are used.  A store is read part by part, twice: the intervals need the means
        first.  Between the parts it keeps about 100 bytes for every text of a cacheable read and ``cache_ttl_s``.
    prices
        Price table: ``tk.Price(name, where, ...)``, the name of a list: ``aws-lambda`` (list prices of January 2025),
        or the path of a TOML file (``[[price]]``, then ``name = "bank"``, ``where = "name == 'charge'"``,
        ``usd_per_million = 900``).  A span that several prices match is charged by each.
    by
        What to group requests by: columns of ``spans`` and attributes of the root span, ``resource.<key>``,
        ``request.<name>`` (one value per trace) or an aligned Series (not with a store), see ``tracekit.grouping``.
    plans
        Sets of sampling rules by name, as for ``tk.plan_sampling``: what tracing would cost with each.  A store is read
        twice more for them.
    cache_ttl_s
        How long a cache keeps an answer, in seconds, for ``Cost.cacheable``.
    xray_usd_per_million
        Price of recording a million traces.
    confidence
        Confidence level of the intervals.
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

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
    check_names(traces, by)
    if not cache_ttl_s > 0:
        raise ValueError(f"expected cache_ttl_s above 0 seconds, found {cache_ttl_s!r}")
    items = tuple(price_table(prices))
    part = over_parts(traces, partial(_tabulate, items=items, by=by, ttl_s=cache_ttl_s), CostSums.__add__, on=on)
    found, trace_count = part.state, part.weights.trace_count
    groups = found.groups
    state = partial(_tabulate_powers, items=items, by=by, groups=groups, largest=found.largest)
    powers = over_parts(traces, state, _both, on=on).state
    mean, low, high = _limits(groups, powers, list(groups.keys), confidence)
    spent = groups.sums["value"]
    table = pd.DataFrame(groups.keys, index=pd.RangeIndex(len(groups)), dtype=object).assign(
        request_count=groups.sums["size"],
        usd=spent,
        usd_per_request=mean,
        usd_per_request_low=low,
        usd_per_request_high=high,
        usd_ratio=_share_of(spent),
    )
    value, least, most = _limits(groups.by([]), powers, [], confidence) if trace_count else np.full((3, 1), np.nan)
    months, tracing_usd = _months(found), xray_usd_per_million / 1e6
    return Cost(
        largest_first(table, "usd", "request_count"),
        _items(items, found.items),
        _repeated(found.repeated),
        cacheable(found.reads),
        plan_costs(traces, plans, tracing_usd, months, trace_count, on=on),
        Estimate(float(value[0]), "usd", float(least[0]), float(most[0]), trace_count),
        float(spent.sum()) / months,
        trace_count * tracing_usd / months,
        part.weights.statement,
    )


class CostSums(NamedTuple):
    """What requests cost, in sums.

    Parameters
    ----------
    groups
        By the names that requests are grouped by: weight (``size``) and weighted cost (``value``).
    largest
        The largest sampling weight.
    items
        Sums by price, one row each: calls, duration in ns, cost and unpriced spans.
    repeated
        By caller and callee: calls in a row.
    reads
        Reads that a cache could answer.
    first_ns, last_ns
        First and last start of a request; without any, the first is after the last one.
    """

    groups: Aggregate
    largest: float
    items: Array
    repeated: Aggregate
    reads: Reads
    first_ns: int
    last_ns: int

    def __add__(self, other: CostSums) -> CostSums:  # type: ignore[override]  # not that of a tuple
        """Return the sums of the traces of both."""
        return CostSums(
            _both(self.groups, other.groups),
            max(self.largest, other.largest),
            self.items + other.items,
            _both(self.repeated, other.repeated),
            self.reads + other.reads,
            min(self.first_ns, other.first_ns),
            max(self.last_ns, other.last_ns),
        )


def _both(first: Aggregate, second: Aggregate) -> Aggregate:
    """Return the sums of two tables."""
    return Aggregate.concatenate([first, second]).by(list(first.keys))


def _tabulate(traces: TraceSet, items: Sequence[Price], by: By, ttl_s: float) -> CostSums:
    """Return the additive tables behind ``cost`` for whole traces."""
    charges = [_charges(traces, price) for price in items]
    total = np.sum([charge.usd for charge in charges], axis=0)
    weights, (group, keys) = traces.weights.value, _groups(traces, by)
    size, value, largest = _cells(traces, group, total).totals(int(group.max(initial=-1)) + 1)
    groups = Aggregate(keys, {"size": size, "value": value}, Histogram.empty()).by(list(keys))
    calls, below = siblings(traces), _with_descendants(traces, total)
    spans, root = traces.columns.spans, traces.forest.root_row
    start = spans.start_ns[root[(spans.quality[root] & Quality.NO_START) == 0]]
    weight = weights[traces.forest.trace]
    return CostSums(
        groups,
        largest,
        _item_sums(traces, charges, weight),
        _repeated_sums(traces, calls, below),
        tabulate_reads(traces, calls, below, ttl_s),
        int(start.min(initial=_LATEST)),
        int(start.max(initial=_EARLIEST)),
    )


def _tabulate_powers(traces: TraceSet, items: Sequence[Price], by: By, groups: Aggregate, largest: float) -> Aggregate:
    """Return sums of powers of the influences of traces by group and weight class; of all together without a group."""
    total = np.sum([_charges(traces, price).usd for price in items], axis=0)
    group, keys = _groups(traces, by)
    place = positions(groups.keys, keys, list(keys)) if keys else np.zeros(1, np.int64)
    tables = []
    for table, owner, is_whole in ((groups, place[group], False), (groups.by([]), np.zeros_like(group), True)):
        mean = mean_of(table.sums["size"], table.sums["value"])
        found, code, sums = _cells(traces, owner, total).powers(mean, table.sums["size"], largest)
        names = {name: np.full(len(found), None, object) if is_whole else groups.keys[name][found] for name in keys}
        tables.append(
            Aggregate(
                {**names, _WHOLE: np.full(len(found), is_whole, object), WEIGHT_CLASS: code.astype(object)},
                sums,
                Histogram.empty(),
            )
        )
    return _both(*tables)


def _groups(traces: TraceSet, by: By) -> tuple[Array, dict[str, Array]]:
    """Return the group of each request, and the labels of the groups."""
    columns = {name: codes.take(traces.forest.root_row) for name, codes in columns_of(traces, by).items()}
    return group_codes(columns, len(traces))


def _cells(traces: TraceSet, group: Array, usd: Array) -> Cells:
    """Return what each request costs, by group."""
    each, everyone = sum_by(traces.forest.trace, usd, len(traces)), np.arange(len(traces))
    return Cells.of(group, everyone, each, traces.weights.value, int(group.max(initial=-1)) + 1)


def _limits(groups: Aggregate, powers: Aggregate, names: list[str], confidence: float) -> tuple[Array, Array, Array]:
    """Return the mean per request by group (without names, of all), with limits."""
    is_whole = powers.keys[_WHOLE].astype(bool)
    mine = powers.where(is_whole != bool(names))
    owner = positions(groups.keys, mine.keys, names) if names else np.zeros(len(mine), np.int64)
    mean = mean_of(groups.sums["size"], groups.sums["value"])
    has_class = mine.keys[WEIGHT_CLASS].astype(int) != NO_CLASS
    moments = moments_of(mine.sums, owner, has_class, mean, groups.sums["size"])
    return mean, *mean_limits(mean, moments, confidence=confidence)


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


def _item_sums(traces: TraceSet, charges: Sequence[_Charges], weight: Array) -> Array:
    """Return calls, duration, cost and unpriced spans of each price."""
    took = np.where(traces.has_duration, traces.duration_ns, 0)
    rows = [
        (
            float(weight[charge.is_charged].sum()),
            float((weight * took)[charge.is_charged].sum()),
            float((weight * charge.usd).sum()),
            float(charge.is_unpriced.sum()),
        )
        for charge in charges
    ]
    return np.array(rows)


def _items(prices: Sequence[Price], sums: Array) -> pd.DataFrame:
    """Return one row per price."""
    table = pd.DataFrame(sums, columns=["call_count", "duration_ns", "usd", "unpriced_count"])
    table.insert(0, "item", [price.name for price in prices])
    table.insert(4, "usd_ratio", _share_of(table["usd"].to_numpy()))
    table["unpriced_count"] = table["unpriced_count"].astype(np.int64)
    return largest_first(table, "usd")


def _repeated_sums(traces: TraceSet, found: Siblings, below: Array) -> Aggregate:
    """Return the calls in a row by caller and callee, and what one call instead would have saved."""
    at = in_a_row(traces, found)
    row = found.row[found.first[at]]
    weight = traces.weights.value[traces.forest.trace[row]]
    calls, spent = found.call_count[at], found.sum(below[found.row])[at]
    columns = {name: traces.codes(name).take(row) for name in _KEYS} | {"callee_service": found.callee.take(row)}
    group, keys = group_codes(columns, len(row))
    count = int(group.max(initial=-1)) + 1
    sums = {
        "call_count": sum_by(group, weight * calls, count),
        "usd": sum_by(group, weight * spent, count),
        "saved_usd": sum_by(group, weight * spent * (1 - 1 / np.maximum(calls, 1)), count),
    }
    return Aggregate(keys, sums, Histogram.empty()).by(list(keys))


def _repeated(found: Aggregate) -> pd.DataFrame:
    """Return the calls in a row that cost something."""
    table = pd.DataFrame(found.keys, index=pd.RangeIndex(len(found)), dtype=object).assign(**found.sums)
    table = table[table["usd"] > 0]
    return largest_first(table, "saved_usd")


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


def _months(found: CostSums) -> float:
    """Return the length of the recording in months of 30 days; NaN without times."""
    length = float(found.last_ns - found.first_ns)
    return length / _MONTH_NS if length > 0 else float("nan")
