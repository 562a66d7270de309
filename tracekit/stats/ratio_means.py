"""Means of what traces have several of, such as the duration of calls, each group with a denominator of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from tracekit.stats.grouping import dense_codes, sum_by
from tracekit.stats.influences import LEAST, Moments
from tracekit.stats.mover import NO_CLASS, class_cells, relative_classes

if TYPE_CHECKING:
    from tracekit.schema import Array

_NEAR = 1e-9  # a number that is reached up to rounding is reached
_ROUNDING = 1e-13  # of the squares that cancel: a variance that is none
_INFLUENCES: Final = {"square": 2, "third": 3, "fourth": 4}
_SIZES: Final = {"size_square": 2, "size_fourth": 4}


def ratio_means(group: Array, cluster: Array, value: Array, weights: Array, groups: int) -> tuple[Array, Moments]:
    """Return the weighted mean of values by group, with the moments of the influence of each cluster.

    Parameters
    ----------
    group, cluster, value
        Group, cluster (trace) and number of each observation.
    weights
        Weight of each cluster.
    groups
        Number of groups.

    Returns
    -------
    tuple of numpy.ndarray and Moments
        ``sum w y / sum w x`` with y the sum and x the number of the values of a cluster, NaN for a group without
        weight; the moments have arrays for ``n``, ``n_effective`` and ``is_even``, because each group has clusters of
        its own.

    Notes
    -----
    The influence of a cluster is ``w (y - mean x) / (sum w x - w x)``, that of the jackknife.

    Examples
    --------
    Two requests with calls of 1 and 3 ms, and of 8 ms:

    >>> mean, moments = ratio_means(np.zeros(3, int), np.array([0, 0, 1]), np.array([1.0, 3.0, 8.0]), np.ones(2), 1)
    >>> mean.tolist(), moments.n.tolist(), moments.square.tolist()
    ([4.0], [2], [20.0])
    """
    cells = Cells.of(group, cluster, value, weights, groups)
    size, weighted, largest = cells.totals(groups)
    mean = mean_of(size, weighted)
    owner, code, sums = cells.powers(mean, size, largest)
    return mean, moments_of(sums, owner, code != NO_CLASS, mean, size)


class Cells(NamedTuple):
    """Observations by group and cluster, one entry each; cells of disjoint clusters add.

    Parameters
    ----------
    owner
        Group.
    weight
        Weight of the cluster.
    size, value
        Weighted number and sum of the observations.

    Examples
    --------
    A mean from two parts takes two passes: the totals, then what each part has around their mean.

    >>> parts = [Cells.of(np.zeros(2, int), np.arange(2), np.array(v), np.ones(2), 1) for v in ([1.0, 3.0], [8.0, 8.0])]
    >>> size, weighted, _ = (sum(each) for each in zip(*(part.totals(1) for part in parts), strict=True))
    >>> mean = mean_of(size, weighted)
    >>> sums = [part.powers(mean, size, 1.0)[2]["square"] for part in parts]
    >>> mean.tolist(), sum(sums).round(2).tolist()
    ([5.0], [4.22])
    """

    owner: Array
    weight: Array
    size: Array
    value: Array

    @classmethod
    def of(cls, group: Array, cluster: Array, value: Array, weights: Array, groups: int) -> Cells:
        """Return the cells of observations; see ``ratio_means``."""
        several = max(len(weights), 1)
        cell, found = dense_codes(group.astype(np.int64) * several + cluster, groups * several)
        owner, w = found // several, np.asarray(weights, np.float64)[found % several]
        return cls(owner, w, w * np.bincount(cell, minlength=len(found)), w * sum_by(cell, value, len(found)))

    def totals(self, groups: int) -> tuple[Array, Array, float]:
        """Return size and value by group, and the largest weight."""
        size, value = (sum_by(self.owner, each, groups) for each in (self.size, self.value))
        return size, value, float(self.weight.max(initial=0.0))

    def powers(self, mean: Array, size: Array, largest: float) -> tuple[Array, Array, dict[str, Array]]:
        """Return sums of powers of influences by group and weight class, given mean and size of all parts.

        The group of each entry, its class (half powers of two below the largest weight; ``NO_CLASS`` for weight 0), and
        the sums.
        """
        rest = size[self.owner] - self.size
        influence = np.divide(self.value - mean[self.owner] * self.size, rest, out=np.zeros(len(rest)), where=rest > 0)
        codes, classes = relative_classes(self.weight, largest)
        cell, owner, code = class_cells(self.owner, codes, len(classes) - 1)
        values = {"count": np.ones(len(cell)), "n": self.weight > 0}
        values |= {name: influence**power for name, power in _INFLUENCES.items()}
        values |= {name: self.size**power for name, power in _SIZES.items()}
        sums = {name: sum_by(cell, each, len(owner)) for name, each in values.items()}
        return owner, classes[code], sums


def mean_of(size: Array, value: Array) -> Array:
    """Return the means; NaN without any weight."""
    return np.asarray(value / np.where(size > 0, size, np.nan))


def moments_of(sums: dict[str, Array], owner: Array, has_class: Array, mean: Array, size: Array) -> Moments:
    """Return the moments from the sums of powers by group and weight class.

    Parameters
    ----------
    sums
        As returned by ``Cells.powers``; several entries of one group and class are not allowed.
    owner
        Group of each entry.
    has_class
        bool: whether the entry is of traces with a weight.
    mean, size
        Of each group.

    Returns
    -------
    Moments
        See ``ratio_means``.
    """
    groups = len(mean)
    total = {name: sum_by(owner, each, groups) for name, each in sums.items()}
    square, n = total["square"], total["n"].astype(np.int64)
    square[square <= _ROUNDING * np.nan_to_num(mean) ** 2] = 0.0
    part, count = sums["square"][has_class], sums["count"][has_class]
    doubt = sum_by(owner[has_class], part**2 / np.maximum(count, 1), groups)
    behind = np.divide(square**2, doubt, out=n.astype(np.float64), where=(square > 0) & (doubt > 0))
    n_effective = np.divide(size**2, total["size_square"], out=np.zeros(groups), where=total["size_square"] > 0)
    is_even = (total["size_square"] ** 2 >= LEAST * total["size_fourth"] * (1 - _NEAR)) & (total["size_fourth"] > 0)
    return Moments(square, total["third"], total["fourth"], np.asarray(behind), n, n_effective, is_even)
