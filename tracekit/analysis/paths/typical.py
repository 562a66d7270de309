"""The typical trace of each shape: the one whose durations are nearest to the medians of its call paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from tracekit.analysis.paths.shapes import shapes
from tracekit.stats.grouping import group_codes

if TYPE_CHECKING:
    from tracekit.stats.aggregates import Aggregate
    from tracekit.traces import TraceSet

Medians: TypeAlias = dict[tuple[int, int], float]
"""Median of the durations by shape and call path, in ns."""
_DIGITS: Final = 9  # of a distance: traces that are as near are equal


class Near(NamedTuple):
    """A trace and its distance from the medians of its shape; the nearest is the smallest, of several the first."""

    distance: float
    trace_id: str


def medians_of(durations: Aggregate) -> Medians:
    """Return the medians of durations by shape and call path."""
    value = durations.histogram.quantiles((0.5,), len(durations))[:, 0]
    keys = zip(durations.keys["shape"].tolist(), durations.keys["path"].tolist(), strict=True)
    return dict(zip(keys, value.tolist(), strict=True))


def nearest(traces: TraceSet, medians: Medians, *, fold_retries: bool) -> dict[int, Near]:
    """Return for each shape the trace with the smallest mean distance from the medians, on a log scale."""
    seen = shapes(traces, fold_retries=fold_retries)
    timed = traces.has_duration[seen.rows]
    rows = seen.rows[timed]
    trace = traces.forest.trace[rows]
    (shape, kinds), (path, distinct) = (pd.factorize(each) for each in (seen.shape[trace], seen.path[timed]))
    group, keys = group_codes({"shape": (shape, kinds.tolist()), "path": (path, distinct.tolist())}, len(rows))
    expected = np.array([medians[pair] for pair in zip(*(keys[name].tolist() for name in keys), strict=True)])
    away = np.abs(np.log(traces.duration_ns[rows] + 1.0) - np.log(expected + 1.0)[group]) if len(rows) else np.zeros(0)
    count = np.bincount(trace, minlength=len(traces))
    distance = np.round(np.bincount(trace, away, minlength=len(traces)) / np.maximum(count, 1), _DIGITS)
    order = np.lexsort((distance, seen.shape))
    first = order[np.flatnonzero(np.concatenate(([True], np.diff(seen.shape[order]) != 0)))] if len(order) else order
    return {int(seen.shape[at]): Near(float(distance[at]), traces.trace_ids[at]) for at in first.tolist()}


def nearer(first: dict[int, Near], second: dict[int, Near]) -> dict[int, Near]:
    """Return the nearest traces of two parts."""
    return {shape: min(each[shape] for each in (first, second) if shape in each) for shape in {**first, **second}}
