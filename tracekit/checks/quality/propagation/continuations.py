"""Estimated number of root spans that continue unanswered calls of another trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

from tracekit.stats.intervals import normal_quantile

if TYPE_CHECKING:
    from tracekit.columns import Array

_FIRST_LOOK, _PLAINLY_CHANCE = 20, 3


class Windows:
    """Time windows of traces, to find the spans covered by a window of another trace.

    Parameters
    ----------
    start, end, trace
        One entry a window; without traces all belong to other traces.
    """

    def __init__(self, start: Array, end: Array, trace: Array | None = None) -> None:
        order = np.argsort(start)
        self._start, end = start[order], end[order]
        self._reach = np.maximum.accumulate(end)
        self._trace = self._other = None
        if trace is not None:
            trace = trace[order]
            longest = np.flatnonzero(
                np.append(True, end[1:] > self._reach[:-1])
            )  # each reaches further than all before
            which = longest[np.searchsorted(longest, np.arange(len(end)), "right") - 1]
            self._trace = trace[which]
            nothing = np.iinfo(np.int64).min
            second = np.where(trace != self._trace, end, nothing)
            replaced = longest[1:][trace[longest[1:]] != self._trace[longest[1:] - 1]]
            second[replaced] = self._reach[replaced - 1]
            self._other = np.maximum.accumulate(second)

    def cover(self, start: Array, end: Array, trace: Array | None = None) -> Array:
        """Return which spans lie inside a window of another trace."""
        before = np.searchsorted(self._start, start, "right") - 1
        at = np.maximum(before, 0)
        reach = self._reach[at]
        if self._trace is not None and self._other is not None and trace is not None:
            reach = np.where(self._trace[at] == trace, self._other[at], reach)
        return np.asarray((before >= 0) & (reach >= end))


class Stitch(NamedTuple):
    """Roots that continue unanswered calls.

    ``covered`` roots lie inside an unanswered call, ``chance`` is the share expected by coincidence, ``broken`` the
    estimated number of continuations with its interval, ``p`` the probability of as many by coincidence.
    """

    roots: int
    covered: int
    chance: float
    broken: float
    low: float
    high: float
    p: float

    @classmethod
    def unknown(cls, roots: int, most: int) -> Stitch:
        """Return what is known of roots that were not examined: at most so many of them are continuations."""
        return cls(roots, 0, np.nan, 0.0, 0.0, float(most), 1.0)

    def of_all(self, total: int, scale: float, confidence: float) -> Stitch:
        """Return what is expected of this number of roots, ``scale`` times as many as these, which are some of them.

        The interval includes that continuations may be more or less frequent among the others: as often as independent
        ones would be.
        """
        chance = normal_quantile(confidence) ** 2 * scale * (scale - 1) * self.broken
        below, above = (
            float(np.sqrt(chance + (scale * part) ** 2)) for part in (self.broken - self.low, self.high - self.broken)
        )
        broken, covered = scale * self.broken, round(scale * self.covered)
        low, high = max(broken - below, self.low), min(broken + above, float(total))
        return Stitch(total, covered, self.chance, broken, low, high, self.p)


def stitch(
    client_start: Array,
    client_end: Array,
    root_start: Array,
    root_end: Array,
    *,
    lanes: tuple[Array, Array] | None = None,
    traces: tuple[Array, Array] | None = None,
    slack_ns: Array | int = 0,
    shifts: int = 200,
    shortest_shift_ns: int = 5_000_000_000,
    longest_shift_ns: int = 600_000_000_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Stitch:
    """Return the number of roots inside unanswered calls, beyond the number expected by coincidence.

    ``B = (K - n q0) / (1 - q0)`` where K of n roots lie inside a call and q0 is that share after circular shifts of the
    roots in time; ``p = (1 + #{null >= K}) / (1 + shifts)``, or, if no shift reaches K, the larger of the normal and
    the Poisson tail (the former is far too small for small counts).  Stops early when coincidence clearly suffices.

    With ``lanes`` of calls and of roots (from 0 up), only calls of a root's own lane count.  With ``traces`` of both,
    calls of a root's own trace do not count.

    Assumes synchronous calls, and clocks correct to ``slack_ns`` (one value, or one per root).  The shifts must be
    longer than bursts.

    Source: circular shifts preserve the traffic's rhythm in the null.
    """
    slack = np.broadcast_to(slack_ns, len(root_start))
    start, duration = root_start + slack, root_end - root_start - 2 * slack
    first, last = min(client_start.min(), start.min()), max(client_end.max(), start.max())
    period = max(int(last - first), 1)
    own = np.zeros(len(start), np.int64)
    if lanes is not None:  # place the lanes one after the other, twice the period apart
        client_start, client_end = (at + lanes[0] * 2 * period for at in (client_start, client_end))
        own = lanes[1] * 2 * period
    of_calls, of_roots = (None, None) if traces is None else traces
    calls = Windows(client_start, client_end, of_calls)

    def covered(at: Array) -> int:
        return int(calls.cover(at + own, at + own + duration, of_roots).sum())

    rng, k, n = np.random.default_rng(seed), covered(start), len(start)
    longest = min(longest_shift_ns, period // 2)
    null: list[int] = []
    while len(null) < shifts and not (len(null) >= _FIRST_LOOK and (np.array(null) >= k).sum() >= _PLAINLY_CHANCE):
        by = int(rng.uniform(min(shortest_shift_ns, longest), longest)) * int(rng.choice([-1, 1]))
        null.append(covered((start - first + by) % period + first))
    return _result(n, k, np.array(null, np.float64), confidence)


def _result(n: int, k: int, null: Array, confidence: float) -> Stitch:
    """Return the estimate from the number covered and its null."""
    chance = float(null.mean()) / n
    spread = max(float(null.std(ddof=1)), 1.0)
    free = max(1 - chance, 1e-9)
    broken = max((k - n * chance) / free, 0.0)
    half = normal_quantile(confidence) * spread / free
    reached = int((null >= k).sum())
    p = (1 + reached) / (1 + len(null))
    if not reached:
        mean = float(null.mean())
        p = min(p, max(float(special.ndtr((mean - k) / spread)), float(special.pdtrc(k - 1, mean))))
    return Stitch(n, k, chance, broken, max(broken - half, 0.0), min(broken + half, float(n)), p)
