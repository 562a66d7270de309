"""Calls between two clocks, of all parts together: of a store, those of many traces of each pair of clocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from tracekit.analysis.clock_skew.parts import AllCalls, all_calls
from tracekit.stats.distinct_counts import hash_of_pairs, kept_values
from tracekit.stats.grouping import dense_codes, places

if TYPE_CHECKING:
    from tracekit.columns import Array

MOST: Final = 4_096  # calls of a pair
_MOST_IN_ALL: Final = 131_072  # of all pairs, unless they are so many that each has fewer than
_LEAST: Final = 64  # of a pair
_TRACES: Final = 16  # that the calls of a pair are of at least, if it has more than are kept


class PairCount(NamedTuple):
    """Calls between two clocks.

    Parameters
    ----------
    total
        Their number.
    dropped
        Those in which the callee took longer than its caller.
    level
        A hash of the trace ids selects those that are kept, with probability ``2 ** -level``.
    """

    total: int
    dropped: int
    level: int

    def plus(self, other: PairCount) -> PairCount:
        """Return that of two parts."""
        return PairCount(self.total + other.total, self.dropped + other.dropped, max(self.level, other.level))


class KeptCalls(NamedTuple):
    """Calls between clocks: about 90 bytes for each that is kept.

    Parameters
    ----------
    every
        Calls that are kept.
    pairs
        What is known of all calls between two clocks, by their names in order.
    """

    every: AllCalls
    pairs: dict[tuple[str, str], PairCount]

    @classmethod
    def of(cls, every: AllCalls) -> KeptCalls:
        """Return all of these calls."""
        number, names = pairs_of(every)
        total = np.bincount(number, minlength=len(names))
        dropped = np.bincount(number[~every.calls.usable], minlength=len(names))
        counts = zip(total.tolist(), dropped.tolist(), strict=True)
        return cls(every, {pair: PairCount(*count, 0) for pair, count in zip(names, counts, strict=True)})

    def plus(self, other: KeptCalls) -> KeptCalls:
        """Return those of two parts, with a limited number of calls of each pair."""
        nothing = PairCount(0, 0, 0)
        pairs = {
            pair: self.pairs.get(pair, nothing).plus(other.pairs.get(pair, nothing))
            for pair in dict.fromkeys([*self.pairs, *other.pairs])
        }
        return KeptCalls(all_calls([self.every, other.every]), pairs).limited()

    def limited(self) -> KeptCalls:
        """Return those of a part of a store, with a limited number of calls of each pair."""
        pairs = self.pairs
        most = min(MOST, max(_LEAST, _MOST_IN_ALL // max(len(pairs), 1)))  # more pairs only lower it: any order does
        number, names = pairs_of(self.every)
        is_many = np.array([pairs[pair].total > most for pair in names], bool)[number]
        every, at = self.every, np.flatnonzero(is_many)
        if len(at):
            begun, kept = every.calls.begun_ns[at].astype(np.uint64), np.ones(len(number), bool)
            place = places(number[at], every.calls.trace[at], then=hash_of_pairs(begun, begun))
            kept[at] = place < most // _TRACES
            every = _some(every, kept)
            number, names = pairs_of(every)
        mixed = hash_of_pairs(every.trace_hi, every.trace_lo)[every.calls.trace]
        level = np.array([pairs[pair].level for pair in names], np.int64)
        kept, level = kept_values(number, mixed, level, most)
        levels = {pair: pairs[pair]._replace(level=one) for pair, one in zip(names, level.tolist(), strict=True)}
        return KeptCalls(_some(every, kept), pairs | levels)

    @property
    def sampled(self) -> tuple[str, ...]:
        """The assumption that the kept calls stand for all; nothing if they are all."""
        total = sum(one.total for one in self.pairs.values())
        kept = f"{len(self.every.calls):,} of {total:,} calls"
        return (f"{kept}, chosen by a hash of the trace ids",) if len(self.every.calls) < total else ()


def _some(every: AllCalls, kept: Array) -> AllCalls:
    """Return some of the calls, with their traces."""
    calls = every.calls.take(np.flatnonzero(kept))
    used, trace = np.unique(calls.trace, return_inverse=True)
    columns = (column[used] for column in (every.root_clock, every.trace_hi, every.trace_lo))
    return AllCalls(calls.of_traces(trace), every.clocks, *columns)


def pairs_of(every: AllCalls) -> tuple[Array, list[tuple[str, str]]]:
    """Return the number of the pair of clocks of each call, and the names of each pair, in their order."""
    calls, size = every.calls, max(len(every.clocks), 1)
    first, second = np.minimum(calls.caller, calls.callee), np.maximum(calls.caller, calls.callee)
    number, key = dense_codes(first * size + second, size * size)
    return number, [(every.clocks[one // size], every.clocks[one % size]) for one in key.tolist()]
