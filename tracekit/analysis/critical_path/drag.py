"""How much sooner every request would be done if the own time of one span were nothing: of all spans, in two passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracekit.analysis.critical_path.frames import series_of_awaited

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.analysis.critical_path.kernel import Walk
    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.analysis.what_if.plan import Plan
    from tracekit.columns import Array

_FAR = np.iinfo(np.int64).max


def drag(path: CriticalPath) -> pd.Series:
    """Return how much sooner its request would be done if the own time of a span were 0, for every span by itself.

    A span without own time is as long as the calls in it that must follow each other.  So much less its parent takes,
    but for no more than what siblings at work at the same time have as slack, and so on up to the request.  The word is
    that of Devaux (1999) for projects and of google/calligator for traces.  Time on the path is never less.
    """
    plan, rows = path.rerun.plan, path.rerun.walk
    length = rows.windows.end - rows.windows.start
    own = np.zeros(len(path.tree), np.int64)
    own[plan.node] = length[plan.node] - _without_own_time(plan, length[plan.node])
    room = _room(rows, plan.slack(len(path.tree)), touching=path.is_touching)
    least = np.minimum(own, _least_up(path.tree.parent.astype(np.int64), room, rows.on_path))
    return series_of_awaited(path, "drag_ns", np.where(rows.on_path, least, 0))


def _without_own_time(plan: Plan, length: Array) -> Array:
    """Return how long every node would take without own time: the longest row of children that follow each other."""
    reached = np.zeros(len(plan.child) + 1, np.int64)
    for first, last in zip(plan.steps[:-1], plan.steps[1:], strict=True):
        now = slice(first, last)
        done = reached[plan.before[now]] + length[plan.child[now]]
        reached[first + 1 : last + 1] = np.maximum(reached[plan.prior[now]], done)
    return np.asarray(reached[plan.last])


def _room(rows: Walk, slack: Array, *, touching: bool) -> Array:
    """Return by how much the end of every node on a path can move before a sibling at work meanwhile is waited for."""
    (start, end, _), chains = rows.windows, rows.chains
    on = chains.taken & rows.on_path[chains.child]
    off = ~on & rows.on_path[chains.parent]
    chain, beside, above, above_beside = chains.child[on], chains.child[off], chains.parent[on], chains.parent[off]
    edges = np.concatenate((start[chain], start[beside], end[chain], end[beside]))
    moment, rank = np.unique(edges, return_inverse=True)
    begun, begun_beside, ended, ended_beside = np.split(rank, np.cumsum([len(chain), len(beside), len(chain)]))
    begun[chains.before[on] < 0] = begun_beside[chains.before[off] < 0] = 0  # waits for no sibling: none is before it
    size = len(moment)
    first = np.searchsorted(above * size + ended, above_beside * size + begun_beside, "right" if touching else "left")
    last = np.searchsorted(above * size + begun, above_beside * size + ended_beside, "left" if touching else "right")
    room = np.full(len(slack), _FAR)
    room[chain] = _lowest_over(first, last, slack[beside], len(chain))
    return room


def _lowest_over(first: Array, last: Array, value: Array, count: int) -> Array:
    """Return for each of so many places the lowest value whose range, from first to before last, contains it."""
    told = last > first
    first, last, value = first[told], last[told], value[told]
    power = np.log2(last - first).astype(np.int64)  # a range is two overlapping ones of a power of two
    lowest = np.full(count, _FAR)
    for step in range(int(power.max(initial=0)), -1, -1):
        now = power == step
        np.minimum.at(lowest, first[now], value[now])
        np.minimum.at(lowest, last[now] - 2**step, value[now])
        half = 2**step // 2
        if half:  # each range that begins here is one of half the length here, and one that begins half as far on
            further = lowest[: count - half].copy()
            lowest[half:] = np.minimum(lowest[half:], further)
    return lowest


def _least_up(up: Array, value: Array, on_path: Array) -> Array:
    """Return the least value of every node on a path and of all nodes above it."""
    least, up = value.copy(), up.copy()
    rows = np.flatnonzero(on_path & (up >= 0))
    while len(rows):
        above = up[rows]
        there, beyond = least[above], up[above]
        least[rows] = np.minimum(least[rows], there)
        up[rows] = beyond
        rows = rows[beyond >= 0]
    return least
