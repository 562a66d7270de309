"""Whether a few values in order grow: Kendall's test, exact."""

from __future__ import annotations

from math import factorial
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


def growing(values: Sequence[float]) -> float:
    """Return the p-value of the hypothesis that values are in any order, not growing (Kendall 1938).

    Parameters
    ----------
    values
        At most 20 numbers, in the order of time.

    Returns
    -------
    float
        The share of all orders in which at least as many pairs are ascending; equal values are no ascending pair.

    Raises
    ------
    ValueError
        More than 20 values.

    Examples
    --------
    >>> growing([1, 2, 3, 4]) == 1 / 24
    True
    >>> growing([4, 3, 2, 1])
    1.0
    """
    n = len(values)
    if n > 20:  # noqa: PLR2004 - 21! is more than an int64 holds
        raise ValueError(f"expected at most 20 values, found {n}; take medians of longer periods")
    orders = np.ones(1, np.int64)
    for size in range(2, n + 1):
        orders = np.convolve(orders, np.ones(size, np.int64))
    early, late = np.triu_indices(n, 1)
    numbers = np.asarray(values, np.float64)
    ascending = int((numbers[late] > numbers[early]).sum())
    return float(orders[ascending:].sum() / factorial(n))
