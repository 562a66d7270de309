"""Whether a parent waits for a span, and the reason if not: what critical path and clock evidence agree on."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from tracekit.messages import are_messages
from tracekit.schema import Kind, Relation

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.traces import TraceSet


class Waiting(IntEnum):
    """Whether a parent waits for a node, and the reason if not."""

    AWAITED = 0
    FOLLOWS_FROM = 1
    CONSUMER = 2
    OVERFLOW = 3
    INFERRED = 4
    OTHER_ROOT = 5
    UNFINISHED = 6


def waiting_by_links(traces: TraceSet, parent: Array, inferred: Array, follows_from: str) -> Array:
    """Return ``Waiting`` of every span according to its links and kind."""
    spans, links, is_message = traces.columns.spans, traces.columns.links, traces.lookup.is_message
    waiting = np.zeros(len(parent), np.int8)
    if is_message.any():
        is_handler = (spans.kind == Kind.CONSUMER) | (spans.kind == Kind.SERVER)
        handlers = np.flatnonzero(is_handler & (parent >= 0) & (parent < len(parent)))
        waiting[handlers[are_messages(traces.lookup, parent[handlers], handlers)]] = Waiting.CONSUMER
    if follows_from == "async" and len(links):
        row = links.span_row
        to_parent = (links.relation == Relation.FOLLOWS_FROM) & (links.span_id == spans.parent_id[row])
        to_parent &= (links.trace_lo == spans.trace_lo[row]) & (links.trace_hi == spans.trace_hi[row])
        waiting[row[to_parent]] = Waiting.FOLLOWS_FROM
    waiting[inferred] = Waiting.INFERRED
    return waiting
