"""The trees for the critical path, and the root nodes of requests.

Spans keep their rows. Added nodes follow: a ``(missing)`` node for each missing parent, and, for ``scope="trace"``, one
``(no span)`` node above all roots of a trace.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from tracekit.analysis.critical_path.kernel import walk
from tracekit.analysis.waiting import Waiting
from tracekit.expressions.conditions import evaluate
from tracekit.forest import blocks
from tracekit.frames import span_column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tracekit.analysis.critical_path.kernel import Walk
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

    Scope: TypeAlias = str | pd.Series | Array | Callable[[pd.DataFrame], Any]

_BLOCK = 65_536  # spans; a block fits the second-level cache


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
    >>> PathTree.__slots__[:3]
    ('span_count', 'parent', 'start')
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
            rows = np.arange(low, high)
            if len(self) == self.span_count:
                above = self.parent[low:high].astype(np.int64) - low
                yield rows, np.maximum(above, -1, out=above)
                continue
            first, last = np.searchsorted(self.trace[self.span_count :], (self.trace[low], self.trace[high - 1] + 1))
            nodes = np.concatenate((rows, np.arange(self.span_count + first, self.span_count + last)))
            above = self.parent[nodes].astype(np.int64)
            moved = np.where(above >= self.span_count, above - self.span_count - first + len(rows), above - low)
            yield nodes, np.where(above < 0, -1, moved)


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
        found = evaluate(scope, lambda name: span_column(traces.lookup, traces.forest, name))
    else:
        found = scope(traces.spans) if callable(scope) else scope
    mask = np.asarray(pd.Series(found).fillna(False), bool)  # noqa: FBT003 - pandas
    if len(mask) != len(traces.columns.spans):
        raise ValueError(
            f"expected a mask with one entry for each of {len(traces.columns.spans)} spans, found {len(mask)}"
        )
    return mask


def walks(traces: TraceSet, tree: PathTree, *, touching: bool) -> Iterator[tuple[Array, Walk]]:
    """Yield nodes and their walk, block by block of whole traces."""
    for nodes, above in tree.blocks(traces.forest.starts, _BLOCK):
        at = in_a_row(nodes)
        awaited = tree.waiting[at] == Waiting.AWAITED
        excluded = None if tree.excluded is None else tree.excluded[at]
        yield nodes, walk(above, tree.start[at], tree.end[at], awaited, touching=touching, excluded=excluded)


def in_a_row(nodes: Array) -> Array | slice:
    """Return nodes as a slice if they are contiguous, which avoids copies."""
    whole = len(nodes) and nodes[-1] - nodes[0] + 1 == len(nodes)
    return slice(int(nodes[0]), int(nodes[-1]) + 1) if whole else nodes
