"""S24, going round: whether the offsets between pairs of clocks can all be true."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from tracekit.checks.quality.host_pairs import host_pairs
from tracekit.checks.sampling.words import duration, number
from tracekit.checks.verdicts import finding, not_assessable
from tracekit.findings import Estimate

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.findings import Finding

CHECK = "clock.circle"
MOST_CLOCKS = 400
_FEWEST = 5


def clock_circles(case: Case) -> list[Finding]:
    """Say whether the offsets between pairs of hosts contradict each other going round.

    The intervals of ``clock.offset`` (of pairs whose calls agree) are difference constraints; ``contradiction`` finds
    a circle of hosts round which they cannot add up to 0.  Then one of these hosts is two machines under one name, a
    clock stepped, or more calls than ``tolerance`` were left alone by their callers.  The busiest 400 hosts are looked
    at.  Assumes that the intervals of the pairs hold.

    Source: difference constraints, Floyd and Warshall 1962; ``trace_guide.md`` F3.
    """
    pairs = case.result(host_pairs)
    agreement = pairs.agreement
    sure = np.flatnonzero((agreement.size >= _FEWEST) & (agreement.ratio >= 1 - case.tolerance))
    ends = np.concatenate((pairs.host[sure], pairs.peer[sure]))
    calls = np.bincount(ends, np.tile(agreement.size[sure], 2), minlength=len(pairs.names))
    hosts = np.sort(np.argsort(-calls, kind="stable")[: min(MOST_CLOCKS, int((calls > 0).sum()))])
    sure = sure[np.isin(pairs.host[sure], hosts) & np.isin(pairs.peer[sure], hosts)]
    if len(sure) < len(hosts) or not len(hosts):
        return [
            not_assessable(CHECK, "Whether clocks contradict each other going round", "calls round a circle of hosts")
        ]
    first, second = (np.searchsorted(hosts, side[sure]) for side in (pairs.host, pairs.peer))
    found = contradiction(len(hosts), first, second, agreement.low[sure], agreement.high[sure])
    n = int(agreement.size[sure].sum())
    if found is None:
        text = (
            f"The offsets between {number(len(hosts))} hosts can all be true at once (n = {number(n)} calls between "
            f"{number(len(sure))} pairs): none of the intervals of clock.offset speaks against another."
        )
        return [finding(CHECK, "ok", text, pd.DataFrame(), assumptions=_ASSUMED)]
    names = [pairs.names[hosts[at]] for at in found.clocks]
    text = (
        f"The clocks of {', '.join(f'`{name}`' for name in names)} contradict each other: going round from one to the "
        f"next, their offsets miss 0 by at least {duration(found.gap_ns)} (n = {number(n)} calls), so at least one of "
        f"them is wrong and none should be used to order events between these hosts."
    )
    estimate = Estimate(found.gap_ns, "ns", found.gap_ns, float("inf"), n)
    remedy = "Look for two machines under one host name, or a clock that stepped, among these."
    evidence = pd.DataFrame({"host": names})
    return [finding(CHECK, "warning", text, evidence, estimate=estimate, assumptions=_ASSUMED, remedy=remedy)]


_ASSUMED = ("the interval of every pair holds: see clock.offset",)


class Circle(NamedTuple):
    """Clocks round which the offsets do not add up to 0, and by how much at least (ns)."""

    clocks: tuple[int, ...]
    gap_ns: float


def contradiction(clocks: int, first: Array, second: Array, low: Array, high: Array) -> Circle | None:
    """Return clocks whose offsets contradict each other, None where all can be true.

    Limits ``low <= theta_second - theta_first <= high`` are difference constraints; they can all hold unless some
    circle of them has a negative sum (shortest paths by Floyd and Warshall; the circle is followed back).
    """
    bound = np.full((clocks, clocks), np.inf)
    step = np.tile(np.arange(clocks), (clocks, 1))  # where to go first
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
            return Circle(_followed(step, at), float(-bound[at, at]))
    return None


def _followed(step: Array, start: int) -> tuple[int, ...]:
    """Return the clocks of a circle from one of them."""
    circle, at = [start], int(step[start, start])
    while at not in circle:
        circle.append(at)
        at = int(step[at, start])
    return tuple(circle[circle.index(at) :])
