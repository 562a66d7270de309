"""Self time on the critical path by span and stack, and its sums by function."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.analysis.critical_path.cells import Cells, Labels, Sample, population_of
from tracekit.analysis.critical_path.keys import key_codes
from tracekit.analysis.profile.allot import allotted
from tracekit.analysis.profile.functions import leaf_codes
from tracekit.on_demand import pd
from tracekit.stats.weighted_means import mean_limits

if TYPE_CHECKING:
    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.analysis.critical_path.tables import PathTable
    from tracekit.columns import Array
    from tracekit.profile_samples import ProfileSamples

KEYS = ("service_name", "operation")
_COLUMNS = ("path_time_ns", "share_ratio", "mean_ns", "mean_low_ns", "mean_high_ns", "trace_count")


class Split(NamedTuple):
    """Self time on the critical path, by span and stack.

    Parameters
    ----------
    node
        int64: span on the path; its row of ``CriticalPath.spans``.
    stack
        int64: row of ``ProfileSamples.stacks``; -1 for a span without samples.
    time_ns
        int64 ns; they sum to the latency of all requests.
    weight
        int64: value of the samples.
    """

    node: Array
    stack: Array
    time_ns: Array
    weight: Array


def split_of(path: CriticalPath, samples: ProfileSamples, row: Array) -> Split:
    """Return the self time of every span on the path, by stack; without samples, stack -1."""
    used = np.flatnonzero(row >= 0)
    used = used[path.on_path[row[used]] & (path.own_ns[row[used]] > 0)]
    names = sorted(range(len(samples.stacks)), key=samples.stacks.__getitem__)
    rank = np.empty(len(names), np.int64)
    rank[names] = np.arange(len(names))
    pair = row[used] * max(len(names), 1) + rank[samples.stack[used]]
    distinct, at = np.unique(pair, return_inverse=True)
    weight = np.zeros(len(distinct), np.int64)
    np.add.at(weight, at, samples.weight[used])
    node, stack = distinct // max(len(names), 1), np.array(names, np.int64)[distinct % max(len(names), 1)]
    owners, owner = np.unique(node, return_inverse=True)
    time = allotted(path.own_ns[owners], owner, weight)
    without = path.on_path & (path.own_ns > 0)
    without[owners] = False
    rest = np.flatnonzero(without)
    return Split(
        np.concatenate((node, rest)),
        np.concatenate((stack, np.full(len(rest), -1))),
        np.concatenate((time, path.own_ns[rest])),
        np.concatenate((weight, np.zeros(len(rest), np.int64))),
    )


def cells_of_split(path: CriticalPath, split: Split, samples: ProfileSamples) -> Cells:
    """Return the time of every service, operation and function in every request."""
    leaf, names = leaf_codes(samples)
    columns = {name: key_codes(path.source, path.tree, name) for name in KEYS}
    code = leaf[split.stack]
    for found in columns.values():
        code = code * (len(found.labels) + 1) + found.codes[split.node] + 1
    groups, group = np.unique(code, return_inverse=True)
    own: dict[str, Array] = {}
    for name, found in reversed(columns.items()):
        labels_here = np.array([None, *found.labels], object)
        own[name] = labels_here[groups % len(labels_here)]
        groups = groups // len(labels_here)
    keys = Labels({name: own[name] for name in KEYS} | {"function": np.array(names, object)[groups]}, len(groups))
    count = max(len(path.latency_ns), 1)
    cell, at = np.unique(group * count + path.request[split.node], return_inverse=True)
    time, spans = np.zeros(len(cell), np.int64), np.zeros(len(cell), np.int64)
    np.add.at(time, at, split.time_ns)
    np.add.at(spans, at, 1)
    return Cells(keys, cell // count, cell % count, spans, time)


def by_function(table: PathTable) -> PathTable:
    """Return the time of every function in every request."""
    cells = table.cells
    names, code = np.unique(cells.keys.columns["function"].astype(str), return_inverse=True)
    count = max(len(table.requests), 1)
    cell, at = np.unique(code[cells.group] * count + cells.request, return_inverse=True)
    calls, time = np.zeros(len(cell), np.int64), np.zeros(len(cell), np.int64)
    np.add.at(calls, at, cells.call_count)
    np.add.at(time, at, cells.time_ns)
    keys = Labels({"function": names.astype(object)}, len(names))
    return table._replace(cells=Cells(keys, cell // count, cell % count, calls, time))


def table_of(table: PathTable) -> pd.DataFrame:
    """Return total, share and mean with its interval, by function or operation and function."""
    requests, cells = table.requests, table.cells
    if not len(cells.keys):
        return cells.keys.frame().assign(**{name: pd.Series(dtype="float64") for name in _COLUMNS})
    sample = Sample.of(requests, cells, population_of(requests))
    mean = sample.means(cells.time_ns)
    low, high = mean_limits(mean, sample.moments(sample.influence(cells.time_ns)))
    total = np.zeros(len(cells.keys), np.int64)
    np.add.at(total, cells.group, cells.time_ns)
    whole = float(mean.sum())
    values = (total, mean / (whole or np.nan), mean, np.maximum(low, 0.0), np.maximum(high, 0.0), sample.request_counts)
    found = cells.keys.frame().assign(**dict(zip(_COLUMNS, values, strict=True)))
    order = [_COLUMNS[0], *cells.keys.columns]
    return found.sort_values(order, ascending=[False, *[True] * len(cells.keys.columns)], ignore_index=True)
