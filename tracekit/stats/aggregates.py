"""Tables that add up: counts, sums and histograms by group, made block by block and merged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.stats.histograms import Histogram

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracekit.columns import Array

_PACKED = 1 << 62


def group_rows(columns: Mapping[str, tuple[Array, Sequence[str]]], rows: int) -> tuple[Array, pd.DataFrame]:
    """Return the group of every row: rows with equal labels in all columns share one.

    Parameters
    ----------
    columns
        By name, codes (from -1 = missing) and the labels they mean.
    rows
        Number of rows, for the case without columns.

    Returns
    -------
    tuple of numpy.ndarray and pandas.DataFrame
        Group of each row (int64), and the labels of each group (object, None where missing).

    Examples
    --------
    >>> group, keys = group_rows({"service_name": (np.array([1, 0, 1]), ["cart", "shop"])}, 3)
    >>> group, keys["service_name"].tolist()
    (array([1, 0, 1]), ['cart', 'shop'])
    """
    key, span = np.zeros(rows, np.int64), 1
    for codes, labels in columns.values():
        if span * (len(labels) + 1) >= _PACKED:
            key, found = pd.factorize(key, sort=True)
            span = len(found)
        key = key * (len(labels) + 1) + (codes.astype(np.int64) + 1)
        span *= len(labels) + 1
    group, found = pd.factorize(key, sort=True)
    example = np.zeros(len(found), np.int64)
    example[group] = np.arange(rows)
    keys = {name: np.array([*labels, None], object)[codes[example]] for name, (codes, labels) in columns.items()}
    return group.astype(np.int64), pd.DataFrame(keys, index=pd.RangeIndex(len(found)), dtype=object)


def sum_by(group: Array, values: Array, groups: int) -> Array:
    """Return the sum of the values of each group.

    Parameters
    ----------
    group
        Group of each value, ``0 .. groups - 1``.
    values
        Numbers.
    groups
        Number of groups.

    Returns
    -------
    numpy.ndarray
        float64, also where there is nothing to add.

    Examples
    --------
    >>> sum_by(np.array([1, 1]), np.array([2.0, 3.0]), 3)
    array([0., 5., 0.])
    """
    return np.bincount(group, values, groups).astype(np.float64, copy=False)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Groups with their keys, additive numbers and histogram.

    Parameters
    ----------
    keys
        One row a group, RangeIndex: labels.
    sums
        The same rows: numbers that add.
    histogram
        Group g of the histogram is row g.

    Examples
    --------
    Two files, one table:

    >>> def table(ms):
    ...     keys, sums = pd.DataFrame({"service_name": ["cart"]}), pd.DataFrame({"span_count": [1]})
    ...     return Aggregate(keys, sums, Histogram.of(np.array([0]), np.array([ms]), np.ones(1)))
    >>> both = Aggregate.concatenate([table(100), table(300)]).by(["service_name"])
    >>> both.sums["span_count"].tolist(), both.histogram.means(1).tolist()
    ([2], [200.0])
    """

    keys: pd.DataFrame
    sums: pd.DataFrame
    histogram: Histogram

    def __len__(self) -> int:
        return len(self.keys)

    @classmethod
    def concatenate(cls, parts: Sequence[Aggregate]) -> Aggregate:
        """Return the groups of all parts one after the other; equal keys stay apart until ``by``.

        Parameters
        ----------
        parts
            At least one, with the same columns.

        Returns
        -------
        Aggregate
            All groups.
        """
        offsets = np.concatenate(([0], np.cumsum([len(part) for part in parts])[:-1])).tolist()
        return cls(
            pd.concat([part.keys for part in parts], ignore_index=True),
            pd.concat([part.sums for part in parts], ignore_index=True),
            Histogram.concatenate([part.histogram for part in parts], offsets),
        )

    def by(self, columns: Sequence[str]) -> Aggregate:
        """Return the groups merged where these key columns are equal.

        Parameters
        ----------
        columns
            Some of the key columns; none merges everything into one group.

        Returns
        -------
        Aggregate
            Sorted by its keys, missing ones last.
        """
        if columns:
            group = self.keys.groupby(list(columns), sort=True, dropna=False).ngroup().to_numpy()
        else:
            group = np.zeros(len(self), np.int64)
        count = int(group.max()) + 1 if len(group) else 0
        first = np.zeros(count, np.int64)
        first[group[::-1]] = np.arange(len(group))[::-1]
        keys = self.keys[list(columns)].iloc[first].reset_index(drop=True)
        sums = self.sums.groupby(group, sort=True).sum()
        return Aggregate(keys, sums.reset_index(drop=True), self.histogram.regroup(group))
