"""Whether a mean rose by more than it varies from one stretch of time to the next, as it does where load is in bursts.

A burst of load slows neighbouring requests alike, so that they are one observation and not one each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from tracekit.schema import Array

STRETCHES: Final = 20  # of a baseline, at most ...
_LEAST: Final = 8  # ... values in each, and ...
FEWEST: Final = 5  # ... stretches: with fewer, their variation is not known
_MOST_DEPENDENCE: Final = 0.9
_SYMMETRIC: Final = 1e-4  # of a third cumulant: less has no effect
_OF_DIFFERENCES: Final = 2 / 3  # of the degrees of freedom of a variance from squared differences of neighbours


class _Variation(NamedTuple):
    """Variance of the means of stretches around their level.

    ``freedom``: its degrees of freedom.  ``rest``: the deviations, from ``levels`` means.
    """

    variance: float
    freedom: float
    rest: Array
    levels: int


def stretch_means(value: Array, count: int | None = None) -> Array:
    """Return the mean of each of several equally long stretches of values.

    Parameters
    ----------
    value
        In the order of time.
    count
        Number of stretches; by default up to ``STRETCHES`` of at least 8 values each.

    Returns
    -------
    numpy.ndarray
        float64, one mean a stretch.

    Examples
    --------
    >>> stretch_means(np.arange(40.0)).tolist()
    [3.5, 11.5, 19.5, 27.5, 35.5]
    """
    values = np.asarray(value, np.float64)
    parts = min(STRETCHES, len(values) // _LEAST) if count is None else count
    if not parts:
        return np.empty(0)
    size = np.full(parts, len(values) // parts)
    size[: len(values) % parts] += 1
    return np.asarray(np.add.reduceat(values, np.cumsum(size) - size) / size)


def p_value_of_rise(baseline: Array, current: Array) -> float | None:
    """Return the one-sided p-value of a higher mean, with stretches of time as observations.

    Parameters
    ----------
    baseline, current
        Values in the order of time, such as durations, or 1 for slow requests and 0 for others.

    Returns
    -------
    float or None
        None where the baseline has fewer than ``FEWEST`` stretches of 8 values, or the other side none.

    Notes
    -----
    Student's t on the means of stretches of equally many values, at most 20 of the baseline, with a variance of both
    sides: a baseline that happens to lack bursts has a low mean and a low variance, too, so that its variance alone
    makes too much of the difference (shares above its p95: 10% of equal pairs at a level of 2.5%).  That of the
    current side is from the squared differences of neighbours (von Neumann 1941), to which a step adds once: what
    happened must not widen the test.

    Where neighbours are alike, bursts are longer than stretches: the variance of a mean is ``(1 + r) / (1 - r)`` times
    as large, and the degrees of freedom as many times less; r is the correlation of neighbours around the level of the
    baseline and around the best single step of the current side, without its bias (Kendall 1954).

    Few stretches of the current side, or of a skewed value, more often lie far above the baseline than t has it: the
    score is taken for that of a gamma distribution with the same third cumulant (Wilson and Hilferty 1931).

    Of equal pairs of 400 values in bursts of 20, 1 to 3% are below 0.025; 4 to 6% where the bursts are twice as long
    or of random length.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> bursts = [np.repeat(rng.lognormal(3, 0.3, 20), 20) for _ in range(2)]
    >>> p_value_of_rise(*bursts) > 0.05, p_value_of_rise(bursts[0], 2 * bursts[1]) < 0.001
    (True, True)
    """
    from scipy.special import stdtr  # noqa: PLC0415 - half as slow to import as the rest of tracekit

    means = stretch_means(baseline)
    if len(means) < FEWEST or not len(current):
        return None
    size = len(baseline) / len(means)
    own = stretch_means(current, round(len(current) / size) if len(current) >= _LEAST else 0)
    sides = _around_level(means), _around_step(own)
    r = _dependence(sides)
    share = np.array([max(len(side.rest) - 1, 0) for side in sides]) / (len(means) + max(len(own), 1) - 2)
    variance = float(share @ [sides[0].variance, sides[1].variance / (1 - r)])
    change = float(np.mean(current) - np.mean(baseline))
    if not variance > 0:
        return 0.0 if change > 0 else 1.0
    inflation = (1 + r) / (1 - r)
    of_means = np.array([1 / len(means), size / len(current)])
    score = change / float(np.sqrt(variance * inflation * of_means.sum()))
    score = _without_skewness(score, _skewness(sides) * np.sqrt(inflation), of_means, share)
    freedom = 1 / float((share**2 / [side.freedom for side in sides]).sum()) / inflation
    return float(stdtr(max(freedom, 1.0), -score))


def _around_level(means: Array) -> _Variation:
    """Return the variation around one level."""
    rest = means - means.mean()
    return _Variation(float(rest @ rest) / (len(means) - 1), len(means) - 1, rest, 1)


def _around_step(means: Array) -> _Variation:
    """Return the variation where the level may have changed once."""
    n = len(means)
    if n < 2:  # noqa: PLR2004 - one stretch does not vary
        return _Variation(0.0, 1.0, np.empty(0), 0)
    first, at = np.cumsum(means)[:-1], np.arange(1, n)
    step = 1 + int(np.argmax((first - at * means.mean()) ** 2 / (at * (n - at))))
    rest = np.concatenate([part - part.mean() for part in (means[:step], means[step:])])
    return _Variation(float(np.mean(np.diff(means) ** 2)) / 2, _OF_DIFFERENCES * (n - 1), rest, 2)


def _dependence(sides: tuple[_Variation, _Variation]) -> float:
    """Return the correlation of neighbouring stretches, at least 0, without the bias that the levels have on it."""
    known = [side for side in sides if len(side.rest) >= FEWEST]
    squares = sum(float(side.rest @ side.rest) for side in known)
    if not squares > 0:
        return 0.0
    r = sum(float(side.rest[1:] @ side.rest[:-1]) for side in known) / squares
    r += (1 + 3 * r) * sum(side.levels for side in known) / sum(len(side.rest) for side in known)
    return float(np.clip(r, 0, _MOST_DEPENDENCE))


def _skewness(sides: tuple[_Variation, _Variation]) -> float:
    """Return the skewness of the means of stretches around their levels, at least 0."""
    rest = np.concatenate([side.rest for side in sides])
    square = float(np.mean(rest**2))
    return max(float(np.mean(rest**3)) / square**1.5, 0.0) if square > 0 else 0.0


def _without_skewness(score: float, skewness: float, of_means: Array, share: Array) -> float:
    """Return the score of a difference of means of skewed values as if they were not skewed; never a larger one.

    ``of_means``: 1 / number of stretches of each side; ``share``: of each side in the variance.
    """
    both = float(of_means.sum())
    covariance = skewness * float(share[1] * of_means[1] - share[0] * of_means[0]) / np.sqrt(both)
    third = skewness * float(of_means[1] ** 2 - of_means[0] ** 2) / both**1.5 - 3 * covariance
    if third < _SYMMETRIC:
        return score
    shifted = score - max(-covariance / 2, 0.0)
    return float(6 / third * (np.cbrt(max(1 + third * shifted / 2, 0.0)) - 1) + third / 6)
