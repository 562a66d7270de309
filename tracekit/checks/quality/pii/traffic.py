"""Estimated number of requests with PII in all traffic."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.stats.mover import weight_classes
from tracekit.stats.thinned import thinned_count

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.traces import TraceSet


class Leaks(NamedTuple):
    """Number of leaking traces, and the estimate for all traffic with limits; NaN where weights are unknown."""

    trace_count: int
    value: float
    low: float
    high: float


def leaks_in_traffic(traces: TraceSet, leaking: Array, *, confidence: float = 0.95) -> Leaks:
    """Return the estimated number of leaking requests in all traffic.

    Per class of weights (half powers of two) the exact limits of a thinned count (S04), at most the weight of the
    class; over classes ``low = value - sqrt(sum (value_c - low_c)^2)`` and likewise above (MOVER).  A class without a
    recorded leak still adds its upper limit.  Assumes that sampling is independent of leaks and between traces.
    Source: Zou and Donner 2008.
    """
    leaks = np.zeros(len(traces), bool)
    leaks[leaking] = True
    weights = traces.weights
    base = weights.value > 0
    if not base.any() or not weights.known.all() or weights.is_one_kind:
        return Leaks(int(leaks.sum()), np.nan, np.nan, np.nan)
    pi, event = np.minimum(weights.probability[base], 1.0), leaks[base]
    group = weight_classes(1 / pi)[0]
    traffic, value = np.bincount(group, 1 / pi), np.bincount(group, event / pi)
    count, size = np.bincount(group, event).astype(np.int64), np.bincount(group)
    with np.errstate(invalid="ignore"):
        share = np.clip(np.where(count > 0, count / value, size / traffic), 0, 1)
    limits = [thinned_count(int(n), float(p), confidence=confidence) for n, p in zip(count, share, strict=True)]
    low, high = np.array(limits, np.float64).T
    high = np.maximum(np.minimum(high, traffic), value)
    total, below, above = value.sum(), np.minimum(low, value) - value, high - value
    return Leaks(
        int(leaks.sum()),
        float(total),
        float(total - np.sqrt(np.square(below).sum())),
        float(total + np.sqrt(np.square(above).sum())),
    )


def uses_of(traces: TraceSet, values: Array) -> tuple[Array, Array]:
    """Return every use of some attribute values: row in the table of values, and trace."""
    columns, trace = traces.columns, traces.forest.trace
    found = []
    for owned, span in (
        (columns.attributes, np.arange(len(trace))),
        (columns.event_attributes, columns.events.span_row),
        (columns.link_attributes, columns.links.span_row),
    ):
        at = np.flatnonzero(values[owned.codes])
        found.append((owned.codes[at], trace[span[np.searchsorted(owned.offsets, at, "right") - 1]]))
    on_resource = columns.resource_attributes
    if len(at := np.flatnonzero(values[on_resource.codes])):
        span = np.argsort(columns.spans.resource, kind="stable")
        own, ordered = on_resource.owners()[at], columns.spans.resource[span]
        first, last = (np.searchsorted(ordered, own, side) for side in ("left", "right"))
        count = last - first
        rows = span[np.arange(count.sum()) + np.repeat(first - np.cumsum(count) + count, count)]
        found.append((np.repeat(on_resource.codes[at], count), trace[rows]))
    return np.concatenate([value for value, _ in found]), np.concatenate([own for _, own in found])
