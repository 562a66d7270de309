"""Differences between two independent samples: confidence limits, and the probability of absence from one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.schema import Array

_STEP = 4.0  # a level of significance is this many times stricter than the one before


class Limited(NamedTuple):
    """Estimates with confidence limits, numbers or arrays; NaN for a limit that is not estimable."""

    value: Array | float
    low: Array | float
    high: Array | float


def difference_limits(baseline: Limited, current: Limited) -> Limited:
    """Return current minus baseline, with confidence limits from those of both.

    Parameters
    ----------
    baseline, current
        Estimates from independent samples, with limits of the same confidence level.

    Returns
    -------
    Limited
        The difference with limits of that level; NaN if a required limit is not estimable.

    Notes
    -----
    The method of variance estimates recovery (MOVER), which preserves asymmetric limits.  Source: Zou and Donner 2008;
    for two rates Newcombe 1998.

    Examples
    --------
    An error rate of 2% (1% to 4%), then 10% (7% to 14%):

    >>> found = difference_limits(Limited(0.02, 0.01, 0.04), Limited(0.10, 0.07, 0.14))
    >>> print(f"{found.value:+.2f} ({found.low:+.3f} to {found.high:+.3f})")
    +0.08 (+0.044 to +0.121)
    """
    change = np.subtract(current.value, baseline.value)
    down = np.hypot(np.subtract(current.value, current.low), np.subtract(baseline.high, baseline.value))
    up = np.hypot(np.subtract(current.high, current.value), np.subtract(baseline.value, baseline.low))
    return Limited(change, change - down, change + up)


def p_value_of_limits(limits: Callable[[float], Limited], *, confidence: float = 0.95, steps: int = 7) -> Array:
    """Return p values of differences whose limits are known for every confidence level.

    Parameters
    ----------
    limits
        Returns the differences with their limits, given a confidence level.
    confidence
        The lowest confidence level of interest.
    steps
        Levels that are tried.

    Returns
    -------
    numpy.ndarray
        The smallest level of significance tried at which the limits exclude 0: ``1 - confidence`` and others, each a
        quarter of the one before; 1 where the limits include 0 or are not estimable.  Conservative, and never in
        conflict with the interval.

    Examples
    --------
    >>> from tracekit.stats.intervals import normal_quantile
    >>> def limits(confidence):
    ...     change, half = np.array([0.1, 3.0, 9.0]), normal_quantile(confidence)
    ...     return Limited(change, change - half, change + half)
    >>> p_value_of_limits(limits).round(6).tolist()
    [1.0, 0.003125, 1.2e-05]
    """
    found: Array = np.ones(())
    is_excluded: Array = np.ones((), bool)
    for level in (1 - confidence) / _STEP ** np.arange(steps):
        change = limits(1 - float(level))
        is_excluded = is_excluded & (np.greater(change.low, 0) | np.less(change.high, 0))
        found = np.where(is_excluded, level, found)
        if not is_excluded.any():
            break
    return found


def absence_probability(count: Array, n: float, other_n: float) -> Array:
    """Return the probability that all traces of a kind are in one of two samples of the same traffic.

    Parameters
    ----------
    count
        Traces of the kind in the sample that has them; the other has none.
    n
        Traces in that sample.
    other_n
        Traces in the other sample.

    Returns
    -------
    numpy.ndarray
        ``C(n, count) / C(n + other_n, count)``, the hypergeometric probability; 1 for a count of 0.

    Examples
    --------
    Three of 100 traces have it, and none of another 100: p = 0.12, not significant.

    >>> absence_probability(np.array([3, 30]), 100, 100).round(3)
    array([0.123, 0.   ])
    """
    from scipy.special import gammaln  # noqa: PLC0415 - a sixth of the imports of a command

    k = np.asarray(count, np.float64)
    chosen = gammaln(n + 1) - gammaln(n - k + 1)
    possible = gammaln(n + other_n + 1) - gammaln(n + other_n - k + 1)
    return np.asarray(np.exp(np.minimum(chosen - possible, 0.0)))


def weighted_absence_probability(weight: Array, square: Array, total: float, other_n: float) -> Array:
    """Return the probability that all traces of a kind are in one of two weighted samples of the same traffic.

    Parameters
    ----------
    weight, square
        Of the traces of the kind in the sample that has them: the sum of their sampling weights, and of the squares.
    total
        Sum of the weights of all traces in that sample.
    other_n
        Traces that the other sample would have if all were sampled at its lowest rate: the sum of its weights divided
        by the largest one.  The rate of a kind that it lacks is unknown, and this one excuses its absence most.

    Returns
    -------
    numpy.ndarray
        ``absence_probability`` at the effective number of traces of the kind; 1 without any.

    Examples
    --------
    A tail sampler kept all 50 failing requests of 990 and a twentieth of the others.  That 50 of 1,000 requests by
    chance have no failure is not unlikely:

    >>> absence_probability(np.array([50]), 97, 50).round(10)
    array([0.])
    >>> weighted_absence_probability(np.array([50.0]), np.array([50.0]), 990, 50).round(3)
    array([0.08])
    """
    count = np.divide(weight**2, square, out=np.zeros(len(weight)), where=square > 0)
    mine = np.divide(count * total, weight, out=np.ones(len(weight)), where=weight > 0)
    p_value = np.ones(len(weight))
    some = count > 0
    p_value[some] = absence_probability(count[some], mine[some], other_n)
    return p_value
