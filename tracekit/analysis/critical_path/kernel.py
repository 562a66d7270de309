"""The critical path on arrays: windows, the walk backwards in time, self time.

No loop over spans and no recursion: windows and the way up to the root go by pointer doubling, the order of siblings is
one sort of integers, and the sibling to wait for next is one binary search.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from tracekit.columns import Array

_SAFE = 2.0**62


class Windows(NamedTuple):
    """The part of each span within all its ancestors; ``inside`` is false where it is empty."""

    start: Array
    end: Array
    inside: Array


class Chains(NamedTuple):
    """Children in the tree by (parent, end of window): row, parent, preceding sibling, whether the parent waited.

    ``before`` is the position of the last sibling that had ended when this one began, -1 without one.
    """

    child: Array
    parent: Array
    before: Array
    taken: Array


class Walk(NamedTuple):
    """One entry per span: its window, whether it is on the path, and its self time there."""

    windows: Windows
    chains: Chains
    on_path: Array
    own_ns: Array


def walk(
    parent: Array, start: Array, end: Array, awaited: Array, *, touching: bool = True, excluded: Array | None = None
) -> Walk:
    """Return the critical path of every tree.

    Parameters
    ----------
    parent
        int64, row of the parent; -1 for roots.  No cycles; see ``tracekit.forest``.
    start, end
        int64 ns, ``end >= start``.
    awaited
        bool: false where no span waits for the span or its descendants.
    touching
        Whether siblings that touch (one ends when the other starts) are treated as sequential.
    excluded
        bool: true where a span did not wait for any sibling, even if one ended before it started.

    Returns
    -------
    Walk
        ``own_ns`` is 0 off the path and sums to the root's window in every tree.

    Notes
    -----
    From the end of a span's window backwards: the child that ended last was waited for, then the last one that had
    ended when that one began, and so on; ties go to the longest, then to the lowest row.  What these children do not
    cover is the span's own.

    Examples
    --------
    Two calls at once, the second ends last, so the first is not on the path:

    >>> rows = walk(np.array([-1, 0, 0]), np.array([0, 10, 20]), np.array([100, 70, 90]), np.ones(3, bool))
    >>> rows.on_path.tolist(), rows.own_ns.tolist()
    ([True, False, True], [30, 0, 70])
    """
    ancestors = ancestors_of(parent)
    frame = windows(ancestors, start, end, awaited)
    length = np.where(frame.inside, frame.end - frame.start, 0)
    chains = _chains(parent, frame, length, excluded, touching=touching)
    on_path = frame.inside & (parent < 0)
    on_path[chains.child[chains.taken]] = True
    for above in ancestors:  # and all above it were waited for
        on_path &= on_path[above]
    own = np.where(on_path, length, 0)
    taken = chains.child[chains.taken & on_path[chains.child]]
    np.subtract.at(own, parent[taken], length[taken])
    return Walk(frame, chains, on_path, own)


def segments(rows: Walk) -> tuple[Array, Array, Array]:
    """Return (span, start, end) of every stretch of self time on the path, in no order.

    Parameters
    ----------
    rows
        As made by ``walk``.

    Returns
    -------
    tuple of numpy.ndarray
        int64; every stretch is longer than 0.

    Examples
    --------
    >>> rows = walk(np.array([-1, 0, 0]), np.array([0, 10, 20]), np.array([100, 70, 90]), np.ones(3, bool))
    >>> sorted(zip(*(column.tolist() for column in segments(rows)), strict=True))
    [(0, 0, 20), (0, 90, 100), (2, 20, 90)]
    """
    (start, end, _), chains, on_path = rows.windows, rows.chains, rows.on_path
    at = np.flatnonzero(chains.taken & on_path[chains.child])
    child, parent, before = chains.child[at], chains.parent[at], chains.before[at]
    since = np.where(before >= 0, end[chains.child[before]], start[parent])
    tail = start.copy()
    last = _last_of_runs(chains.parent)
    tail[chains.parent[last]] = end[chains.child[last]]
    whole = np.flatnonzero(on_path)
    span = np.concatenate((parent, whole))
    low, high = np.concatenate((since, tail[whole])), np.concatenate((start[child], end[whole]))
    kept = high > low
    return span[kept], low[kept], high[kept]


def windows(ancestors: list[Array], start: Array, end: Array, awaited: Array) -> Windows:
    """Return every span clipped to all its ancestors.

    Parameters
    ----------
    ancestors
        See ``ancestors_of``.
    start, end, awaited
        See ``walk``.

    Returns
    -------
    Windows
        ``inside`` is false where nothing is left, or where the span or an ancestor is not waited for.

    Examples
    --------
    >>> frame = windows(ancestors_of(np.array([-1, 0])), np.array([0, 50]), np.array([100, 300]), np.ones(2, bool))
    >>> frame.end.tolist()
    [100, 100]
    """
    inside, up = awaited & (end > start), ancestors[0]
    cut = (start < start[up]) | (end > end[up]) | ~inside[up]
    cut &= inside
    if not cut.any():
        return Windows(start, end, inside)
    for further in ancestors:  # commonly few reach beyond their parents: look only at those and what is below them
        cut |= cut[further]
    low, high, rows = start.copy(), end.copy(), np.flatnonzero(cut)
    steps = np.arange(len(up))
    steps[rows] = up[rows]  # the way up ends at what needs no cutting
    while len(rows):  # by pointer doubling; everything is read before anything is written
        above = steps[rows]
        since, until, there, beyond = low[above], high[above], inside[above], steps[above]
        low[rows] = np.maximum(low[rows], since)
        high[rows] = np.minimum(high[rows], until)
        inside[rows] &= there
        steps[rows] = beyond
        rows = rows[beyond != above]
    return Windows(low, high, inside & (high > low))


def ancestors_of(parent: Array) -> list[Array]:
    """Return for every row the ancestor 1, 2, 4, 8, ... above, as long as any row has one; beyond the root, the root.

    Parameters
    ----------
    parent
        int64, row of the parent; -1 for roots.

    Returns
    -------
    list of numpy.ndarray
        int64, at least one.

    Examples
    --------
    >>> [up.tolist() for up in ancestors_of(np.array([-1, 0, 1, 2]))]
    [[0, 0, 1, 2], [0, 0, 0, 1], [0, 0, 0, 0]]
    """
    ancestors = [np.where(parent < 0, np.arange(len(parent)), parent)]
    while not np.array_equal(further := ancestors[-1][ancestors[-1]], ancestors[-1]):
        ancestors.append(further)
    return ancestors


def _chains(parent: Array, frame: Windows, length: Array, excluded: Array | None, *, touching: bool) -> Chains:
    """Order siblings by the end of their windows and follow who was waited for."""
    child = np.flatnonzero(frame.inside & (parent >= 0))
    above = parent[child]
    ends, starts = _keys(child, above, frame, length)
    order = np.argsort(ends)
    _settle_ties(order, ends, frame.start[child])
    ends, child, above = ends[order], child[order], above[order]
    before = np.full(len(child), -1, np.int64)
    later = np.flatnonzero(above[1:] == above[:-1]) + 1  # the one that ends first comes after none
    found = np.searchsorted(ends, starts[order[later]], side="right" if touching else "left") - 1
    before[later] = np.where((found >= 0) & (above[found] == above[later]), found, -1)
    if excluded is not None:
        before[excluded[child]] = -1
    taken = np.zeros(len(child), bool)
    front = _last_of_runs(above)
    while len(front):  # as many rounds as the longest chain, each sibling once
        taken[front] = True
        front = before[front]
        front = front[front >= 0]
    return Chains(child, above, before, taken)


def _keys(child: Array, above: Array, frame: Windows, length: Array) -> tuple[Array, Array]:
    """Return ends and starts on one axis on which every parent has a place of its own."""
    if length.sum(dtype=np.float64) + len(length) < _SAFE:
        place = np.cumsum(length + 1)
        place -= length + 1 + frame.start
        since = place[above]
        return since + frame.end[child], since + frame.start[child]
    moments = np.concatenate((frame.end[child], frame.start[child]))  # too long together: ranks do as well
    distinct, rank = np.unique(moments, return_inverse=True)
    rank += np.concatenate((above, above)) * len(distinct)
    return rank[: len(child)], rank[len(child) :]


def _settle_ties(order: Array, ends: Array, start: Array) -> None:
    """Order siblings with equal ends, in place: the longest last, of equal ones the lowest row."""
    sorted_ends = ends[order]
    same = sorted_ends[1:] == sorted_ends[:-1]
    if not same.any():
        return
    tied = np.zeros(len(order), bool)
    tied[1:] = same
    tied[:-1] |= same
    at = np.flatnonzero(tied)
    members = order[at]
    order[at] = members[np.lexsort((-members, -start[members], ends[members]))]


def _last_of_runs(values: Array) -> Array:
    """Return the position of the last entry of each run of equal values."""
    if not len(values):
        return np.zeros(0, np.int64)
    return np.flatnonzero(np.concatenate((values[1:] != values[:-1], [True])))
