"""Values by group with their counts, for exact medians of few distinct values and near ones of many."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.stats.grouping import stable_order
from tracekit.stats.histograms import BASE, buckets

if TYPE_CHECKING:
    from tracekit.schema import Array

MOST = 256
"""Distinct values of a group that are kept; more become buckets of 2%."""


class CountedValues(NamedTuple):
    """Distinct values with their counts, sorted by group and value; those of parts add.

    Parameters
    ----------
    group, value, number
        int64, float64 (0 or more) and int64, one per group and distinct value.
    is_coarse
        bool, one per group: its values are the middles of buckets, at most 1% off.

    Examples
    --------
    >>> seen = CountedValues.of(np.array([0, 0, 1, 0]), np.array([5, 1, 7, 5]), 2)
    >>> seen.medians().tolist(), seen.number.tolist()
    ([5.0, 7.0], [1, 2, 1])
    """

    group: Array
    value: Array
    number: Array
    is_coarse: Array

    @classmethod
    def of(cls, group: Array, values: Array, groups: int) -> CountedValues:
        """Return the values of these groups, however many."""
        return _counted(group, values.astype(np.float64), np.ones(len(group), np.int64), np.zeros(groups, bool))

    @classmethod
    def concatenate(cls, first: CountedValues, second: CountedValues) -> CountedValues:
        """Return the groups of both one after the other."""
        group = np.concatenate([first.group, second.group + len(first.is_coarse)])
        rest = (np.concatenate(pair) for pair in zip(first[1:], second[1:], strict=True))
        return cls(group, *rest)

    def where(self, chosen: Array) -> CountedValues:
        """Return the values of some groups, renumbered; ``chosen``: bool, one per group."""
        kept, number = chosen[self.group], np.cumsum(chosen) - 1
        return CountedValues(number[self.group[kept]], self.value[kept], self.number[kept], self.is_coarse[chosen])

    def regroup(self, groups: Array, count: int) -> CountedValues:
        """Return the values with group g renumbered to ``groups[g]``, coarse where one of the old groups is.

        Parameters
        ----------
        groups
            New group of each old one.
        count
            Number of new groups.
        """
        is_coarse = np.zeros(count, bool)
        is_coarse[groups[self.is_coarse]] = True
        new = groups[self.group]
        value = np.where(is_coarse[new], _middles(self.value), self.value)
        return _counted(new, value, self.number, is_coarse)

    def limited(self, most: int = MOST) -> CountedValues:
        """Return the values with buckets in place of the values of groups that have more distinct ones.

        Whether a group is coarse depends on all of its values, not on the order in which parts are added.
        """
        many = np.bincount(self.group, minlength=len(self.is_coarse)) > most
        if not (many & ~self.is_coarse).any():
            return self
        is_coarse = self.is_coarse | many
        value = np.where(is_coarse[self.group], _middles(self.value), self.value)
        return _counted(self.group, value, self.number, is_coarse)

    def medians(self) -> Array:
        """Return the median of each group, half-way between the two middle values of an even number; NaN if empty."""
        total = self.totals()
        return np.asarray((self.at((total - 1) // 2) + self.at(total // 2)) / 2)

    def totals(self) -> Array:
        """Return how many values each group has."""
        return np.bincount(self.group, self.number, len(self.is_coarse)).astype(np.int64)

    def at(self, rank: Array) -> Array:
        """Return the value of each group with this many smaller or equal ones before it; NaN for an empty group.

        Parameters
        ----------
        rank
            int64, one per group; below its number of values.
        """
        total = self.totals()
        before, known = np.cumsum(total) - total, np.flatnonzero(total)
        found = np.full(len(total), np.nan)
        found[known] = self.value[np.searchsorted(np.cumsum(self.number), (before + rank)[known], side="right")]
        return found


def _counted(group: Array, value: Array, count: Array, is_coarse: Array) -> CountedValues:
    """Return the entries with equal ones added."""
    order = np.argsort(value)
    order = order[stable_order(group[order], len(is_coarse))]
    group, value = group[order], value[order]
    begins = np.ones(len(group), bool)
    begins[1:] = (np.diff(group) != 0) | (np.diff(value) != 0)
    first = np.flatnonzero(begins)
    total = np.add.reduceat(count[order], first) if len(first) else count[:0]
    return CountedValues(group[first], value[first], total, is_coarse)


def _middles(values: Array) -> Array:
    """Return the middle of the bucket of each value; a middle stays what it is."""
    bucket = buckets(values)
    return np.asarray(np.where(bucket < 0, 0.0, BASE ** (bucket + 0.5)))
