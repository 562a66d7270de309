"""Which times are examined where a recording has too many spans to compare with each other: the first of every cycle.

At level L those are the first ``CYCLE_NS / 2 ** L`` of every 73 minutes from a start.  The times of a level contain
those of higher levels, so that spans of parts are chosen in any order (``stats.distinct_counts.kept_values``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from tracekit.columns import Array

_BITS: Final = 42
CYCLE_NS: Final = 1 << _BITS
_NEVER: Final = np.uint64(2**64 - 1)  # only at level 0, which has all spans
_TO_PLACE: Final = np.uint64(64 - _BITS)


class Stretches(NamedTuple):
    """Stretches of time since a start (ns).

    Examples
    --------
    At level 1, half of every cycle is examined; the first half of the second one follows that of the first.

    >>> half, stretches = CYCLE_NS // 2, Stretches(1_000)
    >>> at = 1_000 + np.array([5, half + 5, CYCLE_NS + 5])
    >>> (stretches.joined(at, 1) - 1_000 - np.array([5, half, half + 5])).tolist()
    [0, 0, 0]
    >>> stretches.is_within(at, at + 1, 1).tolist()
    [True, False, True]
    """

    begun_ns: int

    def within(self, start_ns: Array, end_ns: Array) -> Array:
        """Return values (uint64) for ``kept_values`` that keep the spans inside of a stretch."""
        first, last = (self._cycle(at) for at in (start_ns, end_ns))
        return np.where(first == last, self._place(end_ns), _NEVER)

    def touching(self, start_ns: Array, end_ns: Array) -> Array:
        """Return values (uint64) for ``kept_values`` that keep the spans with any time in a stretch."""
        first, last = (self._cycle(at) for at in (start_ns, end_ns))
        return np.where(first == last, self._place(start_ns), np.uint64(0))

    def is_within(self, start_ns: Array, end_ns: Array, level: int) -> Array:
        """Return which spans are inside of a stretch of a level."""
        return np.asarray(self.within(start_ns, end_ns) <= _largest(level))

    def is_touching(self, start_ns: Array, end_ns: Array, level: int) -> Array:
        """Return which spans have any time in a stretch of a level."""
        return np.asarray(self.touching(start_ns, end_ns) <= _largest(level))

    def joined(self, at_ns: Array, level: int) -> Array:
        """Return times (ns) with the stretches of a level one after the other: between them no time passes."""
        length, since = length_ns(level), at_ns - self.begun_ns
        return np.asarray(self.begun_ns + (since >> _BITS) * length + np.minimum(since & (CYCLE_NS - 1), length))

    def since(self, at_ns: Array) -> Array:
        """Return the time (ns) since the stretch has begun."""
        return np.asarray((at_ns - self.begun_ns) & (CYCLE_NS - 1))

    def _cycle(self, at_ns: Array) -> Array:
        """Return the number of the cycle of times."""
        return np.asarray((at_ns - self.begun_ns) >> _BITS)

    def _place(self, at_ns: Array) -> Array:
        """Return the place of times within their cycle, in units of 2 ** -64 of it."""
        return self.since(at_ns).astype(np.uint64) << _TO_PLACE


def length_ns(level: int) -> int:
    """Return the length of a stretch of a level."""
    return CYCLE_NS >> min(level, _BITS)


def _largest(level: int) -> np.uint64:
    """Return the largest value that is kept at a level."""
    return np.uint64(2 ** (64 - level) - 1)
