"""Tables that add up: counts, sums and histograms by group, made block by block and merged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.stats.grouping import group_labels
from tracekit.stats.histograms import Histogram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.schema import Array


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
        if len(parts) == 1:
            return parts[0]
        offsets = np.concatenate(([0], np.cumsum([len(part) for part in parts])[:-1])).tolist()
        return cls(
            pd.concat([part.keys for part in parts], ignore_index=True),
            pd.concat([part.sums for part in parts], ignore_index=True),
            Histogram.concatenate([part.histogram for part in parts], offsets),
        )

    def where(self, chosen: Array) -> Aggregate:
        """Return only some of the groups.

        Parameters
        ----------
        chosen
            bool, one a group.

        Returns
        -------
        Aggregate
            In the same order.
        """
        keys, sums = (frame[chosen].reset_index(drop=True) for frame in (self.keys, self.sums))
        return Aggregate(keys, sums, self.histogram.where(chosen))

    def by(self, columns: Sequence[str]) -> Aggregate:
        """Return the groups merged where these key columns are equal.

        Parameters
        ----------
        columns
            Some of the key columns; none merges everything into one group.

        Returns
        -------
        Aggregate
            Sorted by its keys, missing ones first.
        """
        group, keys = group_labels(self.keys, columns)
        sums = {}
        for name in self.sums:
            values = self.sums[name].to_numpy()
            sums[name] = np.zeros(len(keys), values.dtype)
            np.add.at(sums[name], group, values)
        return Aggregate(keys, pd.DataFrame(sums, index=keys.index), self.histogram.regroup(group))
