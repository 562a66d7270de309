"""The columns of one chunk of OTLP lines while they grow."""

from __future__ import annotations

from array import array
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from tracekit.columns import EventColumns, LinkColumns, Ragged, SpanColumns
from tracekit.loading.batches import EVENT_DTYPES, LINK_DTYPES, Batch
from tracekit.schema import Quality

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.columns import Array

_REMOTE_KNOWN, _REMOTE = 1 << 8, 1 << 9


class Rows:
    """The columns of one chunk while they grow; ``line_count`` lines are in them.

    Attribute codes are those of the scanner's raw attributes until ``batch`` translates them.
    """

    def __init__(self) -> None:
        self.trace: list[bytes] = []
        self.span_id: list[bytes] = []
        self.parent: list[bytes] = []
        self.names, self.states, self.messages = array("i"), array("i"), array("i")
        self.kind, self.status = bytearray(), bytearray()
        self.start, self.end = array("q"), array("q")
        self.resource, self.scope = array("i"), array("i")
        self.number, self.offset = array("q"), array("q")
        self.numbers = [array("I") for _ in range(4)]  # flags and the three dropped counts
        self.counts, self.codes = array("i"), array("i")
        self.events: list[Any] = []
        self.links: list[Any] = []
        self.line_count = 0

    def add(
        self,
        ids: tuple[bytes, bytes],
        parents: bytes,
        begun: array[int],
        ended: array[int],
        status: bytes,
        kind: Sequence[int],
        numbers: list[array[int]],
        number: int,
        offset: int,
        owners: list[tuple[int, int, int]],
    ) -> None:
        """Add the columns of one line."""
        self.trace.append(ids[0])
        self.span_id.append(ids[1])
        self.parent.append(parents)
        self.start += begun
        self.end += ended
        self.status += status
        self.kind += bytes(kind)
        for column, more in zip(self.numbers, numbers, strict=True):
            column.extend(more)
        for size, resource, scope in owners:
            self.resource.extend(repeat(resource, size))
            self.scope.extend(repeat(scope, size))
        self.number.extend(repeat(number, len(begun)))
        self.offset.extend(repeat(offset, len(begun)))
        self.line_count += 1

    def numbers_of(self, bad: Array) -> frozenset[int]:
        """Return the lines with an attribute whose raw code is marked; ``bad`` has one entry a raw code."""
        owner = np.repeat(np.arange(len(self.counts)), np.array(self.counts, np.int64))
        rows = set(owner[bad[np.array(self.codes, np.int64)]].tolist())
        rows.update(told[0] for told in chain(self.events, self.links) if any(bad[code] for code in told[-1]))
        return frozenset(self.number[row] for row in rows)

    def batch(self, source: int, kv: Any) -> Batch:
        """Return the chunk's columns; ``kv`` turns raw codes into attribute codes."""
        trace = np.frombuffer(b"".join(self.trace), ">u8").astype(np.uint64).reshape(-1, 2)
        n = len(trace)
        flags, *dropped = (np.array(column, np.uint32) for column in self.numbers)
        start, end = np.array(self.start, np.int64), np.array(self.end, np.int64)
        quality = np.where(start == 0, int(Quality.NO_START), 0) | np.where(end == 0, int(Quality.NO_END), 0)
        quality |= np.where(flags & _REMOTE_KNOWN, int(Quality.PARENT_REMOTE_KNOWN), 0)
        quality |= np.where(flags & (_REMOTE_KNOWN | _REMOTE) == _REMOTE_KNOWN | _REMOTE, int(Quality.PARENT_REMOTE), 0)
        spans = SpanColumns(
            trace_hi=trace[:, 0].copy(),
            trace_lo=trace[:, 1].copy(),
            span_id=np.frombuffer(b"".join(self.span_id), ">u8").astype(np.uint64),
            parent_id=np.frombuffer(b"".join(self.parent), ">u8").astype(np.uint64),
            name=np.array(self.names, np.int32),
            kind=np.frombuffer(self.kind, np.int8),
            start_ns=start,
            end_ns=end,
            status_code=np.frombuffer(self.status, np.int8),
            status_message=np.array(self.messages, np.int32),
            trace_state=np.array(self.states, np.int32),
            flags=flags,
            record_kind=np.zeros(n, np.int8),
            resolution_ns=np.ones(n, np.int32),
            resource=np.array(self.resource, np.int32),
            scope=np.array(self.scope, np.int32),
            source=np.full(n, source, np.int32),
            record_number=np.array(self.number, np.int64),
            byte_offset=np.array(self.offset, np.int64),
            dropped_attributes=dropped[0],
            dropped_events=dropped[1],
            dropped_links=dropped[2],
            quality=quality.astype(np.uint32),
        )
        events, event_codes = _table(self.events, EVENT_DTYPES, kv)
        links, link_codes = _table(self.links, LINK_DTYPES, kv)
        codes = kv[np.array(self.codes, np.int32)] if len(self.codes) else np.zeros(0, np.int32)
        own = Ragged.from_counts(np.array(self.counts, np.int64), codes)
        return Batch(spans, own, EventColumns(*events), event_codes, LinkColumns(*links), link_codes)


def _table(rows: list[Any], kinds: Sequence[Any], kv: Any) -> tuple[list[Any], Ragged]:
    """Return rows whose last member is a list of raw codes as columns and an attribute table."""
    if not rows:
        return [np.zeros(0, kind) for kind in kinds], Ragged.empty()
    *columns, lists = zip(*rows, strict=True)
    counts = np.fromiter(map(len, lists), np.int64, len(lists))
    raw = np.fromiter(chain.from_iterable(lists), np.int64, int(counts.sum()))
    codes = kv[raw] if len(raw) else np.zeros(0, np.int32)
    return [np.array(c, kind) for c, kind in zip(columns, kinds, strict=True)], Ragged.from_counts(counts, codes)
