"""What lies below each span: whether any descendant is marked, its last child, and the last service it called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tracekit.analysis.suspects.windows import Window
    from tracekit.columns import Array


def has_below(window: Window, marked: Array) -> Array:
    """Return for every span whether one of its descendants is marked."""
    forest = window.traces.forest
    seen = np.concatenate([[0], np.cumsum(marked[forest.preorder])])
    below = np.empty(len(marked), bool)
    below[forest.preorder] = seen[forest.subtree_end] > seen[np.arange(1, len(seen))]
    return below


def last_child(window: Window) -> Array:
    """Return the row of the child that started last; -1 without children."""
    last = np.full(len(window.parent), -1, np.int64)
    rows = np.flatnonzero(window.parent >= 0)
    last[window.parent[rows]] = rows  # rows of a trace are in order of start: the last write stays
    return last


def last_callee(window: Window, last: Array) -> Array:
    """Return the other service that the last child called, or its last child, and so on; -1 where none follows."""
    rows = np.arange(len(last))
    to = np.where(window.is_entry | (last < 0), rows, last)
    while not np.array_equal(further := to[to], to):
        to = further
    end = np.where(last >= 0, to[np.maximum(last, 0)], rows)
    return np.where((last >= 0) & window.is_entry[end], window.service[end], -1)


def callees(window: Window) -> Array:
    """Return the service that a client span calls (the last, where it calls several); -1 for other spans."""
    callee = np.full(len(window.parent), -1, np.int64)
    rows = np.flatnonzero(window.is_entry & (window.parent >= 0))
    callee[window.parent[rows]] = window.service[rows]
    return np.where(window.is_client, callee, -1)
