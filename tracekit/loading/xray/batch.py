"""From columns of segments to a batch of spans, equal to the result of the tolerant reader."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from tracekit.columns import EventColumns, LinkColumns, SpanColumns
from tracekit.loading.building.batches import EVENT_DTYPES, LINK_DTYPES, Batch, ragged, transposed
from tracekit.loading.building.builder import PENDING
from tracekit.loading.xray.cause import Reference
from tracekit.loading.xray.columns import Few
from tracekit.loading.xray.walk import (
    CALLS,
    CHILD_BITS,
    IN_PROGRESS,
    INFERRED,
    REMOTE_PARENT,
    RESOLUTION_NS,
    SEGMENT_BITS,
)
from tracekit.ragged import Ragged
from tracekit.schema import Kind, Quality, RecordKind, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.columns import Array
    from tracekit.loading.building.builder import Builder, Event, Link
    from tracekit.loading.building.ledger import Position
    from tracekit.loading.xray.columns import SegmentColumns
    from tracekit.loading.xray.walk import Walk

_WORD = 1 << 64
_SERVER, _CLIENT, _INTERNAL = int(Kind.SERVER), int(Kind.CLIENT), int(Kind.INTERNAL)


class Spans:
    """The spans of some columns: causes line by line, then all of them at once.

    Parameters
    ----------
    columns
        What was read.
    walk
        Has the tables that are read and filled.
    """

    def __init__(self, columns: SegmentColumns, walk: Walk) -> None:
        self._columns = columns
        self._walk = walk
        self._events: dict[int, list[Event]] = {}
        self._cause_codes: dict[int, Sequence[int]] = {}  # further attributes of the causes
        parts = columns.parts
        self._inferred = np.array([part.inferred for part in parts])
        self._is_call = np.array([part.namespace in CALLS for part in parts]) & ~self._inferred
        self._marked = [row for row, part in enumerate(parts) if part.error or part.fault or part.throttle]
        self._causes_of: dict[int, list[int]] = {}
        for row in columns.causes:
            self._causes_of.setdefault(int(columns.line[row]), []).append(row)

    def explain(self, line: int, at: Position) -> None:
        """Convert the causes in a line to exceptions; lines must be in order."""
        columns, causes = self._columns, self._walk.causes
        for row in self._causes_of.get(line, ()):
            value, trace_id = columns.causes[row], columns.documents.trace_ids[columns.document[row]]
            who = Reference(trace_id, "", int(columns.span_id[row]), at)
            if isinstance(value, dict):
                self._events[row], self._cause_codes[row] = causes.of_object(value, who)
            elif value:  # the exceptions of its line come before it
                self._events[row] = [causes.of_reference(who._replace(exception_id=value))]
        causes.resolve()

    def batch(self, builder: Builder, places: Sequence[Position]) -> Batch:
        """Return the batch."""
        resources, own = self._resources()
        links, events = self._columns.links, self._events
        found = [(row, event) for row in sorted(events) for event in events[row]]
        name = builder.texts.optional
        linked = [(row, link) for row in sorted(links) for link in links[row]]
        return Batch(
            self._spans(builder, np.array(places, np.int64).reshape(-1, 2), np.array(resources, np.int32)),
            self._attributes(own),
            EventColumns(*transposed([(row, 0, name(e.name), e.dropped) for row, e in found], EVENT_DTYPES)),
            ragged([event.attributes for _, event in found]),
            LinkColumns(*transposed([link_row(row, link) for row, link in linked], LINK_DTYPES)),
            ragged([link.attributes for _, link in linked]),
        )

    def _resources(self) -> tuple[list[int], Few]:
        """Return the resource of each document, and the attribute codes from the segments' blocks."""
        columns, walk = self._columns, self._walk
        documents, count = columns.documents, len(columns.documents.roots)
        resources, own = [], Few([], [])
        first = np.empty(count, np.int64)
        first[columns.document[columns.is_root]] = np.flatnonzero(columns.is_root)
        for root, row, key in zip(documents.roots, first.tolist(), columns.keys, strict=True):
            if columns.is_segment[row]:
                resource, codes = walk.blocks.resource(root, key)
                own.rows.append(row)
                own.codes.append((*codes, *walk.cold_start(root)) if root.origin else codes)
            else:
                resource = PENDING
            resources.append(resource)
        return resources, own

    def _spans(self, builder: Builder, places: Array, resources: Array) -> SpanColumns:
        """Return the spans' own columns."""
        columns, parts = self._columns, self._columns.parts
        count, is_segment = len(parts), columns.is_segment
        error, fault = np.zeros((2, count), bool)
        error[self._marked] = [parts[row].error for row in self._marked]
        fault[self._marked] = [parts[row].fault for row in self._marked]
        inferred = self._inferred
        is_server = is_segment & ~self._is_call | inferred
        kind = np.where(is_server, _SERVER, np.where(self._is_call, _CLIENT, _INTERNAL))
        record = np.where(is_segment, int(RecordKind.SEGMENT), int(RecordKind.SUBSEGMENT))
        failed = fault | (error & (kind != _SERVER))
        failed[[row for row, found in self._events.items() if found]] = True
        quality = np.where(is_segment, SEGMENT_BITS | np.where(columns.has_caller, REMOTE_PARENT, 0), CHILD_BITS)
        quality |= np.where(inferred, INFERRED, 0) | np.where(columns.in_progress, IN_PROGRESS, 0)
        quality |= np.where(columns.has_end, 0, int(Quality.NO_END))
        ids = np.array([divmod(trace_id, _WORD) for trace_id in columns.documents.trace_ids], np.uint64)
        trace, place = ids[columns.document], places[columns.line]
        zero, missing = np.zeros(count, np.uint32), np.full(count, -1, np.int32)
        return SpanColumns(
            trace_hi=trace[:, 0],
            trace_lo=trace[:, 1],
            span_id=columns.span_id,
            parent_id=columns.parent_id,
            name=np.array(list(map(builder.names.code, [part.name for part in parts])), np.int32),
            kind=kind.astype(np.int8),
            start_ns=columns.start_ns,
            end_ns=columns.end_ns,
            status_code=np.where(failed, int(Status.ERROR), int(Status.UNSET)).astype(np.int8),
            status_message=missing,
            trace_state=missing,
            flags=zero,
            record_kind=np.where(inferred, int(RecordKind.INFERRED), record).astype(np.int8),
            resolution_ns=np.full(count, RESOLUTION_NS, np.int32),
            resource=resources[columns.document],
            scope=np.full(count, self._walk.scope, np.int32),
            source=np.full(count, builder.source, np.int32),
            record_number=place[:, 0],
            byte_offset=place[:, 1],
            dropped_attributes=zero,
            dropped_events=zero,
            dropped_links=zero,
            quality=quality.astype(np.uint32),
        )

    # ---------------------------------------------------------------- attributes

    def _callees(self) -> Few:
        """Return the codes of the namespace and the callee of a part."""
        callee, parts = self._walk.callee, self._columns.parts
        rows = [row for row, part in enumerate(parts) if part.namespace]
        codes = [callee(str(parts[row].namespace), parts[row].name) for row in rows]
        is_call = self._is_call.tolist()
        return Few(rows, [found if is_call[row] else found[:1] for row, found in zip(rows, codes, strict=True)])

    def _attributes(self, own: Few) -> Ragged:
        """Return the attributes of all parts, ``own`` those of segments, in the order of the tolerant reader."""
        columns, flags = self._columns, self._walk.flags
        marked = [(row, columns.parts[row]) for row in self._marked]
        flagged = Few(self._marked, [flags(part.error, part.fault, part.throttle) for _, part in marked])
        more = Few(list(self._cause_codes), list(self._cause_codes.values()))
        return _joined([own, columns.calls, self._callees(), *columns.blocks, flagged, more], len(columns.parts))


def _joined(slots: Sequence[Few], count: int) -> Ragged:
    """Return the codes of all rows, in the order of the slots."""
    sizes = np.zeros((len(slots), count), np.int64)
    for size, slot in zip(sizes, slots, strict=True):
        size[slot.rows] = np.fromiter(map(len, slot.codes), np.int64, len(slot.codes))
    before = np.cumsum(sizes, axis=0)
    joined = Ragged.from_counts(before[-1], np.zeros(int(before[-1].sum()), np.int32))
    before += joined.offsets[:-1] - sizes
    for size, start, slot in zip(sizes, before, slots, strict=True):
        if slot.rows:
            counts = size[slot.rows]
            ends = np.cumsum(counts)
            codes = np.fromiter(chain.from_iterable(slot.codes), np.int32, int(ends[-1]))
            joined.codes[np.repeat(start[slot.rows] - ends + counts, counts) + np.arange(len(codes))] = codes
    return joined


def link_row(row: int, link: Link) -> tuple[int, ...]:
    """Return a link as its columns; X-Ray's have no trace state."""
    ids = *divmod(link.trace_id, _WORD), link.span_id
    return (row, *ids, -1, link.flags, link.dropped, link.relation)
