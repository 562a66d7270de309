"""How many requests of all traffic contain something, from the traces of a sample that do: sums that add over parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from tracekit.stats.aggregates import Aggregate
from tracekit.stats.grouping import group_codes
from tracekit.stats.histograms import Histogram
from tracekit.stats.mover import weight_classes
from tracekit.stats.thinned import thinned_count

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.traces import TraceSet
    from tracekit.weights.known import WeightTotals

CLASS: Final = "weight_class"


class Leaks(NamedTuple):
    """Number of leaking traces, and the estimate for all traffic with limits; NaN where weights are unknown."""

    trace_count: int
    value: float
    low: float
    high: float


def trace_sums(traces: TraceSet, chosen: Array) -> Aggregate:
    """Return the number of some traces by weight class, and the requests that they stand for.

    Parameters
    ----------
    traces
        Traces with their weights.
    chosen
        Their numbers, each once.

    Returns
    -------
    Aggregate
        ``trace_count`` and ``request_count`` by ``weight_class``, None for traces outside of the probability sample.
    """
    base = traces.weights.value > 0
    pi = np.minimum(np.where(base, traces.weights.probability, 1.0), 1.0)
    codes, labels = weight_classes(np.where(base, 1 / pi, 0.0))
    group, keys = group_codes({CLASS: (codes[chosen], labels)}, len(chosen))
    groups = int(group.max(initial=-1)) + 1
    requests = np.bincount(group, np.where(base, 1 / pi, 0.0)[chosen], groups)
    sums = {"trace_count": np.bincount(group, minlength=groups), "request_count": requests}
    return Aggregate(keys, sums, Histogram.empty())


def leaks_in_traffic(whole: Aggregate, leaking: Aggregate, totals: WeightTotals, *, confidence: float = 0.95) -> Leaks:
    """Return the estimated number of leaking requests in all traffic.

    Per class of weights (half powers of two) the exact limits of a thinned count (S04), at most the weight of the
    class; over classes ``low = value - sqrt(sum (value_c - low_c)^2)`` and likewise above (MOVER).  A class without a
    recorded leak still adds its upper limit.  Assumes that sampling is independent of leaks and between traces.
    Source: Zou and Donner 2008.

    Parameters
    ----------
    whole, leaking
        As ``trace_sums`` returns them of all traces, and of those with a leak.
    totals
        What the weights of all traces describe.
    confidence
        Confidence level.
    """
    count = int(leaking.sums["trace_count"].sum())
    classes = {name: at for at, name in enumerate(whole.keys[CLASS].tolist()) if name is not None}
    if not classes or totals.unknown_count or totals.is_one_kind:
        return Leaks(count, np.nan, np.nan, np.nan)
    at = list(classes.values())
    traffic, size = whole.sums["request_count"][at], whole.sums["trace_count"][at]
    of_class = {name: number for number, name in enumerate(leaking.keys[CLASS].tolist())}
    own = np.array([of_class.get(name, -1) for name in classes])
    value, seen = (np.append(leaking.sums[name], 0)[own] for name in ("request_count", "trace_count"))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.clip(np.where(seen > 0, seen / value, size / traffic), 0, 1)
    limits = [thinned_count(int(n), float(p), confidence=confidence) for n, p in zip(seen, share, strict=True)]
    low, high = np.array(limits, np.float64).T
    high = np.maximum(np.minimum(high, traffic), value)
    total, below, above = value.sum(), np.minimum(low, value) - value, high - value
    return Leaks(
        count,
        float(total),
        float(total - np.sqrt(np.square(below).sum())),
        float(total + np.sqrt(np.square(above).sum())),
    )
