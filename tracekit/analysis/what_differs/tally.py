"""How many traces of one side have each value, in sums that parts add."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from tracekit.analysis.what_differs.shares import Counted, presence
from tracekit.stats.grouping import sum_by
from tracekit.stats.mover import weight_classes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracekit.analysis.what_differs.membership import Membership
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

LARGEST: Final = np.uint64(2**64 - 1)
"""Both halves of the id of no trace."""
_MIXERS: Final = tuple(map(np.uint64, (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)))
_SHIFTS: Final = tuple(map(np.uint64, (30, 27, 31)))


class Powers(NamedTuple):
    """Sums of the weights of traces of one weight class to the powers 0, 1 and 2: of all, and by value."""

    total: Array
    number: Array
    weight: Array
    square: Array

    def with_(self, other: Powers) -> Powers:
        """Return the sums of both."""
        return Powers(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class SideTally(NamedTuple):
    """The traces of one side by value.

    Parameters
    ----------
    classes
        By weight class: those of a weight above 0.
    trace_count
        int64, one per value: recorded traces.
    mark, whole
        A number for the set of the traces with each value, and for that of all; equal sets have equal numbers.
    first_hi, first_lo
        uint64, one per value: the smallest id of these traces, the largest numbers without one.
    """

    classes: Mapping[int, Powers]
    trace_count: Array
    mark: Array
    whole: int
    first_hi: Array
    first_lo: Array

    def with_(self, other: SideTally) -> SideTally:
        """Return the sums of the traces of both."""
        classes = dict(self.classes)
        for label, powers in other.classes.items():
            classes[label] = classes[label].with_(powers) if label in classes else powers
        first_hi, first_lo = lesser((self.first_hi, self.first_lo), (other.first_hi, other.first_lo))
        return SideTally(
            classes,
            self.trace_count + other.trace_count,
            self.mark ^ other.mark,
            self.whole ^ other.whole,
            first_hi,
            first_lo,
        )

    @property
    def counted(self) -> Counted:
        """The same as sums of shares, by value and weight class."""
        values, labels = len(self.trace_count), sorted(self.classes)
        found = [self.classes[label] for label in labels]
        if not found:
            none = np.zeros(values)
            found = [Powers(np.zeros(3), none, none, none)]
        totals = [np.tile([each.total[power] for each in found], values) for power in range(3)]
        weight, square = (np.stack([each[at] for each in found], axis=1).ravel() for at in (2, 3))
        sums = presence(totals, weight, square)
        return Counted(self.trace_count, sums, np.repeat(np.arange(values), len(found)))

    def first(self, some: Array) -> tuple[Array, Array]:
        """Return the halves of the first id of some values."""
        return self.first_hi[some], self.first_lo[some]


def lesser(first: tuple[Array, Array], second: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return the smaller of two ids, place by place."""
    is_less = (second[0] < first[0]) | ((second[0] == first[0]) & (second[1] < first[1]))
    return np.where(is_less, second[0], first[0]), np.where(is_less, second[1], first[1])


def tallied(traces: TraceSet, found: Membership, chosen: Array, *, salt: int) -> SideTally:
    """Return the sums of some traces of a set; sets of different recordings have different salts."""
    values = len(found.keys)
    inside = chosen[found.trace]
    value, trace = found.value[inside], found.trace[inside]
    spans, start = traces.columns.spans, traces.forest.starts[:-1]
    hi, lo = spans.trace_hi[start], spans.trace_lo[start]
    bits = mixed(hi, lo, salt)
    first = np.flatnonzero(np.diff(value, prepend=-1))
    mark = np.zeros(values, np.uint64)
    first_hi, first_lo = (np.full(values, LARGEST) for _ in range(2))
    if len(first):
        at = value[first]
        mark[at] = np.bitwise_xor.reduceat(bits[trace], first)
        first_hi[at], first_lo[at] = hi[trace[first]], lo[trace[first]]  # traces are in the order of their ids
    whole = int(np.bitwise_xor.reduce(bits[chosen])) if chosen.any() else 0
    classes = _classes(traces.weights.value, chosen, value, trace, values)
    return SideTally(classes, np.bincount(value, minlength=values), mark, whole, first_hi, first_lo)


def _classes(weights: Array, chosen: Array, value: Array, trace: Array, values: int) -> dict[int, Powers]:
    """Return the sums by weight class."""
    codes, labels = weight_classes(np.where(chosen, weights, 0.0))
    if not len(labels):
        return {}
    known = np.flatnonzero(codes >= 0)
    totals = np.stack(powers_by(codes[known], weights[known], len(labels)), axis=1)
    inside = np.flatnonzero(codes[trace] >= 0) if len(known) < len(codes) else slice(None)
    mine = trace[inside]
    cells = powers_by(value[inside] * len(labels) + codes[mine], weights[mine], values * len(labels))
    own = [each.reshape(values, len(labels)) for each in cells]
    return {label: Powers(totals[at], *(each[:, at] for each in own)) for at, label in enumerate(labels)}


def powers_by(cell: Array, weights: Array, cells: int) -> list[Array]:
    """Return the sums of the weights to the powers 0, 1 and 2 by cell."""
    count = np.bincount(cell, minlength=cells)
    if len(weights) and weights.min() == weights.max():
        return [count, count * weights[0], count * weights[0] ** 2]
    return [count, *(sum_by(cell, weights**power, cells) for power in (1, 2))]


def mixed(hi: Array, lo: Array, salt: int) -> Array:
    """Return 64 odd bits for each trace id, as good as random (splitmix64)."""
    bits = lo ^ ((hi + np.uint64(salt)) * _MIXERS[0])
    for mixer, shift in zip(_MIXERS[1:], _SHIFTS[:-1], strict=True):
        bits = (bits ^ (bits >> shift)) * mixer
    bits = bits ^ (bits >> _SHIFTS[-1])
    bits = (bits + _MIXERS[0]) * _MIXERS[2]
    return np.asarray((bits ^ (bits >> _SHIFTS[0])) | np.uint64(1))
