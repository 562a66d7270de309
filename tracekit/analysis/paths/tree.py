"""The call paths of one shape as a tree, with the times of a typical trace of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.analysis.paths.shapes import shapes
from tracekit.forest import visible_parents
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.grouping import group_codes, sum_by
from tracekit.stats.histograms import Histogram

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

_NAMES = ("service_name", "operation")


def tabulate_trees(traces: TraceSet, wanted: frozenset[int], *, fold_retries: bool) -> Aggregate:
    """Return the additive table behind ``Paths.tree`` for the traces of some shapes: by shape and call path.

    A row without a path has the weight of the traces of its shape.
    """
    seen, trace, weight = shapes(traces, fold_retries=fold_retries), traces.forest.trace, traces.weights.value
    chosen = np.isin(seen.shape, np.array(sorted(wanted), np.uint64))
    mine = np.flatnonzero(chosen[trace[seen.rows]])
    rows = seen.rows[mine]
    (shape, kinds), (path, distinct) = (pd.factorize(each) for each in (seen.shape[trace[rows]], seen.path[mine]))
    columns = {"shape": (shape, kinds.tolist()), "path": (path, distinct.tolist())}
    group, keys = group_codes(columns, len(rows))
    count = int(group.max(initial=-1)) + 1
    first = rows[np.unique(group, return_index=True)[1]]
    keys |= {"parent": _parents(traces, seen.rows, seen.path, first)}
    keys |= {name: _texts(traces, name, first) for name in _NAMES}
    each, timed = weight[trace[rows]], traces.has_duration[rows]
    start = traces.columns.spans.start_ns[rows] - traces.columns.spans.start_ns[traces.forest.root_row[trace[rows]]]
    sums = {
        "calls": sum_by(group, each, count),
        "timed": sum_by(group[timed], each[timed], count),
        "begin_ns": sum_by(group[timed], (each * start)[timed], count),
        "took_ns": sum_by(group[timed], (each * traces.duration_ns[rows])[timed], count),
    }
    return merged_trees(Aggregate(keys, sums, Histogram.empty()), _weights(seen.shape[chosen], weight[chosen], keys))


def merged_trees(first: Aggregate, second: Aggregate) -> Aggregate:
    """Return the call paths of the traces of both."""
    return Aggregate.concatenate([first, second]).by(list(first.keys))


def tree_of(found: Aggregate, shape: int) -> pd.DataFrame:
    """Return the call paths of a shape, depth first, siblings in the order of their mean start."""
    mine = found.where(np.array([label == shape for label in found.keys["shape"]], bool))
    is_path = np.array([label is not None for label in mine.keys["path"]], bool)
    total, mine = float(mine.sums["calls"][~is_path].sum()), mine.where(is_path)
    number = {label: at for at, label in enumerate(mine.keys["path"].tolist())}
    parent = np.array([number.get(label, -1) for label in mine.keys["parent"].tolist()], np.int64)
    known = np.where(mine.sums["timed"] > 0, mine.sums["timed"], np.nan)
    order, depth = _preorder(parent, np.nan_to_num(mine.sums["begin_ns"] / known))
    place = np.full(len(mine) + 1, -1)
    place[order] = np.arange(len(mine))
    return pd.DataFrame(
        {
            "depth": depth,
            "parent": place[parent[order]],
            **{name: mine.keys[name][order] for name in _NAMES},
            "call_count": mine.sums["calls"][order] / (total or np.nan),
            "mean_ns": (mine.sums["took_ns"] / known)[order],
        }
    )


def _weights(shape: Array, weight: Array, keys: dict[str, Array]) -> Aggregate:
    """Return the weights of the traces of each shape as rows without a path."""
    group, kinds = pd.factorize(shape)
    none = np.full(len(kinds), None, object)
    total = sum_by(group, weight, len(kinds))
    sums = {"calls": total} | {name: np.zeros(len(kinds)) for name in ("timed", "begin_ns", "took_ns")}
    labels = dict.fromkeys(keys, none) | {"shape": np.array([*kinds.tolist(), None], object)[:-1]}
    return Aggregate(labels, sums, Histogram.empty())


def _texts(traces: TraceSet, name: str, rows: Array) -> Array:
    """Return a name of some spans."""
    codes, labels = traces.codes(name)
    return np.array([*labels, None], object)[codes[rows]]


def _parents(traces: TraceSet, rows: Array, path: Array, first: Array) -> Array:
    """Return the call path above each of the first spans; None for those of roots."""
    up = visible_parents(traces.forest.parent_row, traces.is_inferred).astype(np.int64)[first]
    at = np.minimum(np.searchsorted(rows, up), max(len(rows) - 1, 0))
    has_parent = (up >= 0) & (rows[at] == up) if len(rows) else np.zeros(len(first), bool)
    found = np.full(len(first), None, object)
    found[has_parent] = path[at[has_parent]].tolist()
    return found


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
