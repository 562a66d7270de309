"""Distributions of delays from right-truncated data: only completed delays are observed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.stats.intervals import normal_quantile

if TYPE_CHECKING:
    from tracekit.schema import Array


_FEWEST = 20


class Lags(NamedTuple):
    """Distribution of a delay: at each of ``value`` the ``share`` of delays up to it, with its interval.

    ``beyond`` counts longer delays, of which too few could have been observed.
    """

    value: Array
    share: Array
    low: Array
    high: Array
    beyond: int = 0

    def quantile(self, share: float) -> tuple[float, float, float]:
        """Return a quantile of the delay, with its limits; NaN if no delay is large enough."""
        return tuple(self._first(column >= share) for column in (self.share, self.high, self.low))  # type: ignore[return-value]

    def missing_within(self, age: float) -> tuple[float, float, float]:
        """Return the incomplete fraction of what began at a constant rate within an age, with its limits."""
        steps = np.clip(np.append(self.value, age), 0, age)
        over = (float((column * np.diff(steps)).sum() / age) for column in (self.share, self.high, self.low))
        return tuple(1 - share for share in over)  # type: ignore[return-value]

    def _first(self, reached: Array) -> float:
        """Return the smallest value that reaches a share."""
        return float(self.value[int(reached.argmax())]) if reached.any() else float("nan")


def truncated_lags(lag: Array, most: Array, *, confidence: float = 0.95) -> Lags:
    """Return the distribution of delays of which only those up to ``most`` could be observed.

    Parameters
    ----------
    lag
        Delays that are over, at least one.
    most
        Of each, the longest that could have been seen: how long ago the thing began.
    confidence
        Confidence level.

    Returns
    -------
    Lags
        One entry per distinct delay, ascending.

    Notes
    -----
    Kaplan and Meier's product in reverse time: ``F(t) = prod over lags x > t of (1 - d / R)``, R the number with
    ``lag <= x <= most``; the interval is Greenwood's on the scale log(-log F).  Describes delays up to the longest
    that could be seen of 20 things, or of half of fewer than 40: beyond, R may be 1, and a single straggler, or a start
    by a wrong clock, would make F nothing below it.  Assumes that the delay does not depend on how long ago the thing
    began.

    Source: Lynden-Bell 1971.

    Examples
    --------
    Half of the delays take 1 s, half 9 s, but of the latest ones only the short ones are observed:

    >>> lag = np.array([1, 9, 1, 9, 1, 1.0])
    >>> most = np.array([60, 60, 60, 60, 5, 5.0])
    >>> truncated_lags(lag, most).share.tolist()
    [0.5, 1.0]
    """
    longest = np.sort(most)[::-1][min(_FEWEST, (len(most) + 1) // 2) - 1]
    beyond = int((lag > longest).sum())
    lag, most = lag[lag <= longest], most[lag <= longest]
    x, d = np.unique(lag, return_counts=True)
    risk = np.searchsorted(np.sort(lag), x, "right") - np.searchsorted(np.sort(most), x, "left")
    factor = 1 - d / risk
    after = np.concatenate((np.cumprod(factor[::-1])[::-1][1:], [1.0]))
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.where(risk > d, d / (risk * np.maximum(risk - d, 1e-300)), np.inf)
        variance = np.concatenate((np.cumsum(step[::-1])[::-1][1:], [0.0]))
        log_f = np.log(after)
        half = normal_quantile(confidence) * np.sqrt(variance) / np.abs(log_f)
        low, high = after ** np.exp(half), after ** np.exp(-half)
    inner = (after > 0) & (after < 1)
    return Lags(x, after, np.where(inner, low, after), np.where(inner, high, after), beyond)


class LagBounds(NamedTuple):
    """Distributions between which that of a delay lies: it is at least ``least`` and at most ``most``.

    Examples
    --------
    >>> exact = truncated_lags(np.array([1.0, 3.0]), np.array([9.0, 9.0]))
    >>> LagBounds(exact, exact).quantile(0.5)[:2]
    (1.0, 1.0)
    """

    least: Lags
    most: Lags

    def quantile(self, share: float) -> tuple[float, float, float, float]:
        """Return bounds of a quantile, and bounds with sampling error; never below 0."""
        least, low, _ = self.least.quantile(share)
        most, _, high = self.most.quantile(share)
        return max(least, 0.0), max(most, 0.0), max(low, 0.0), max(high, 0.0)


def lag_bounds(
    begun: Array, after: Array, by: Array, *, now: float, before: float, confidence: float = 0.95
) -> LagBounds:
    """Return bounds of the distribution of delays that end between two polls.

    Parameters
    ----------
    begun
        When each thing began.
    after, by
        The last poll before its end, and the first after; equal if its end is known.
    now, before
        The last poll, and the one before it; equal if ends are known.
    confidence
        Confidence level.

    Returns
    -------
    LagBounds
        ``truncated_lags`` of ``after - begun`` and of ``by - begun``: a thing is seen just where ``by`` is no later
        than ``now``, so that both are truncated alike.

    Notes
    -----
    The delay is interval-censored; bounds need no model of what happens between two looks, as the estimate of Turnbull
    (1976) does between intervals that do not overlap.  Assumes looks about evenly apart, and none missing.

    Examples
    --------
    Polled every 10 s; all took 4 s, and those that began at 7 and 17 had not ended at the next poll:

    >>> begun = np.array([1, 7, 11, 17, 21.0])
    >>> by = np.array([10, 20, 20, 30, 30.0])
    >>> bounds = lag_bounds(begun, by - 10, by, now=40, before=30)
    >>> bounds.quantile(0.5)[:2]
    (0.0, 9.0)
    """
    least = truncated_lags(after - begun, before - begun, confidence=confidence)
    most = truncated_lags(by - begun, now - begun, confidence=confidence)
    return LagBounds(least, most)
