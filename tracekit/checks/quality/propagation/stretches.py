"""Which times are examined where a recording has too many spans to compare with each other: the first of every cycle.

A recording has 16 to 32 cycles, so that none of its times is left out.  At level L the first ``2 ** -L`` of each is
examined.  The times of a level contain those of higher levels, so that spans of parts are chosen in any order
(``stats.distinct_counts.kept_values``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from tracekit.columns import Array

_FEWEST_CYCLES: Final = 16
_BITS: Final = 64  # of the values of ``kept_values``
_ALWAYS: Final = np.uint64(1)  # unless these are too many themselves: then none is kept
_NEVER: Final = np.uint64(2**64 - 1)  # only at level 0, which has all spans


class Stretches(NamedTuple):
    """Stretches of time: the first of each cycle of ``2 ** bits`` ns since a start (ns).

    Examples
    --------
    At level 1, half of every cycle is examined; the first half of the second one follows that of the first.

    >>> stretches = Stretches.over(1_000, 1_000 + 16 * 64)
    >>> at = 1_000 + np.array([5, 32 + 5, 64 + 5])
    >>> stretches.cycle_ns, (stretches.joined(at, 1) - 1_000).tolist()
    (64, [5, 32, 37])
    >>> stretches.is_within(at, at + 1, 1).tolist()
    [True, False, True]
    """

    begun_ns: int
    bits: int

    @classmethod
    def over(cls, begun_ns: int, ended_ns: int) -> Stretches:
        """Return those of a recording of this period (ns)."""
        return cls(begun_ns, max(((ended_ns - begun_ns) // _FEWEST_CYCLES).bit_length() - 1, 1))

    @property
    def cycle_ns(self) -> int:
        """Length of a cycle."""
        return 1 << self.bits

    def length_ns(self, level: int) -> int:
        """Return the length of a stretch of a level."""
        return self.cycle_ns >> level

    def within(self, start_ns: Array, end_ns: Array) -> Array:
        """Return values (uint64) for ``kept_values`` that keep the spans inside of a stretch."""
        first, last = (self._cycle(at) for at in (start_ns, end_ns))
        return np.where(first == last, self._place(end_ns), _NEVER)

    def touching(self, start_ns: Array, end_ns: Array) -> Array:
        """Return values (uint64) for ``kept_values`` that keep the spans with any time in a stretch."""
        first, last = (self._cycle(at) for at in (start_ns, end_ns))
        return np.where(first == last, self._place(start_ns), _ALWAYS)

    def is_within(self, start_ns: Array, end_ns: Array, level: int) -> Array:
        """Return which spans are inside of a stretch of a level."""
        return np.asarray(self.within(start_ns, end_ns) <= _largest(level))

    def is_touching(self, start_ns: Array, end_ns: Array, level: int) -> Array:
        """Return which spans have any time in a stretch of a level."""
        return np.asarray(self.touching(start_ns, end_ns) <= _largest(level))

    def joined(self, at_ns: Array, level: int) -> Array:
        """Return times (ns) with the stretches of a level one after the other: between them no time passes."""
        length, cycle, since = self.length_ns(level), self._cycle(at_ns), self.since(at_ns)
        return np.asarray(self.begun_ns + cycle * length + np.minimum(since, length))

    def since(self, at_ns: Array) -> Array:
        """Return the time (ns) since the stretch has begun."""
        return np.asarray((at_ns - self.begun_ns) & (self.cycle_ns - 1))

    def _cycle(self, at_ns: Array) -> Array:
        """Return the number of the cycle of times."""
        return np.asarray((at_ns - self.begun_ns) >> self.bits)

    def _place(self, at_ns: Array) -> Array:
        """Return the place of times within their cycle, in units of 2 ** -64 of it."""
        return np.asarray(np.maximum(self.since(at_ns).astype(np.uint64) << np.uint64(_BITS - self.bits), _ALWAYS))


def _largest(level: int) -> np.uint64:
    """Return the largest value that is kept at a level."""
    return np.uint64(2 ** (_BITS - level) - 1)
