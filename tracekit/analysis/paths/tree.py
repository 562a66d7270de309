"""The call paths of one shape as a tree, with the times of a typical trace of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.forest import visible_parents
from tracekit.stats.grouping import sum_by

if TYPE_CHECKING:
    from tracekit.analysis.paths.shapes import Shapes
    from tracekit.columns import Array
    from tracekit.traces import TraceSet


def tree_of(traces: TraceSet, seen: Shapes, chosen: Array) -> pd.DataFrame:
    """Return the call paths of some traces of one shape, depth first, siblings in the order of their mean start."""
    trace, weight = traces.forest.trace, traces.weights.value
    mine = np.flatnonzero(chosen[trace[seen.rows]])
    rows = seen.rows[mine]
    path, distinct = pd.factorize(seen.path[mine])
    count = len(distinct)
    first = rows[np.unique(path, return_index=True)[1]]
    parent = _parents(traces, rows, path, first)
    each, timed = weight[trace[rows]], traces.has_duration[rows]
    calls, known = sum_by(path, each, count), sum_by(path[timed], each[timed], count)
    start = (traces.columns.spans.start_ns[rows] - traces.columns.spans.start_ns[traces.forest.root_row[trace[rows]]])[
        timed
    ]
    took = traces.duration_ns[rows[timed]]
    begin, mean = (
        sum_by(path[timed], each[timed] * time, count) / np.where(known > 0, known, np.nan) for time in (start, took)
    )
    order, depth = _preorder(parent, np.nan_to_num(begin))
    place = np.full(count + 1, -1)
    place[order] = np.arange(count)
    names = {name: traces.codes(name).take(first[order]).series().astype(object).to_numpy()
             for name in ("service_name", "operation")}  # fmt: skip
    total = float(weight[chosen].sum())
    return pd.DataFrame(
        {
            "depth": depth,
            "parent": place[parent[order]],
            **names,
            "call_count": calls[order] / (total or np.nan),
            "mean_ns": mean[order],
        }
    )


def _parents(traces: TraceSet, rows: Array, path: Array, first: Array) -> Array:
    """Return the call path above each call path; -1 for those of roots."""
    up = visible_parents(traces.forest.parent_row, traces.is_inferred).astype(np.int64)[first]
    at = np.minimum(np.searchsorted(rows, up), len(rows) - 1)
    return np.where((up >= 0) & (rows[at] == up), path[at], -1)


def _preorder(parent: Array, begin: Array) -> tuple[Array, Array]:
    """Return the call paths depth first, siblings in the order of their start, and the depth of each."""
    below: dict[int, list[int]] = {}
    for at in np.argsort(-begin, kind="stable").tolist():
        below.setdefault(int(parent[at]), []).append(at)
    waiting, order, depth = [(at, 0) for at in below.get(-1, [])], [], []
    while waiting:
        at, level = waiting.pop()
        order.append(at)
        depth.append(level)
        waiting += [(child, level + 1) for child in below.get(at, [])]
    return np.array(order, np.int64), np.array(depth, np.int64)
