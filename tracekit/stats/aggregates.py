"""Additive tables: counts, sums and histograms by group, computed by block and merged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracekit.stats.grouping import group_labels
from tracekit.stats.histograms import Histogram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.schema import Array

_DIGITS = 10
_LEAST = 1e-290  # smaller numbers are not rounded


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Groups with their keys, sums and histogram.

    Parameters
    ----------
    keys
        Labels by column, one entry per group (object arrays, None where missing).
    sums
        Additive numbers by name, one entry per group; at least one.
    histogram
        Histogram of the same groups.

    Examples
    --------
    Two files, one table:

    >>> def table(ms):
    ...     keys, sums = {"service_name": np.array(["cart"], object)}, {"span_count": np.array([1])}
    ...     return Aggregate(keys, sums, Histogram.of(np.array([0]), np.array([ms]), np.ones(1)))
    >>> both = Aggregate.concatenate([table(100), table(300)]).by(["service_name"])
    >>> both.sums["span_count"].tolist(), both.histogram.means(1).tolist()
    ([2], [200.0])
    """

    keys: dict[str, Array]
    sums: dict[str, Array]
    histogram: Histogram

    def __len__(self) -> int:
        return len(next(iter(self.sums.values())))

    @classmethod
    def concatenate(cls, parts: Sequence[Aggregate]) -> Aggregate:
        """Return the groups of all parts one after the other; equal keys are merged by ``by``.

        Parameters
        ----------
        parts
            At least one, with the same columns.

        Returns
        -------
        Aggregate
            All groups.
        """
        if len(parts) == 1:
            return parts[0]
        offsets = np.concatenate(([0], np.cumsum([len(part) for part in parts])[:-1])).tolist()
        return cls(
            {name: np.concatenate([part.keys[name] for part in parts]) for name in parts[0].keys},
            {name: np.concatenate([part.sums[name] for part in parts]) for name in parts[0].sums},
            Histogram.concatenate([part.histogram for part in parts], offsets),
        )

    def where(self, chosen: Array) -> Aggregate:
        """Return only some of the groups.

        Parameters
        ----------
        chosen
            bool, one per group.

        Returns
        -------
        Aggregate
            In the same order.
        """
        keys = {name: labels[chosen] for name, labels in self.keys.items()}
        sums = {name: numbers[chosen] for name, numbers in self.sums.items()}
        return Aggregate(keys, sums, self.histogram.where(chosen))

    def groups(self, columns: Sequence[str]) -> tuple[Array, dict[str, Array]]:
        """Return the group of ``by(columns)`` that contains each group, and the keys of these groups.

        Parameters
        ----------
        columns
            Some of the key columns.

        Returns
        -------
        tuple of numpy.ndarray and dict
            int64, ascending if this is sorted by the same columns first; labels by column.
        """
        return group_labels(self.keys, columns, len(self))

    def by(self, columns: Sequence[str]) -> Aggregate:
        """Return the groups merged by these key columns.

        Parameters
        ----------
        columns
            Some of the key columns; none merges everything into one group.

        Returns
        -------
        Aggregate
            Sorted by its keys, missing ones first.
        """
        group, keys = self.groups(columns)
        groups = int(group.max(initial=-1)) + 1
        sums = {name: np.zeros(groups, numbers.dtype) for name, numbers in self.sums.items()}
        for name, numbers in self.sums.items():
            np.add.at(sums[name], group, numbers)
        return Aggregate(keys, sums, self.histogram.regroup(group))

    def ordered(self, order: Array) -> Aggregate:
        """Return the groups in another order.

        Parameters
        ----------
        order
            A permutation of the groups.

        Returns
        -------
        Aggregate
            Group ``order[i]`` becomes group i.
        """
        position = np.empty(len(order), np.int64)
        position[order] = np.arange(len(order))
        keys = {name: labels[order] for name, labels in self.keys.items()}
        sums = {name: numbers[order] for name, numbers in self.sums.items()}
        return Aggregate(keys, sums, self.histogram.regroup(position))


def steady(values: Array) -> Array:
    """Return numbers rounded to ten digits: sorted by these, equal sums are equal in whatever order they were added.

    Parameters
    ----------
    values
        Sums.

    Returns
    -------
    numpy.ndarray
        float64; NaN stays.

    Examples
    --------
    >>> steady(np.array([0.1 + 0.2, 0.3])).tolist()
    [0.3, 0.3]
    """
    x = np.asarray(values, np.float64)
    known = np.isfinite(x) & (np.abs(x) > _LEAST)
    exponent = np.floor(np.log10(np.abs(x), out=np.zeros(len(x)), where=known))
    factor = 10.0 ** (_DIGITS - 1 - exponent)
    return np.asarray(np.where(known, np.round(x * factor) / factor, x))
