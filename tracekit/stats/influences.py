"""Influence of each cluster (trace) on the mean of each group, for the variances of many means.

A mean is ``sum value / sum size`` over clusters.  Most clusters have nothing of most groups, so influences are sparse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.stats.grouping import sum_by
from tracekit.stats.mover import weight_classes

if TYPE_CHECKING:
    from tracekit.schema import Array

LEAST = 20
"""With fewer clusters behind the variance a mean is not estimable; see ``Moments.is_enough``."""
_POWERS = (2, 3, 4)
_ROWS = 1 << 16
_SMALLEST = float(np.finfo(np.float64).tiny)
_NEAR = 1e-9  # a number that is reached up to rounding is reached
_ROUNDING = 1e-13  # of the squares that cancel: a variance that is none


class Denominator(NamedTuple):
    """Denominator of means, by cluster.

    Parameters
    ----------
    size
        float64, one per cluster: what it adds to the denominator of every mean.
    part
        float64, one per cluster: its part of all that is averaged; adds up to 1.
    weight_class
        int64, one per cluster: clusters of about one weight (``mover.weight_classes``, in units of the largest); -1 for
        weight 0.

    Examples
    --------
    One cluster with most of the weight results in an effective size near 1:

    >>> alike, alone = Denominator.of(np.ones(50)), Denominator.of(np.repeat([1000.0, 1.0], [1, 50]))
    >>> [round(each.n_effective, 1) for each in (alike, alone)], alike.is_enough, alone.is_enough
    ([50.0, 1.1], True, False)
    """

    size: Array
    part: Array
    weight_class: Array

    @classmethod
    def of(cls, size: Array, chosen: Array | None = None, weight: Array | None = None) -> Denominator:
        """Return the denominator of clusters of these sizes.

        Parameters
        ----------
        size
            What each adds to the denominator.
        chosen
            What each adds of what is averaged; ``size`` unless only a band is.
        weight
            Sampling weight of each; ``size`` unless a cluster has several entries.
        """
        averaged = size if chosen is None else chosen
        whole = averaged.sum()
        weights = size if weight is None else weight
        classes, _ = weight_classes(weights / max(weights.max(initial=0.0), _SMALLEST))
        return cls(size, averaged / whole if whole > 0 else np.zeros(len(size)), classes)

    @property
    def n(self) -> int:
        """Clusters with a positive size."""
        return int((self.part > 0).sum())

    @property
    def n_effective(self) -> float:
        """Kish's effective number of clusters."""
        square = float((self.part**2).sum())
        return 1 / square if square > 0 else 0.0

    @property
    def is_enough(self) -> bool:
        """Whether a variance of equal spread, sum p^2, would rest on enough clusters: (sum p^2)^2 / sum p^4 of them."""
        square = self.part**2
        return bool(square.sum() ** 2 >= LEAST * (square**2).sum() * (1 - _NEAR) > 0)


class Moments(NamedTuple):
    """Sums of powers of influences, one entry per group.

    Parameters
    ----------
    square, third, fourth
        float64: the variance of the mean, and what skewness and kurtosis are made of.
    behind
        float64: clusters behind the variance, by weight class: V^2 / sum (V_c^2 / n_c), with V_c the part of V that
        the n_c clusters of a class have.  n where all weights are equal; less where a few heavy clusters have much of
        the variance.
    n
        Clusters: of all groups, or one entry per group.
    n_effective
        Kish's number of them.
    is_even
        Whether they would be enough if all had the same spread (``Denominator.is_enough``).

    Examples
    --------
    >>> hundred = np.array([100.0])
    >>> alike, alone = (Moments(np.ones(1), np.zeros(1), np.array([x]), hundred, 100, 100, True) for x in (0.03, 1.0))
    >>> alike.freedom.round(1).item(), alone.freedom.round(1).item()
    (99.0, 2.0)
    """

    square: Array
    third: Array
    fourth: Array
    behind: Array
    n: Array | int
    n_effective: Array | float
    is_even: Array | bool

    @property
    def is_enough(self) -> Array:
        """Whether limits are estimable: at least 20 clusters are behind the variance.

        A weight class that has much of the variance and few clusters shows neither how many requests it stands for nor
        whether heavier ones exist.  A sample in which all heavy classes are missing cannot be detected.
        """
        return np.asarray(self.is_even & (self.behind >= LEAST * (1 - _NEAR)))

    @property
    def freedom(self) -> Array:
        """Degrees of freedom of the variance (Satterthwaite).

        The inverse is (sum u^4 / V^2 - 1 / n) / 2, at least 1 / (n - 1), plus by how much 1 / (``behind`` - 1) is more
        than that: how many clusters each class has varies as well.
        """
        least = 1 / np.maximum(np.subtract(self.n, 1), 1)
        fourth = np.divide(self.fourth, self.square**2, out=np.zeros(len(self.square)), where=self.square > 0)
        by_class = np.maximum(1 / np.maximum(self.behind - 1, 1) - least, 0)
        return np.asarray(1 / (np.maximum((fourth - 1 / np.maximum(self.n, 1)) / 2, least) + by_class))


