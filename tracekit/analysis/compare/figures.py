"""Figures of one side of a comparison, by group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import special

from tracekit.schema import Quality
from tracekit.stats.differences import Limited
from tracekit.stats.grouping import distinct_by, sum_by
from tracekit.stats.histograms import Histogram
from tracekit.stats.influences import Denominator, influence
from tracekit.stats.intervals import cluster_sums, effective_clusters
from tracekit.stats.mover import class_cells, weight_classes
from tracekit.stats.quantiles import histogram_limits
from tracekit.stats.ratio_means import ratio_means
from tracekit.stats.weighted_means import mean_limits
from tracekit.stats.weighted_rates import rates

if TYPE_CHECKING:
    from tracekit.analysis.compare.observations import Observations
    from tracekit.columns import Array
    from tracekit.stats.influences import Moments
    from tracekit.traces import TraceSet

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


def figures(traces: TraceSet, seen: Observations, group: Array, groups: int, *, confidence: float) -> Figures:
    """Return the figures of one side, given the group of each observation."""
    weights, trace = traces.weights.value, seen.trace
    is_timed = traces.has_duration[seen.row]
    duration = traces.duration_ns[seen.row][is_timed]
    every = cluster_sums(group, trace, seen.is_error, weights, groups)
    presence = _presence(group, trace, weights, groups)
    outcomes, outcome_owner, _ = _by_class(group, seen, seen.has_outcome, weights)
    timed, timed_owner, cell = _by_class(group, seen, is_timed, weights)
    mean, mean_moments = ratio_means(group[is_timed], trace[is_timed], duration.astype(np.float64), weights, groups)
    requests = Denominator.of(weights)
    counted = influence(group, trace, weights[trace], requests, groups)
    return Figures(
        distinct_by(group, trace, groups),
        *presence,
        float(weights.sum()),
        traces.weights.n_at_lowest_rate,
        every["trial_sum"] / (weights.sum() or np.nan),
        counted.moments(),
        mean,
        mean_moments,
        _per_second(every, _period_ns(traces), confidence),
        outcomes,
        (Histogram.of(cell, duration, weights[trace[is_timed]]), timed),
        (outcome_owner, timed_owner),
    )


def _presence(group: Array, trace: Array, weights: Array, groups: int) -> tuple[Array, Array]:
    """Return the weight, and its square, of the traces that have each group."""
    pair = np.unique(group.astype(np.int64) * max(len(weights), 1) + trace)
    owner, weight = pair // max(len(weights), 1), weights[pair % max(len(weights), 1)]
    return sum_by(owner, weight, groups), sum_by(owner, weight**2, groups)


def _by_class(group: Array, seen: Observations, chosen: Array, weights: Array) -> tuple[dict[str, Array], Array, Array]:
    """Return sums over traces by group and weight class, the group of each, and the entry of each observation."""
    codes, labels = weight_classes(weights)
    trace = seen.trace[chosen]
    cell, owner, _ = class_cells(group[chosen].astype(np.int64), codes[trace], len(labels))
    return cluster_sums(cell, trace, seen.is_error[chosen], weights, len(owner)), owner, cell


def _period_ns(traces: TraceSet) -> float:
    """Return the time that the traces of a side cover: n/(n-1) of the time from the first start to the last."""
    root = traces.forest.root_row
    start = traces.columns.spans.start_ns[root][(traces.columns.spans.quality[root] & Quality.NO_START) == 0]
    if len(start) < 2 or start.max() == start.min():  # noqa: PLR2004 - no period between fewer
        return np.nan
    return float(start.max() - start.min()) * len(start) / (len(start) - 1)


def _per_second(every: dict[str, Array], period_ns: float, confidence: float) -> Limited:
    """Return calls per second with the exact limits of a Poisson number of traces, at the effective number."""
    n, tail = effective_clusters(every), (1 - confidence) / 2
    some = np.where(n > 0, n, 1.0)
    rate = every["trial_sum"] / (period_ns / _NS)
    low, high = special.gammaincinv(some, tail) / some, special.gammaincinv(some + 1, 1 - tail) / some
    return Limited(rate, np.where(n > 0, rate * low, 0.0), np.where(n > 0, rate * high, np.nan))
