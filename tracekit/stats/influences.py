"""How far each cluster (trace) moves the mean of each group: all that is needed of the error of many means.

A mean is ``sum value / sum size`` over clusters.  Most clusters have nothing of most groups, so influences are sparse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.stats.grouping import sum_by

if TYPE_CHECKING:
    from tracekit.schema import Array

LEAST = 20
"""With fewer clusters that carry the variance a mean is not estimable; see ``Denominator.is_enough``."""
_POWERS = (2, 3, 4)
_ROWS = 1 << 16
_ROUNDING = 1e-13  # of the squares that cancel: a variance that is none


class Denominator(NamedTuple):
    """What means are taken over.

    Parameters
    ----------
    size
        float64, one a cluster: what it adds to the denominator of every mean.
    part
        float64, one a cluster: its part of all that is averaged; adds up to 1.

    Examples
    --------
    One cluster that outweighs all others leaves as good as one:

    >>> alike, alone = Denominator.of(np.ones(50)), Denominator.of(np.repeat([1000.0, 1.0], [1, 50]))
    >>> [round(each.n_effective, 1) for each in (alike, alone)], alike.is_enough, alone.is_enough
    ([50.0, 1.1], True, False)
    """

    size: Array
    part: Array

    @classmethod
    def of(cls, size: Array, chosen: Array | None = None) -> Denominator:
        """Return the denominator of clusters of these sizes.

        Parameters
        ----------
        size
            What each adds to the denominator.
        chosen
            What each adds of what is averaged; ``size`` unless only a band is.
        """
        averaged = size if chosen is None else chosen
        whole = averaged.sum()
        return cls(size, averaged / whole if whole > 0 else np.zeros(len(size)))

    @property
    def n(self) -> int:
        """Clusters that count at all."""
        return int((self.part > 0).sum())

    @property
    def n_effective(self) -> float:
        """Kish's effective number of clusters."""
        square = float((self.part**2).sum())
        return 1 / square if square > 0 else 0.0

    @property
    def is_enough(self) -> bool:
        """Whether a variance of equal spread, sum p^2, would rest on enough clusters: (sum p^2)^2 / sum p^4 of them.

        A sample without the heaviest traces does not show that they exist, and this cannot either.
        """
        square = self.part**2
        return bool(square.sum() ** 2 >= LEAST * (square**2).sum() * (1 - 1e-9) > 0)


class Moments(NamedTuple):
    """Sums of powers of influences, one entry a group.

    Parameters
    ----------
    square, third, fourth
        float64: the variance of the mean, and what skewness and kurtosis are made of.
    n
        Clusters.
    n_effective
        Kish's number of them.
    is_enough
        Whether they are enough for limits.

    Examples
    --------
    >>> alike, alone = (Moments(np.ones(1), np.zeros(1), np.array([x]), 100, 100, True) for x in (0.03, 1.0))
    >>> alike.freedom.round(1).item(), alone.freedom.round(1).item()
    (99.0, 2.0)
    """

    square: Array
    third: Array
    fourth: Array
    n: int
    n_effective: float
    is_enough: bool

    @property
    def freedom(self) -> Array:
        """Degrees of freedom of the variance (Satterthwaite): 2 V^2 / (sum u^4 - V^2 / n), at most n - 1."""
        most = max(self.n - 1, 1)
        inverse = np.divide(self.fourth, self.square**2, out=np.zeros(len(self.square)), where=self.square > 0)
        return np.asarray(2 / np.maximum(inverse - 1 / max(self.n, 1), 2 / most))


