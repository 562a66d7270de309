"""Intervals of plain shares: k of n, independent trials.

For unweighted counts.  For weighted traces see ``weighted_rates``; for spans that come in
traces see ``weighted_rates.clustered_rates``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.stats.intervals import normal_quantile, wilson

if TYPE_CHECKING:
    from tracekit.schema import Array

_FEW = 5  # events below which the normal approximation behind Wilson's interval is not trusted
_RESTLESS = 1.5  # dispersion from which a share is not one share


class Interval(NamedTuple):
    """Lower and upper limits, one entry each."""

    low: Array
    high: Array


def least_share(events: Array | float, trials: Array | float, *, confidence: float = 0.95) -> Array:
    """Return the lower Clopper-Pearson limit of a share; the upper one is 1 less that of the trials without an event.

    Parameters
    ----------
    events, trials
        Counts, or effective counts that need not be whole.
    confidence
        Confidence level of the interval with both limits.

    Returns
    -------
    numpy.ndarray
        ``BetaInv(a/2; k, n - k + 1)``; 0 without events, NaN without trials.

    Examples
    --------
    >>> least_share(np.array([0, 3]), 20).round(3).tolist()
    [0.0, 0.032]
    """
    from scipy.special import betaincinv  # noqa: PLC0415 - a sixth of the imports of a command

    k, n = np.broadcast_arrays(np.asarray(events, np.float64), np.asarray(trials, np.float64))
    normal_quantile(confidence)
    tail, between = (1 - confidence) / 2, (k > 0) & (k < n)
    found = np.where(k > 0, tail ** (1 / np.where(n > 0, n, 1)), 0.0)
    found[between] = betaincinv(k[between], n[between] - k[between] + 1, tail)
    return np.asarray(np.where(n > 0, found, np.nan))


def clopper_pearson(events: Array | float, trials: Array | float, *, confidence: float = 0.95) -> Interval:
    """Return the Clopper-Pearson interval of a share: never covers less than its level.

    Parameters
    ----------
    events, trials
        Counts.
    confidence
        Confidence level.

    Returns
    -------
    Interval
        ``BetaInv(a/2; k, n - k + 1)`` to ``BetaInv(1 - a/2; k + 1, n - k)``; NaN without trials.

    Notes
    -----
    Clopper and Pearson 1934.  With no event in n trials the upper limit is ``1 - (a/2)^(1/n)``.

    Examples
    --------
    >>> low, high = clopper_pearson(0, 40)
    >>> print(f"{low:.3f} to {high:.3f}")
    0.000 to 0.088
    """
    k, n = np.asarray(events, np.float64), np.asarray(trials, np.float64)
    return Interval(least_share(k, n, confidence=confidence), 1 - least_share(n - k, n, confidence=confidence))


def share_interval(events: Array | float, trials: Array | float, *, confidence: float = 0.95) -> Interval:
    """Return the interval that suits the count: Wilson's, or Clopper-Pearson's below five events.

    Parameters
    ----------
    events, trials
        Counts; more events than trials give NaN, because that is no share.
    confidence
        Confidence level.

    Returns
    -------
    Interval
        One entry per pair.

    Examples
    --------
    >>> low, high = share_interval(912, 18_940)
    >>> print(f"{low:.4f} to {high:.4f}")
    0.0452 to 0.0513
    """
    k, n = np.broadcast_arrays(np.asarray(events, np.float64), np.asarray(trials, np.float64))
    possible = (n > 0) & (k <= n)
    safe_n = np.where(possible, n, 1.0)
    safe_k = np.where(possible, k, 0.0)
    rare = np.minimum(safe_k, safe_n - safe_k) < _FEW
    exact = clopper_pearson(safe_k, safe_n, confidence=confidence)
    usual = wilson(safe_k / safe_n, safe_n, confidence=confidence)
    low, high = (np.where(rare, e, u) for e, u in zip(exact, usual, strict=True))
    return Interval(np.where(possible, low, np.nan), np.where(possible, high, np.nan))


def overdispersion(events: Array, trials: Array) -> float:
    """Return how much more the shares of several bins vary than chance allows.

    Parameters
    ----------
    events, trials
        One entry per bin; bins without trials are excluded.

    Returns
    -------
    float
        Pearson's chi squared over its degrees of freedom; 1 for independent trials, and 1 where fewer than two bins or
        no variation at all are possible.

    Examples
    --------
    >>> overdispersion(np.array([10, 10, 10]), np.array([100, 100, 100]))
    0.0
    >>> round(overdispersion(np.array([2, 40, 3]), np.array([100, 100, 100])), 1)
    36.8
    """
    k, n = np.asarray(events, np.float64), np.asarray(trials, np.float64)
    k, n = k[n > 0], n[n > 0]
    if len(n) < 2 or not 0 < k.sum() < n.sum():  # noqa: PLR2004 - one bin says nothing about variation
        return 1.0
    p = k.sum() / n.sum()
    return float(((k - n * p) ** 2 / (n * p * (1 - p))).sum() / (len(n) - 1))


def widened(events: float, trials: float, dispersion: float, *, confidence: float = 0.95) -> Interval:
    """Return the interval of an overdispersed share: on the logit, wider by the root of the dispersion.

    Parameters
    ----------
    events, trials
        Counts over all bins.
    dispersion
        As ``overdispersion`` gives it.
    confidence
        Confidence level.

    Returns
    -------
    Interval
        Half an event is added to either side, so that nothing and everything have limits too.

    Examples
    --------
    >>> low, high = widened(45, 300, 36.8)
    >>> print(f"{low:.2f} to {high:.2f}")
    0.03 to 0.55
    """
    from scipy.special import expit  # noqa: PLC0415 - as in least_share

    k, rest = events + 0.5, trials - events + 0.5
    half = normal_quantile(confidence) * np.sqrt(dispersion * (1 / k + 1 / rest))
    centre = np.log(k / rest)
    return Interval(expit(centre - half), expit(centre + half))


def window_share(events: Array, trials: Array, *, confidence: float = 0.95, shift: bool = True) -> Interval:
    """Return the interval of a share over windows whose events and trials were counted by two clocks.

    Parameters
    ----------
    events, trials
        One entry per window, in the order of time without gaps.
    confidence
        Confidence level.
    shift
        Whether the clocks may differ by a window.

    Returns
    -------
    Interval
        Of all windows together: as ``share_interval``, or ``widened`` where the share varies over windows by more than
        chance (dispersion above 1.5); with ``shift`` the hull of that and of the two in which the events are those of
        the window before, or after.  NaN where there are more events than trials.

    Notes
    -----
    A shift drops the window at either end, so that it compares what both clocks saw; with fewer than three windows, or
    where a shift leaves more events than trials, it is left out.  The dispersion is that of the shift that has least:
    where the clocks agree, only what really varies is left.

    Examples
    --------
    The requests double from one minute to the next; a clock that is a minute late makes 5% look like 2.5 or 10%.

    >>> requests = 100 * 2 ** np.arange(8)
    >>> low, high = window_share(requests * 0.05, requests, shift=False)
    >>> print(f"{low:.3f} to {high:.3f}")
    0.047 to 0.053
    >>> low, high = window_share(requests * 0.05, requests)
    >>> print(f"{low:.3f} to {high:.3f}")
    0.023 to 0.105
    """
    k, n = np.asarray(events, np.float64), np.asarray(trials, np.float64)
    pairs = [(k, n)]
    if shift and len(k) >= 3:  # noqa: PLR2004 - a shift needs a window between two others
        pairs += [(k[1:], n[:-1]), (k[:-1], n[1:])]
    pairs = pairs[:1] + [pair for pair in pairs[1:] if pair[0].sum() <= pair[1].sum()]
    dispersion = min(overdispersion(np.minimum(some, of), of) for some, of in pairs)
    limits = [_widened_if(some.sum(), of.sum(), dispersion, confidence) for some, of in pairs]
    return Interval(np.min([one.low for one in limits]), np.max([one.high for one in limits]))


def _widened_if(events: float, trials: float, dispersion: float, confidence: float) -> Interval:
    """Return the interval that suits the count, widened where the share varies by more than chance."""
    if dispersion > _RESTLESS and 0 < trials >= events:
        return widened(events, trials, dispersion, confidence=confidence)
    return share_interval(events, trials, confidence=confidence)
