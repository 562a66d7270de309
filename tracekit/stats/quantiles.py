"""Weighted quantiles, and which other quantiles limit them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracekit.stats.intervals import normal_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.schema import Array


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
        float64, one a share; NaN without weight.

    Raises
    ------
    ValueError
        If a share lies outside 0 to 1, or a weight is negative.

    Examples
    --------
    A request kept with probability 1/20 stands for twenty.

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


def share_limits(share: float, n: Array, *, level: float = 0.95) -> tuple[Array, Array]:
    """Return the shares whose quantiles limit the quantile of ``share`` from both sides.

    Parameters
    ----------
    share
        For example 0.99, strictly between 0 and 1.
    n
        Independent observations behind each group; an effective number need not be whole.
    level
        Confidence level.

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper share; NaN where no order statistic can limit that side at this level.  The maximum is not an
        upper limit of p99 unless there are several hundred observations.

    Notes
    -----
    The number of observations at or below the true quantile is Binomial(n, share), whatever their distribution; its
    quantiles are the ranks of the limits.  They come from the normal distribution corrected for skewness
    (Cornish-Fisher) and continuity, except for the outermost ranks, where ``share^n`` is exact.

    Examples
    --------
    >>> low, high = share_limits(0.5, np.array([5.0, 100.0]))
    >>> low, high
    (array([nan, 0.4]), array([ nan, 0.61]))
    >>> share_limits(0.99, np.array([300.0, 400.0]))[1]
    array([nan,  1.])
    """
    if not 0 < share < 1:
        raise ValueError(f"expected a quantile share strictly between 0 and 1, such as 0.99, found {share!r}")
    size = np.asarray(n, np.float64)
    size = np.where(size > 0, size, np.nan)
    tail = (1 - level) / 2
    low_rank = _binomial_rank(share, size, -normal_quantile(level))
    high_rank = _binomial_rank(share, size, normal_quantile(level)) + 1
    low = np.where((1 - share) ** size <= tail, np.maximum(low_rank, 1) / size, np.nan)
    high = np.where(share**size <= tail, np.minimum(high_rank / size, 1.0), np.nan)
    return low, high


def _binomial_rank(share: float, n: Array, z: float) -> Array:
    """Return the quantile of Binomial(n, share) at the normal deviate z."""
    spread = z * np.sqrt(n * share * (1 - share))
    return np.ceil(n * share + spread + (1 - 2 * share) * (z * z - 1) / 6 - 0.5)
