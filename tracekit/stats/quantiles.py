"""Weighted quantiles and their confidence intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.stats.intervals import effective_n
from tracekit.stats.mover import SharesBelow, WeightClasses, quantile_positions, weight_classes
from tracekit.stats.weighted_rates import check_probabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.schema import Array
    from tracekit.stats.histograms import Histogram
    from tracekit.stats.weighted_rates import Target


def weighted_quantiles(values: Array, weights: Array, shares: Sequence[float]) -> Array:
    """Return exact weighted quantiles: the smallest value with at least that share of the weight at or below it.

    Parameters
    ----------
    values
        Observations; neither order nor ties matter.
    weights
        Their weights.
    shares
        For example ``(0.5, 0.99)``.

    Returns
    -------
    numpy.ndarray
        float64, one per share; NaN without weight.

    Raises
    ------
    ValueError
        If a share lies outside 0 to 1, or a weight is negative.

    Examples
    --------
    A request kept with probability 1/20 has weight 20.

    >>> weighted_quantiles(np.array([10, 20, 900]), np.array([20.0, 20.0, 1.0]), (0.5, 0.99))
    array([ 20., 900.])
    """
    x, w, wanted = np.asarray(values, np.float64), np.asarray(weights, np.float64), np.asarray(shares, np.float64)
    if ((wanted < 0) | (wanted > 1)).any():
        raise ValueError(f"expected quantile shares between 0 and 1, found {list(shares)}")
    if (w < 0).any():
        raise ValueError(f"expected weights of 0 or more, found {w.min()}")
    x, w = x[w > 0], w[w > 0]
    if not len(x):
        return np.full(len(wanted), np.nan)
    order = np.argsort(x, kind="stable")
    reached = np.cumsum(w[order])
    at = np.searchsorted(reached, wanted * reached[-1] * (1 - 1e-12), side="left")
    return np.asarray(x[order][np.minimum(at, len(x) - 1)])


class Quantile(NamedTuple):
    """A quantile with its confidence limits; NaN is printed as ``not estimable``.

    Examples
    --------
    >>> print(Quantile(0.99, 640.0, 410.0, float("nan"), 200, 200.0, "window"))
    p99 = 640 (410 to not estimable; n = 200, effective 200, window)
    """

    share: float
    value: float
    low: float
    high: float
    n: int
    n_effective: float
    target: Target

    def __str__(self) -> str:
        low, high = ("not estimable" if np.isnan(limit) else f"{limit:.4g}" for limit in (self.low, self.high))
        counted = f"n = {self.n:,}, effective {self.n_effective:,.0f}, {self.target}"
        return f"p{100 * self.share:g} = {self.value:.4g} ({low} to {high}; {counted})"


def quantile_limits(
    probability: Array,
    values: Array,
    shares: Sequence[float],
    *,
    clusters: Array | None = None,
    target: Target = "window",
    confidence: float = 0.95,
) -> list[Quantile]:
    """Return quantiles of the population behind a sample, each with two limits.

    Parameters
    ----------
    probability
        Inclusion probability of each observation.
    values
        For example latencies; ties do not matter.
    shares
        For example ``(0.5, 0.95, 0.99)``, strictly between 0 and 1.
    clusters
        Trace of each observation, which counts as one however many it has; one observation a trace unless given.
    target
        ``window`` or ``process``; see ``weighted_rates``.
    confidence
        Confidence level.

    Returns
    -------
    list of Quantile
        One per share, in the unit of the values; NaN without observations.

    Raises
    ------
    ValueError
        A share that is not between 0 and 1, or a probability outside (0, 1].

    Notes
    -----
    The point is the smallest value with at least that share of the weight at or below it, the limits are those of
    ``mover.quantile_positions``; where a side is not estimable there is none: the maximum of the sample is no upper
    limit of its p99.  A complete recording has exact window quantiles.

    Examples
    --------
    >>> halves = quantile_limits(np.full(200, 0.01), np.arange(200), (0.5, 0.99))
    >>> print(halves[0])
    p50 = 99 (85 to 114; n = 200, effective 200, window)
    >>> print(halves[1])
    p99 = 197 (194 to not estimable; n = 200, effective 200, window)
    """
    wanted = [float(share) for share in shares]
    if not all(0 < share < 1 for share in wanted):
        raise ValueError(f"expected quantile shares strictly between 0 and 1, such as 0.99, found {list(shares)}")
    pi, x = check_probabilities(probability), np.asarray(values, np.float64)
    if not len(x):
        return [Quantile(share, np.nan, np.nan, np.nan, 0, 0.0, target) for share in wanted]
    w, n_effective = 1 / pi, effective_n(1 / pi)
    codes, labels = weight_classes(w)
    classes = _one_group(pi, codes, len(labels), np.arange(len(x)) if clusters is None else clusters, target)
    place = np.empty(len(x), np.int64)
    place[np.argsort(x, kind="stable")] = np.arange(len(x))
    order = np.lexsort((place, codes))
    below = SharesBelow(classes, codes[order], place[order], w[order])
    ends = np.array([0]), np.array([len(x)])
    low, high = quantile_positions(classes, below, wanted, ends, confidence=confidence)
    ordered, points = np.sort(x), weighted_quantiles(x, w, wanted)
    limits = (np.where(at >= 0, ordered[at], np.nan)[0] for at in (low, high))
    return [
        Quantile(share, float(value), float(least), float(most), len(x), n_effective, target)
        for share, value, least, most in zip(wanted, points, *limits, strict=True)
    ]


def _one_group(pi: Array, own: Array, count: int, clusters: Array, target: Target) -> WeightClasses:
    """Return the weight classes of single observations."""

    def by_class(values: Array) -> Array:
        return np.bincount(own, values, minlength=count)

    cluster = np.unique(clusters, return_inverse=True)[1]
    _, first, size = np.unique(own * (int(cluster.max()) + 1) + cluster, return_index=True, return_counts=True)
    square = np.bincount(own[first], (size / pi[first]) ** 2, minlength=count)
    total = by_class(1 / pi)
    if target == "process":
        return WeightClasses(np.zeros(count, np.int64), 1, total, total**2 / square)
    inside = np.sqrt(1 - by_class(pi) / by_class(np.ones(len(pi))))
    across = np.sqrt(by_class((1 - pi) / pi**2) / by_class(1 / pi**2))
    return WeightClasses(np.zeros(count, np.int64), 1, total, total**2 / square, inside, across)


def histogram_limits(
    cells: Histogram,
    owner: Array,
    n: Array,
    shares: Sequence[float],
    groups: int,
    *,
    confidence: float = 0.95,
) -> tuple[Array, Array]:
    """Return the limits of the quantiles of many groups, for the process behind the traces.

    Parameters
    ----------
    cells
        Durations, or any other numbers, by group and weight class.
    owner
        Group of each group of ``cells``, ascending.
    n
        Effective number of traces of each group of ``cells`` (``intervals.effective_clusters``).
    shares
        For example ``(0.5, 0.99)``.
    groups
        Number of groups.
    confidence
        Confidence level.

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper limits, float64[groups, shares]: the smallest value of the bucket of the lower limit, the
        largest of that of the upper one, so never narrower than between single values; NaN where not estimable.

    Examples
    --------
    >>> from tracekit.stats.histograms import Histogram
    >>> hundred = Histogram.of(np.zeros(100, int), np.arange(1000, 1100), np.ones(100))
    >>> low, high = histogram_limits(hundred, np.zeros(1, int), np.array([100.0]), (0.5, 0.99), 1)
    >>> low.tolist(), high.tolist()
    ([[1024.0, 1087.0]], [[1064.0, nan]])
    """
    whole = cells.regroup(owner)
    ends = np.searchsorted(whole.group, np.arange(groups + 1))
    classes = WeightClasses(owner, groups, cells.weights(len(owner)), n)
    below = SharesBelow(classes, cells.group, _places(cells, owner, whole), cells.weight)
    low, high = quantile_positions(classes, below, shares, (ends[:-1], ends[1:]), confidence=confidence)
    if not len(whole):
        return np.full(low.shape, np.nan), np.full(high.shape, np.nan)
    return np.where(low >= 0, whole.low[low], np.nan), np.where(high >= 0, whole.high[high], np.nan)


def _places(cells: Histogram, owner: Array, whole: Histogram) -> Array:
    """Return the cell of the total that contains each cell."""
    if whole is cells:
        return np.arange(len(cells))
    lowest = int(whole.bucket.min(initial=0))
    span = int(whole.bucket.max(initial=0)) - lowest + 1
    return np.searchsorted(
        whole.group * span + whole.bucket - lowest, owner[cells.group] * span + cells.bucket - lowest
    )
