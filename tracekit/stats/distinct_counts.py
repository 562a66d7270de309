"""Numbers of distinct values by group, which add up over parts: of many values those with the least hashes are kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.stats.grouping import group_labels, stable_order, sum_by

if TYPE_CHECKING:
    from tracekit.schema import Array

MOST = 4096  # values kept of a group
_BITS = 64


def kept_values(owner: Array, value: Array, level: Array, most: int = MOST) -> tuple[Array, Array]:
    """Return which values are kept so that no owner has more than ``most``.

    Parameters
    ----------
    owner
        Owner of each value, ``0 .. len(level) - 1``; its values are distinct, or those of parts of it.
    value
        uint64: hashes of the values.
    level
        By owner: its hashes are below ``2 ** (64 - level)``.
    most
        Values that an owner keeps at most.

    Returns
    -------
    tuple of numpy.ndarray
        bool, one per value, and the new level of each owner, never lower: a value is kept with probability
        ``2 ** -level``, the same values in any parts and any order.

    Examples
    --------
    >>> hashes = np.array([1, 2**62, 2**63 + 5, 2**63], np.uint64)
    >>> kept_values(np.zeros(4, int), hashes, np.zeros(1, int), most=2)
    (array([ True,  True, False, False]), array([1]))
    """
    level = level.copy()
    kept = value <= _largest(level)[owner]
    many = np.bincount(owner[kept], minlength=len(level))
    crowded = np.flatnonzero(kept & (many > most)[owner])
    if len(crowded):
        crowded = crowded[stable_order(owner[crowded], len(level))]
        owners = np.flatnonzero(many > most)
        for one, values in zip(owners.tolist(), np.split(value[crowded], np.cumsum(many[owners])[:-1]), strict=True):
            beyond = int(np.partition(values, most)[most])
            level[one] = _BITS + 1 - beyond.bit_length()
    return value <= _largest(level)[owner], level


def hash_of_pairs(high: Array, low: Array) -> Array:
    """Return hashes (uint64) of pairs of numbers, for ``kept_values``.

    Parameters
    ----------
    high, low
        uint64: one entry a pair.

    Returns
    -------
    numpy.ndarray
        Equal for equal pairs, in any process.

    Examples
    --------
    >>> one, other = np.array([1, 2], np.uint64), np.array([2, 1], np.uint64)
    >>> len({*hash_of_pairs(one, other).tolist(), *hash_of_pairs(one, one).tolist()})
    4
    """
    return np.asarray(pd.util.hash_array(pd.util.hash_array(high) ^ pd.util.hash_array(~low)))


def _largest(level: Array) -> Array:
    """Return the largest hash that is kept at each level."""
    return np.array([2 ** (_BITS - one) - 1 for one in level.tolist()], np.uint64)


@dataclass(frozen=True)
class DistinctCounts:
    """Distinct values by group.

    Parameters
    ----------
    keys
        Labels of each group by column, None where missing.
    use_count
        Uses of the values of each group, also of those that are not kept.
    group, value
        The kept values, each once: their group, and a hash (uint64).
    level
        By group: a value is kept with probability ``2 ** -level``.

    Examples
    --------
    >>> def part(*hashes):
    ...     keys = {"key": np.array(["user.id"], object)}
    ...     return DistinctCounts.of(
    ...         keys, np.zeros(len(hashes), int), np.array(hashes, np.uint64), np.ones(len(hashes))
    ...     )
    >>> both = part(7, 8).plus(part(8, 9, 10))
    >>> both.count.tolist(), both.use_count.tolist(), both.error.tolist()
    ([4], [5], [0.0])
    """

    keys: dict[str, Array]
    use_count: Array
    group: Array
    value: Array
    level: Array

    @classmethod
    def of(cls, keys: dict[str, Array], group: Array, value: Array, use: Array) -> DistinctCounts:
        """Return the groups of some values, in the order of their labels.

        Parameters
        ----------
        keys
            Labels by column, one for each number in ``group``; equal ones become one group.
        group, value, use
            One entry each: the number of its labels, its hash, and its uses.  Values may occur more than once.

        Returns
        -------
        DistinctCounts
            All values, however many.
        """
        rows = len(next(iter(keys.values())))
        uses = sum_by(group, use, rows).astype(np.int64)
        return _merged(cls(keys, uses, group, value, np.zeros(rows, np.int64)))

    def plus(self, other: DistinctCounts) -> DistinctCounts:
        """Return those of two parts.

        Parameters
        ----------
        other
            Those of the other part, with the same columns.

        Returns
        -------
        DistinctCounts
            With the values of both; ``limited`` limits them.
        """
        keys = {name: np.concatenate([labels, other.keys[name]]) for name, labels in self.keys.items()}
        uses, level = np.append(self.use_count, other.use_count), np.append(self.level, other.level)
        group = np.append(self.group, other.group + len(self.use_count))
        return _merged(DistinctCounts(keys, uses, group, np.append(self.value, other.value), level))

    def limited(self) -> DistinctCounts:
        """Return the same with a limited number of values of each group."""
        kept, level = kept_values(self.group, self.value, self.level)
        return replace(self, group=self.group[kept], value=self.value[kept], level=level)

    @property
    def kept_count(self) -> Array:
        """Values kept of each group."""
        return np.bincount(self.group, minlength=len(self.level))

    @property
    def count(self) -> Array:
        """Distinct values of each group, estimated where only some are kept."""
        return self.kept_count << self.level

    @property
    def error(self) -> Array:
        """Relative standard error of ``count``: 0 where all values are kept, about 2% elsewhere."""
        return np.where(self.level > 0, 1 / np.sqrt(np.maximum(self.kept_count, 1)), 0.0)


def _merged(counts: DistinctCounts) -> DistinctCounts:
    """Return the groups with equal labels as one, and equal values of a group as one."""
    number, keys = group_labels(counts.keys, list(counts.keys), len(counts.use_count))
    groups = int(number.max(initial=-1)) + 1
    uses, level = np.zeros((2, groups), np.int64)
    np.add.at(uses, number, counts.use_count)
    np.maximum.at(level, number, counts.level)
    group = number[counts.group]
    order = stable_order(group, groups)
    group, value = group[order], counts.value[order]
    for low, high in pairwise(np.searchsorted(group, np.arange(groups + 1)).tolist()):
        value[low:high].sort()  # several times faster than all of them by their group
    is_new = np.append(True, (group[1:] != group[:-1]) | (value[1:] != value[:-1]))[: len(order)]
    return DistinctCounts(keys, uses, group[is_new], value[is_new], level)