class Influence(NamedTuple):
    """Influence of every cluster on the mean of every group.

    Parameters
    ----------
    group, cluster, value
        One entry per cell: what a cluster that has something of a group adds.
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
        cells = self._by_pair()
        groups, count = len(self.coefficient), len(self.base)
        often = np.bincount(cells[0], minlength=groups) * 2 >= count
        found, squares = np.empty((len(_POWERS), groups)), np.empty((groups, self._classes))
        for some, sums in ((~often, self._sparse), (often, self._dense)):
            has_cell = some[cells[0]]
            found[:, some], squares[some] = sums(some, *(column[has_cell] for column in cells))
        scale = (np.abs(self.coefficient) @ np.sqrt((self.base**2).sum(axis=0))) ** 2
        found[:, found[0] <= _ROUNDING * scale] = 0.0
        about, behind = self.denominator, self._behind(found[0], squares)
        square, third, fourth = found
        return Moments(square, third, fourth, behind, about.n, about.n_effective, about.is_enough)

    @property
    def _classes(self) -> int:
        """Number of weight classes."""
        return int(self.denominator.weight_class.max(initial=0)) + 1

    def _behind(self, square: Array, squares: Array) -> Array:
        """Return how many clusters are behind each variance; ``squares`` are the parts of the classes."""
        classes = self.denominator.weight_class
        n = np.bincount(classes[classes >= 0], minlength=self._classes)
        doubt = (np.maximum(squares, 0.0) ** 2 / np.maximum(n, 1)).sum(axis=1)
        whole = np.full(len(square), float(n.sum()))
        some = (square > 0) & (doubt > 0) & (self._classes > 1)
        return np.asarray(np.divide(square**2, doubt, out=whole, where=some))

    def _dense(self, often: Array, group: Array, cluster: Array, value: Array) -> tuple[Array, Array]:
        """Return sums of powers, and of squares by class, of groups that most clusters have: all are worked out."""
        place = np.cumsum(often) - 1
        every = self.coefficient[often] @ self.base.T
        every[place[group], cluster] += value
        square = every * every
        powers = np.array([square.sum(axis=1), (square * every).sum(axis=1), (square * square).sum(axis=1)])
        return powers, sum_columns(square, self.denominator.weight_class, self._classes)

    def _sparse(self, seldom: Array, group: Array, cluster: Array, value: Array) -> tuple[Array, Array]:
        """Return those of the others: all clusters as if none had a cell, and what cells change."""
        place, groups, classes = np.cumsum(seldom) - 1, int(seldom.sum()), self._classes
        everywhere = (self.coefficient[group] * self.base[cluster]).sum(axis=1)
        more = [(value + everywhere) ** n - everywhere**n for n in _POWERS]
        found, squares = self._everywhere(self.coefficient[seldom])
        cell = place[group] * classes + np.maximum(self.denominator.weight_class[cluster], 0)
        squares += sum_by(cell, more[0], groups * classes).reshape(groups, classes)
        return found + np.array([sum_by(place[group], each, groups) for each in more]), squares

    def _by_pair(self) -> tuple[Array, Array, Array]:
        """Return the cells with those of one group and cluster summed."""
        count = max(len(self.base), 1)
        pair = self.group.astype(np.int64) * count + self.cluster
        order = np.argsort(pair, kind="stable")
        pair = pair[order]
        first = np.flatnonzero(np.diff(pair, prepend=-1))
        value = np.add.reduceat(self.value[order], first) if len(first) else np.zeros(0)
        return pair[first] // count, pair[first] % count, value

    def _everywhere(self, columns: Array) -> tuple[Array, Array]:
        """Return sums over all clusters of powers of ``columns @ base.T``, and of its square by class."""
        width, classes = self.base.shape[1], self._classes
        third, fourth = np.zeros((width**2, width)), np.zeros((width**2, width**2))
        by_class = np.zeros((width**2, classes))
        for first in range(0, len(self.base), _ROWS):
            rows = self.base[first : first + _ROWS]
            products = (rows[:, :, None] * rows[:, None, :]).reshape(len(rows), -1)
            by_class += sum_columns(products.T, self.denominator.weight_class[first : first + _ROWS], classes)
            third += products.T @ rows
            fourth += products.T @ products
        products = (columns[:, :, None] * columns[:, None, :]).reshape(len(columns), width**2)
        squares = products @ by_class
        higher = (((products @ sums) * right).sum(axis=1) for sums, right in ((third, columns), (fourth, products)))
        return np.array([squares.sum(axis=1), *higher]), squares


def sum_columns(table: Array, number: Array, count: int) -> Array:
    """Return the sums of the columns that have one number, 0 up to ``count``; others are excluded.

    Examples
    --------
    >>> sum_columns(np.array([[1.0, 2.0, 4.0]]), np.array([1, 0, 1]), 2).tolist()
    [[2.0, 5.0]]
    """
    if count == 1:
        return np.asarray(table.sum(axis=1, keepdims=True))
    return np.stack([table[:, number == at].sum(axis=1) for at in range(count)], axis=1)


def influence(
    group: Array,
    cluster: Array,
    value: Array,
    denominator: Denominator,
    groups: int,
    *,
    edges: tuple[tuple[Array, Array], ...] = (),
) -> Influence:
    """Return the influence of every cluster on the mean of every group.

    Parameters
    ----------
    group, cluster, value
        One entry per cell: what a cluster adds to the sum of a group.
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
    size, part, _ = denominator
    total = size.sum()
    mean = sum_by(group, value, groups) / (total if total > 0 else 1.0)
    scale = np.divide(1.0, total * (1 - part), out=np.zeros(len(size)), where=(part < 1) & (total > 0))
    base = np.stack([size, *(moved for _, moved in edges)], axis=1) * scale[:, None]
    coefficient = np.stack([-mean, *(there for there, _ in edges)], axis=1)
    return Influence(group, cluster, value * scale[cluster], coefficient, base, denominator)
