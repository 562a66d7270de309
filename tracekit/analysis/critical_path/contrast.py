"""Differences between the means of two samples of requests: parts, intervals and p values."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.analysis.critical_path.factors import FACTORS, Means, slopes, split
from tracekit.stats.weighted_means import difference

if TYPE_CHECKING:
    from tracekit.analysis.critical_path.cells import Cells, Sample
    from tracekit.columns import Array
    from tracekit.stats.influences import Moments

_ROUNDING = 1e-9  # of a mean: a smaller difference is rounding


class Contrast(NamedTuple):
    """Differences between two samples, by group and in total.

    Parameters
    ----------
    this, other
        Means of the two samples.
    change
        float64 ns, groups by 4: the difference of the mean self times, then its parts.
    low, high
        Interval of ``change``; NaN where not estimable.
    p_value
        float64, one per group; NaN where not estimable.
    whole
        Interval of the sum of all changes.
    """

    this: Means
    other: Means
    change: Array
    low: Array
    high: Array
    p_value: Array
    total: tuple[float, float]

    @property
    def total_only(self) -> Contrast:
        """Return the same with only the interval of all groups together."""
        return self.without_limits._replace(total=self.total)

    @property
    def without_limits(self) -> Contrast:
        """Return the same without intervals, for samples that are not comparable."""
        missing = np.full(self.low.shape, np.nan)
        return self._replace(low=missing, high=missing, p_value=missing[:, 0], total=(np.nan, np.nan))


def contrast(this: Sample, other: Sample, *, confidence: float) -> Contrast:
    """Return the differences between two samples of the same groups."""
    sides = (this, other)
    values = [_values(side.cells) for side in sides]
    means = [Means(*(side.means(value) for value in found)) for side, found in zip(sides, values, strict=True)]
    change = np.stack((means[1].time - means[0].time, *split(*means)), axis=-1)
    either = np.abs(means[0].time) + np.abs(means[1].time)
    change[np.abs(change) <= _ROUNDING * either[:, None]] = 0.0
    tested = difference(change[:, 0], *(_moments(side, side.cells.time_ns) for side in sides), confidence=confidence)
    low, high = np.empty((2, *change.shape))
    low[:, 0], high[:, 0] = tested.low, tested.high
    for at in range(1, 1 + len(FACTORS)):
        linear = [
            sum(slope[side.cells.group] * value for slope, value in zip(row, found, strict=True))
            for side, row, found in zip(sides, slopes(*means)[at - 1], values, strict=True)
        ]
        part = difference(change[:, at], *map(_moments, sides, linear), confidence=confidence)
        low[:, at], high[:, at] = part.low, part.high
    requests = [side.as_one_group for side in sides]
    total = difference(
        change[:, 0].sum(keepdims=True),
        *(_moments(each, each.cells.time_ns) for each in requests),
        confidence=confidence,
    )
    return Contrast(means[0], means[1], change, low, high, tested.p_value, (float(total.low[0]), float(total.high[0])))


def _values(cells: Cells) -> tuple[Array, Array, Array]:
    """Return the averaged values: self time, calls, presence."""
    return cells.time_ns, cells.call_count, np.ones(len(cells.group))


def _moments(side: Sample, value: Array) -> Moments:
    """Return the moments of the means of values by cell."""
    return side.moments(side.influence(value))
