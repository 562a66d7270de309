"""Intervals of any statistic from random groups of the data.

The statistic is computed of each group alone; how much the groups differ gives its variance (Wolter, Introduction to
Variance Estimation, 2007, chapter 2).  Groups are drawn without replacement from a finite number of parts, so the
interval is about the statistic of all parts, and has no width when all were read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.stats.student import student_quantile

if TYPE_CHECKING:
    from tracekit.schema import Array


class Limits(NamedTuple):
    """Limits of each value; NaN where not estimable."""

    low: Array
    high: Array


def group_limits(value: Array, groups: Array, sizes: Array, part_count: int, *, confidence: float = 0.95) -> Limits:
    """Return the limits of statistics of which some of the parts were read.

    Parameters
    ----------
    value
        float64, one per statistic: of all parts that were read.
    groups
        float64, one row per group: the statistics of the group alone; NaN where one cannot be computed.
    sizes
        Number of parts of each group.
    part_count
        Number of all parts, those that were not read included.
    confidence
        Between 0 and 1.

    Returns
    -------
    Limits
        NaN with fewer than two groups, and where a group has no value.

    Examples
    --------
    The mean of 1, 2, 3, 4 as four groups, of 8 parts in all: 2.5 +- 3.18 (t, 3 degrees) * 0.645 * sqrt(1 - 4/8).

    >>> low, high = group_limits(np.array([2.5]), np.array([[1.0], [2.0], [3.0], [4.0]]), np.ones(4), part_count=8)
    >>> print(low.round(2), high.round(2))
    [1.05] [3.95]
    """
    read, count = float(np.sum(sizes)), len(sizes)
    if read >= part_count:
        return Limits(value.copy(), value.copy())
    if count < 2:  # noqa: PLR2004 - one group says nothing about how much they differ
        unknown = np.full(len(value), np.nan)
        return Limits(unknown, unknown.copy())
    each = np.asarray(sizes, np.float64)[:, None]
    mean = (each * groups).sum(axis=0) / read
    of_one_part = (each * (groups - mean) ** 2).sum(axis=0) / (count - 1)
    deviation = np.sqrt(of_one_part / read * (1 - read / part_count))
    reach = student_quantile(count - 1, confidence=confidence) * deviation
    return Limits(value - reach, value + reach)
