"""Log lines as span events, so that every view of a trace shows them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tracekit.columns import EventColumns
from tracekit.ragged import Ragged
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.columns import Array


def with_events(traces: TraceSet, span_row: Array, time_ns: Array, names: Sequence[str]) -> TraceSet:
    """Return the traces with further span events, after those that the spans have.

    Parameters
    ----------
    traces
        The traces; not modified.
    span_row, time_ns, names
        Span, time in ns (0 if missing) and name of each event, in the order in which a span shall have them.

    Returns
    -------
    TraceSet
        The same spans with the same weights.
    """
    columns = traces.columns
    labels = dict.fromkeys(names)
    known = {label: at for at, label in enumerate(labels, len(columns.texts))}
    old, n = columns.events, len(span_row)
    owner = np.concatenate([old.span_row, np.asarray(span_row, np.int64)])
    order = np.argsort(owner, kind="stable")
    events = EventColumns(
        owner[order],
        np.concatenate([old.time_ns, np.asarray(time_ns, np.int64)])[order],
        np.concatenate([old.name, np.array([known[name] for name in names], np.int32)])[order],
        np.concatenate([old.dropped_attributes, np.zeros(n, np.uint32)])[order],
    )
    attributes = columns.event_attributes
    offsets = np.concatenate([attributes.offsets, np.full(n, attributes.offsets[-1], np.int64)])
    changed = replace(
        columns,
        events=events,
        event_attributes=Ragged(offsets, attributes.codes).take(order),
        texts=[*columns.texts, *labels],
    )
    return TraceSet(changed, forest=traces.forest, weights=traces.weights, steps=traces.steps)