class Influence(NamedTuple):
    """How far every cluster moves the mean of every group.

    Parameters
    ----------
    group, cluster, value
        One entry a cell: what a cluster that has something of a group adds.
    coefficient
        float64, groups by columns of ``base``.
    base
        float64, clusters by few: ``coefficient @ base.T`` is what every cluster adds to every group.
    denominator
        Of the means.

    Examples
    --------
    >>> zero, base, least = np.zeros(3, int), np.ones((3, 1)), Denominator.of(np.ones(3))
    >>> influence = Influence(zero, np.arange(3), np.array([1.0, 2.0, 3.0]), np.array([[-2.0]]), base, least)
    >>> influence.moments().square.tolist()
    [2.0]
    """

    group: Array
    cluster: Array
    value: Array
    coefficient: Array
    base: Array
    denominator: Denominator

    def minus(self, other: Influence) -> Influence:
        """Return the influences on a difference of means of the same groups and clusters."""
        return Influence(
            np.concatenate((self.group, other.group)),
            np.concatenate((self.cluster, other.cluster)),
            np.concatenate((self.value, -other.value)),
            np.hstack((self.coefficient, -other.coefficient)),
            np.hstack((self.base, other.base)),
            min(self.denominator, other.denominator, key=lambda each: each.n_effective),
        )

    def moments(self) -> Moments:
        """Return sums of powers over all clusters."""
        group, cluster, value = self._by_pair()
        groups, count = len(self.coefficient), len(self.base)
        often = np.bincount(group, minlength=groups) * 2 >= count
        dense = often[group]
        found = np.empty((len(_POWERS), groups))
        found[:, ~often] = self._sparse(~often, group[~dense], cluster[~dense], value[~dense])
        found[:, often] = self._dense(often, group[dense], cluster[dense], value[dense])
        scale = (np.abs(self.coefficient) @ np.sqrt((self.base**2).sum(axis=0))) ** 2
        found[:, found[0] <= _ROUNDING * scale] = 0.0
        about = self.denominator
        square, third, fourth = found
        return Moments(square, third, fourth, about.n, about.n_effective, about.is_enough)

    def _dense(self, often: Array, group: Array, cluster: Array, value: Array) -> Array:
        """Return the sums of powers of groups that most clusters have something of: every influence is worked out."""
        place = np.cumsum(often) - 1
        every = self.coefficient[often] @ self.base.T
        every[place[group], cluster] += value
        return np.array([(every**power).sum(axis=1) for power in _POWERS])

    def _sparse(self, seldom: Array, group: Array, cluster: Array, value: Array) -> Array:
        """Return those of the others: all clusters as if none had a cell, and what cells change."""
        place, groups = np.cumsum(seldom) - 1, int(seldom.sum())
        everywhere = (self.coefficient[group] * self.base[cluster]).sum(axis=1)
        more = [sum_by(place[group], (value + everywhere) ** n - everywhere**n, groups) for n in _POWERS]
        return np.asarray(self._everywhere(self.coefficient[seldom]) + np.array(more))

    def _by_pair(self) -> tuple[Array, Array, Array]:
        """Return the cells with those of one group and cluster summed."""
        count = max(len(self.base), 1)
        pair = self.group.astype(np.int64) * count + self.cluster
        order = np.argsort(pair, kind="stable")
        pair = pair[order]
        first = np.flatnonzero(np.diff(pair, prepend=-1))
        value = np.add.reduceat(self.value[order], first) if len(first) else np.zeros(0)
        return pair[first] // count, pair[first] % count, value

    def _everywhere(self, columns: Array) -> Array:
        """Return sums over all clusters of the second, third and fourth power of ``columns @ base.T``."""
        width = self.base.shape[1]
        second, third = np.zeros((width, width)), np.zeros((width**2, width))
        fourth = np.zeros((width**2, width**2))
        for first in range(0, len(self.base), _ROWS):
            rows = self.base[first : first + _ROWS]
            products = (rows[:, :, None] * rows[:, None, :]).reshape(len(rows), -1)
            second += rows.T @ rows
            third += products.T @ rows
            fourth += products.T @ products
        products = (columns[:, :, None] * columns[:, None, :]).reshape(len(columns), width**2)
        pairs = ((columns, second, columns), (products, third, columns), (products, fourth, products))
        return np.array([((left @ sums) * right).sum(axis=1) for left, sums, right in pairs])


def influence(
    group: Array,
    cluster: Array,
    value: Array,
    denominator: Denominator,
    groups: int,
    *,
    edges: tuple[tuple[Array, Array], ...] = (),
) -> Influence:
    """Return how far every cluster moves the mean of every group.

    Parameters
    ----------
    group, cluster, value
        One entry a cell: what a cluster adds to the sum of a group.
    denominator
        Of all groups.
    groups
        Number of groups.
    edges
        Ends of what is averaged that move with the sample: what is there of every group, and how far each cluster
        moves the end.

    Returns
    -------
    Influence
        ``(value - mean size + edges) / (total - part)``: the jackknife's, so that a cluster that makes the mean what it
        is counts in full.

    Examples
    --------
    >>> two = Denominator.of(np.ones(2))
    >>> influence(np.zeros(2, int), np.arange(2), np.array([1.0, 3.0]), two, 1).moments().square.tolist()
    [2.0]
    """
    size, part = denominator
    total = size.sum()
    mean = sum_by(group, value, groups) / (total if total > 0 else 1.0)
    scale = np.divide(1.0, total * (1 - part), out=np.zeros(len(size)), where=(part < 1) & (total > 0))
    base = np.stack([size, *(moved for _, moved in edges)], axis=1) * scale[:, None]
    coefficient = np.stack([-mean, *(there for there, _ in edges)], axis=1)
    return Influence(group, cluster, value * scale[cluster], coefficient, base, denominator)
