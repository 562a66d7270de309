"""Differences between the means of two samples of requests: parts, intervals and p values."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.stats.weighted_means import difference

if TYPE_CHECKING:
    from tracekit.analysis.critical_path.cells import Cells, Sample
    from tracekit.columns import Array
    from tracekit.stats.influences import Moments

_ROUNDING = 1e-9  # of a mean: a smaller difference is rounding
FACTORS = ("presence", "frequency", "duration")
_STEP = 1e-4  # of a mean


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


class Means(NamedTuple):
    """Means over all requests: self time, calls, and presence of any call."""

    time: Array
    calls: Array
    presence: Array

    def factors(self, other: Means | None) -> tuple[Array, Array, Array]:
        """Return presence, calls per request with any, and time per call; without calls, the last two of ``other``."""
        frequency, duration = _divided(self.calls, self.presence), _divided(self.time, self.calls)
        if other is not None:
            absent = ~(self.presence > 0)
            _, others_frequency, others_duration = other.factors(None)
            frequency = np.where(absent, others_frequency, frequency)
            duration = np.where(absent, others_duration, duration)
        return np.maximum(self.presence, 0.0), frequency, duration


def split(this: Means, other: Means) -> tuple[Array, Array, Array]:
    """Return the parts of a difference that come from presence, frequency and duration.

    time = presence * frequency * duration.  The part of a factor is the effect of changing it alone, averaged over all
    orders of changing the three (Das Gupta 1978; the Shapley value), so the parts sum to the difference. If one side
    has no call, the whole difference is presence.
    """
    a, b = this.factors(other), other.factors(this)
    parts = []
    for at in range(3):
        (x0, y0), (x1, y1) = ([side[rest] for rest in range(3) if rest != at] for side in (a, b))
        parts.append((b[at] - a[at]) * ((x0 * y0 + x1 * y1) / 3 + (x0 * y1 + x1 * y0) / 6))
    return parts[0], parts[1], parts[2]


def slopes(this: Means, other: Means) -> Array:
    """Return the derivatives of the parts of ``split`` with respect to each mean."""
    both = (this, other)
    found = np.empty((len(FACTORS), 2, 3, len(this.time)))
    for side, means in enumerate(both):
        for at, mean in enumerate(means):
            step = _STEP * mean
            moved = [means._replace(**{Means._fields[at]: mean + sign * step}) for sign in (1, -1)]
            ahead, behind = (split(each, other) if side == 0 else split(this, each) for each in moved)
            for part, (more, less) in enumerate(zip(ahead, behind, strict=True)):
                found[part, side, at] = _divided(more - less, 2 * step)
    return found


def _divided(whole: Array, by: Array) -> Array:
    """Return the quotient, 0 where the divisor is 0."""
    return np.divide(whole, by, out=np.zeros(np.broadcast(whole, by).shape), where=by > 0)


def whole_numbers(parts: Array, total: Array | int) -> Array:
    """Return parts as integers that sum to their total, each rounded by less than 1."""
    down = np.floor(parts)
    order = np.argsort(-(parts - down), axis=-1, kind="stable")
    rank = np.argsort(order, axis=-1, kind="stable")
    lacking = np.asarray(total - down.sum(axis=-1))[..., None]
    return np.asarray(down + (rank < lacking), np.int64)
