"""Siblings on different clocks with an overlap below the clock uncertainty are treated as sequential.

The earlier one is cut where the next begins, so that no time is counted twice. Cutting changes the descendants, so this
proceeds down the path by depth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.columns import Ragged

if TYPE_CHECKING:
    from tracekit.columns import Array

SHARE = 0.01  # of the parent


class Clocked(NamedTuple):
    """Clock of every node (-1: none), and its remaining uncertainty in ns."""

    clock: Array
    residual_ns: Array


def cut_overlaps(
    parent: Array, start: Array, end: Array, awaited: Array, *, clocked: Clocked, share: float = SHARE
) -> Array:
    """Return the ends of all nodes in ns; those on a path are cut where the next sibling begins."""
    low, high, new = start.copy(), end.copy(), end.copy()
    kids = np.flatnonzero((parent >= 0) & awaited)
    kids = kids[np.argsort(parent[kids], kind="stable")]
    below = Ragged.from_counts(np.bincount(parent[kids], minlength=len(parent)), kids)
    front = np.flatnonzero((parent < 0) & awaited & (end > start))
    while len(front):
        child = kids[below.positions(front)]
        above = parent[child]
        low[child], high[child] = np.maximum(start[child], low[above]), np.minimum(end[child], high[above])
        child = child[low[child] < high[child]]
        child = child[np.lexsort((-child, -low[child], high[child], parent[child]))]
        before = _before(child, parent[child], low, high, clocked, share)
        front = _taken(parent[child], before)
        later = front[before[front] >= 0]
        earlier = before[later]
        latest = low[child[later]]
        over = high[child[earlier]] > latest
        cut, latest = child[earlier[over]], latest[over]
        high[cut] = new[cut] = latest
        front = child[front]
    return new


def _before(child: Array, parent: Array, low: Array, high: Array, clocked: Clocked, share: float) -> Array:
    """Return for every child, by (parent, end), the last sibling that had ended within the tolerance; -1 if none."""
    clock, residual, begin, end = clocked.clock[child], clocked.residual_ns[child], low[child], high[child]
    limit = ((high[parent] - low[parent]) * share).astype(np.int64)
    first = np.searchsorted(parent, parent)
    moment, rank = np.unique(np.concatenate((end, begin, begin + limit)), return_inverse=True)
    ends, exact, reach = (parent * len(moment) + ranks for ranks in rank.reshape(3, len(child)))
    rows = np.arange(len(child))
    before = np.minimum(np.searchsorted(ends, exact, side="right"), rows) - 1
    before[before < first] = -1
    touches = (before >= 0) & (end[before] == begin)  # a sibling that ends at this exact time needs no cut
    rows = rows[~touches]
    look = np.minimum(np.searchsorted(ends, reach[rows], side="right"), rows) - 1
    while len(rows := rows[inside := look >= first[rows]]):
        look = look[inside]
        allowed = np.minimum(limit[rows], residual[rows] + residual[look])
        allowed[(clock[rows] == clock[look]) | (clock[rows] < 0) | (clock[look] < 0)] = 0
        fits = (end[look] <= begin[rows] + allowed) & (begin[look] < begin[rows]) & (end[look] < end[rows])
        before[rows[fits]] = look[fits]
        rows, look = rows[~fits], look[~fits] - 1
    return before


def _taken(parent: Array, before: Array) -> Array:
    """Return the positions of the children on the path."""
    taken = np.zeros(len(parent), bool)
    front = np.flatnonzero(np.diff(parent, append=-1) != 0)
    while len(front):
        taken[front] = True
        front = before[front]
        front = front[front >= 0]
    return np.flatnonzero(taken)
