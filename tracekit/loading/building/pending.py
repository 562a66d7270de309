"""Resources of subsegments that were sent without their segment: they have the resource of their parent.

X-Ray's SDKs send a large segment in pieces, subsegments first.  The segment may come later, in another file, or never:
its subsegments are looked for when the trace is whole.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tracekit.columns import ResourceColumns
from tracekit.loading.building.builder import PENDING
from tracekit.loading.building.pool import mix
from tracekit.ragged import Ragged
from tracekit.schema import Quality, RecordKind

if TYPE_CHECKING:
    from tracekit.columns import Array, Columns, SpanColumns

_MOST_DOUBLINGS = 32  # a chain of parents is shorter than 2 ** 32


def with_owners(columns: Columns) -> Columns:
    """Return the columns with a resource for every span."""
    resource = columns.spans.resource
    if not (resource == PENDING).any():
        return columns
    resource = _inherited(columns.spans)
    left = resource == PENDING
    if left.any():
        columns, empty = _with_empty(columns)
        resource[left] = empty
    return replace(columns, spans=replace(columns.spans, resource=resource))


def _inherited(spans: SpanColumns) -> Array:
    """Return the resources with those of parents filled in; each pass looks twice as far up."""
    resource = spans.resource.copy()
    pending = np.flatnonzero((resource == PENDING) & (spans.record_kind != RecordKind.SPAN))
    up = np.full(len(spans), -1, np.int64)
    up[pending] = _parents(spans, pending)
    for _ in range(_MOST_DOUBLINGS):
        parent = up[pending]
        found = np.where(parent >= 0, resource[parent], PENDING)
        resource[pending] = found
        still = (found == PENDING) & (parent >= 0)
        pending = pending[still]
        if not len(pending):
            break
        up[pending] = up[up[pending]]
    return resource


def _parents(spans: SpanColumns, rows: Array) -> Array:
    """Return the row of the parent of each of these spans, -1 without; best with a resource, then a finished one."""
    key = mix([spans.trace_hi, spans.trace_lo, spans.span_id])
    order = np.lexsort(((spans.quality & Quality.IN_PROGRESS) != 0, spans.resource == PENDING, key))
    wanted = mix([spans.trace_hi[rows], spans.trace_lo[rows], spans.parent_id[rows]])
    at = order[np.minimum(np.searchsorted(key[order], wanted), len(order) - 1)]
    same = (
        (spans.trace_hi[at] == spans.trace_hi[rows])
        & (spans.trace_lo[at] == spans.trace_lo[rows])
        & (spans.span_id[at] == spans.parent_id[rows])
    )
    return np.where(same, at, -1)


def _with_empty(columns: Columns) -> tuple[Columns, int]:
    """Return the columns with an empty resource added, and its number."""
    resources, attributes = columns.resources, columns.resource_attributes
    is_empty = (attributes.counts == 0) & (resources.schema_url < 0) & (resources.dropped_attributes == 0)
    if is_empty.any():
        return columns, int(is_empty.argmax())
    more = ResourceColumns(
        np.append(resources.schema_url, np.int32(-1)), np.append(resources.dropped_attributes, np.uint32(0))
    )
    longer = Ragged(np.append(attributes.offsets, attributes.offsets[-1]), attributes.codes)
    return replace(columns, resources=more, resource_attributes=longer), len(resources)
