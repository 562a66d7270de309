"""The interval of a figure if chance alone decided which requests have traces, as a comparison with its bounds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tracekit.findings import Estimate
from tracekit.stats.influences import Denominator, influence
from tracekit.stats.quantiles import quantile_limits
from tracekit.stats.weighted_means import mean_limits
from tracekit.stats.weighted_rates import clustered_rates

if TYPE_CHECKING:
    from tracekit.analysis.bounds.claims import Claim
    from tracekit.columns import Array
    from tracekit.traces import TraceSet


def estimate_of(traces: TraceSet, claim: Claim, rows: Array) -> Estimate:
    """Return the weighted figure of some root spans with its 95% CI; NaN without known sampling weights."""
    unit = "ns" if claim.is_time else "ratio"
    weights = traces.weights
    if not len(rows) or not weights.known.all() or weights.is_one_kind:
        return Estimate(math.nan, unit, math.nan, math.nan, len(rows))
    weight = weights.value[traces.forest.trace[rows]]
    rows, weight = rows[weight > 0], weight[weight > 0]
    values = claim.values(traces.duration_ns[rows], traces.is_error[rows])
    return limits_of_values(claim, values, weight)


def limits_of_values(claim: Claim, values: Array, weight: Array) -> Estimate:
    """Return the weighted figure of values with its 95% CI as a sample of a process."""
    if not len(values):
        return Estimate(math.nan, "ns" if claim.is_time else "ratio", math.nan, math.nan, 0)
    each = np.arange(len(values))
    if claim.share is not None:
        found = quantile_limits(1 / weight, values, (claim.share,), target="process")[0]
        return Estimate(found.value, "ns", found.low, found.high, len(values))
    zero = np.zeros(len(values), np.int64)
    if claim.metric == "mean":
        mean = float(values @ weight / weight.sum())
        moments = influence(zero, each, values * weight, Denominator.of(weight), 1).moments()
        low, high = mean_limits(np.array([mean]), moments)
        return Estimate(mean, "ns", float(low[0]), float(high[0]), len(values))
    rate = clustered_rates(zero, each, values > 0, weight, 1)
    return Estimate(float(rate.ratio[0]), "ratio", float(rate.low[0]), float(rate.high[0]), len(values))
