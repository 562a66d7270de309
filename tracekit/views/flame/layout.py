"""Where the frames of a flame graph are."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tracekit.columns import Array


def icicle(parent: Array, depth: Array, value: Array) -> tuple[Array, Array]:
    """Return the left and right end of each call path, as shares of the width."""
    n = len(parent)
    children = np.zeros(n + 1)  # the last entry is the virtual root
    np.add.at(children, parent, value)
    total = np.maximum(np.append(value, 0.0), children)
    start, width = np.zeros(n + 1), np.zeros(n + 1)
    width[n] = 1.0
    order = np.argsort(depth, kind="stable")
    levels = np.searchsorted(depth[order], np.arange(int(depth.max(initial=-1)) + 2))
    for low, high in pairwise(levels.tolist()):
        rows = order[low:high]
        above, mine = parent[rows], value[rows]
        before = np.cumsum(mine) - mine
        first = np.flatnonzero(np.concatenate(([True], above[1:] != above[:-1])))
        before -= np.repeat(before[first], np.diff(np.append(first, len(rows))))
        scale = width[above] / np.where(total[above] > 0, total[above], 1.0)
        start[rows], width[rows] = start[above] + before * scale, mine * scale
    return start[:n], start[:n] + width[:n]
