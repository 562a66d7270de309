"""The interval of a figure if chance alone decided which requests have traces, as a comparison with its bounds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tracekit.analysis.trace_rows import OFTEN
from tracekit.findings import Estimate
from tracekit.stats.influences import Denominator, influence
from tracekit.stats.quantiles import quantile_limits
from tracekit.stats.weighted_means import mean_limits
from tracekit.stats.weighted_rates import clustered_rates

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.analysis.bounds.claims import Claim
    from tracekit.columns import Array
    from tracekit.weights.known import WeightTotals


def estimate_of(claim: Claim, requests: pd.DataFrame, weights: WeightTotals) -> Estimate:
    """Return the weighted figure of requests with its 95% CI; NaN without known sampling weights.

    Parameters
    ----------
    claim
        The figure.
    requests
        Distinct ``value`` and ``weight`` of requests, with their number (``OFTEN``).
    weights
        Of all traces.
    """
    unit, count = "ns" if claim.is_time else "ratio", int(requests[OFTEN].sum())
    if not count or weights.unknown_count or weights.is_one_kind:
        return Estimate(math.nan, unit, math.nan, math.nan, count)
    used = requests[requests["weight"] > 0]
    value, weight = (np.repeat(used[name].to_numpy(np.float64), used[OFTEN]) for name in ("value", "weight"))
    return limits_of_values(claim, value, weight)


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
