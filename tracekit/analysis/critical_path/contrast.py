"""Differences between the means of two samples of requests: their parts, their limits, and whether they are chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.analysis.critical_path.factors import FACTORS, Means, split
from tracekit.analysis.critical_path.intervals import Spread, limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.critical_path.cells import Cells, Sample
    from tracekit.columns import Array

_ROUNDING = 1e-9  # of a mean: a difference that is none


class Contrast(NamedTuple):
    """What differs between two samples, group by group, and in all.

    Parameters
    ----------
    this, other
        Means of the two.
    change
        float64 ns, groups by 4: the difference of the mean own times, then its parts.
    low, high
        Of the same.
    p_value
        float64, one a group; NaN for fewer than two traces on a side.
    whole
        Low and high of the sum of all changes.

    Examples
    --------
    >>> Contrast._fields
    ('this', 'other', 'change', 'low', 'high', 'p_value', 'whole')
    """

    this: Means
    other: Means
    change: Array
    low: Array
    high: Array
    p_value: Array
    whole: tuple[float, float]


def contrast(this: Sample, other: Sample, *, level: float) -> Contrast:
    """Return what differs between two samples of the same groups.

    Parameters
    ----------
    this, other
        Drawn with different seeds: they are taken for independent.
    level
        Confidence level of the limits.

    Returns
    -------
    Contrast
        ``other`` minus ``this``.
    """
    sides = (this, other)
    mean, others = (Means(*(side.means(value) for value in _values(side.cells))) for side in sides)
    groups, drawn_whole = len(this.cells.keys), np.zeros(len(this.blocks.counts))
    low, high = np.empty((2, groups, 1 + len(FACTORS)))
    p_value, whole_residuals = np.empty(groups), [np.zeros(len(side.blocks.size)) for side in sides]
    sums = [side.sums(value) for side in sides for value in _values(side.cells)]
    for chunk in zip(*sums, strict=True):
        rows = chunk[0][0]
        blocks = [part for _, part in chunk]
        drawn = [
            Means(*(side.blocks.means(part) for part in blocks[first : first + 3]))
            for side, first in zip(sides, (0, 3), strict=True)
        ]
        change = _change(*drawn)
        drawn_whole += change[0].sum(axis=0)
        times = [blocks[0], blocks[3]]
        residuals = [side.blocks.residuals(sums) for side, sums in zip(sides, times, strict=True)]
        spread = _both(residuals)
        for at, values in enumerate(change):
            low[rows, at], high[rows, at] = limits(values, level, spread.freedom)
        p_value[rows] = _p_values(this, other, times, spread)
        whole_residuals = [so_far + more.sum(axis=0) for so_far, more in zip(whole_residuals, residuals, strict=True)]
    whole_spread = _both([residual[None] for residual in whole_residuals])
    (whole_low,), (whole_high,) = limits(drawn_whole[None], level, whole_spread.freedom)
    whole = (float(whole_low), float(whole_high))
    return Contrast(mean, others, np.stack(_change(mean, others), axis=-1), low, high, p_value, whole)


def _values(cells: Cells) -> tuple[Array, Array, Array]:
    """Return what is averaged: own time, calls, presence."""
    return cells.time_ns, cells.call_count, np.ones(len(cells.group))


def _change(this: Means, other: Means) -> tuple[Array, ...]:
    """Return the difference and its parts."""
    return (other.time - this.time, *split(this, other))


def _both(residuals: Sequence[Array]) -> Spread:
    """Return the spread of a difference between two independent sides."""
    this, other = (Spread.of(side) for side in residuals)
    return Spread(this.square + other.square, this.fourth + other.fourth)


def _p_values(this: Sample, other: Sample, sums: Sequence[Array], spread: Spread) -> Array:
    """Return the p values of the differences of the mean own times, given their sums by block.

    Welch's t on sums by block, with as many degrees of freedom as blocks that the variance effectively rests on, less
    one; at least the p value of the rarer of all ways in which the traces could have been split at random.
    """
    from scipy.special import gammaln  # noqa: PLC0415 - half as slow to import as the rest of tracekit
    from scipy.stats import t  # noqa: PLC0415 - likewise

    means = [found.sum(axis=1) / side.blocks.size.sum() for side, found in zip((this, other), sums, strict=True)]
    difference, either = means[1] - means[0], np.abs(means[0]) + np.abs(means[1])
    counts = np.array([this.trace_count, other.trace_count])
    rarest = 2 * np.exp((gammaln(counts + 1)).sum() - gammaln(counts.sum() + 1))
    error = np.sqrt(spread.square)
    score = np.divide(np.abs(difference), error, out=np.full(len(error), np.inf), where=error > 0)
    found = 2 * t.sf(score, np.maximum(spread.freedom, 1e-3))
    found = np.where(np.abs(difference) <= _ROUNDING * either, 1.0, np.clip(found, min(rarest, 1.0), 1.0))
    return np.where(counts.min() < 2, np.nan, found)  # noqa: PLR2004 - one trace has no spread
