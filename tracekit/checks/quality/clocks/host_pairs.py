"""Calls between pairs of clocks, and the limits of the offset that they prove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from tracekit.analysis.clock_skew.intervals import agree, within
from tracekit.analysis.clock_skew.neighbours import MIN_TRACES, neighbours
from tracekit.analysis.clock_skew.offsets import ASYNC_RATIO
from tracekit.analysis.clock_skew.pairs import overruled
from tracekit.analysis.clock_skew.parts import all_calls, part_calls
from tracekit.checks.merged import Merged, known_to
from tracekit.checks.quality.clocks.kept_calls import KeptCalls, pairs_of

if TYPE_CHECKING:
    from tracekit.analysis.clock_skew.intervals import Agreement
    from tracekit.checks.case import Case
    from tracekit.columns import Array


class HostPairs(NamedTuple):
    """Calls between two clocks: ``low`` and ``high`` limit how far ``peer`` is ahead of ``host``, one entry a call.

    ``pair`` numbers the pairs of clocks; ``host``, ``peer`` and the following have one entry a pair: ``dropped`` counts
    calls in which the callee took longer than its caller; ``is_apart`` is true where ``tk.clock_skew`` and the critical
    path correct a clock: only there the limits of ``agreement`` exclude 0.
    """

    pair: Array
    start_ns: Array
    low: Array
    high: Array
    host: Array
    peer: Array
    dropped: Array
    names: list[str]
    agreement: Agreement
    is_apart: Array
    sampled: tuple[str, ...]


def _calls_of(case: Case) -> KeptCalls:
    """Return the calls between the clocks of a part."""
    return KeptCalls.of(all_calls(part_calls(case.traces)))


CLOCK_CALLS: Final[Merged[KeptCalls]] = Merged(_calls_of, KeptCalls.plus, limit=KeptCalls.limited)


def host_pairs(case: Case) -> HostPairs:
    """Return calls by pair of clocks (the smaller code first), and their agreement."""
    found = case.result(CLOCK_CALLS)
    every, calls, names = found.every, found.every.calls, found.every.clocks
    near = neighbours(calls, min_traces=MIN_TRACES, async_ratio=ASYNC_RATIO)  # the decision of the critical path
    forward = calls.caller < calls.callee
    number, named = pairs_of(every)
    used = calls.usable
    kept, pair = np.unique(number[used], return_inverse=True)
    call_low, call_high = (side[used] for side in np.where(forward, (calls.low, calls.high), (-calls.high, -calls.low)))
    code = {name: at for at, name in enumerate(names)}
    counts = [found.pairs[named[one]] for one in kept.tolist()]
    ends = np.array([[code[name] for name in named[one]] for one in kept.tolist()], np.int64).reshape(-1, 2)
    agreement = agree(pair, call_low, call_high, async_ratio=case.tolerance)
    apart = np.flatnonzero(near.is_apart[used])
    near_high, near_low = within(pair[apart], near.high[used][apart], near.low[used][apart], len(kept))
    apart_count = np.bincount(pair[apart], minlength=len(kept))
    is_apart = apart_count > 0
    low, high = overruled(agreement.low, agreement.high, is_apart, near_low, near_high)
    moved, always = is_apart & (agreement.ratio < 1 - case.tolerance), apart_count == np.bincount(pair)
    low = np.where(moved, np.where(always, near_low, np.minimum(near_low, 0)), low)
    high = np.where(moved, np.where(always, near_high, np.maximum(near_high, 0)), high)
    size = np.array([one.total - one.dropped for one in counts], np.int64)
    agreement = agreement._replace(low=low, high=high, size=size)
    dropped = np.array([one.dropped for one in counts], np.int64)
    start, host, peer = calls.begun_ns[used], ends[:, 0], ends[:, 1]
    return HostPairs(pair, start, call_low, call_high, host, peer, dropped, names, agreement, is_apart, found.sampled)


class ClockLimits(NamedTuple):
    """Limits of how far the clock ``peer`` is ahead of ``host``, by name; one entry a pair of clocks."""

    host: list[str]
    peer: list[str]
    low: Array
    high: Array


def clock_limits(case: Case) -> ClockLimits:
    """Return the limits that the calls of all traces prove; in the case of a part, as worked out before."""
    if case.known is not None:
        found: ClockLimits = known_to(case, clock_limits)
        return found
    pairs = case.result(host_pairs)
    host, peer = ([pairs.names[at] for at in side] for side in (pairs.host, pairs.peer))
    return ClockLimits(host, peer, pairs.agreement.low, pairs.agreement.high)
