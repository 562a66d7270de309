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
from tracekit.checks.shares import added
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.counted_values import CountedValues
from tracekit.stats.grouping import group_labels, positions
from tracekit.stats.histograms import Histogram, buckets

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
    values: Callable[[Case], Valued], share: float, needs: tuple[Callable[[Case], object], ...] = ()
) -> Merged[RankedValues]:
    """Return how the value after a share of all values of a group is found; 0.5 is the median.

    ``needs``: what ``values`` asks of all traces.
    """
    spread: Merged[_Spread] = Merged(_Counts(values), added, _SpreadOf(share), needs)
    return Merged(_ValuesAt(values, spread), add_kept, _Ranked(share, spread), (*needs, spread))


def _ranks(count: Array, share: float) -> tuple[Array, Array]:
    """Return the two ranks whose values are averaged."""
    if share == 0.5:  # noqa: PLR2004 - the median of an even number is between two values
        return np.maximum(count - 1, 0) // 2, count // 2
    rank = (count * share).astype(np.int64)
    return rank, rank


@dataclass(frozen=True)
class _Counts:
    """Returns the number of values by group and bucket."""

    values: Callable[[Case], Valued]

    def __call__(self, case: Case) -> Aggregate:
        """Return those of a part."""
        keys, group, value = case.result(self.values)
        labels = labels_of(keys)
        cells = Histogram.of(group, np.asarray(value, np.int64), np.ones(len(group)))
        return Aggregate(labels, {"count": np.bincount(group, minlength=len(keys))}, cells).by(list(labels))


@dataclass(frozen=True)
class _SpreadOf:
    """Returns the buckets with the wanted ranks."""

    share: float

    def __call__(self, _: Case, found: Aggregate) -> _Spread:
        """Return them by group."""
        count, cells = found.sums["count"].astype(np.int64), found.histogram
        inside = cells.weight.astype(np.int64)
        reached, before = np.cumsum(inside), np.cumsum(count) - count
        at = [np.searchsorted(reached, before + rank, side="right") for rank in _ranks(count, self.share)]
        at = [np.minimum(one, max(len(cells) - 1, 0)) for one in at]
        below = (reached - inside)[at[0]] - before if len(cells) else count
        low, high = (cells.bucket[one] if len(cells) else count for one in at)
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
