"""Two samples compared by ranks from counts in bins, which can be summed across blocks, files and machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy

if TYPE_CHECKING:
    from tracekit.schema import Array

WIDTH = float(np.log(1.02))
"""Width of a bin of logarithms: values in it differ by at most 2%."""
_FEW, _SEVERAL = 8, 1000  # values of the first and of the second sample for which the exact distribution is used


class Binned(NamedTuple):
    """Values in bins, in ascending order.

    Parameters
    ----------
    number
        int64: how many values each bin has.
    total
        float64: their sum.

    Examples
    --------
    >>> Binned(np.array([2, 1]), np.array([2.0, 3.0])).median
    1.0
    """

    number: Array
    total: Array

    @property
    def median(self) -> float:
        """Mean of the values in the bin with the median: exact if they are equal, within the bin otherwise."""
        size, reached = int(self.number.sum()), np.cumsum(self.number)
        ranks = np.array([(size - 1) // 2, size // 2])
        at = np.searchsorted(reached, ranks, side="right")
        return float((self.total[at] / self.number[at]).mean())


def bins(values: Array) -> Array:
    """Return the bin of each logarithm.

    Parameters
    ----------
    values
        Finite numbers.

    Returns
    -------
    numpy.ndarray
        int64.

    Examples
    --------
    >>> bins(np.log([1.0, 1.01, 1.03, 0.99]))
    array([ 0,  0,  1, -1])
    """
    return np.floor(np.asarray(values, np.float64) / WIDTH).astype(np.int64)


def greater(first: Array, second: Array) -> float:
    """Return the p-value of the hypothesis that the values of the first sample are not larger (Mann and Whitney).

    Parameters
    ----------
    first, second
        How many values of each sample are in each bin, in ascending order; both have some.

    Returns
    -------
    float
        By the normal distribution with corrections for ties and continuity; by the exact one if the first sample has
        at most 8 values and the second at most 1,000.

    Examples
    --------
    >>> round(greater(np.array([0, 0, 20]), np.array([10, 20, 0])), 12)
    8.9e-11
    >>> greater(np.array([0, 5]), np.array([20, 0])) < 2e-5
    True
    """
    n, m = int(first.sum()), int(second.sum())
    if n <= _FEW and m <= _SEVERAL:
        place = np.arange(len(first))
        expanded = np.repeat(place, first), np.repeat(place, second)
        return float(scipy.stats.mannwhitneyu(*expanded, alternative="greater", method="exact").pvalue)
    below = np.cumsum(second) - second
    reached = float((first * (below + second / 2)).sum())
    tied = (first + second).astype(np.float64)
    spread = n * m / 12 * (n + m + 1 - (tied**3 - tied).sum() / ((n + m) * (n + m - 1)))
    if spread <= 0:
        return 1.0
    return float(scipy.special.ndtr((0.5 + n * m / 2 - reached) / np.sqrt(spread)))
