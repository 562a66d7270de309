"""The typical trace of each shape: the one whose durations are nearest to the medians of its call paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.paths.shapes import ODD, shapes
from tracekit.stats.histograms import Histogram

if TYPE_CHECKING:
    from tracekit.analysis.paths.shapes import Shapes
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

_DIGITS: Final = 9  # of a distance: traces that are as near are equal


class Durations(NamedTuple):
    """Durations by shape and call path.

    Parameters
    ----------
    pair
        uint64: hash of shape and call path, ascending.
    histogram
        Recorded durations by the number of the pair.
    """

    pair: Array
    histogram: Histogram

    @classmethod
    def of(cls, traces: TraceSet, seen: Shapes) -> Durations:
        """Return those of the spans of whole traces."""
        timed = traces.has_duration[seen.rows]
        code, distinct = pd.factorize(_pairs(traces, seen)[timed])
        order = np.argsort(distinct)
        number = np.empty(len(order), np.int64)
        number[order] = np.arange(len(order))
        took = traces.duration_ns[seen.rows[timed]]
        return cls(np.asarray(distinct)[order], Histogram.of(number[code], took, 1.0))

    def __add__(self, other: Durations) -> Durations:  # type: ignore[override]  # not that of a tuple
        """Return those of both."""
        pair, number = np.unique(np.concatenate([self.pair, other.pair]), return_inverse=True)
        both = Histogram.concatenate([self.histogram, other.histogram], [0, len(self.pair)])
        return Durations(pair, both.regroup(number))

    @property
    def medians(self) -> Medians:
        """The medians, in ns."""
        return Medians(self.pair, self.histogram.quantiles((0.5,), len(self.pair))[:, 0])


class Medians(NamedTuple):
    """Median of the durations of each pair of shape and call path, in ns."""

    pair: Array
    value: Array


class Near(NamedTuple):
    """A trace and its distance from the medians of its shape; the nearest is the smallest, of several the first."""

    distance: float
    trace_id: str


def _pairs(traces: TraceSet, seen: Shapes) -> Array:
    """Return a hash of shape and call path of each span that counts."""
    with np.errstate(over="ignore"):
        return np.asarray(seen.shape[traces.forest.trace[seen.rows]] * ODD + seen.path)


def nearest(traces: TraceSet, medians: Medians, *, fold_retries: bool) -> dict[int, Near]:
    """Return for each shape the trace with the smallest mean distance from the medians, on a log scale."""
    seen = shapes(traces, fold_retries=fold_retries)
    timed = traces.has_duration[seen.rows]
    rows = seen.rows[timed]
    trace = traces.forest.trace[rows]
    code, distinct = pd.factorize(_pairs(traces, seen)[timed])
    expected = np.log(medians.value[np.searchsorted(medians.pair, np.asarray(distinct))] + 1.0)
    away = np.abs(np.log(traces.duration_ns[rows] + 1.0) - expected[code])
    count = np.bincount(trace, minlength=len(traces))
    distance = np.round(np.bincount(trace, away, minlength=len(traces)) / np.maximum(count, 1), _DIGITS)
    order = np.lexsort((distance, seen.shape))
    first = order[np.flatnonzero(np.concatenate(([True], np.diff(seen.shape[order]) != 0)))] if len(order) else order
    return {int(seen.shape[at]): Near(float(distance[at]), traces.trace_ids[at]) for at in first.tolist()}


def nearer(first: dict[int, Near], second: dict[int, Near]) -> dict[int, Near]:
    """Return the nearest traces of two parts."""
    return {shape: min(each[shape] for each in (first, second) if shape in each) for shape in {**first, **second}}
