"""Hops of critical paths from a sibling back to the one before it: dependencies that one trace cannot prove."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.analysis.critical_path.support_pairs import SHARE, Siblings
from tracekit.analysis.critical_path.tree import walks

if TYPE_CHECKING:
    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.columns import Array


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
    rows = np.flatnonzero(path.on_path & (up >= 0))
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
