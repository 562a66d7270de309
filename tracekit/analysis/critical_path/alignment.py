"""Corrections of clock skew for an analysis: offsets of spans, and overlaps within the clock uncertainty."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.analysis.clock_skew.calls import clocks
from tracekit.analysis.clock_skew.offsets import needed_offsets
from tracekit.analysis.clock_skew.parts import OffsetsById
from tracekit.analysis.clock_skew.result import ClockSkew
from tracekit.analysis.waiting import Waiting
from tracekit.ragged import Ragged

if TYPE_CHECKING:
    from tracekit.analysis.clock_skew.offsets import Offsets
    from tracekit.analysis.critical_path.tree import PathTree
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

_UNKNOWN = np.int64(2**61)  # uncertainty of an unmeasured clock, if a tolerance is given
SHARE = 0.01  # of the parent


def offsets_for(traces: TraceSet, skew: str | ClockSkew | OffsetsById) -> Offsets | None:
    """Return the offsets that an analysis must subtract, None if no clock is corrected."""
    if isinstance(skew, OffsetsById):
        return skew.of(traces)
    if isinstance(skew, ClockSkew):
        if getattr(skew.source, "columns", None) is not traces.columns:
            raise ValueError(
                f"expected the clock skew of these traces, found that of others: {skew.source!r}; "
                "compute it with clock_skew(traces), or use skew='auto'"
            )
        return skew.estimate
    if skew == "off":
        return None
    if skew != "auto":
        raise ValueError(f"expected skew to be 'auto', 'off' or a ClockSkew, found {skew!r}")
    return needed_offsets(traces)


def moved_by(traces: TraceSet, offsets: Offsets | None) -> Array | None:
    """Return the offset to subtract from the times of every span, int64 ns; None if all are 0."""
    if offsets is None or not offsets.offset_ns.any():
        return None
    return offsets.of_spans(offsets.offset_ns, traces.forest.trace)


def without_overlaps(
    traces: TraceSet, tree: PathTree, offsets: Offsets | None, tolerance: float | None
) -> tuple[PathTree, Array]:
    """Return the tree with insignificant overlaps of siblings on different clocks cut, and the cut nodes."""
    nothing = np.zeros(0, np.int64)
    if tolerance is None:
        if offsets is None or not offsets.offset_ns.any():
            return tree, nothing
        clock, residual = offsets.clock, offsets.of_spans(offsets.residual_ns, traces.forest.trace)
    elif tolerance == 0:
        return tree, nothing
    else:
        clock = clocks(traces)
        residual = np.full(tree.span_count, _UNKNOWN)
    extra = len(tree) - tree.span_count
    behind = np.full(extra, -1, np.int64)
    clocked = Clocked(np.concatenate((clock.codes, behind)), np.concatenate((residual, behind + 1)))
    concerned = np.zeros(len(traces), bool)
    concerned[tree.trace[clocked.residual_ns > 0]] = True
    nodes = np.flatnonzero(concerned[tree.trace])
    place = np.full(len(tree) + 1, -1, np.int64)  # the last is for roots
    place[nodes] = np.arange(len(nodes))
    new = cut_overlaps(
        place[tree.parent[nodes]],
        tree.start[nodes],
        tree.end[nodes],
        tree.waiting[nodes] == Waiting.AWAITED,
        clocked=Clocked(*(column[nodes] for column in clocked)),
        share=SHARE if tolerance is None else tolerance,
    )
    cut = new < tree.end[nodes]
    end = tree.end.copy()
    end[nodes[cut]] = new[cut]
    return replace(tree, end=end), nodes[cut]


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
