"""Delays of which only those that are over were seen: numbers in, numbers out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.stats.intervals import normal_quantile

if TYPE_CHECKING:
    from tracekit.columns import Array


class Lags(NamedTuple):
    """Distribution of a delay: at each of ``value`` the ``share`` of delays up to it, with its interval.

    Examples
    --------
    >>> Lags(np.array([1.0]), np.array([1.0]), np.array([1.0]), np.array([1.0])).share
    array([1.])
    """

    value: Array
    share: Array
    low: Array
    high: Array

    def quantile(self, share: float) -> tuple[float, float, float]:
        """Return the delay that this share does not exceed, with its limits; NaN where none is large enough."""
        return tuple(self._first(column >= share) for column in (self.share, self.high, self.low))  # type: ignore[return-value]

    def _first(self, reached: Array) -> float:
        """Return the smallest value that reaches a share."""
        return float(self.value[int(reached.argmax())]) if reached.any() else float("nan")


def truncated_lags(lag: Array, most: Array, *, level: float = 0.95) -> Lags:
    """Return the distribution of delays of which only those up to ``most`` could be seen.

    Kaplan and Meier's product in reverse time: ``F(t) = prod over lags x > t of (1 - d / R)``, R the number with
    ``lag <= x <= most``; the interval is Greenwood's on the scale log(-log F).  Describes delays up to the longest
    that could be seen.  Assumes that the delay does not depend on how long ago the thing began.

    Source: Lynden-Bell 1971.

    Examples
    --------
    Half of the delays take 1 s, half 9 s, but of those that began just now only the quick ones are seen:

    >>> lag = np.array([1, 9, 1, 9, 1, 1.0])
    >>> most = np.array([60, 60, 60, 60, 5, 5.0])
    >>> truncated_lags(lag, most).share.tolist()
    [0.5, 1.0]
    """
    x, d = np.unique(lag, return_counts=True)
    risk = np.searchsorted(np.sort(lag), x, "right") - np.searchsorted(np.sort(most), x, "left")
    factor = 1 - d / risk
    after = np.concatenate((np.cumprod(factor[::-1])[::-1][1:], [1.0]))
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.where(risk > d, d / (risk * np.maximum(risk - d, 1e-300)), np.inf)
        variance = np.concatenate((np.cumsum(step[::-1])[::-1][1:], [0.0]))
        log_f = np.log(after)
        half = normal_quantile(level) * np.sqrt(variance) / np.abs(log_f)
        low, high = after ** np.exp(half), after ** np.exp(-half)
    inner = (after > 0) & (after < 1)
    return Lags(x, after, np.where(inner, low, after), np.where(inner, high, after))
