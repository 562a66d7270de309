"""The spans that the sampling weights of traces depend on, so that the others need not be in memory at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracekit.schema import Quality, Status

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

_SAMPLED = 1


def deciding_rows(traces: TraceSet, *, has_policies: bool) -> Array:
    """Return the rows of the spans that weights depend on, ascending.

    These are the roots, a span with the sampled bit of every resource that sets it, and with tail policies the first
    start, the last end and the failed spans of each trace; and the spans above them, so that all keep their parents.

    Examples
    --------
    >>> deciding_rows(shop, has_policies=False).tolist() == shop.forest.root_row.tolist()
    True
    """
    spans = traces.columns.spans
    chosen = np.zeros(len(spans), bool)
    chosen[traces.forest.root_row] = True
    sampled = np.flatnonzero((spans.flags & _SAMPLED) != 0)
    chosen[sampled[np.unique(spans.resource[sampled], return_index=True)[1]]] = True
    if has_policies and len(spans):
        chosen |= _outermost(traces) | (spans.status_code == Status.ERROR)
    below = np.flatnonzero(chosen)
    while len(below):
        above = traces.forest.parent_row[below]
        below = np.unique(above[(above >= 0) & ~chosen[above]])
        chosen[below] = True
    return np.flatnonzero(chosen)


def _outermost(traces: TraceSet) -> Array:
    """Return which spans are the first to start or the last to end of their trace."""
    spans, starts, trace = traces.columns.spans, traces.forest.starts[:-1], traces.forest.trace
    begun, ended = (spans.quality & Quality.NO_START) == 0, (spans.quality & Quality.NO_END) == 0
    least = np.minimum.reduceat(np.where(begun, spans.start_ns, np.iinfo(np.int64).max), starts)
    most = np.maximum.reduceat(np.where(ended, spans.end_ns, np.iinfo(np.int64).min), starts)
    return np.asarray((begun & (spans.start_ns == least[trace])) | (ended & (spans.end_ns == most[trace])))
