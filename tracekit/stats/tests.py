"""Adjusted p-values for many hypotheses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tracekit.schema import Array


def false_discovery(p: Array) -> Array:
    """Return Benjamini and Hochberg's adjusted p-values.

    Parameters
    ----------
    p
        One per hypothesis; NaN where nothing was tested.

    Returns
    -------
    numpy.ndarray
        Rejecting those up to 5% leaves at most 5% false ones among the rejected, on average; NaN stays NaN.

    Raises
    ------
    ValueError
        A p-value outside 0 to 1.

    Notes
    -----
    Benjamini and Hochberg 1995; the same as ``scipy.stats.false_discovery_control``, which takes long to load.

    Examples
    --------
    >>> false_discovery(np.array([0.001, 0.04, np.nan, 0.5]))
    array([0.003, 0.06 ,   nan, 0.5  ])
    """
    values = np.asarray(p, np.float64)
    known = ~np.isnan(values)
    if ((values[known] < 0) | (values[known] > 1)).any():
        raise ValueError(f"expected p-values between 0 and 1, found {values[known].min()} to {values[known].max()}")
    adjusted = np.full(len(values), np.nan)
    rows = np.flatnonzero(known)
    order = rows[np.argsort(values[rows])]
    largest_first = (values[order] * (len(order) / np.arange(1, len(order) + 1)))[::-1]
    adjusted[order] = np.minimum(np.minimum.accumulate(largest_first)[::-1], 1.0)
    return adjusted


def holm(p: Array) -> Array:
    """Return p-values adjusted for the chance of any false rejection (Holm 1979).

    Parameters
    ----------
    p
        One per hypothesis; NaN where nothing was tested, which stays NaN.

    Returns
    -------
    numpy.ndarray
        The smallest level at which each is rejected, in the order of ``p``.

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, 0.02])).round(3).tolist()
    [0.03, 0.04, 0.04]
    """
    order = np.argsort(p, kind="stable")[: int((~np.isnan(p)).sum())]
    adjusted = np.full(len(p), np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1)
    return adjusted
