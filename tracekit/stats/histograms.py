"""Log-bucket histograms of many groups, which can be summed across blocks, files and machines.

Bucket b contains the values from 1.02^b up to 1.02^(b + 1), bucket -1 the value 0.  A cell (group, bucket) also has
its smallest and largest value, so quantiles are exact in a bucket with one distinct value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracekit.stats.grouping import dense_codes, sum_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.schema import Array

BASE = 1.02
_SLACK = 1e-9  # tolerance for rounding


def buckets(values: Array) -> Array:
    """Return the bucket of each value: floor(ln(value) / ln(1.02)), and -1 for 0.

    Parameters
    ----------
    values
        Durations in ns, or any other numbers of 0 or more; below 1 they count as 0.

    Returns
    -------
    numpy.ndarray
        int64.

    Raises
    ------
    ValueError
        If a value is negative.

    Examples
    --------
    >>> buckets(np.array([0, 1, 100, 101, 103]))
    array([ -1,   0, 232, 233, 234])
    """
    x = np.asarray(values)
    if len(x) and x.min() < 0:
        raise ValueError(f"expected values of 0 or more, found {x.min()}; exclude spans without a duration first")
    log = np.log(np.maximum(x, 1))
    log *= 1 / np.log(BASE)
    bucket: Array = log.astype(np.int64)
    bucket[x < 1] = -1
    return bucket


def bucket_edges(bucket: Array) -> tuple[Array, Array]:
    """Return the lower (included) and upper (excluded) edge of each bucket.

    Parameters
    ----------
    bucket
        As returned by ``buckets``.

    Returns
    -------
    tuple of numpy.ndarray
        float64, in the unit of the values.

    Examples
    --------
    >>> low, high = bucket_edges(np.array([-1, 0, 232]))
    >>> low.round(2).tolist(), high.round(2).tolist()
    ([0.0, 1.0, 98.91], [1.0, 1.02, 100.89])
    """
    b = np.asarray(bucket, np.float64)
    return np.where(b < 0, 0.0, BASE**b), BASE ** (b + 1)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Non-empty cells sorted by (group, bucket).

    Parameters
    ----------
    group, bucket
        int64.
    weight
        Sum of the weights.
    total
        Sum of weight times value.
    low, high
        Smallest and largest value.

    Examples
    --------
    Nine page views of 100 ms and one of 2 s; p50 and p95 in ms.

    >>> views = Histogram.of(np.zeros(10, int), np.array([100] * 9 + [2000]), np.ones(10))
    >>> views.quantiles((0.5, 0.95), groups=1).tolist()
    [[100.0, 2000.0]]
    """

    group: Array
    bucket: Array
    weight: Array
    total: Array
    low: Array
    high: Array

    def __len__(self) -> int:
        return len(self.group)

    @classmethod
    def of(cls, group: Array, values: Array, weights: Array | float) -> Histogram:
        """Return the histogram of values by group.

        Parameters
        ----------
        group
            Group of each value, 0 or more.
        values
            Numbers of 0 or more.
        weights
            Weight of each value, or one for all.

        Returns
        -------
        Histogram
            One cell for each (group, bucket) that occurs.
        """
        return cls._cells(group, buckets(values), weights, weights * values, values, values)

    @classmethod
    def _cells(
        cls, group: Array, bucket: Array, weight: Array | float, total: Array, low: Array, high: Array
    ) -> Histogram:
        """Return the histogram with entries of equal cells summed."""
        groups, lowest = int(group.max(initial=-1)) + 1, int(bucket.min(initial=0))
        span = int(bucket.max(initial=0)) - lowest + 1
        key = group * np.int64(span)
        key += bucket
        key -= lowest
        cell, found = dense_codes(key, groups * span)
        size = len(found)
        smallest, largest = np.full(size, np.iinfo(np.int64).max), np.zeros(size, np.int64)
        np.minimum.at(smallest, cell, low)
        np.maximum.at(largest, cell, high)
        heavy, sum_of = sum_by(cell, weight, size), sum_by(cell, total, size)
        return cls(found // span, found % span + lowest, heavy, sum_of, smallest, largest)

    @classmethod
    def empty(cls) -> Histogram:
        """Return an empty histogram."""
        return cls.of(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))

    @classmethod
    def concatenate(cls, parts: Sequence[Histogram], offsets: Sequence[int]) -> Histogram:
        """Return the cells of several histograms, with the groups of each shifted by its offset.

        Parameters
        ----------
        parts
            Histograms.
        offsets
            What to add to the groups of each, ascending by more than its groups.

        Returns
        -------
        Histogram
            Still sorted by (group, bucket).
        """
        if len(parts) == 1:
            return parts[0]
        groups = [part.group + offset for part, offset in zip(parts, offsets, strict=True)]
        columns = ("bucket", "weight", "total", "low", "high")
        return cls(np.concatenate(groups), *(np.concatenate([getattr(p, name) for p in parts]) for name in columns))

    def regroup(self, groups: Array) -> Histogram:
        """Return the histogram with group g renumbered to ``groups[g]``; equal cells are summed.

        Parameters
        ----------
        groups
            New group of each old one, -1 to drop it.

        Returns
        -------
        Histogram
            Of the new groups; the same object if no group gets another number.

        Examples
        --------
        >>> two = Histogram.of(np.array([0, 1]), np.array([100, 100]), np.ones(2))
        >>> two.regroup(np.array([0, 0])).weight
        array([2.])
        """
        if np.array_equal(groups, np.arange(len(groups))):
            return self
        new = np.asarray(groups, np.int64)[self.group]
        kept = np.flatnonzero(new >= 0)
        columns = ("bucket", "weight", "total", "low", "high")
        return Histogram._cells(new[kept], *(getattr(self, name)[kept] for name in columns))

    def where(self, groups: Array) -> Histogram:
        """Return some of the groups, renumbered in the same order.

        Parameters
        ----------
        groups
            bool, one per group.

        Returns
        -------
        Histogram
            Of those groups.
        """
        cells = np.flatnonzero(np.asarray(groups)[self.group])
        number = np.cumsum(groups) - 1
        columns = ("bucket", "weight", "total", "low", "high")
        return Histogram(number[self.group[cells]], *(getattr(self, name)[cells] for name in columns))

    def weights(self, groups: int) -> Array:
        """Return the total weight of each group."""
        return sum_by(self.group, self.weight, groups)

    def means(self, groups: int) -> Array:
        """Return the weighted mean of each group; exact, NaN where it is empty."""
        weight = self.weights(groups)
        return np.bincount(self.group, self.total, groups) / np.where(weight > 0, weight, np.nan)

    def maxima(self, groups: int) -> Array:
        """Return the largest value of each group; exact, NaN where it is empty."""
        largest = np.full(groups, -1, np.int64)
        np.maximum.at(largest, self.group, self.high)
        return np.where(largest < 0, np.nan, largest.astype(np.float64))

    def quantiles(self, shares: Sequence[float], groups: int) -> Array:
        """Return weighted quantiles.

        Parameters
        ----------
        shares
            For example ``(0.5, 0.99)``.
        groups
            Number of groups.

        Returns
        -------
        numpy.ndarray
            float64[groups, shares]: exact where a bucket contains one distinct value, else interpolated between the
            smallest and the largest value of its bucket, so at most 2% off; NaN where a group is empty.
        """
        return np.column_stack([self._at(np.full(groups, share)) for share in shares] or [np.zeros((groups, 0))])

    def _at(self, share: Array) -> Array:
        """Return the value at each group's share, interpolated within its cell."""
        groups = len(share)
        if not len(self):
            return np.full(groups, np.nan)
        offsets = np.searchsorted(self.group, np.arange(groups + 1))
        reached = np.concatenate(([0.0], np.cumsum(self.weight)))
        start, weight = reached[offsets[:-1]], self.weights(groups)
        wanted = start + share * weight
        cell = np.searchsorted(reached[1:], wanted - weight * _SLACK, side="left")
        cell = np.where(weight > 0, np.clip(cell, offsets[:-1], np.maximum(offsets[1:] - 1, offsets[:-1])), 0)
        low, high, inside = self.low[cell].astype(np.float64), self.high[cell].astype(np.float64), self.weight[cell]
        part = np.clip((wanted - reached[cell]) / np.where(inside > 0, inside, 1), 0, 1)
        return np.where(weight > 0, low + (high - low) * part, np.nan)
