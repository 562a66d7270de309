"""Weighted quantiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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
