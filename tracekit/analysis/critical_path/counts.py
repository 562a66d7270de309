"""Counts of the requests and spans of critical paths; those of parts add up."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.text import duration, plural

if TYPE_CHECKING:
    from tracekit.analysis.critical_path.result import CriticalPath


class PathCounts(NamedTuple):
    """Counts of critical paths.

    Parameters
    ----------
    request_count
        Requests with a latency.
    weight_sum, latency_sum_ns
        Sums of their weights, and of their latencies with these weights, in ns.
    path_span_count, span_count
        Spans on a path, all spans.
    partial_count
        Requests of incomplete traces.
    unfinished_count
        Requests without a latency, which are excluded.

    Examples
    --------
    >>> found = counts_of(tk.critical_path(shop))
    >>> found.plus(found).line
    '10 requests, mean latency 152 ms, 40 of 56 spans on the path'
    """

    request_count: int
    weight_sum: float
    latency_sum_ns: float
    path_span_count: int
    span_count: int
    partial_count: int
    unfinished_count: int

    @property
    def mean_latency_ns(self) -> float:
        """Mean latency of the requests, in ns; NaN without weights."""
        return self.latency_sum_ns / self.weight_sum if self.weight_sum else np.nan

    @property
    def line(self) -> str:
        """The counts in words."""
        mean = f"mean latency {duration(self.mean_latency_ns)}, " if self.weight_sum else ""
        count = f"{self.path_span_count:,} of {self.span_count:,} spans on the path"
        note = f", {self.partial_count:,} partial" * bool(self.partial_count)
        note += f", {self.unfinished_count:,} unfinished excluded" * bool(self.unfinished_count)
        return f"{plural(self.request_count, 'request')}, {mean}{count}{note}"

    def plus(self, other: PathCounts) -> PathCounts:
        """Return the counts of both."""
        return PathCounts(*map(operator.add, self, other))


def counts_of(path: CriticalPath) -> PathCounts:
    """Return the counts of the paths of a set, or of a part of a store."""
    weight = path.weight
    return PathCounts(
        len(path.tree.root),
        float(weight.sum()),
        float((path.latency_ns * weight).sum()),
        int(path.on_path[: path.tree.span_count].sum()),
        path.tree.span_count,
        int(path.is_partial.sum()),
        path.unfinished_count,
    )
