"""Drag of every span, in two passes: how much sooner its request would end if the span's self time were 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracekit.analysis.critical_path.frames import series_of_awaited
from tracekit.analysis.critical_path.hops import least_to_root

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.analysis.critical_path.kernel import Walk
    from tracekit.analysis.critical_path.replay import Plan
    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.columns import Array

_FAR = np.iinfo(np.int64).max


def drag(path: CriticalPath) -> pd.Series:
    """Return the drag of every span: how much sooner its request would end if its self time were 0.

    A span without self time lasts as long as its sequential calls. If a span gets shorter, so does its parent, but only
    until a parallel sibling determines the end (its slack). This repeats up to the root. The term is from Devaux (1999)
    for projects; google/calligator uses it for traces. Critical-path time is an upper bound.
    """
    plan, rows = path.rerun.plan, path.rerun.walk
    length = rows.windows.end - rows.windows.start
    own = np.zeros(len(path.tree), np.int64)
    own[plan.node] = length[plan.node] - _without_own_time(plan, length[plan.node])
    room = _room(rows, plan.slack(len(path.tree)), touching=path.is_touching)
    least = np.minimum(own, least_to_root(path.tree.parent.astype(np.int64), room, rows.on_path))
    return series_of_awaited(path, "drag_ns", np.where(rows.on_path, least, 0))


def _without_own_time(plan: Plan, length: Array) -> Array:
    """Return the duration of every node without self time, in ns: the longest chain of sequential children."""
    reached = np.zeros(len(plan.child) + 1, np.int64)
    for first, last in zip(plan.steps[:-1], plan.steps[1:], strict=True):
        now = slice(first, last)
        done = reached[plan.before[now]] + length[plan.child[now]]
        reached[first + 1 : last + 1] = np.maximum(reached[plan.prior[now]], done)
    return np.asarray(reached[plan.last])


def _room(rows: Walk, slack: Array, *, touching: bool) -> Array:
    """Return how much earlier, in ns, every node on a path can end before a concurrent sibling is on the path."""
    (start, end, _), chains = rows.windows, rows.chains
    on = chains.taken & rows.on_path[chains.child]
    off = ~on & rows.on_path[chains.parent]
    chain, sibling, above, above_sibling = chains.child[on], chains.child[off], chains.parent[on], chains.parent[off]
    edges = np.concatenate((start[chain], start[sibling], end[chain], end[sibling]))
    moment, rank = np.unique(edges, return_inverse=True)
    begun, begun_sibling, ended, ended_sibling = np.split(rank, np.cumsum([len(chain), len(sibling), len(chain)]))
    begun[chains.before[on] < 0] = begun_sibling[chains.before[off] < 0] = 0  # no sibling precedes it
    size = len(moment)
    first = np.searchsorted(above * size + ended, above_sibling * size + begun_sibling, "right" if touching else "left")
    last = np.searchsorted(above * size + begun, above_sibling * size + ended_sibling, "left" if touching else "right")
    room = np.full(len(slack), _FAR)
    room[chain] = _lowest_over(first, last, slack[sibling], len(chain))
    return room


def _lowest_over(first: Array, last: Array, value: Array, count: int) -> Array:
    """Return for each position the lowest value among the ranges, from first to before last, that contain it."""
    filled = last > first
    first, last, value = first[filled], last[filled], value[filled]
    power = np.log2(last - first).astype(np.int64)  # a range is covered by two overlapping ranges of a power of two
    lowest = np.full(count, _FAR)
    for step in range(int(power.max(initial=0)), -1, -1):
        now = power == step
        np.minimum.at(lowest, first[now], value[now])
        np.minimum.at(lowest, last[now] - 2**step, value[now])
        half = 2**step // 2
        if half:  # split each range into two of half its length
            further = lowest[: count - half].copy()
            lowest[half:] = np.minimum(lowest[half:], further)
    return lowest
