"""Parents, depth and child order of every span: arrays computed once per TraceSet.

A parent is looked up by (trace id, span id) inside its trace.  Unresolved parents are reported, never guessed:
``schema.ParentState`` is root, resolved, missing, cycle, self or duplicate.  A cycle is cut at its earliest span.
Blocks of whole traces are processed with pointer doubling, so chains of 100,000 spans and parents with 100,000 children
need no special case.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tracekit.columns import Array, SpanColumns, in_turn, trace_starts
from tracekit.parents import GOLDEN, parents
from tracekit.schema import ParentState, Quality

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tracekit.columns import Work
    from tracekit.parents import LookUp

BLOCK = 131_072  # spans; fits the second-level cache


@dataclass(frozen=True)
class Forest:
    """Parents, depths and children of spans; one entry per span unless stated otherwise.

    Parameters
    ----------
    starts
        int64, one per trace and one more: first row of each trace.
    trace
        int32: ordinal of the row's trace.
    parent_row
        int32: row of the parent, -1 for roots, orphans and where a cycle was cut.
    state
        int8, ``schema.ParentState``.
    depth
        int32: 0 for rows without a parent row.
    child_offsets, children
        int64 and int32: the children of row i, in order of start, are
        ``children[child_offsets[i]:child_offsets[i + 1]]``.
    is_root
        bool: whether the row is a recorded root span: one without a parent, or with inferred rows only above it.
    root_row
        int64, one per trace: the span with which its request begins. The earliest root span; without one the earliest
        orphan span; the first row if all rows are inferred.

    Examples
    --------
    >>> forest = shop.trace("b2").forest
    >>> forest.parent_row.tolist(), forest.depth.tolist()
    ([-1, 0, 1, 0, 3, 4], [0, 1, 2, 1, 2, 3])
    >>> forest.root_row.tolist()
    [0]
    """

    starts: Array
    trace: Array
    parent_row: Array
    state: Array
    depth: Array
    child_offsets: Array
    children: Array
    is_root: Array
    root_row: Array

    @cached_property
    def _walk(self) -> tuple[Array, Array]:
        """Return preorder and subtree ends, block by block."""
        order = np.empty(len(self.trace), np.int64)
        ends = np.empty(len(self.trace), np.int64)
        for low, high in blocks(self.starts):
            order[low:high], ends[low:high] = _preorder(self, low, high)
        return order, ends

    @property
    def preorder(self) -> Array:
        """int64: the rows of each trace depth first, children in order of start."""
        return self._walk[0]

    def preorder_of(self, trace: int) -> Array:
        """Return the rows of one trace depth first: that part of ``preorder``, without walking all other traces."""
        return _preorder(self, int(self.starts[trace]), int(self.starts[trace + 1]))[0]

    @property
    def subtree_end(self) -> Array:
        """int64: for each position in ``preorder`` the position after its last descendant."""
        return self._walk[1]

    def subtree_end_of(self, trace: int) -> Array:
        """Return that part of ``subtree_end`` for one trace, without walking all other traces."""
        return _preorder(self, int(self.starts[trace]), int(self.starts[trace + 1]))[1]


def blocks(starts: Array, size: int = BLOCK) -> Iterator[tuple[int, int]]:
    """Yield (first row, end row) of whole traces, about ``size`` rows each.

    Examples
    --------
    >>> list(blocks(np.array([0, 3, 4, 9]), size=4))
    [(0, 4), (4, 9)]
    """
    low, end = 0, int(starts[-1])
    while low < end:
        cut = int(np.searchsorted(starts, low + size, side="right")) - 1
        high = int(starts[cut])
        if high <= low:  # one trace larger than a block
            high = int(starts[np.searchsorted(starts, low, side="right")])
        yield low, high
        low = high


def build_forest(
    spans: SpanColumns, look_up: LookUp | None = None, run: Callable[[list[Work]], list[Any]] = in_turn
) -> Forest:
    """Return the forest of spans sorted by (trace, start).

    Parameters
    ----------
    spans
        Sorted columns.
    look_up
        A faster way to look up ids, for ``parents``.
    run
        Does the work for blocks of traces.

    Returns
    -------
    Forest
        Parents, states, depths and children.

    Notes
    -----
    If several spans have one id, the earliest is the parent, and its children are marked ``duplicate``.  A Zipkin
    server span that shares its client's id is the client's child; spans below it are children of the server span,
    unless they come from the client's own resource.
    """
    starts = trace_starts(spans)
    trace = np.repeat(np.arange(len(starts) - 1, dtype=np.int32), np.diff(starts))
    return _OnFirstUse(starts, trace, partial(_resolved, spans, starts, trace, look_up, run))


class _OnFirstUse(Forest):
    """A forest that knows the trace of each row, and looks up parents when one of its other arrays is first used."""

    def __init__(self, starts: Array, trace: Array, resolve: Callable[[], Forest]) -> None:
        self.__dict__.update(starts=starts, trace=trace, _resolve=resolve)

    def __getattr__(self, name: str) -> Array:
        """Return an array that was not used before (Python calls this for names that are not set)."""
        if name not in Forest.__dataclass_fields__ or "_resolve" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self.__dict__.update(vars(self.__dict__["_resolve"]()), _resolve=None)
        found: Array = self.__dict__[name]
        return found


def _resolved(
    spans: SpanColumns,
    starts: Array,
    trace: Array,
    look_up: LookUp | None,
    run: Callable[[list[Work]], list[Any]],
) -> Forest:
    """Return the forest with parents, depths and children."""
    n = len(spans)
    parent = np.full(n, -1, np.int32)
    state = np.zeros(n, np.int8)
    depth = np.zeros(n, np.int32)

    def resolve(low: int, high: int) -> Array:
        """Fill a block, and return its rows by parent."""
        local, local_state = parents(spans, trace, low, high, look_up)
        depth[low:high] = _depth(local, local_state)
        parent[low:high] = np.where(local >= 0, local + low, -1)
        state[low:high] = local_state
        return (_by_parent(local) + low).astype(np.int32)

    children = run([partial(partial, resolve, low, high) for low, high in blocks(starts)])
    offsets = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(parent[parent >= 0], minlength=n), out=offsets[1:])
    is_root, root_row = _roots(spans.quality, starts, trace, parent, state)
    together = np.concatenate([np.zeros(0, np.int32), *children])
    return Forest(starts, trace, parent, state, depth, offsets, together, is_root, root_row)


def visible_parents(parent: Array, is_inferred: Array) -> Array:
    """Return the nearest ancestor of every row that was not inferred.

    Parameters
    ----------
    parent
        Row of the parent, -1 without one.
    is_inferred
        Rows that a backend wrote for a callee that sent no spans.

    Returns
    -------
    numpy.ndarray
        ``parent`` itself if no inferred row has a child.

    Examples
    --------
    >>> visible_parents(np.array([-1, 0, 1, 2]), np.array([False, True, True, False])).tolist()
    [-1, 0, 0, 0]
    """
    if not is_inferred.any():
        return parent
    below = np.flatnonzero((parent >= 0) & is_inferred[parent])
    if not len(below):
        return parent
    up = parent.copy()
    while len(below):
        up[below] = up[up[below]]
        below = below[(up[below] >= 0) & is_inferred[up[below]]]
    return up


def _roots(quality: Array, starts: Array, trace: Array, parent: Array, state: Array) -> tuple[Array, Array]:
    """Return which rows are root spans, and the first row of the request of each trace."""
    inferred = (quality & Quality.INFERRED) != 0
    top = (visible_parents(parent, inferred) < 0) & ~inferred
    is_root = top & ~np.isin(state, (ParentState.MISSING, ParentState.CYCLE, ParentState.SELF))
    started = (quality & Quality.NO_START) == 0
    first = starts[:-1].copy()
    for preferred in (top, top & started, is_root, is_root & started):
        rows = np.flatnonzero(preferred)[::-1]
        first[trace[rows]] = rows  # the last write is the earliest row of the most preferred kind
    return is_root, first


# -------------------------------------------------------------------- depth and cycles


def _depth(parent: Array, state: Array) -> Array:
    """Return the depth of every row by pointer doubling; cycles are cut in place in ``parent`` and ``state``."""
    up = parent.astype(np.int32, copy=True)
    steps = (up >= 0).astype(np.int32)
    for _ in range(len(parent).bit_length() + 1):
        live = np.flatnonzero(up >= 0)
        if not len(live):
            return steps
        above = up[live]
        steps[live] += steps[above]
        up[live] = up[above]
    _cut_cycles(parent, state, np.unique(up[up >= 0]))
    return _depth(parent, state)


def _cut_cycles(parent: Array, state: Array, members: Array) -> None:
    """Cut each cycle at its earliest row; ``members`` are all rows on cycles."""
    lowest = np.full(len(parent), len(parent), np.int64)
    lowest[members] = members
    ahead = parent.astype(np.int64)
    for _ in range(len(members).bit_length() + 1):
        lowest[members] = np.minimum(lowest[members], lowest[ahead[members]])
        ahead[members] = ahead[ahead[members]]
    state[members] = ParentState.CYCLE
    parent[members[lowest[members] == members]] = -1


# -------------------------------------------------------------------- order


def _by_parent(parent: Array) -> Array:
    """Return the rows that have a parent, by (parent, row)."""
    rows = np.flatnonzero(parent >= 0)
    bits = len(parent).bit_length()
    key = (parent[rows].astype(np.int64) << bits) | rows
    key.sort()
    return key & ((1 << bits) - 1)


def _preorder(forest: Forest, low: int, high: int) -> tuple[Array, Array]:
    """Return the rows of a block in preorder and the ends of their subtrees, as positions in all rows.

    The row after i is its first child, else its next sibling, else that of the nearest ancestor that has one; ranking
    that list yields the positions.
    """
    n = high - low
    parent = forest.parent_row[low:high].astype(np.int64) - low
    roots = np.flatnonzero(parent < 0)
    after = np.full(n, -1, np.int64)  # next sibling; roots are siblings of each other
    after[roots[:-1]] = roots[1:]
    kids = forest.children[forest.child_offsets[low] : forest.child_offsets[high]].astype(np.int64) - low
    same = parent[kids[:-1]] == parent[kids[1:]]
    after[kids[:-1][same]] = kids[1:][same]
    up = np.where(after >= 0, -1, parent)  # where to look for the next sibling instead
    while (live := np.flatnonzero(up >= 0)).size:
        above = up[live]
        after[live] = after[above]
        up[live] = np.where(after[live] >= 0, -1, up[above])
    first = np.full(n, -1, np.int64)
    first[parent[kids[::-1]]] = kids[::-1]
    rank = _rank(np.where(first >= 0, first, after))
    position = rank.max(initial=0) - rank
    order = np.empty(n, np.int64)
    order[position] = np.arange(n)
    ends = np.where(after[order] >= 0, position[after[order]], n)
    return order + low, ends + low


def _rank(following: Array) -> Array:
    """Return how many rows follow each row in a linked list (-1 ends it)."""
    ahead = following.copy()
    steps = (ahead >= 0).astype(np.int64)
    while (live := np.flatnonzero(ahead >= 0)).size:
        beyond = ahead[live]
        steps[live] += steps[beyond]
        ahead[live] = ahead[beyond]
    return steps


def path_hashes(step: Array, up: Array) -> Array:
    """Return an order-dependent 64-bit hash of the steps from the root to every node.

    Parameters
    ----------
    step
        Number of the step at each node, the same for the same name.
    up
        Parent of each node, -1 for none.

    Returns
    -------
    numpy.ndarray
        uint64; nodes with the same steps above them and their own have the same hash.

    Examples
    --------
    >>> hashes = path_hashes(np.array([7, 8, 8, 7]), np.array([-1, 0, 0, 1]))
    >>> bool(hashes[1] == hashes[2]), bool(hashes[0] == hashes[3])
    (True, False)
    """
    with np.errstate(over="ignore"):
        mixed = (step.astype(np.uint64) + np.uint64(1)) * GOLDEN
        mixed ^= mixed >> np.uint64(29)
        factor = np.full(len(step), GOLDEN | np.uint64(1))
        up, rows = up.copy(), np.flatnonzero(up >= 0)
        while len(rows):
            above = up[rows]
            sum_above, further, beyond = mixed[above], factor[above], up[above]
            mixed[rows] += factor[rows] * sum_above
            factor[rows] *= further
            up[rows] = beyond
            rows = rows[beyond >= 0]
    return mixed
