"""Columns while they grow: batches of spans in order of arrival, joined without holding any column twice."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, get_type_hints

import numpy as np

from tracekit.columns import Array, EventColumns, LinkColumns, SpanColumns
from tracekit.ragged import Ragged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class SpanRow(NamedTuple):
    """One span, its texts as codes of the builder; the annotations are the types of the columns of ``SpanColumns``."""

    trace_hi: Annotated[int, np.uint64]
    trace_lo: Annotated[int, np.uint64]
    span_id: Annotated[int, np.uint64]
    parent_id: Annotated[int, np.uint64]
    name: Annotated[int, np.int32]
    kind: Annotated[int, np.int8]
    start_ns: Annotated[int, np.int64]
    end_ns: Annotated[int, np.int64]
    status_code: Annotated[int, np.int8]
    status_message: Annotated[int, np.int32]
    trace_state: Annotated[int, np.int32]
    flags: Annotated[int, np.uint32]
    record_kind: Annotated[int, np.int8]
    resolution_ns: Annotated[int, np.int32]
    resource: Annotated[int, np.int32]
    scope: Annotated[int, np.int32]
    source: Annotated[int, np.int32]
    record_number: Annotated[int, np.int64]
    byte_offset: Annotated[int, np.int64]
    dropped_attributes: Annotated[int, np.uint32]
    dropped_events: Annotated[int, np.uint32]
    dropped_links: Annotated[int, np.uint32]
    quality: Annotated[int, np.uint32]


SPAN_DTYPES: tuple[Any, ...] = tuple(
    kind.__metadata__[0] for kind in get_type_hints(SpanRow, include_extras=True).values()
)
EVENT_DTYPES = (np.int64, np.int64, np.int32, np.uint32)
LINK_DTYPES = (np.int64, np.uint64, np.uint64, np.uint64, np.int32, np.uint32, np.uint32, np.int8)


_RAGGED = (np.int64, np.int32)
_TABLES: dict[str, tuple[type, ...]] = {
    "spans": SPAN_DTYPES,
    "attributes": _RAGGED,
    "events": EVENT_DTYPES,
    "event_attributes": _RAGGED,
    "links": LINK_DTYPES,
    "link_attributes": _RAGGED,
}
_CLASSES: dict[str, Callable[..., Any]] = {
    "spans": SpanColumns,
    "attributes": Ragged.from_counts,
    "events": EventColumns,
    "event_attributes": Ragged.from_counts,
    "links": LinkColumns,
    "link_attributes": Ragged.from_counts,
}


def ragged(lists: Sequence[Sequence[int]]) -> Ragged:
    """Return lists of codes as one table."""
    counts = np.fromiter(map(len, lists), np.int64, len(lists))
    return Ragged.from_counts(counts, np.fromiter(chain.from_iterable(lists), np.int32, int(counts.sum())))


def joined(tables: Sequence[Ragged]) -> Ragged:
    """Return tables of the same rows as one: of each row the codes of the first table, then those of the next."""
    counts = [table.counts for table in tables]
    total = np.asarray(np.sum(counts, axis=0, dtype=np.int64))
    codes = np.empty(int(total.sum()), np.int32)
    starts = np.cumsum(total) - total
    for table, count in zip(tables, counts, strict=True):
        codes[np.arange(len(table.codes)) + np.repeat(starts - table.offsets[:-1], count)] = table.codes
        starts += count
    return Ragged.from_counts(total, codes)


def column(values: Sequence[Any], kind: Any) -> Array:
    """Return an array of this type, also for no values."""
    return np.array(values, kind) if values else np.zeros(0, kind)


def transposed(rows: Sequence[Sequence[Any]], kinds: Sequence[Any]) -> list[Array]:
    """Return rows as columns of these types."""
    if not rows:
        return [np.zeros(0, kind) for kind in kinds]
    return [np.array(column, kind) for column, kind in zip(zip(*rows, strict=True), kinds, strict=True)]


@dataclass(slots=True)
class Batch:
    """Columns of some spans in order of arrival; ``span_row`` of events and links counts from the batch's start."""

    spans: SpanColumns
    attributes: Ragged
    events: EventColumns
    event_attributes: Ragged
    links: LinkColumns
    link_attributes: Ragged


class _Column:
    """A column that grows: room that is not used yet takes no memory, and neither does one value again and again."""

    def __init__(self, kind: Any) -> None:
        self._values = np.zeros(0, kind)  # the only one as long as all are equal
        self._is_one = True
        self._count = 0

    def add(self, more: Array, to_come: float) -> None:
        """Add values behind the others; ``to_come`` is how many there will be of each of these."""
        before, count = self._count, self._count + len(more)
        if self._is_one and len(more):
            self._values = self._values if before else more[:1].astype(self._values.dtype)
            self._is_one = bool((more == self._values[0]).all())
        if not self._is_one:
            if count > len(self._values):
                self._move(before, max(count, 2 * len(self._values), before + int(len(more) * to_come)))
            self._values[before:count] = more
        self._count = count

    def _move(self, count: int, room: int) -> None:
        """Make room for more values."""
        values = np.empty(room, self._values.dtype)
        values[:count] = self._values[:count]  # the only one is repeated
        self._values = values

    def all(self) -> Array:
        """Return the values, without copying them; an only one has a stride of 0 and cannot be written."""
        return np.broadcast_to(self._values, self._count) if self._is_one else self._values[: self._count]


class Growing:
    """The columns of all batches so far, end to end."""

    def __init__(self) -> None:
        self._count = 0
        self._tables = {name: list(map(_Column, kinds)) for name, kinds in _TABLES.items()}

    def add(self, batch: Batch, to_come: float = 1) -> None:
        """Add a batch behind the others; ``to_come`` is how many spans there will be for each of its spans."""
        events = replace(batch.events, span_row=batch.events.span_row + self._count)
        links = replace(batch.links, span_row=batch.links.span_row + self._count)
        self._count += len(batch.spans)
        moved = {"events": events, "links": links}
        for name, grown in self._tables.items():
            table: Any = moved.get(name, getattr(batch, name))
            parts = (
                [table.counts, table.codes]
                if isinstance(table, Ragged)
                else [getattr(table, f.name) for f in fields(table)]
            )
            for column, part in zip(grown, parts, strict=True):
                column.add(part, to_come)

    def all(self) -> Batch:
        """Return the columns without copying them."""
        made: dict[str, Any] = {}
        for name, grown in self._tables.items():
            made[name] = _CLASSES[name](*(column.all() for column in grown))
        return Batch(**made)
