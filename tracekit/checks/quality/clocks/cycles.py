"""S24: consistency of clock offsets around cycles of hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from tracekit.checks.quality.clocks.host_pairs import host_pairs
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.text import count, duration

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.findings import Finding

CHECK = "clock.cycle"
MOST_CLOCKS = 400
_FEWEST = 5


def clock_cycles(case: Case) -> list[Finding]:
    """Return whether the clock offsets between pairs of hosts contradict each other around a cycle.

    The intervals of ``clock.offset`` (of pairs with consistent calls) are difference constraints; ``contradiction``
    finds a cycle of hosts around which they cannot sum to 0.  Then one of these hosts is two machines under one name, a
    clock stepped, or more calls than ``tolerance`` were asynchronous.  Only the 400 busiest hosts are examined.
    Assumes that the intervals of the pairs are correct.

    Source: difference constraints, Floyd and Warshall 1962.
    """
    pairs = case.result(host_pairs)
    agreement, assumed = pairs.agreement, (*_ASSUMED, *pairs.sampled)
    sure = np.flatnonzero((agreement.size >= _FEWEST) & (agreement.ratio >= 1 - case.tolerance))
    ends = np.concatenate((pairs.host[sure], pairs.peer[sure]))
    calls = np.bincount(ends, np.tile(agreement.size[sure], 2), minlength=len(pairs.names))
    hosts = np.sort(np.argsort(-calls, kind="stable")[: min(MOST_CLOCKS, int((calls > 0).sum()))])
    sure = sure[np.isin(pairs.host[sure], hosts) & np.isin(pairs.peer[sure], hosts)]
    if len(sure) < len(hosts) or not len(hosts):
        return [not_assessable(CHECK, "Consistency of clock offsets", "calls around a cycle of hosts")]
    first, second = (np.searchsorted(hosts, side[sure]) for side in (pairs.host, pairs.peer))
    found = contradiction(len(hosts), first, second, agreement.low[sure], agreement.high[sure])
    n = int(agreement.size[sure].sum())
    if found is None:
        text = (
            f"Clock offsets between {count(len(hosts))} hosts are consistent (n = {count(n)} calls between "
            f"{count(len(sure))} pairs)."
        )
        return [finding(CHECK, "ok", text, pd.DataFrame(), assumptions=assumed)]
    names = [pairs.names[hosts[at]] for at in found.clocks]
    text = (
        f"Inconsistent clock offsets: around the cycle {', '.join(f'`{name}`' for name in names)} they miss 0 by at "
        f"least {duration(found.gap_ns)} (n = {count(n)} calls). At least one of these offsets is wrong, so events on "
        f"these hosts cannot be ordered by time."
    )
    estimate = Estimate(found.gap_ns, "ns", found.gap_ns, float("inf"), n)
    remedy = "Look for two machines under one host name, or a clock that stepped, among these hosts."
    evidence = pd.DataFrame({"host": names})
    return [finding(CHECK, "warning", text, evidence, estimate=estimate, assumptions=assumed, remedy=remedy)]


_ASSUMED = ("the interval of every pair is correct (clock.offset)",)


class Cycle(NamedTuple):
    """Clocks around which the offsets do not sum to 0, and the least difference from 0 (ns)."""

    clocks: tuple[int, ...]
    gap_ns: float


def contradiction(clocks: int, first: Array, second: Array, low: Array, high: Array) -> Cycle | None:
    """Return a cycle of clocks with contradictory offsets; None if all are consistent.

    Limits ``low <= theta_second - theta_first <= high`` are difference constraints; they can all be satisfied unless a
    cycle has a negative sum (shortest paths by Floyd and Warshall; the cycle is traced back).
    """
    bound = np.full((clocks, clocks), np.inf)
    step = np.tile(np.arange(clocks), (clocks, 1))  # next clock on the shortest path
    np.fill_diagonal(bound, 0.0)
    np.minimum.at(bound, (first, second), high.astype(np.float64))
    np.minimum.at(bound, (second, first), -low.astype(np.float64))
    for middle in range(clocks):
        around = bound[:, middle : middle + 1] + bound[middle : middle + 1, :]
        better = around < bound
        bound = np.where(better, around, bound)
        step = np.where(better, step[:, middle : middle + 1], step)
        wrong = np.flatnonzero(np.diag(bound) < 0)
        if len(wrong):
            at = int(wrong[0])
            return Cycle(_traced_cycle(step, at), float(-bound[at, at]))
    return None


def _traced_cycle(step: Array, start: int) -> tuple[int, ...]:
    """Return the clocks of a cycle, starting from one of them."""
    cycle, at = [start], int(step[start, start])
    while at not in cycle:
        cycle.append(at)
        at = int(step[at, start])
    return tuple(cycle[cycle.index(at) :])
