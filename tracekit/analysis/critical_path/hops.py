"""Hops of critical paths from a sibling back to the one before it, and the order of siblings over all traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.analysis.critical_path.tree import walks
from tracekit.on_demand import pd

if TYPE_CHECKING:
    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.columns import Array

SHARE = 0.01  # of the parent: a smaller overlap is not a contradiction


class Hops(NamedTuple):
    """Nodes of each hop on a path: the later sibling is assumed to have waited for the earlier one."""

    earlier: Array
    later: Array


def hops_of(path: CriticalPath) -> Hops:
    """Return every hop of the paths."""
    earlier, later = [_NONE], [_NONE]
    for nodes, (_, chains, on_path, _) in walks(path.source, path.tree, touching=path.is_touching):
        at = np.flatnonzero(chains.taken & (chains.before >= 0))
        at = at[on_path[chains.child[at]]]
        earlier.append(nodes[chains.child[chains.before[at]]])
        later.append(nodes[chains.child[at]])
    return Hops(np.concatenate(earlier), np.concatenate(later))


def siblings_of(path: CriticalPath, code: Array) -> Siblings:
    """Return every synchronous node below another node, on a path or not."""
    parts = []
    for nodes, ((start, end, _), chains, _, _) in walks(path.source, path.tree, touching=path.is_touching):
        child, above = chains.child, chains.parent
        limit = ((end[above] - start[above]) * SHARE).astype(np.int64)
        rows = nodes[child]
        parts.append((nodes[above], code[rows], path.tree.trace[rows], start[child], end[child], limit))
    if not parts:
        return Siblings(*[_NONE] * 6)
    return Siblings(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def weakest(path: CriticalPath, hops: Hops, support: Array) -> Array:
    """Return for every node the minimum support of all hops between the end of its request and it; 1 without any."""
    least, up = np.ones(len(path.tree)), path.tree.parent.astype(np.int64)
    least[hops.earlier], up[hops.earlier] = support, hops.later
    return least_to_root(up, least, path.on_path)


def least_to_root(up: Array, value: Array, on_path: Array) -> Array:
    """Return the minimum value over every node on a path and all nodes above it; ``up`` is the next one."""
    least, up = value.copy(), up.copy()
    rows = np.flatnonzero(on_path & (up >= 0))
    while len(rows):
        above = up[rows]
        there, beyond = least[above], up[above]
        least[rows] = np.minimum(least[rows], there)
        up[rows] = beyond
        rows = rows[beyond >= 0]
    return least


def resting_ns(path: CriticalPath, hops: Hops) -> Array:
    """Return how much of every request depends on a hop, int64 ns: on an order of siblings that may be random."""
    rests = np.flatnonzero(path.on_path & (weakest(path, hops, np.zeros(len(hops.earlier))) == 0))
    found = np.zeros(len(path.tree.root), np.int64)
    np.add.at(found, path.request[rests], path.own_ns[rests])
    return found


def unexplained_ns(path: CriticalPath) -> Array:
    """Return how much of the self time of every node results from excluded hops, int64 ns."""
    found = np.zeros(len(path.tree), np.int64)
    if path.tree.excluded is None:
        return found
    for nodes, ((start, _, _), chains, on_path, _) in walks(path.source, path.tree, touching=path.is_touching):
        at = np.flatnonzero(chains.taken & path.tree.excluded[nodes[chains.child]])
        at = at[on_path[chains.child[at]]]
        found[nodes[chains.parent[at]]] = start[chains.child[at]] - start[chains.parent[at]]
    return found


_NONE = np.zeros(0, np.int64)


class Siblings(NamedTuple):
    """Synchronous nodes below another node: parent, call path, trace, and window.

    ``limit_ns`` is the overlap of two children of this parent that does not contradict their order.
    """

    parent: Array
    code: Array
    trace: Array
    start: Array
    end: Array
    limit_ns: Array


def occasions(siblings: Siblings, earlier: Array, later: Array) -> pd.DataFrame:
    """Return the observed order of pairs of call paths in every trace.

    If one parent calls both several times, in a loop, the first of the later calls need not follow any.
    """
    size = int(max(column.max(initial=0) for column in (siblings.code, earlier))) + 1
    group_of = siblings.parent.astype(np.int64) * size + siblings.code
    order = np.lexsort((siblings.start, group_of))
    groups, first = np.unique(group_of[order], return_index=True)
    count = np.diff(np.append(first, len(order)))
    reached = pd.Series(siblings.end[order]).groupby(np.repeat(np.arange(len(groups)), count)).cummax().to_numpy()
    moment, rank = np.unique(siblings.start, return_inverse=True)
    place = np.repeat(np.arange(len(groups)), count) * len(moment) + rank[order]

    pair, row = _with_later(siblings.code, later)
    wanted = siblings.parent[row].astype(np.int64) * size + earlier[pair]
    at = np.minimum(np.searchsorted(groups, wanted), max(len(groups) - 1, 0))
    both = (groups[at] == wanted) & (count[at] > (earlier[pair] == later[pair]))
    pair, row, at = pair[both], row[both], at[both]
    found = np.searchsorted(place, at * len(moment) + rank[row]) - 1
    preceded = found >= first[at]
    over = np.where(preceded, reached[found] - siblings.start[row], np.iinfo(np.int64).max)
    table = pd.DataFrame(
        {
            "pair": pair,
            "trace": siblings.trace[row],
            "parent": siblings.parent[row],
            "preceded": preceded,
            "is_before": over <= 0,
            "is_contradicted": over > siblings.limit_ns[row],
        }
    )
    some = table.groupby(["pair", "parent"])["preceded"].transform("any")
    observed = table[table["preceded"] | ~some]  # the first iteration of a loop is not an observation
    by_trace = observed.groupby(["pair", "trace"])
    return pd.DataFrame(
        {"is_before": by_trace["is_before"].all(), "is_contradicted": by_trace["is_contradicted"].any()}
    ).reset_index()


def _with_later(code: Array, later: Array) -> tuple[Array, Array]:
    """Return every combination of a pair and a row of its later call path."""
    rows = np.argsort(code, kind="stable")
    low, high = (np.searchsorted(code[rows], later, side=side) for side in ("left", "right"))
    counts = high - low
    pair = np.repeat(np.arange(len(later)), counts)
    inside = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return pair, rows[low[pair] + inside]
