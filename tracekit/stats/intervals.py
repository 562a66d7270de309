"""Sums over clusters, for ratios and their intervals.

Outcomes of spans within a trace are correlated, so a trace is the independent observation: variances are computed from
the sums of each cluster (treating spans as independent, 95% intervals cover 75 to 87%). All inputs of a ratio are sums
over clusters, so tables of whole clusters are additive.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tracekit.stats.grouping import sum_runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracekit.schema import Array

_CELLS = 1  # of a table of groups and clusters for each trial: up to that it is about twice as fast as a sort


class Ratio(NamedTuple):
    """A ratio for each group, with its interval; NaN for limits that are not estimable.

    ``n_effective`` is the effective number of clusters.
    """

    ratio: Array
    low: Array
    high: Array
    n_effective: Array


def normal_quantile(confidence: float) -> float:
    """Return the two-sided standard normal quantile of a confidence level.

    Parameters
    ----------
    confidence
        Between 0 and 1, for example 0.95.

    Returns
    -------
    float
        1.96 for 0.95.

    Raises
    ------
    ValueError
        If the level is not strictly between 0 and 1.

    Examples
    --------
    >>> round(normal_quantile(0.95), 3)
    1.96
    """
    if not 0 < confidence < 1:
        raise ValueError(f"expected a confidence level between 0 and 1, such as 0.95, found {confidence!r}")
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def wilson(ratio: Array | float, n: Array | float, *, confidence: float = 0.95) -> tuple[Array, Array]:
    """Return Wilson's interval of a ratio of plain counts; of weighted or clustered ones, see ``weighted_rates``.

    Parameters
    ----------
    ratio
        Observed ratios, 0 to 1.
    n
        Trials behind each.
    confidence
        Confidence level.

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper limits; NaN where ``n`` is 0 or the ratio is missing.

    Notes
    -----
    All p with ``|ratio - p| <= z sqrt(p (1 - p) / n)`` (Wilson 1927).  Stays within 0 and 1 and is never empty, also
    when nothing or everything happened.

    Examples
    --------
    >>> low, high = wilson(2 / 40, 40)
    >>> print(f"{low:.3f} to {high:.3f}")
    0.014 to 0.165
    >>> low, high = wilson(0.0, 40)
    >>> print(f"{low:.3f} to {high:.3f}")
    0.000 to 0.088
    """
    p, trials = np.asarray(ratio, np.float64), np.asarray(n, np.float64)
    trials = np.where(trials > 0, trials, np.nan)
    z = normal_quantile(confidence)
    scale = 1 + z * z / trials
    centre = (p + z * z / (2 * trials)) / scale
    half = z * np.sqrt(np.maximum(p * (1 - p), 0) / trials + (z / (2 * trials)) ** 2) / scale
    low = np.where(p == 0, 0.0, np.maximum(centre - half, 0.0))
    high = np.where(p == 1, 1.0, np.minimum(centre + half, 1.0))
    missing = np.isnan(centre)
    return np.where(missing, np.nan, low), np.where(missing, np.nan, high)


def effective_n(weights: Array) -> float:
    """Return Kish's effective sample size.

    Parameters
    ----------
    weights
        Weights of the observations.

    Returns
    -------
    float
        ``(sum w)^2 / sum w^2``; 0 without observations.

    Notes
    -----
    Kish 1965.  Equal weights give the plain number.

    Examples
    --------
    >>> effective_n(np.array([1.0, 1.0, 1.0, 1.0]))
    4.0
    >>> round(effective_n(np.array([1.0, 1.0, 1.0, 20.0])), 2)
    1.31
    """
    w = np.asarray(weights, np.float64)
    square = float(np.square(w).sum())
    return float(w.sum()) ** 2 / square if square > 0 else 0.0


def cluster_sums(group: Array, cluster: Array, is_event: Array, weights: Array, groups: int) -> dict[str, Array]:
    """Return, for each group, the sums over its clusters that a ratio and its interval need.

    Parameters
    ----------
    group
        Group of each trial, ``0 .. groups - 1``.
    cluster
        Cluster of each trial; a cluster may take part in several groups.
    is_event
        Whether the trial was an event.
    weights
        Weight of each cluster.
    groups
        Number of groups.

    Returns
    -------
    dict of numpy.ndarray
        One entry per group.  With w the weight, x the trials and y the events of a cluster within the group:
        ``cluster_count``, ``trial_count`` = sum x, ``trial_sum`` = sum w x, ``event_sum`` = sum w y,
        ``weight_square`` = sum w^2 x, ``trial_square`` = sum (w x)^2, ``trial_event`` = sum w^2 x y,
        ``event_square`` = sum (w y)^2.  Tables of disjoint clusters add.

    Examples
    --------
    >>> sums = cluster_sums(
    ...     np.array([0, 0, 0]), np.array([0, 0, 1]), np.array([True, False, False]), np.array([1.0, 2.0]), 1
    ... )
    >>> sums["cluster_count"].item(), sums["trial_sum"].item(), sums["event_sum"].item()
    (2, 4.0, 1.0)
    """
    every = np.asarray(weights, np.float64)
    pairs = _tabled if groups * len(every) <= _CELLS * len(group) else _sorted
    owner, member, x, y = pairs(group, cluster, np.asarray(is_event, bool), len(every), groups)
    w = every[member]
    starts = np.searchsorted(owner, np.arange(groups))
    return {
        "cluster_count": np.bincount(owner, minlength=groups),
        "trial_count": sum_runs(starts, x).astype(np.int64),
        "trial_sum": sum_runs(starts, w * x),
        "event_sum": sum_runs(starts, w * y),
        "weight_square": sum_runs(starts, w * w * x),
        "trial_square": sum_runs(starts, (w * x) ** 2),
        "trial_event": sum_runs(starts, w * w * x * y),
        "event_square": sum_runs(starts, (w * y) ** 2),
    }


def _tabled(
    group: Array, cluster: Array, is_event: Array, clusters: int, groups: int
) -> tuple[Array, Array, Array, Array]:
    """Return the pairs of group and cluster that occur, in their order, with the trials and events of each."""
    cell = group.astype(np.int64)
    cell *= clusters
    cell += cluster
    trials = np.bincount(cell, minlength=groups * clusters)
    found = np.flatnonzero(trials)
    events = np.bincount(cell[is_event], minlength=groups * clusters)
    owner, member = np.divmod(found, max(clusters, 1))
    return owner, member, trials[found].astype(np.float64), events[found].astype(np.float64)


def _sorted(
    group: Array, cluster: Array, is_event: Array, clusters: int, groups: int
) -> tuple[Array, Array, Array, Array]:
    """Return the same by one sort of (group, cluster, event) packed into 64 bits, where a table would be too large."""
    bits = clusters.bit_length()
    small: Any = np.uint32 if groups << bits + 1 <= 1 << 32 else np.uint64
    key = group.astype(small)
    key <<= small(bits)
    key |= cluster.astype(small)
    key <<= small(1)
    key |= is_event.astype(small)
    key.sort()
    pair = key >> small(1)
    first = np.flatnonzero(np.concatenate(([True], pair[1:] != pair[:-1]))) if len(pair) else np.zeros(0, np.int64)
    trials = np.diff(first, append=len(pair)).astype(np.float64)
    key &= small(1)
    member = pair[first] & small((1 << bits) - 1)
    return (pair[first] >> small(bits)).astype(np.int64), member, trials, sum_runs(first, key)


def effective_clusters(sums: Mapping[str, Array]) -> Array:
    """Return the effective number of clusters of each group.

    Parameters
    ----------
    sums
        As made by ``cluster_sums``.

    Returns
    -------
    numpy.ndarray
        ``(sum w x)^2 / sum (w x)^2``: every cluster is one observation, however many trials it holds, and unequal
        clusters cost.  0 where there are none.

    Examples
    --------
    >>> effective_clusters(cluster_sums(np.zeros(6, int), np.arange(6) // 3, np.zeros(6, bool), np.ones(2), 1))
    array([2.])
    """
    total, square = sums["trial_sum"], sums["trial_square"]
    return np.asarray(np.where(square > 0, total**2 / np.where(square > 0, square, 1), 0.0))
