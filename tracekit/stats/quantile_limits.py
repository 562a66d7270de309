"""Quantiles of a thinned population, with limits that say "not estimable" where the sample cannot limit a side.

The interval inverts a test: all x for which the wanted share lies inside the MOVER interval of "share at or below x"
(``weighted_rates``).  Plain Woodruff intervals cover 64 to 85 % of p99 where heavy weights are thinly sampled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.stats.intervals import effective_n, normal_quantile
from tracekit.stats.proportions import jeffreys
from tracekit.stats.weighted_rates import check_probabilities, weight_classes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracekit.schema import Array
    from tracekit.stats.weighted_rates import Target


class Quantile(NamedTuple):
    """A quantile with its limits; a limit that the sample cannot give is NaN and printed as ``not estimable``.

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


class _ShareBelow:
    """Limits of the share of the population at or below the k-th smallest value: O(classes log n) a call."""

    def __init__(self, pi: Array, *, target: Target, level: float) -> None:
        own, w = weight_classes(pi), 1 / pi
        count = int(own.max()) + 1
        self.members = [np.flatnonzero(own == number) for number in range(count)]
        self.size = np.bincount(own, minlength=count).astype(np.float64)
        self.reached = np.cumsum(w) / w.sum()
        self.level, self.z = level, normal_quantile(level)
        self.share = np.bincount(own, w, minlength=count) / w.sum()
        doubt = (1 - pi) if target == "window" else np.ones_like(pi)
        self.spread = np.bincount(own, doubt * w * w, minlength=count) / w.sum() ** 2
        mean_pi = np.bincount(own, pi, minlength=count) / self.size
        self.shrink = np.sqrt(1 - mean_pi) if target == "window" else np.ones(count)

    def limits(self, k: int) -> tuple[float, float]:
        """Return the limits at the k-th smallest value, from 0; -1 is below all."""
        below = np.array([np.searchsorted(member, k, "right") for member in self.members], np.float64)
        p, r = below / self.size, float(self.reached[k]) if k >= 0 else 0.0
        low, high = jeffreys(below, self.size, level=self.level)
        shares = self.z**2 * float((self.spread * (p - r) ** 2).sum())
        down = float(((self.share * self.shrink * (p - low)) ** 2).sum())
        up = float(((self.share * self.shrink * (high - p)) ** 2).sum())
        return r - float(np.sqrt(down + shares)), r + float(np.sqrt(up + shares))


def quantile_limits(
    probability: Array,
    values: Array,
    shares: Sequence[float],
    *,
    target: Target = "window",
    level: float = 0.95,
) -> list[Quantile]:
    """Return quantiles of the population behind a sample, each with two limits.

    Parameters
    ----------
    probability
        Inclusion probability of each observation; one observation a trace.
    values
        For example latencies; ties do not matter.
    shares
        For example ``(0.5, 0.95, 0.99)``, strictly between 0 and 1.
    target
        ``window`` or ``process``; see ``weighted_rates``.
    level
        Confidence level.

    Returns
    -------
    list of Quantile
        One a share, in the unit of the values; NaN without observations.

    Raises
    ------
    ValueError
        A share that is not between 0 and 1, or a probability outside (0, 1].

    Notes
    -----
    The point is the smallest value with at least that share of the weight at or below it.  The lower limit is the
    smallest value at which the upper MOVER limit of "share at or below" reaches the share, the upper one the smallest
    at which the lower limit reaches it; where that never happens, or already happens below all values, the limit is not
    estimable: the maximum of the sample is no upper limit of its p99.  A complete recording has exact window quantiles.
    Source: Woodruff 1952 for the inversion, Zou and Donner 2008 for the interval inside.

    Examples
    --------
    >>> halves = quantile_limits(np.full(200, 0.01), np.arange(200), (0.5, 0.99))
    >>> print(halves[0])
    p50 = 99 (86 to 113; n = 200, effective 200, window)
    >>> print(halves[1])
    p99 = 197 (194 to not estimable; n = 200, effective 200, window)
    """
    wanted = [float(share) for share in shares]
    if not all(0 < share < 1 for share in wanted):
        raise ValueError(f"expected quantile shares strictly between 0 and 1, such as 0.99, found {list(shares)}")
    pi, x = check_probabilities(probability), np.asarray(values, np.float64)
    if not len(x):
        return [Quantile(share, np.nan, np.nan, np.nan, 0, 0.0, target) for share in wanted]
    order = np.argsort(x, kind="stable")
    x, pi = x[order], pi[order]
    below, n_effective = _ShareBelow(pi, target=target, level=level), effective_n(1 / pi)
    found = []
    for share in wanted:
        at = min(int(np.searchsorted(below.reached, share * (1 - 1e-12), "left")), len(x) - 1)
        low, high = _limits(below, share, at, x)
        found.append(Quantile(share, float(x[at]), low, high, len(x), n_effective, target))
    return found


def _limits(below: _ShareBelow, share: float, at: int, x: Array) -> tuple[float, float]:
    """Return the values between which the quantile lies; NaN for a side without one."""
    near = share * (1 - 1e-12)  # a share of exactly one half is reached by half of the weight
    first = _first(lambda k: below.limits(k)[1] >= near, -1, at)
    last = _first(lambda k: below.limits(k)[0] >= near, at, len(x))
    return (float(x[first]) if first >= 0 else np.nan), (float(x[last]) if last < len(x) else np.nan)


def _first(holds: Callable[[int], bool], low: int, high: int) -> int:
    """Return the smallest number from low on for which a monotone condition holds; high if none below does."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low
