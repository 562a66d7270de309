"""Decomposition of a difference of means by factors of a product, and rounding that preserves sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from tracekit.columns import Array

FACTORS = ("presence", "frequency", "duration")
_STEP = 1e-4  # of a mean


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
