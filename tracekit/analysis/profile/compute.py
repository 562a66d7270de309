"""Critical-path time by function: the self time of each span, in proportion to its samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.analysis.critical_path.cells import Cells, Sample, population_of
from tracekit.analysis.critical_path.keys import key_codes
from tracekit.analysis.profile.allot import allotted
from tracekit.analysis.profile.functions import leaf_codes
from tracekit.analysis.profile.match import Fate, matched
from tracekit.analysis.profile.result import Profile, Split
from tracekit.stats.weighted_means import mean_limits

if TYPE_CHECKING:
    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.columns import Array
    from tracekit.profile_samples import ProfileSamples

_FATES = {
    Fate.LOCAL_ROOT: "only the local root span is known: attributed to its endpoint, not to a span",
    Fate.UNKNOWN_SPAN: "the span is in no trace",
    Fate.AMBIGUOUS: "several spans have the id",
    Fate.NO_ID: "without a span id",
}


def profile_of(path: CriticalPath, samples: ProfileSamples) -> Profile:
    """Return the critical path of requests, split into functions."""
    spans = path.source.columns.spans
    row, fate = matched(spans, samples)
    split = _split(path, samples, np.where(fate == Fate.SPAN, row, -1))
    return Profile(
        path,
        samples,
        split,
        functions=table_of(path, split, samples, ()),
        operations=table_of(path, split, samples, ("service_name", "operation")),
        endpoints=_endpoints(path, samples, row, fate == Fate.LOCAL_ROOT),
        matching=_matching(path, samples, row, fate),
    )


def _split(path: CriticalPath, samples: ProfileSamples, row: Array) -> Split:
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


def cells_of_split(path: CriticalPath, split: Split, samples: ProfileSamples, by: tuple[str, ...]) -> Cells:
    """Return the time of every function, or service, operation and function, in every request."""
    leaf, names = leaf_codes(samples)
    columns = {name: key_codes(path.source, path.tree, name) for name in by}
    code = leaf[split.stack]
    for found in columns.values():
        code = code * (len(found.labels) + 1) + found.codes[split.node] + 1
    groups, group = np.unique(code, return_inverse=True)
    frame: dict[str, Array] = {}
    for name, found in reversed(columns.items()):
        labels_here = np.array([None, *found.labels], object)
        frame[name] = labels_here[groups % len(labels_here)]
        groups = groups // len(labels_here)
    keys = pd.DataFrame({name: frame[name] for name in by} | {"function": np.array(names, object)[groups]})
    count = max(len(path.latency_ns), 1)
    cell, at = np.unique(group * count + path.request[split.node], return_inverse=True)
    time, spans = np.zeros(len(cell), np.int64), np.zeros(len(cell), np.int64)
    np.add.at(time, at, split.time_ns)
    np.add.at(spans, at, 1)
    return Cells(keys, cell // count, cell % count, spans, time)


def table_of(path: CriticalPath, split: Split, samples: ProfileSamples, by: tuple[str, ...]) -> pd.DataFrame:
    """Return total, share and mean with its interval, by function or operation and function."""
    cells = cells_of_split(path, split, samples, by)
    if not len(cells.keys):
        return cells.keys.assign(**{name: pd.Series(dtype="float64") for name in _COLUMNS})
    sample = Sample.of(path, cells, population_of(path))
    mean = sample.means(cells.time_ns)
    low, high = mean_limits(mean, sample.moments(sample.influence(cells.time_ns)))
    total = np.zeros(len(cells.keys), np.int64)
    np.add.at(total, cells.group, cells.time_ns)
    whole = float(mean.sum())
    values = (total, mean / (whole or np.nan), mean, np.maximum(low, 0.0), np.maximum(high, 0.0), sample.request_counts)
    table = cells.keys.assign(**dict(zip(_COLUMNS, values, strict=True)))
    return table.sort_values("path_time_ns", ascending=False, kind="stable", ignore_index=True)


_COLUMNS = ("path_time_ns", "share_ratio", "mean_ns", "mean_low_ns", "mean_high_ns", "trace_count")


def _endpoints(path: CriticalPath, samples: ProfileSamples, row: Array, chosen: Array) -> pd.DataFrame:
    """Return the samples that name only a local root, by its operation and function."""
    leaf, names = leaf_codes(samples)
    service, operation = (key_codes(path.source, path.tree, name) for name in ("service_name", "operation"))
    rows = row[chosen]
    table = pd.DataFrame(
        {
            "service_name": np.array([*service.labels, None], object)[service.codes[rows]],
            "operation": np.array([*operation.labels, None], object)[operation.codes[rows]],
            "function": np.array(names, object)[leaf[samples.stack[chosen]]],
            "sample_weight": samples.weight[chosen],
        }
    )
    keys = ["service_name", "operation", "function"]
    weights = table.groupby(keys, dropna=False, sort=True)["sample_weight"]
    found = pd.DataFrame({"sample_count": weights.size(), "sample_weight": weights.sum()}).reset_index()
    return found.sort_values("sample_weight", ascending=False, kind="stable", ignore_index=True)


def _matching(path: CriticalPath, samples: ProfileSamples, row: Array, fate: Array) -> pd.DataFrame:
    """Return how many samples were matched with what, and how much critical-path time they split."""
    is_span = fate == Fate.SPAN
    is_used = is_span.copy()
    is_used[is_span] = path.on_path[row[is_span]] & (path.own_ns[row[is_span]] > 0)
    groups = {
        "on the critical path": is_used,
        "the span has no self time on the critical path": is_span & ~is_used,
        **{text: fate == one for one, text in _FATES.items()},
    }
    rows = [(text, int(chosen.sum()), int(samples.weight[chosen].sum())) for text, chosen in groups.items()]
    return pd.DataFrame(rows, columns=["samples", "sample_count", "sample_weight"])
