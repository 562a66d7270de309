"""What undoing a suspect would save: current requests replayed with the times that its slower elements had before."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.analysis.critical_path.what_if import Replayed, what_if_of
from tracekit.analysis.suspects.calls import CALL, OWN, times
from tracekit.findings import Estimate
from tracekit.stats.influences import Denominator, influence
from tracekit.stats.weighted_means import mean_limits

if TYPE_CHECKING:
    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.analysis.critical_path.what_if import WhatIf
    from tracekit.analysis.suspects.calls import Times
    from tracekit.analysis.suspects.elements import Elements
    from tracekit.analysis.suspects.ranking import Ranking
    from tracekit.analysis.suspects.windows import Window
    from tracekit.columns import Array


class Undone(NamedTuple):
    """Current requests without a suspect: what that saves in the mean (ns), and their latency."""

    saved: Estimate
    requests: WhatIf


def undone(before: Window, now: Window, ranking: Ranking, service: int, path: CriticalPath) -> Undone | None:
    """Return the current requests without a suspect; None without slower elements that can be replayed.

    Each self time and gap is replaced by that of the same rank in the baseline, if that is shorter; order and numbers
    of calls stay as recorded (``critical_path.what_if``).  ``path`` is that of the current traces.
    """
    found, best = ranking.found, ranking.best
    mine = best.element[(best.service == service) & (found.weight[best.element] > 0)]
    mine = mine[found.kind[mine] != CALL]
    if not len(mine):
        return None
    factor = np.ones(len(path.tree))
    factor[: len(now.parent)] = _factors(now, found, mine, (times(before), times(now)))
    weight, trace = path.weight, path.tree.trace[path.tree.root]
    if not weight.sum() > 0:
        return None
    new = path.rerun.latency(factor)
    saved = path.latency_ns - new
    mean = float(np.average(saved, weights=weight))
    about = Denominator.of(np.bincount(trace, weight, len(now.weight)), weight=now.weight)
    moments = influence(np.zeros(len(saved), np.int64), trace, weight * saved, about, 1).moments()
    low, high = mean_limits(np.array([mean]), moments)
    replay = Replayed(new, path.rerun.naive_saved(factor), int(np.count_nonzero(factor != 1)))
    return Undone(
        Estimate(mean, "ns", float(low[0]), float(high[0]), len(saved)),
        what_if_of(path.requests, replay, path.statement, 0.95),
    )


def _factors(now: Window, found: Elements, elements: Array, sides: tuple[Times, Times]) -> Array:
    """Return the factor of the self time of every span."""
    factor = np.ones(len(now.parent))
    of_component = np.ones(len(now.parent))
    for element in elements:
        was, rows = (_rows(side, found, int(element)) for side in sides)
        current = sides[1].time_ns[rows]
        place = np.empty(len(rows))
        place[np.argsort(current, kind="stable")] = (np.arange(len(rows)) + 0.5) / len(rows)
        wanted = np.minimum(np.quantile(sides[0].time_ns[was], place), current)
        share = np.divide(wanted, current, out=np.ones(len(rows)), where=current > 0)
        if found.kind[element] == OWN:
            of_component[sides[1].row[rows]] = share
        else:
            factor[sides[1].client[rows]] = share
    inside = np.flatnonzero(now.is_live & ~now.is_client)  # the self time of a client span is the gap of its call
    factor[inside] *= of_component[now.component[inside]]
    return factor


def _rows(side: Times, found: Elements, element: int) -> Array:
    """Return the entries of one side that belong to an element."""
    keys = ("kind", "service", "callee", "operation")
    same = [getattr(side, key) == getattr(found, key)[element] for key in keys]
    return np.flatnonzero(np.logical_and.reduce(same))
