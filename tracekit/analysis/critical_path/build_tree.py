"""Preparation of traces for the critical path: missing parents, unknown ends, asynchronous spans."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracekit import semconv
from tracekit.analysis.critical_path.tree import PathTree, choose, with_roots
from tracekit.analysis.waiting import Waiting, waiting_by_links
from tracekit.completeness import root_counts
from tracekit.forest import visible_parents
from tracekit.schema import Kind, ParentState, Quality

if TYPE_CHECKING:
    from tracekit.analysis.critical_path.tree import Scope
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

OVERFLOWS = ("auto", "clip", "exclude")
FOLLOWS_FROM = ("async", "blocking")
_LEAST_OVERFLOW_NS = 2_000
_OPEN = Quality.NO_START | Quality.NO_END | Quality.IN_PROGRESS
_FIRST, _LAST = np.iinfo(np.int64).min, np.iinfo(np.int64).max


def build_tree(
    traces: TraceSet, *, scope: Scope, overflow: str, follows_from: str, offset_ns: Array | None = None
) -> PathTree:
    """Return the trees of all traces."""
    choose("overflow", overflow, OVERFLOWS)
    choose("follows_from", follows_from, FOLLOWS_FROM)
    forest, count = traces.forest, len(traces.columns.spans)
    inferred = traces.is_inferred
    orphan = (forest.state == ParentState.MISSING) & ~inferred
    virtual = np.arange(len(traces), dtype=np.int32) if isinstance(scope, str) and scope == "trace" else _NONE
    behind, behind_id, is_virtual, node_of = _holes(traces, np.flatnonzero(orphan), virtual)
    extra = len(behind)
    parent = np.concatenate((visible_parents(forest.parent_row, inferred), np.full(extra, -1, np.int32)))
    parent[:count][orphan] = count + node_of
    trace = np.concatenate((forest.trace, behind)) if extra else forest.trace
    waiting = np.concatenate(
        (waiting_by_links(traces, parent[:count], inferred, follows_from), np.zeros(extra, np.int8))
    )
    start, end = _times(traces, parent, waiting, offset_ns)
    _adopt(parent[count:], traces, behind, ~is_virtual)
    tree = PathTree(count, parent, start, end, waiting, trace, behind_id, is_virtual, _NONE)
    _mark_overflow(traces, tree, overflow)
    return with_roots(traces, tree, scope)


# -------------------------------------------------------------------- nodes and links

_NONE = np.zeros(0, np.int32)


def _holes(traces: TraceSet, orphans: Array, virtual: Array) -> tuple[Array, Array, Array, Array]:
    """Return trace, id and kind of the added nodes, by trace, and which of them is the parent of each orphan."""
    of_trace, of_id = traces.forest.trace[orphans], traces.columns.spans.parent_id[orphans]
    order = np.lexsort((of_id, of_trace))
    of_trace, of_id = of_trace[order], of_id[order]
    first = np.ones(len(orphans), bool)
    first[1:] = (of_trace[1:] != of_trace[:-1]) | (of_id[1:] != of_id[:-1])
    name = np.empty(len(orphans), np.int64)
    name[order] = np.cumsum(first) - 1
    behind = np.concatenate((of_trace[first], virtual))
    by_trace = np.argsort(behind, kind="stable")
    place = np.empty(len(behind), np.int64)
    place[by_trace] = np.arange(len(behind))
    is_virtual = by_trace >= first.sum()
    behind_id = np.concatenate((of_id[first], np.zeros(len(virtual), np.uint64)))
    return behind[by_trace], behind_id[by_trace], is_virtual, place[name]


def _times(traces: TraceSet, parent: Array, waiting: Array, offset_ns: Array | None) -> tuple[Array, Array]:
    """Return start and end of every node in ns; unknown ones are those of its synchronous descendants."""
    spans, extra = traces.columns.spans, len(parent) - len(traces.columns.spans)
    edges = [spans.start_ns, spans.end_ns]
    if offset_ns is not None:
        edges = [edge - offset_ns for edge in edges]
    if not extra and traces.has_duration.all():
        return edges[0], edges[1]
    start, end = (np.concatenate((edge, np.zeros(extra, np.int64))) for edge in edges)
    negative = np.flatnonzero((spans.quality & Quality.DURATION_NEGATIVE) != 0)
    end[negative] = start[negative]
    is_open = np.ones(len(parent), bool)
    is_open[: len(spans)] = (spans.quality & _OPEN) != 0
    nodes = np.flatnonzero(is_open)
    quality = np.concatenate((spans.quality, np.full(extra, _OPEN, np.uint32)))[nodes]
    no_start, no_end = (quality & Quality.NO_START) != 0, (quality & (Quality.NO_END | Quality.IN_PROGRESS)) != 0
    no_record = (quality & Quality.NO_END) != 0  # spans in progress may have a provisional end
    first = start[nodes]
    last = np.where(no_start | no_record, end[nodes], np.maximum(first, end[nodes]))
    start[nodes] = np.where(no_start, np.where(no_record, _LAST, last), first)
    end[nodes] = np.where(no_record, np.where(no_start, _FIRST, first), last)
    _hull(parent, waiting == Waiting.AWAITED, is_open, start, end)
    low, high = start[nodes], end[nodes]
    nothing = low > high  # neither own times nor measured descendants
    start[nodes] = np.where(no_start, np.where(nothing, 0, low), first)
    end[nodes] = np.maximum(start[nodes], np.where(no_end, np.where(nothing, 0, high), last))
    return start, end


def _hull(parent: Array, awaited: Array, is_open: Array, low: Array, high: Array) -> None:
    """Widen open nodes, in place, to their synchronous measured descendants."""
    below = np.flatnonzero(awaited & (parent >= 0) & is_open[parent])
    seeds = below[~is_open[below]]
    np.minimum.at(low, parent[seeds], low[seeds])
    np.maximum.at(high, parent[seeds], high[seeds])
    up = np.full(len(parent), -1, np.int64)
    rows = below[is_open[below]]
    up[rows] = parent[rows]
    while len(rows):
        above = up[rows]
        np.minimum.at(low, above, low[rows])
        np.maximum.at(high, above, high[rows])
        up[rows] = up[above]
        rows = rows[up[rows] >= 0]


def _adopt(parent: Array, traces: TraceSet, behind: Array, is_missing: Array) -> None:
    """Attach missing parents, in place, to the root of their trace if it has exactly one."""
    has_one = is_missing & (root_counts(traces.forest)[behind] == 1)
    parent[:] = np.where(has_one, traces.forest.root_row[behind], -1)


def _mark_overflow(traces: TraceSet, tree: PathTree, overflow: str) -> None:
    """Mark, in place, nodes that outlive their parent and are asynchronous."""
    if overflow == "clip":
        return
    rows = np.flatnonzero((tree.end > tree.end[tree.parent]) & (tree.parent >= 0))
    rows = rows[tree.waiting[rows] == Waiting.AWAITED]
    above = tree.parent[rows].astype(np.int64)
    if overflow == "auto":
        margin = np.maximum(_LEAST_OVERFLOW_NS, (tree.end[above] - tree.start[above]) // 100)
        clearly = (tree.end[rows] - margin > tree.end[above]) & (np.maximum(rows, above) < tree.span_count)
        rows, above = rows[clearly], above[clearly]
        rows = rows[_same_process(traces, rows, above)]
    tree.waiting[rows] = Waiting.OVERFLOW


def _same_process(traces: TraceSet, rows: Array, above: Array) -> Array:
    """Return which pairs of spans are in one process; a SERVER span under a CLIENT span is remote."""
    spans = traces.columns.spans
    same = (spans.quality[rows] & Quality.PARENT_REMOTE) == 0
    same &= (spans.kind[rows] != Kind.SERVER) | (spans.kind[above] != Kind.CLIENT)
    service = traces.codes("service_name").codes
    same &= service[rows] == service[above]
    near = np.flatnonzero(same)
    mine, theirs = spans.resource[rows[near]], spans.resource[above[near]]
    for key in semconv.PROCESS_KEYS:
        value = traces.lookup.resources_by_key.codes_of((key,)).codes
        same[near] &= value[mine] == value[theirs]
    return np.asarray(same)
