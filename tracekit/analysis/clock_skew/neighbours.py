"""Decision whether adjacent traces prove clock skew, shared by the critical path and quality checks.

An asynchronous call looks like a call to a clock that is ahead, so a single trace cannot prove a skew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.analysis.clock_skew.intervals import agree
from tracekit.stats.grouping import dense_codes

if TYPE_CHECKING:
    from tracekit.analysis.clock_skew.calls import Calls
    from tracekit.columns import Array

MIN_TRACES, AGREEMENT = 16, 2 / 3
_ASYNC = 0.5  # tolerated fraction of traces with an asynchronous call between two clocks
_FEWEST_ON_A_LINE = 12
_ROUNDING = 1e-9
_TOGETHER = 100  # traces, at first
_USUAL = (MIN_TRACES, 0.05)  # for which the numbers of ``needed`` are a table
_ONE_MORE = (1, 2, 3, 5, 8, 13, 19, 25, 32, 39, 47, 56, 65, 74, 84, 94, 104, 115, 125, 136, 148, 159, 171, 182, 194)
_TABULATED = 206  # from so many traces on one more is needed again


class Neighbours(NamedTuple):
    """One entry per call: the evidence of adjacent traces about its two clocks.

    ``is_apart`` is true if they prove a skew; then ``low`` and ``high`` bound how far the clock with the larger code is
    ahead at the time of the call, in ns.
    """

    is_apart: Array
    low: Array
    high: Array

    def take(self, rows: Array) -> Neighbours:
        """Return some of the calls."""
        return Neighbours(*(column[rows] for column in self))


class _Votes(NamedTuple):
    """Calls by (pair of clocks, time): every trace (``voter``) has one vote, shared by its calls.

    ``row`` is the number of the call, ``low`` and ``high`` bound how far the clock with the larger code is ahead, and
    ``is_forward`` is true if that is the callee's clock.
    """

    row: Array
    voter: Array
    weight: Array
    usable: Array
    low: Array
    high: Array
    begun_ns: Array
    is_forward: Array

    def take(self, rows: Array) -> _Votes:
        """Return some of the calls."""
        return _Votes(*(column[rows] for column in self))


class _Agreed(NamedTuple):
    """Agreement of blocks of traces: bounds at ``middle_ns``, their drift (ns per ns), and the fraction that agrees."""

    low: Array
    high: Array
    slope: Array
    middle_ns: Array
    ratio: Array


def neighbours(calls: Calls, *, min_traces: int, async_ratio: float) -> Neighbours:
    """Return the evidence of adjacent traces about the clocks of every call."""
    count = len(calls)
    found = Neighbours(np.zeros(count, bool), *np.zeros((2, count), np.int64))
    votes, block = _votes(calls, min_traces)
    while len(votes.row):
        size = np.bincount(block)
        of = block[votes.voter]
        late, early = _impossible(votes, of, len(size))
        proven = np.flatnonzero(
            _significant(late, size, min_traces, _ASYNC) | _significant(early, size, min_traces, async_ratio)
        )
        decided = np.zeros(len(size), bool)
        decided[proven] = _decided(found, votes, of, proven, size[proven], async_ratio)
        is_open = ~decided & (size >= 2 * min_traces) & ((late >= min_traces - _ROUNDING) | (early > 0))
        kept = is_open[of]
        votes, block = votes.take(kept), _halves(block, size, is_open)
        _, voter = np.unique(votes.voter, return_inverse=True)
        votes = votes._replace(voter=voter)
    return found


def _significant(impossible: Array, traces: Array, min_traces: int, share: float) -> Array:
    """Return where ``impossible`` traces are significant if each is impossible with probability ``share``."""
    found = np.zeros(len(traces), bool)
    likely = np.flatnonzero(impossible > share * traces)  # no more than are expected are not significant
    found[likely] = impossible[likely] >= needed(traces[likely], min_traces, share) - _ROUNDING
    return found


def needed(traces: Array, min_traces: int, share: float) -> Array:
    """Return how many impossible ``traces`` are significant if each is impossible with probability ``share``."""
    if not len(traces):
        return traces
    if (min_traces, share) == _USUAL and traces.max() < _TABULATED:
        return np.asarray(1 + np.searchsorted(_ONE_MORE, traces, "right"))
    from scipy.special import bdtrc  # noqa: PLC0415 - as slow to import as half of tracekit

    distinct, at = np.unique(traces, return_inverse=True)
    least = [int(np.argmax(bdtrc(np.arange(-1, n + 1), n, share) <= 0.5**min_traces)) for n in distinct.tolist()]
    return np.array(least, np.int64)[at]


def _impossible(votes: _Votes, of: Array, blocks: int) -> tuple[Array, Array]:
    """Return how many traces of every block are impossible in one direction, and how many begin before their callers.

    A callee that ends after its caller may be asynchronous. One that begins before it proves a skew.
    """
    late, early = np.zeros((2, blocks))
    for ahead, causal in ((votes.low > 0, ~votes.is_forward), (votes.high < 0, votes.is_forward)):
        impossible = votes.weight * (votes.usable & ahead)
        late = np.maximum(late, np.bincount(of, impossible, blocks))
        early = np.maximum(early, np.bincount(of, impossible * causal, blocks))
    return late, early


def _votes(calls: Calls, min_traces: int) -> tuple[_Votes, Array]:
    """Return the votes of pairs of clocks with enough calls that seem skewed, and the block of every voter."""
    size = int(max(calls.caller.max(initial=0), calls.callee.max(initial=0))) + 1
    joint = np.minimum(calls.caller, calls.callee) * size + np.maximum(calls.caller, calls.callee)
    pair, pairs = dense_codes(joint, size * size)
    suspects = np.bincount(pair[calls.seem_skewed], minlength=len(pairs))
    early = np.bincount(pair[calls.usable & (calls.high < 0)], minlength=len(pairs))
    row = np.flatnonzero(((suspects >= min_traces) | (early > 0))[pair])
    calls, pair = calls.take(row), pair[row].astype(np.int64)
    traces = int(calls.trace.max(initial=0)) + 1
    voter, voters = dense_codes(pair * traces + calls.trace, len(pairs) * traces)
    begun, of_pair = np.full(len(voters), np.iinfo(np.int64).max), np.empty(len(voters), np.int64)
    np.minimum.at(begun, voter, calls.begun_ns)
    of_pair[voter] = pair
    in_time = np.lexsort((voters, begun, of_pair))
    rank = np.empty(len(voters), np.int64)
    rank[in_time] = np.arange(len(voters))
    forward = calls.caller < calls.callee
    low, high = np.where(forward, (calls.low, calls.high), (-calls.high, -calls.low))
    weight = 1 / np.bincount(voter)[voter]
    votes = _Votes(row, rank[voter], weight, calls.usable, low, high, calls.begun_ns, forward)
    return votes, _hundreds(of_pair[in_time])


def _hundreds(pair: Array) -> Array:
    """Return the blocks of voters, sorted by pair: about a hundred of one pair each."""
    _, number, count = np.unique(pair, return_inverse=True, return_counts=True)
    parts = np.maximum(1, count // _TOGETHER)
    rank = np.arange(len(pair)) - (np.cumsum(count) - count)[number]
    return np.asarray((np.cumsum(parts) - parts)[number] + rank * parts[number] // count[number])


def _halves(block: Array, size: Array, is_open: Array) -> Array:
    """Return the blocks of the remaining voters, with each open block split in two."""
    rank = np.arange(len(block)) - (np.cumsum(size) - size)[block]
    kept = is_open[block]
    late = (2 * rank >= size[block])[kept]
    return np.asarray(np.unique(2 * block[kept] + late, return_inverse=True)[1])


def _decided(found: Neighbours, votes: _Votes, of: Array, blocks: Array, size: Array, async_ratio: float) -> Array:
    """Enter, in place, the agreement of these blocks; return which of them agree: bool, one per block."""
    place = np.full(int(of.max()) + 1, -1)
    place[blocks] = np.arange(len(blocks))
    votes, of = votes.take(place[of] >= 0), place[of][place[of] >= 0]
    flat, line = (_agreement(votes, of, size, async_ratio, is_line=is_line) for is_line in (False, True))
    is_line = (size >= _FEWEST_ON_A_LINE) & (line.ratio >= flat.ratio)
    agreed = _Agreed(*(np.where(is_line, *sides) for sides in zip(line, flat, strict=True)))
    enough = np.asarray(agreed.ratio >= AGREEMENT - _ROUNDING)
    votes, of = votes.take(enough[of]), of[enough[of]]
    moved = np.rint(agreed.slope[of] * (votes.begun_ns - agreed.middle_ns[of])).astype(np.int64)
    low, high = agreed.low[of] + moved, agreed.high[of] + moved
    found.is_apart[votes.row] = (low > 0) | (high < 0)
    found.low[votes.row], found.high[votes.row] = low, high
    return enough


def _agreement(votes: _Votes, of: Array, size: Array, async_ratio: float, *, is_line: bool) -> _Agreed:
    """Return the agreement of every block: one offset, or one line through the middles of its bounds."""
    used = np.flatnonzero(votes.usable)
    votes, of = votes.take(used), of[used]
    first = np.full(len(size), np.iinfo(np.int64).max)
    np.minimum.at(first, of, votes.begun_ns)
    since = votes.begun_ns - first[of]
    slope, pivot = _slopes(of, since, votes.low + (votes.high - votes.low) / 2, len(size))
    slope = slope if is_line else np.zeros(len(size))
    moved = np.rint(slope[of] * (since - pivot[of])).astype(np.int64)
    low, high = votes.low - moved, votes.high - moved
    total = np.bincount(of, votes.weight, len(size))
    ratio = agree(of, low, high, async_ratio=async_ratio, weight=votes.weight).ratio
    doubt = np.clip(2 * (1 - ratio), async_ratio, 0.5)  # the same number may agree by chance
    inside = agree(of, low, high, async_ratio=doubt, weight=votes.weight)
    return _Agreed(inside.low, inside.high, slope, first + pivot.astype(np.int64), ratio * total / size)


def _slopes(of: Array, since: Array, middle: Array, blocks: int) -> tuple[Array, Array]:
    """Return the drift of middles from the median of the earlier half to that of the later half, and the pivot."""
    size = np.bincount(of, minlength=blocks)
    order = np.lexsort((since, of))
    rank = np.empty(len(of), np.int64)
    rank[order] = np.arange(len(of)) - (np.cumsum(size) - size)[of[order]]
    half = 2 * of + (2 * rank >= size[of])
    (t0, t1), (m0, m1) = (_medians(half, values, 2 * blocks).reshape(blocks, 2).T for values in (since, middle))
    apart = t1 - t0
    return np.where(apart > 0, (m1 - m0) / np.maximum(apart, 1), 0.0), (t0 + t1) / 2


def _medians(group: Array, values: Array, groups: int) -> Array:
    """Return the lower median of every group; 0 where it is empty."""
    size = np.bincount(group, minlength=groups)
    order = np.lexsort((values, group))
    at = np.minimum(np.cumsum(size) - size + np.maximum(size - 1, 0) // 2, len(values) - 1)
    return np.where(size > 0, values[order][at].astype(np.float64), 0.0)
