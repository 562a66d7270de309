"""Replay of recorded requests with other self times: the part that does not depend on the change."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tracekit.analysis.critical_path.kernel import Walk
    from tracekit.columns import Array


@dataclass(frozen=True, slots=True)
class Plan:
    """The order in which new times are computed.

    Nodes are numbered by depth, the deepest first; children by depth, then by their rank among siblings in order of
    end.  One is added to positions of children, so that 0 means the start of the parent.

    Parameters
    ----------
    node
        Rows of the nodes in a tree.
    tail
        float64 ns, one per node: from the end of its last child, or from its start, to its end.
    last
        One per node: position of its last child, 0 without children.
    levels
        First node and first step of every depth, from the deepest up.
    steps
        First child of every step.
    child, parent
        One per child: node numbers.
    before, prior
        One per child: positions of the last sibling that had ended when it began, and of the one that ended before it.
    gap
        float64 ns, one per child: from the latest end before it, or the start of the parent, to its start.
    end
        int64 ns, one per child: the end of its window.
    """

    node: Array
    tail: Array
    last: Array
    levels: list[tuple[int, int]]
    steps: list[int]
    child: Array
    parent: Array
    before: Array
    prior: Array
    gap: Array
    end: Array

    @classmethod
    def of(cls, above: Array, rows: Walk) -> Plan:
        """Return the plan of walked trees."""
        (start, end, inside), chains = rows.windows, rows.chains
        depth = _depths(above, inside)
        node = np.flatnonzero(inside)
        node = node[np.argsort(-depth[node], kind="stable")]
        number = np.zeros(len(above), np.int64)
        number[node] = np.arange(len(node))
        first = _first_of_runs(chains.parent)
        rank = np.arange(len(first)) - first
        order = np.lexsort((rank, -depth[chains.child]))
        place = np.zeros(len(order) + 1, np.int64)  # the last is for children without a sibling before
        place[order] = np.arange(1, len(order) + 1)
        since = np.where(chains.before >= 0, end[chains.child[chains.before]], start[chains.parent])
        tail = end - start
        final = np.flatnonzero(np.append(first[1:] != first[:-1], True)) if len(first) else first
        tail[chains.parent[final]] = end[chains.parent[final]] - end[chains.child[final]]
        last = np.zeros(len(above), np.int64)
        last[chains.parent[final]] = place[final]
        prior = np.where(rank > 0, np.arange(len(first)) - 1, -1)
        key = depth[chains.child[order]] * (rank.max(initial=0) + 1) - rank[order]
        steps = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1]))) if len(key) else key
        depths = depth[node]
        heads = np.flatnonzero(np.concatenate(([True], depths[1:] != depths[:-1]))) if len(node) else node
        begun = np.searchsorted(-depth[chains.child[order[steps]]], -depths[heads])
        return cls(
            node,
            tail[node].astype(np.float64),
            last[node],
            list(zip(heads.tolist(), begun.tolist(), strict=True)),
            [*steps.tolist(), len(order)],
            number[chains.child[order]],
            number[chains.parent[order]],
            place[chains.before[order]],
            place[prior[order]],
            (start[chains.child] - since)[order].astype(np.float64),
            end[chains.child[order]],
        )

    def run(self, factor: Array) -> Array:
        """Return the duration of every row in ns with multiplied self times."""
        scale = np.asarray(factor, np.float64)[self.node]
        own, gap = self.tail * scale, self.gap * scale[self.parent]
        length, reached = np.zeros(len(self.node)), np.zeros(len(self.child) + 1)
        levels = [*self.levels, (len(self.node), len(self.steps) - 1)]
        for (node, step), (next_node, next_step) in pairwise(levels):
            length[node:next_node] = own[node:next_node] + reached[self.last[node:next_node]]
            for at in range(step, next_step):
                now = slice(self.steps[at], self.steps[at + 1])
                done = reached[self.before[now]] + gap[now] + length[self.child[now]]
                reached[now.start + 1 : now.stop + 1] = np.maximum(reached[self.prior[now]], done)
        result = np.zeros(len(factor))
        result[self.node] = length
        return result

    def slack(self, count: int) -> Array:
        """Return how much later every row may end without delaying its root, in ns.

        One pass from the roots down, and within siblings from the last to the first: siblings that had ended when
        another began have at least its slack, and all siblings have the slack of their parent plus the time to the end
        of the last.
        """
        end = np.concatenate(([0], self.end))
        free = np.zeros(len(self.node), np.int64)
        latest = np.full(len(end), np.iinfo(np.int64).max)  # of all siblings up to a position
        levels = [*self.levels, (len(self.node), len(self.steps) - 1)]
        for (node, step), (next_node, next_step) in reversed(list(pairwise(levels))):
            for at in reversed(range(step, next_step)):
                place = np.arange(self.steps[at], self.steps[at + 1])
                room = latest[place + 1] - self.end[place]
                free[self.child[place]] = room
                before, prior = self.before[place], self.prior[place]
                np.minimum.at(latest, before, end[before] + room)
                np.minimum.at(latest, prior, latest[place + 1])
            nodes = slice(node, next_node)
            latest[self.last[nodes]] = end[self.last[nodes]] + free[nodes]
        result = np.zeros(count, np.int64)
        result[self.node] = free
        return result


def own_times(above: Array, rows: Walk) -> Array:
    """Return the self time of every row in a tree, in ns: its window without the children on the path."""
    length = np.where(rows.windows.inside, rows.windows.end - rows.windows.start, 0)
    own = length.copy()
    taken = rows.chains.child[rows.chains.taken]
    np.subtract.at(own, above[taken], length[taken])
    return own


def _first_of_runs(values: Array) -> Array:
    """Return for every entry the start of its run of equal values."""
    if not len(values):
        return np.zeros(0, np.int64)
    first = np.concatenate(([True], values[1:] != values[:-1]))
    return np.asarray(np.flatnonzero(first)[np.cumsum(first) - 1])


def _depths(above: Array, inside: Array) -> Array:
    """Return the number of ancestors of each row, by pointer doubling."""
    up = above.copy()
    rows = np.flatnonzero(inside & (up >= 0))
    depth = (up >= 0).astype(np.int64)
    while len(rows):
        further, beyond = depth[up[rows]], up[up[rows]]
        depth[rows] += further
        up[rows] = beyond
        rows = rows[beyond >= 0]
    return depth
