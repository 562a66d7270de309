"""Why a mean differs: shares of a difference that go to each factor of a product, and whole numbers that add up."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from tracekit.columns import Array

FACTORS = ("presence", "frequency", "duration")
_STEP = 1e-4  # of a mean


class Means(NamedTuple):
    """Means over all requests: own time, calls, and whether there is a call at all."""

    time: Array
    calls: Array
    presence: Array

    def factors(self, other: Means | None) -> tuple[Array, Array, Array]:
        """Return presence, calls of a request with any, and time of a call; the last two the other's where none is."""
        frequency, duration = _divided(self.calls, self.presence), _divided(self.time, self.calls)
        if other is not None:
            absent = ~(self.presence > 0)
            _, others_frequency, others_duration = other.factors(None)
            frequency = np.where(absent, others_frequency, frequency)
            duration = np.where(absent, others_duration, duration)
        return np.maximum(self.presence, 0.0), frequency, duration


def split(this: Means, other: Means) -> tuple[Array, Array, Array]:
    """Return which parts of a difference come from presence, frequency and duration.

    time = presence * frequency * duration.  A factor's part is what changing it alone adds, averaged over all orders in
    which the three may be changed (Das Gupta 1978; the Shapley value): no order is preferred and nothing is left over.
    Where one side has no call, its calls would have been like the other's: all is presence.
    """
    a, b = this.factors(other), other.factors(this)
    parts = []
    for at in range(3):
        (x0, y0), (x1, y1) = ([side[rest] for rest in range(3) if rest != at] for side in (a, b))
        parts.append((b[at] - a[at]) * ((x0 * y0 + x1 * y1) / 3 + (x0 * y1 + x1 * y0) / 6))
    return parts[0], parts[1], parts[2]


def slopes(this: Means, other: Means) -> Array:
    """Return how the parts of ``split`` change with each mean."""
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
    """Return the quotient, 0 where there is nothing to divide by."""
    return np.divide(whole, by, out=np.zeros(np.broadcast(whole, by).shape), where=by > 0)


def whole_numbers(parts: Array, total: Array | int) -> Array:
    """Return parts as integers that add up to their total, each less than 1 away from what it was."""
    down = np.floor(parts)
    order = np.argsort(-(parts - down), axis=-1, kind="stable")
    rank = np.argsort(order, axis=-1, kind="stable")
    lacking = np.asarray(total - down.sum(axis=-1))[..., None]
    return np.asarray(down + (rank < lacking), np.int64)
