"""The shapes of traces in sums: what each part of a recording adds to ``tk.paths``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis import latency
from tracekit.analysis.latency import class_column
from tracekit.analysis.paths.result import shape_ids
from tracekit.analysis.paths.shapes import shapes
from tracekit.analysis.paths.typical import Durations
from tracekit.grouping import columns_of
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.grouping import group_codes, sum_by
from tracekit.stats.histograms import Histogram

if TYPE_CHECKING:
    from tracekit.analysis.paths.shapes import Shapes
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

_ENDPOINT: Final = ("service_name", "operation")


class About(NamedTuple):
    """What is known of a shape from the trace with the lowest id.

    Parameters
    ----------
    trace
        The two halves of its id.
    endpoint
        Service and operation of its root.
    path_count
        Its call paths.
    operations
        Names of service and operation in it.
    """

    trace: tuple[int, int]
    endpoint: str
    path_count: int
    operations: frozenset[str]


class PathSums(NamedTuple):
    """Shapes in sums.

    Parameters
    ----------
    trace_count
        Recorded traces.
    traces
        By shape and weight class: ``count``, ``weight``, ``square``.
    about
        By shape.
    requests
        Latency of the requests by shape (``latency.tabulate``); None of a baseline.
    durations
        Recorded durations by shape and call path; None of a baseline.
    """

    trace_count: int
    traces: Aggregate
    about: dict[int, About]
    requests: Aggregate | None
    durations: Durations | None


def tabulate(traces: TraceSet, *, fold_retries: bool, is_baseline: bool = False) -> PathSums:
    """Return the additive tables behind ``tk.paths`` for whole traces."""
    seen, weights = shapes(traces, fold_retries=fold_retries), traces.weights.value
    shape, distinct = pd.factorize(seen.shape)
    columns = {"shape": (shape, distinct.tolist()), **class_column(traces, np.arange(len(traces)))}
    group, keys = group_codes(columns, len(traces))
    groups = int(group.max(initial=-1)) + 1
    sums = {
        "count": np.bincount(group, minlength=groups),
        "weight": sum_by(group, weights, groups),
        "square": sum_by(group, weights**2, groups),
    }
    table = Aggregate(keys, sums, Histogram.empty()).by(list(keys))
    about = _about(traces, seen, shape, distinct)
    if is_baseline:
        return PathSums(len(traces), table, about, None, None)
    ids = np.array(shape_ids(distinct.tolist()), object)[shape]
    by = pd.Series(ids, index=pd.Index(traces.trace_ids, name="trace_id"), name="shape", dtype=object)
    return PathSums(len(traces), table, about, latency.tabulate(traces, by, roots=True), Durations.of(traces, seen))


def merged(first: PathSums, second: PathSums) -> PathSums:
    """Return the sums of the traces of both."""
    about = dict(first.about)
    for shape, one in second.about.items():
        about[shape] = min(about.get(shape, one), one, key=lambda each: each.trace)
    return PathSums(
        first.trace_count + second.trace_count,
        _both(first.traces, second.traces),
        about,
        _both_known(first.requests, second.requests),
        first.durations + second.durations if first.durations is not None and second.durations is not None else None,
    )


def _both(first: Aggregate, second: Aggregate) -> Aggregate:
    """Return the sums of two tables."""
    return Aggregate.concatenate([first, second]).by(list(first.keys))


def _both_known(first: Aggregate | None, second: Aggregate | None) -> Aggregate | None:
    """Return the sums of two tables, None if there are none."""
    return None if first is None or second is None else _both(first, second)


def _about(traces: TraceSet, seen: Shapes, shape: Array, distinct: Array) -> dict[int, About]:
    """Return what is known of each shape from its first trace."""
    code, names = _operations(traces)
    first = np.unique(shape, return_index=True)[1]  # the traces are in the order of their ids
    root = names[code[traces.forest.root_row]]
    edges = np.searchsorted(traces.forest.trace[seen.rows], np.arange(len(traces) + 1))
    spans, start = traces.columns.spans, traces.forest.starts
    found = {}
    for one, number in zip(first.tolist(), distinct.tolist(), strict=True):
        operations = frozenset(names[code[seen.rows[edges[one] : edges[one + 1]]]].tolist())
        ids = int(spans.trace_hi[start[one]]), int(spans.trace_lo[start[one]])
        found[number] = About(ids, root[one], int(seen.path_count[one]), operations)
    return found


def _operations(traces: TraceSet) -> tuple[Array, Array]:
    """Return the code of service and operation of each span, and the texts of all codes."""
    service, operation = columns_of(traces, _ENDPOINT).values()
    code, distinct = pd.factorize(service.codes * np.int64(len(operation.labels) + 1) + operation.codes)
    pairs = divmod(np.asarray(distinct) + 1, len(operation.labels) + 1)  # from 0 for a missing operation
    services, operations = [*service.labels, None], [None, *operation.labels]
    texts = [_named(services[k], operations[m]) for k, m in zip(*(part.tolist() for part in pairs), strict=True)]
    return code, np.array(texts, object)


def _named(*parts: object) -> str:
    """Return service and operation as text."""
    return " ".join(str(part) for part in parts if isinstance(part, str))
