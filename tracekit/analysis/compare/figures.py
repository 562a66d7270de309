"""Figures of one side of a comparison, by group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import special

from tracekit.stats.calls_per_cluster import frequency_moments
from tracekit.stats.differences import Limited
from tracekit.stats.grouping import positions
from tracekit.stats.intervals import effective_clusters
from tracekit.stats.mover import NO_CLASS, WEIGHT_CLASS
from tracekit.stats.quantiles import histogram_limits
from tracekit.stats.ratio_means import mean_of, moments_of
from tracekit.stats.weighted_means import mean_limits
from tracekit.stats.weighted_rates import rates

if TYPE_CHECKING:
    from tracekit.analysis.compare.sums import LevelPowers, LevelSums, SideSums
    from tracekit.columns import Array
    from tracekit.stats.aggregates import Aggregate
    from tracekit.stats.histograms import Histogram
    from tracekit.stats.influences import Moments

SHARES: Final = {"p50_ns": 0.5, "p90_ns": 0.9, "p95_ns": 0.95, "p99_ns": 0.99}
_NS: Final = 1e9


@dataclass(frozen=True)
class Figures:
    """Figures of the groups of one side.

    Parameters
    ----------
    trace_count
        Recorded traces with the group.
    weight, square
        Sum of the weights of these traces, and of their squares.
    total_weight, n_at_lowest_rate
        Sum of the weights of all traces of the side, and their number if all were sampled at the lowest rate.
    frequency, frequency_moments
        Calls per request (trace), and the moments of the influences of traces on it.
    mean, mean_moments
        Mean duration in ns, likewise.
    calls_per_s
        Calls per second, with limits.
    outcomes, durations
        Sums over traces, and durations, by group and weight class.
    owners
        Group of each entry of ``outcomes`` and of ``durations``.
    """

    trace_count: Array
    weight: Array
    square: Array
    total_weight: float
    n_at_lowest_rate: float
    frequency: Array
    frequency_moments: Moments
    mean: Array
    mean_moments: Moments
    calls_per_s: Limited
    outcomes: dict[str, Array]
    durations: tuple[Histogram, dict[str, Array]]
    owners: tuple[Array, Array]

    @property
    def groups(self) -> int:
        """Number of groups."""
        return len(self.trace_count)

    def error_ratio(self, confidence: float) -> Limited:
        """Return the error rate of the calls with a known outcome."""
        found = rates(self.outcomes, self.owners[0], self.groups, confidence=confidence)
        return Limited(found.ratio, found.low, found.high)

    def limits(self, confidence: float) -> Limited:
        """Return all metrics in the order of ``effects.METRICS``, one column each, with limits."""
        errors, percentiles = self.error_ratio(confidence), self.quantiles(confidence)
        calls = (self.frequency, *mean_limits(self.frequency, self.frequency_moments, confidence=confidence))
        means = (self.mean, *mean_limits(self.mean, self.mean_moments, confidence=confidence))
        return Limited(*(np.column_stack(part) for part in zip(calls, errors, means, percentiles, strict=True)))

    def quantiles(self, confidence: float) -> Limited:
        """Return the percentiles ``SHARES`` of durations in ns, one column each."""
        (cells, sums), owner = self.durations, self.owners[1]
        shares = list(SHARES.values())
        merged = cells.regroup(owner)
        n = effective_clusters(sums)
        limits = histogram_limits(cells, owner, n, shares, self.groups, confidence=confidence)
        return Limited(merged.quantiles(shares, self.groups), *limits)


def figures(
    side: SideSums, level: LevelSums, powers: LevelPowers, base: Aggregate, keys: dict[str, Array], *, confidence: float
) -> Figures:
    """Return the figures of one side for groups that both sides may have."""
    names = list(keys)
    place, groups = positions(keys, level.groups.keys, names), len(keys[names[0]])
    every = {name: np.zeros(groups, values.dtype) for name, values in level.groups.sums.items()}
    for name, values in level.groups.sums.items():
        every[name][place] = values
    total = side.powers[0]
    frequency, mean = every["calls"] / (total or np.nan), mean_of(every["size"], every["value"])
    owner, mean_owner = (positions(keys, each.keys, names) for each in powers)
    label, mean_label = (each.keys[WEIGHT_CLASS].astype(np.int64) for each in powers)
    of_all = base.keys[WEIGHT_CLASS].astype(np.int64), base.sums
    return Figures(
        every["trace_count"],
        every["weight"],
        every["square"],
        total,
        side.n_at_lowest_rate,
        frequency,
        frequency_moments(frequency, (owner, label, powers.frequency.sums), of_all, side.powers),
        mean,
        moments_of(powers.mean.sums, mean_owner, mean_label != NO_CLASS, mean, every["size"]),
        _per_second({"trial_sum": every["calls"], "trial_square": every["calls_square"]}, side.period_ns, confidence),
        level.outcomes.sums,
        (level.timed.histogram, level.timed.sums),
        (positions(keys, level.outcomes.keys, names), positions(keys, level.timed.keys, names)),
    )


def _per_second(every: dict[str, Array], period_ns: float, confidence: float) -> Limited:
    """Return calls per second with the exact limits of a Poisson number of traces, at the effective number."""
    n, tail = effective_clusters(every), (1 - confidence) / 2
    some = np.where(n > 0, n, 1.0)
    rate = every["trial_sum"] / (period_ns / _NS)
    low, high = special.gammaincinv(some, tail) / some, special.gammaincinv(some + 1, 1 - tail) / some
    return Limited(rate, np.where(n > 0, rate * low, 0.0), np.where(n > 0, rate * high, np.nan))
