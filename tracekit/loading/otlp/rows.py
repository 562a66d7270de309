"""The columns of one chunk of OTLP lines while they grow."""

from __future__ import annotations

from array import array
from collections import defaultdict
from itertools import chain, count, repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from tracekit.columns import EventColumns, LinkColumns, SpanColumns
from tracekit.loading.building.batches import EVENT_DTYPES, LINK_DTYPES, Batch
from tracekit.ragged import Ragged
from tracekit.schema import Quality

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from msgspec import Raw

    from tracekit.columns import Array

_REMOTE_KNOWN, _REMOTE = 1 << 8, 1 << 9


class Lists:
    """Lists of attributes, one an owner, as numbers of the chunk's distinct ones.

    Parameters
    ----------
    number
        Gives the number of an attribute as it is written.
    """

    def __init__(self, number: Callable[[bytes], int]) -> None:
        self._number = number
        self._counts, self._numbers = array("i"), array("i")

    def add(self, lists: Sequence[list[Raw]]) -> None:
        """Add the lists of some owners."""
        self._counts.extend(map(len, lists))
        self._numbers.extend(map(self._number, map(bytes, chain.from_iterable(lists))))

    def owners_of(self, bad: Array) -> Array:
        """Return the owners of an attribute that is marked."""
        owner = np.repeat(np.arange(len(self._counts)), np.array(self._counts, np.int64))
        return owner[bad[np.array(self._numbers, np.int64)]] if len(owner) else owner

    def ragged(self, kv: Array) -> Ragged:
        """Return the lists; ``kv`` turns numbers into attribute codes."""
        codes = kv[np.array(self._numbers, np.int64)] if len(self._numbers) else np.zeros(0, np.int32)
        return Ragged.from_counts(np.array(self._counts, np.int64), codes)


class Rows:
    """The columns of one chunk while they grow; ``line_count`` lines are in them.

    ``raw`` numbers the chunk's distinct attributes in order of arrival: a table that stays small and near, however many
    there are in the whole source.
    """

    def __init__(self) -> None:
        self.raw: defaultdict[bytes, int] = defaultdict(count().__next__)
        self.trace: list[bytes] = []
        self.span_id: list[bytes] = []
        self.parent: list[bytes] = []
        self.names, self.states, self.messages = array("i"), array("i"), array("i")
        self.kind, self.status = bytearray(), bytearray()
        self.start, self.end = array("q"), array("q")
        self.owners: list[tuple[int, int, int]] = []  # spans, their resource, their scope
        self.lines: list[tuple[int, int, int]] = []  # spans, the number of their line, its offset
        self.numbers = [array("I") for _ in range(4)]  # flags and the three dropped counts
        self.events = [array(code) for code in "qqiI"]
        self.links = [array(code) for code in "qQQQiIIb"]
        number = self.raw.__getitem__
        self.attributes, self.event_attributes, self.link_attributes = Lists(number), Lists(number), Lists(number)
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
        self.owners += owners
        self.lines.append((len(begun), number, offset))
        self.line_count += 1

    def add_events(
        self, counts: Iterable[int], columns: Sequence[Iterable[int]], attributes: Sequence[list[Raw]]
    ) -> None:
        """Add the events of the last line: the count per span, and all columns except the row."""
        _extend(self.events, self._rows_of(counts), columns)
        self.event_attributes.add(attributes)

    def add_links(
        self, counts: Iterable[int], columns: Sequence[Iterable[int]], attributes: Sequence[list[Raw]]
    ) -> None:
        """Add the links of the last line: the count per span, and all columns except the row."""
        _extend(self.links, self._rows_of(counts), columns)
        self.link_attributes.add(attributes)

    def _rows_of(self, counts: Iterable[int]) -> Iterable[int]:
        """Return the row of each event or link of the last line."""
        first = len(self.start) - self.lines[-1][0]
        return chain.from_iterable(map(repeat, range(first, len(self.start)), counts))

    def numbers_of(self, bad: Array) -> frozenset[int]:
        """Return the lines with a bad attribute; ``bad`` has one entry per distinct attribute."""
        if not bad.any():
            return frozenset()
        rows = [
            self.attributes.owners_of(bad),
            np.array(self.events[0], np.int64)[self.event_attributes.owners_of(bad)],
            np.array(self.links[0], np.int64)[self.link_attributes.owners_of(bad)],
        ]
        return frozenset(_spread(self.lines, 1, np.int64)[np.concatenate(rows)].tolist())

    def batch(self, source: int, kv: Array) -> Batch:
        """Return the chunk's columns; ``kv`` has the attribute code of each distinct attribute."""
        trace = np.frombuffer(b"".join(self.trace), ">u8").astype(np.uint64).reshape(-1, 2)
        n = len(trace)
        flags, *dropped = (np.array(column, np.uint32) for column in self.numbers)
        start, end = np.array(self.start, np.int64), np.array(self.end, np.int64)
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
            resource=_spread(self.owners, 1, np.int32),
            scope=_spread(self.owners, 2, np.int32),
            source=np.full(n, source, np.int32),
            record_number=_spread(self.lines, 1, np.int64),
            byte_offset=_spread(self.lines, 2, np.int64),
            dropped_attributes=dropped[0],
            dropped_events=dropped[1],
            dropped_links=dropped[2],
            quality=quality_of(start, end, flags),
        )
        return Batch(
            spans,
            self.attributes.ragged(kv),
            EventColumns(*map(np.array, self.events, EVENT_DTYPES)),
            self.event_attributes.ragged(kv),
            LinkColumns(*map(np.array, self.links, LINK_DTYPES)),
            self.link_attributes.ragged(kv),
        )


def quality_of(start: Array, end: Array, flags: Array) -> Array:
    """Return the quality bits of spans by their times and flags."""
    quality = np.where(start == 0, int(Quality.NO_START), 0) | np.where(end == 0, int(Quality.NO_END), 0)
    quality |= np.where(flags & _REMOTE_KNOWN, int(Quality.PARENT_REMOTE_KNOWN), 0)
    quality |= np.where(flags & (_REMOTE_KNOWN | _REMOTE) == _REMOTE_KNOWN | _REMOTE, int(Quality.PARENT_REMOTE), 0)
    return quality.astype(np.uint32)


def _extend(columns: list[array[Any]], rows: Iterable[int], more: Sequence[Iterable[int]]) -> None:
    """Lengthen the columns of events or links."""
    for column, values in zip(columns, (rows, *more), strict=True):
        column.extend(values)


def _spread(groups: list[tuple[int, int, int]], member: int, kind: Any) -> Array:
    """Return a field of each group, repeated once per span of the group."""
    table = np.array(groups, np.int64).reshape(-1, 3)
    return np.repeat(table[:, member].astype(kind), table[:, 0])
