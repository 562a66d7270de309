"""The value at a rank, such as the median, of all traces by group: exact, in two passes over a store.

The first pass counts the values by bucket of 2%, the second keeps those in the bucket with the rank.  Traces in memory
take one pass, which keeps all values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.checks.merged import Merged
from tracekit.checks.patterns.sums import labels_of
from tracekit.stats.counted_values import CountedValues
from tracekit.stats.grouping import dense_codes, group_labels, positions, sum_by
from tracekit.stats.histograms import buckets

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from tracekit.checks.case import Case
    from tracekit.columns import Array


class Valued(NamedTuple):
    """Values by group: the labels of each group, and the group and value (0 or more) of each entry."""

    keys: pd.DataFrame
    group: Array
    value: Array


class _Spread(NamedTuple):
    """Where the values at the wanted ranks are, by group.

    Parameters
    ----------
    keys
        Labels of the groups.
    low, high
        Buckets of both ranks.
    below
        Number of values in lower buckets.
    number
        Number of all values.
    """

    keys: dict[str, Array]
    low: Array
    high: Array
    below: Array
    number: Array


class RankedValues(NamedTuple):
    """The value at a rank by group, with the number of values."""

    keys: dict[str, Array]
    value: Array
    number: Array

    def of(self, keys: pd.DataFrame) -> tuple[Array, Array]:
        """Return value and number of other groups with the same labels; NaN and 0 for unknown ones."""
        own = labels_of(keys)
        at = positions(self.keys, own, list(own))
        return np.append(self.value, np.nan)[at], np.append(self.number, 0)[at]


class Kept(NamedTuple):
    """Values that are kept, by the labels of their group."""

    keys: dict[str, Array]
    kept: CountedValues


def ranked(
    values: Callable[[Case], Valued],
    share: float,
    needs: tuple[Callable[[Case], object], ...] = (),
    *,
    of: Callable[[Case], Valued] | None = None,
    of_needs: tuple[Callable[[Case], object], ...] = (),
) -> Merged[RankedValues]:
    """Return how the value after a share of all values of a group is found; 0.5 is the median.

    ``needs``: what ``values`` asks of all traces.  ``of``: returns the values of the groups that are asked for, all
    unless given; what it asks of all traces is ``of_needs``.
    """
    spread: Merged[_Spread] = Merged(_Counts(values), _Counted.plus, _SpreadOf(share), needs)
    chosen = values if of is None else of
    return Merged(_ValuesAt(chosen, spread), add_kept, _Ranked(share, spread), (*needs, *of_needs, spread))


def _ranks(count: Array, share: float) -> tuple[Array, Array]:
    """Return the two ranks whose values are averaged."""
    if share == 0.5:  # noqa: PLR2004 - the median of an even number is between two values
        return np.maximum(count - 1, 0) // 2, count // 2
    rank = (count * share).astype(np.int64)
    return rank, rank


class _Counted(NamedTuple):
    """How many values there are by group and bucket, one entry for each of both that occur; the labels of groups."""

    keys: dict[str, Array]
    group: Array
    bucket: Array
    number: Array

    @classmethod
    def of(cls, keys: dict[str, Array], group: Array, bucket: Array, number: Array | float) -> _Counted:
        """Return the sums of equal entries, in the order of group and bucket."""
        low, groups = int(bucket.min(initial=0)), int(group.max(initial=-1)) + 1
        size = int(bucket.max(initial=0)) - low + 1
        cell, found = dense_codes(group.astype(np.int64) * size + bucket - low, groups * size)
        columns = found // size, found % size + low, sum_by(cell, number, len(found))
        return cls(keys, *(each.astype(np.int32) for each in columns))

    def plus(self, other: _Counted) -> _Counted:
        """Return those of two parts."""
        keys = {name: np.concatenate([self.keys[name], other.keys[name]]) for name in self.keys}
        mine, count = (len(next(iter(each.values()))) for each in (self.keys, keys))
        owner, labels = group_labels(keys, list(keys), count)
        group = owner[np.append(self.group, other.group + mine)]
        return _Counted.of(labels, group, np.append(self.bucket, other.bucket), np.append(self.number, other.number))


@dataclass(frozen=True)
class _Counts:
    """Returns the number of values by group and bucket."""

    values: Callable[[Case], Valued]

    def __call__(self, case: Case) -> _Counted:
        """Return those of a part."""
        keys, group, value = case.result(self.values)
        return _Counted.of(labels_of(keys), group, buckets(value), 1.0)


@dataclass(frozen=True)
class _SpreadOf:
    """Returns the buckets with the wanted ranks."""

    share: float

    def __call__(self, _: Case, found: _Counted) -> _Spread:
        """Return them by group."""
        groups = len(next(iter(found.keys.values())))
        inside = found.number.astype(np.int64)
        count = sum_by(found.group, inside, groups).astype(np.int64)
        reached, before = np.cumsum(inside), np.cumsum(count) - count
        at = [np.searchsorted(reached, before + rank, side="right") for rank in _ranks(count, self.share)]
        at = [np.minimum(one, max(len(inside) - 1, 0)) for one in at]
        below = (reached - inside)[at[0]] - before if len(inside) else count
        low, high = (found.bucket[one] if len(inside) else count for one in at)
        return _Spread(found.keys, low, high, below, count)


@dataclass(frozen=True)
class _ValuesAt:
    """Returns the values in the buckets with the wanted ranks; all of them of traces in memory."""

    values: Callable[[Case], Valued]
    spread: Merged[_Spread]

    def __call__(self, case: Case) -> Kept:
        """Return those of a case."""
        keys, group, value = case.result(self.values)
        own = labels_of(keys)
        if case.known is not None:
            where = case.result(self.spread)
            at = positions(where.keys, own, list(own))[group]
            bucket = buckets(value)
            kept = (where.low[at] <= bucket) & (bucket <= where.high[at])
            group, value = group[kept], value[kept]
        return Kept(own, CountedValues.of(group, value, len(keys)))


def add_kept(first: Kept, second: Kept) -> Kept:
    """Return the values of two parts."""
    keys = {name: np.concatenate([first.keys[name], second.keys[name]]) for name in first.keys}
    values = CountedValues.concatenate(first.kept, second.kept)
    group, labels = group_labels(keys, list(keys), len(values.is_coarse))
    return Kept(labels, values.regroup(group, int(group.max(initial=-1)) + 1))


@dataclass(frozen=True)
class _Ranked:
    """Returns the value at the rank from those that were kept."""

    share: float
    spread: Merged[_Spread]

    def __call__(self, case: Case, found: Kept) -> RankedValues:
        """Return it by group."""
        count, below = found.kept.totals(), np.zeros(len(found.kept.is_coarse), np.int64)
        if case.is_stored:
            where = case.result(self.spread)
            at = positions(where.keys, found.keys, list(found.keys))
            count, below = where.number[at], where.below[at]
        low, high = (found.kept.at(rank - below) for rank in _ranks(count, self.share))
        return RankedValues(found.keys, (low + high) / 2, count)
