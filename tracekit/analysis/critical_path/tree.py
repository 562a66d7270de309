"""The trees for the critical path: missing parents, unknown ends, asynchronous spans, and root nodes of requests.

Spans keep their rows. Added nodes follow: a ``(missing)`` node for each missing parent, and, for ``scope="trace"``, one
``(no span)`` node above all roots of a trace.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tracekit import semconv
from tracekit.analysis.critical_path.kernel import walk
from tracekit.analysis.waiting import Waiting, waiting_by_links
from tracekit.completeness import root_counts
from tracekit.errors import FilterError
from tracekit.expressions.conditions import evaluate
from tracekit.forest import blocks, visible_parents
from tracekit.grouping import spans_by_name, values
from tracekit.on_demand import pd
from tracekit.schema import Kind, ParentState, Quality

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tracekit.analysis.critical_path.kernel import Walk
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

    Scope: TypeAlias = str | pd.Series | Array | Callable[[pd.DataFrame], Any]

_BLOCK = 65_536  # spans; a block fits the second-level cache
OVERFLOWS = ("auto", "clip", "exclude")
FOLLOWS_FROM = ("async", "blocking")
_LEAST_OVERFLOW_NS = 2_000
_OPEN = Quality.NO_START | Quality.NO_END | Quality.IN_PROGRESS
_FIRST, _LAST = np.iinfo(np.int64).min, np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class PathTree:
    """One entry per node: the spans in their rows, then missing parents and virtual roots, by trace.

    Parameters
    ----------
    span_count
        Nodes below this are rows of ``spans``.
    parent
        int32: node of the parent, -1 at roots.
    start, end
        int64 ns, ``end >= start``; for spans without an end and missing ones, the extent of their descendants.
    waiting
        int8, ``Waiting``: why a node and its descendants are not on any path.
    trace
        int32: ordinal of the trace.
    behind_id
        uint64, of the added nodes: the missing span id; 0 for ``(no span)``.
    is_virtual
        bool, of the added nodes: whether it is a ``(no span)`` node.
    root
        int64: the root nodes of requests, by (trace, start).
    excluded
        bool, one per node: whether it did not wait for the sibling before it; None if all did.

    Examples
    --------
    >>> tree = tk.critical_path(shop.trace("a1")).tree
    >>> tree.parent.tolist(), (tree.end - tree.start).tolist()
    ([-1, 0, 1], [40000000, 30000000, 20000000])
    """

    span_count: int
    parent: Array
    start: Array
    end: Array
    waiting: Array
    trace: Array
    behind_id: Array
    is_virtual: Array
    root: Array
    excluded: Array | None = None

    def __len__(self) -> int:
        return len(self.parent)

    def blocks(self, starts: Array, size: int) -> Iterator[tuple[Array, Array]]:
        """Yield the nodes of whole traces, about ``size`` at a time, and the position of their parents among them."""
        for low, high in blocks(starts, size):
            yield self.block(low, high)

    def block(self, low: int, high: int) -> tuple[Array, Array]:
        """Return the nodes of the traces with these rows, and the position of their parents among them."""
        rows = np.arange(low, high)
        if len(self) == self.span_count:
            above = self.parent[low:high].astype(np.int64) - low
            return rows, np.maximum(above, -1, out=above)
        first, last = np.searchsorted(self.trace[self.span_count :], (self.trace[low], self.trace[high - 1] + 1))
        nodes = np.concatenate((rows, np.arange(self.span_count + first, self.span_count + last)))
        above = self.parent[nodes].astype(np.int64)
        moved = np.where(above >= self.span_count, above - self.span_count - first + len(rows), above - low)
        return nodes, np.where(above < 0, -1, moved)


def choose(name: str, found: str, known: tuple[str, ...]) -> None:
    """Raise ValueError for an unknown option."""
    if found not in known:
        raise ValueError(f"expected {name} to be one of {', '.join(known)}, found {found!r}")


def with_roots(traces: TraceSet, tree: PathTree, scope: Scope) -> PathTree:
    """Return the tree with the roots of the scope; all other roots are excluded."""
    measured = np.ones(len(tree), bool)
    measured[: tree.span_count] = traces.has_duration
    tops = np.flatnonzero((tree.parent < 0) & (tree.waiting != Waiting.INFERRED))
    virtual = tree.span_count + np.flatnonzero(tree.is_virtual)
    tops = np.setdiff1d(tops, virtual) if len(virtual) else tops
    if isinstance(scope, str) and scope == "trace":
        measured[virtual] = np.bincount(tree.trace[tops[~measured[tops]]], minlength=len(traces)) == 0
        return _ordered(tree, _virtual(tree, tops, virtual), measured)
    tree.waiting[tops] = Waiting.OTHER_ROOT
    if isinstance(scope, str) and scope == "roots":
        return _ordered(tree, tops, measured)
    if isinstance(scope, str) and scope == "root":
        root = traces.forest.root_row
        root = root[~traces.is_inferred[root]]
        tree.parent[root] = -1  # the orphan span that replaces a missing root
        return _ordered(tree, root, measured)
    return _ordered(tree, _outermost(tree, matching(traces, scope)), measured)


def _ordered(tree: PathTree, root: Array, measured: Array) -> PathTree:
    """Return the tree with its requests in order of (trace, start), without unfinished ones."""
    tree.waiting[root] = np.where(measured[root], Waiting.AWAITED, Waiting.UNFINISHED)
    root = root[measured[root]]
    if (np.diff(tree.trace[root]) <= 0).any():  # else one per trace, already in order
        root = root[np.lexsort((root, tree.start[root], tree.trace[root]))]
    return replace(tree, root=root)


def _virtual(tree: PathTree, tops: Array, virtual: Array) -> Array:
    """Attach all roots, in place, to the virtual root of their trace, from the first start to the last end."""
    tree.parent[tops] = virtual[tree.trace[tops]]  # one per trace, in order
    useful = tops[tree.end[tops] > tree.start[tops]]
    tree.start[virtual], tree.end[virtual] = np.iinfo(np.int64).max, np.iinfo(np.int64).min
    np.minimum.at(tree.start, tree.parent[useful], tree.start[useful])
    np.maximum.at(tree.end, tree.parent[useful], tree.end[useful])
    empty = virtual[tree.start[virtual] > tree.end[virtual]]
    tree.start[empty] = tree.end[empty] = 0
    return virtual


def _outermost(tree: PathTree, chosen: Array) -> Array:
    """Detach matching spans, in place, from their parents, except those below other matching spans."""
    matches = np.zeros(len(tree), bool)
    matches[: tree.span_count] = chosen
    matches[tree.waiting == Waiting.INFERRED] = False
    seen, nested = matches.copy(), np.zeros(len(tree), bool)  # seen: it or an ancestor within reach matches
    up, rows = tree.parent.astype(np.int64), np.flatnonzero(tree.parent >= 0)
    while len(rows):
        above = up[rows]
        there, beyond = seen[above], up[above]
        nested[rows] |= there
        seen[rows] |= there
        up[rows] = beyond
        rows = rows[beyond >= 0]
    root = np.flatnonzero(matches & ~nested)
    tree.parent[root] = -1
    return root


def matching(traces: TraceSet, scope: Scope) -> Array:
    """Return which spans a predicate matches."""
    found: Any
    if isinstance(scope, str):
        try:
            found = evaluate(scope, lambda name: values(traces, name))
        except FilterError as error:
            if not scope.isidentifier():
                raise
            expected = "expected root, roots, trace or a condition on columns of spans as scope"
            raise FilterError(f"{expected}, found {scope!r}", expression=scope, position=0) from error
    else:
        found = scope(spans_by_name(traces)) if callable(scope) else scope
    mask = np.asarray(pd.Series(found).fillna(False), bool)  # noqa: FBT003 - pandas
    if len(mask) != len(traces.columns.spans):
        raise ValueError(
            f"expected a mask with one entry for each of {len(traces.columns.spans)} spans, found {len(mask)}"
        )
    return mask


def walks(
    traces: TraceSet, tree: PathTree, *, touching: bool, trace: int | None = None
) -> Iterator[tuple[Array, Walk]]:
    """Yield nodes and their walk, block by block of whole traces, or of one trace."""
    starts = traces.forest.starts
    of_one = [] if trace is None else [tree.block(int(starts[trace]), int(starts[trace + 1]))]
    for nodes, above in of_one or tree.blocks(starts, _BLOCK):
        at = in_a_row(nodes)
        awaited = tree.waiting[at] == Waiting.AWAITED
        excluded = None if tree.excluded is None else tree.excluded[at]
        yield nodes, walk(above, tree.start[at], tree.end[at], awaited, touching=touching, excluded=excluded)


def in_a_row(nodes: Array) -> Array | slice:
    """Return nodes as a slice if they are contiguous, which avoids copies."""
    whole = len(nodes) and nodes[-1] - nodes[0] + 1 == len(nodes)
    return slice(int(nodes[0]), int(nodes[-1]) + 1) if whole else nodes


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
    nothing = low > high  # neither self times nor measured descendants
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
    child_resource, parent_resource = spans.resource[rows[near]], spans.resource[above[near]]
    for key in semconv.PROCESS_KEYS:
        value = traces.lookup.resources_by_key.codes_of((key,)).codes
        same[near] &= value[child_resource] == value[parent_resource]
    return np.asarray(same)
