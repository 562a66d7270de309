"""Columns of a TraceSet as plain numpy arrays.

``Columns`` contains the tables ``SpanColumns``, ``EventColumns``, ``LinkColumns``, ``ResourceColumns`` and
``ScopeColumns``; ``KeyValues`` is the table of distinct attributes, and ``ragged.Ragged`` maps rows to theirs.
Texts are codes into lists (-1 = missing), ids unsigned integers, times int64 nanoseconds.  Everything is read-only by
convention and sorted by (trace id, start, order of arrival).
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from tracekit.attributes import Codes, text_hashes
from tracekit.schema import Array as Array  # noqa: PLC0414, TC001 - re-exported

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    import pyarrow as pa

    from tracekit.ragged import Ragged

_FEW = 4_096  # texts that are read one by one
SAMPLE_OF_STORE = "sample of a store"  # the note of traces that are some parts of a store ...
SCALE_OF_SAMPLE = "scale of the sample"  # ... and by how much their weights were multiplied


@dataclass(frozen=True, slots=True)
class KeyValues:
    """The distinct attributes: one row per (key, type, value, origin, namespace, indexed).

    ``keys`` and ``namespaces`` are lists of text, ``key`` and ``namespace`` codes into them (-1 = none).  ``text`` (a
    pyarrow large_string array) contains strings, base64 of bytes, canonical JSON of arrays and maps, and the digits of
    integers beyond 64 bits; ``integer`` int and bool; ``double`` doubles.
    """

    keys: list[str]
    key: Array
    type: Array
    text: pa.LargeStringArray
    integer: Array
    double: Array
    origin: Array
    namespace: Array
    namespaces: list[str]
    is_indexed: Array

    def __len__(self) -> int:
        return len(self.key)

    def codes_of(self, key: str) -> Array:
        """Return the codes of the attributes with this key; empty if there are none."""
        if key not in self.keys:
            return np.zeros(0, np.int64)
        return np.flatnonzero(self.key == self.keys.index(key))

    def take(self, codes: Array) -> KeyValues:
        """Return the table of the attributes with these codes, in this order."""
        names = ("key", "type", "integer", "double", "origin", "namespace", "is_indexed")
        taken: dict[str, Any] = {name: getattr(self, name)[codes] for name in names}
        return replace(self, text=self.text.take(codes), **taken)

    def texts_at(self, codes: Array) -> list[str | None]:
        """Return the texts of the attributes with these codes, None where a value is not text."""
        if len(codes) <= _FEW:
            return _texts_at(self.text, codes)
        found: list[str | None] = self.text.take(codes).to_pylist()
        return found

    def hashes_at(self, codes: Array, before: str = "") -> Array:
        """Return ``text_hashes`` of the texts with these codes, each behind a text; a value without is empty."""
        texts = [before + (text or "") for text in self.texts_at(codes)]
        return text_hashes(Codes(np.arange(len(texts)), texts))

    def hashes(self) -> Array:
        """Return ``hashes_at`` of all attributes."""
        return self.hashes_at(np.arange(len(self)))


def _texts_at(texts: pa.LargeStringArray, codes: Array) -> list[str | None]:
    """Return some texts of an array, from its buffers: ``take`` imports pandas."""
    if not len(codes):
        return []
    validity, offsets, data = texts.buffers()
    at = np.asarray(codes, np.int64) + texts.offset
    ends = np.frombuffer(offsets, np.int64)
    view = memoryview(data) if data is not None else memoryview(b"")
    bounds = zip(ends[at].tolist(), ends[at + 1].tolist(), strict=True)
    found: list[str | None] = [str(view[low:high], "utf-8") for low, high in bounds]
    if texts.null_count:
        known = np.unpackbits(np.frombuffer(validity, np.uint8), bitorder="little")[at]
        found = [text if is_known else None for text, is_known in zip(found, known.tolist(), strict=True)]
    return found


@dataclass(frozen=True, slots=True)
class SpanColumns:
    """One entry per span record; see ``schema.SPANS`` for the view."""

    trace_hi: Array  # uint64
    trace_lo: Array  # uint64
    span_id: Array  # uint64
    parent_id: Array  # uint64, 0 = none
    name: Array  # int32 into Columns.names
    kind: Array  # int8
    start_ns: Array  # int64, 0 with Quality.NO_START
    end_ns: Array  # int64, 0 with Quality.NO_END
    status_code: Array  # int8
    status_message: Array  # int32 into Columns.texts, -1 = none
    trace_state: Array  # int32 into Columns.texts, -1 = none
    flags: Array  # uint32
    record_kind: Array  # int8
    resolution_ns: Array  # int32
    resource: Array  # int32
    scope: Array  # int32
    source: Array  # int32
    record_number: Array  # int64
    byte_offset: Array  # int64
    dropped_attributes: Array  # uint32
    dropped_events: Array  # uint32
    dropped_links: Array  # uint32
    quality: Array  # uint32, schema.Quality

    def __len__(self) -> int:
        return len(self.trace_hi)  # of a store, read before all others


@dataclass(frozen=True, slots=True)
class EventColumns:
    """One entry per event, in the order of their spans."""

    span_row: Array  # int64
    time_ns: Array  # int64, 0 where missing
    name: Array  # int32 into Columns.texts
    dropped_attributes: Array  # uint32

    def __len__(self) -> int:
        return len(self.span_row)


@dataclass(frozen=True, slots=True)
class LinkColumns:
    """One entry per link, in the order of their spans."""

    span_row: Array  # int64
    trace_hi: Array  # uint64
    trace_lo: Array  # uint64
    span_id: Array  # uint64
    trace_state: Array  # int32 into Columns.texts, -1 = none
    flags: Array  # uint32
    dropped_attributes: Array  # uint32
    relation: Array  # int8

    def __len__(self) -> int:
        return len(self.span_row)


@dataclass(frozen=True, slots=True)
class ResourceColumns:
    """One entry per distinct resource."""

    schema_url: Array  # int32 into Columns.texts, -1 = none
    dropped_attributes: Array  # uint32

    def __len__(self) -> int:
        return len(self.schema_url)


@dataclass(frozen=True, slots=True)
class ScopeColumns:
    """One entry per distinct instrumentation scope."""

    name: Array  # int32 into Columns.texts
    version: Array  # int32 into Columns.texts, -1 = none
    schema_url: Array  # int32 into Columns.texts, -1 = none
    dropped_attributes: Array  # uint32

    def __len__(self) -> int:
        return len(self.name)


@dataclass(frozen=True, slots=True)
class TraceFacts:
    """Trace-level fields of X-Ray: one entry per trace that has any.

    ``trace_hi``/``trace_lo`` are sorted.  ``reported_duration_ns`` is -1 if not reported.
    """

    trace_hi: Array
    trace_lo: Array
    reported_duration_ns: Array
    limit_exceeded: Array

    def __len__(self) -> int:
        return len(self.trace_hi)


Table = TypeVar("Table", SpanColumns, EventColumns, LinkColumns, ResourceColumns, ScopeColumns, TraceFacts)


def where(chosen: Array) -> Array | slice:
    """Return the rows that are chosen, as a slice if all are: indexing with it copies nothing.

    Examples
    --------
    >>> where(np.array([False, True])), where(np.array([True, True]))
    (array([1]), slice(None, None, None))
    """
    return slice(None) if chosen.all() else np.flatnonzero(chosen)


def take(table: Table, rows: Array | slice) -> Table:
    """Return the table of these rows, in this order.

    Examples
    --------
    >>> scopes = ScopeColumns(*(np.array([4, 5]),) * 4)
    >>> take(scopes, np.array([1])).name
    array([5])
    """
    return type(table)(*(getattr(table, column.name)[rows] for column in fields(table)))


@dataclass(frozen=True, slots=True)
class Columns:
    """Everything that was read, sorted by (trace id, start, order of arrival).

    ``names`` contains span names, ``texts`` the other strings (status messages, trace states, event and scope names,
    schema URLs).  ``sources`` and ``issues`` are small frames, see ``schema.SOURCES`` and ``schema.ISSUES``.
    """

    spans: SpanColumns
    attributes: Ragged
    events: EventColumns
    event_attributes: Ragged
    links: LinkColumns
    link_attributes: Ragged
    resources: ResourceColumns
    resource_attributes: Ragged
    scopes: ScopeColumns
    scope_attributes: Ragged
    kv: KeyValues
    names: list[str]
    texts: list[str]
    facts: TraceFacts
    sources: pd.DataFrame
    issues: pd.DataFrame
    notes: dict[str, str] = field(default_factory=dict)

    def take_in_order(self, rows: Array) -> Columns:
        """Return the columns with all spans in this order, their events and links in the same order."""
        return arranged([self], rows)

    def take(self, rows: Array) -> Columns:
        """Return the columns of these span rows (ascending), with their events and links.

        Resources, scopes, attribute and text tables are shared; sources and issues are unchanged.
        """
        new_row = np.full(len(self.spans), -1, np.int64)
        new_row[rows] = np.arange(len(rows))
        events = np.flatnonzero(new_row[self.events.span_row] >= 0)
        links = np.flatnonzero(new_row[self.links.span_row] >= 0)
        return replace(
            self,
            spans=take(self.spans, rows),
            attributes=self.attributes.take(rows),
            events=replace(take(self.events, events), span_row=new_row[self.events.span_row[events]]),
            event_attributes=self.event_attributes.take(events),
            links=replace(take(self.links, links), span_row=new_row[self.links.span_row[links]]),
            link_attributes=self.link_attributes.take(links),
        )

    def part(self, low: int, high: int) -> Columns:
        """Return the columns of the span rows from low to high, without copying; otherwise as ``take``."""
        rows = slice(low, high)
        events = slice(*np.searchsorted(self.events.span_row, (low, high)).tolist())
        links = slice(*np.searchsorted(self.links.span_row, (low, high)).tolist())
        own_events, own_links = take(self.events, events), take(self.links, links)
        return replace(
            self,
            spans=take(self.spans, rows),
            attributes=self.attributes.part(rows),
            events=replace(own_events, span_row=own_events.span_row - low),
            event_attributes=self.event_attributes.part(events),
            links=replace(own_links, span_row=own_links.span_row - low),
            link_attributes=self.link_attributes.part(links),
        )


Work: TypeAlias = "Callable[[], Callable[[], Any]]"
"""Makes room for a result, and returns what fills and returns it: that can be done by another thread."""


def in_turn(tasks: list[Work]) -> list[Any]:
    """Return the results of some work; the list is emptied, so that what each needs is released when it is done."""
    tasks.reverse()
    return [tasks.pop()()() for _ in range(len(tasks))]


def arranged(
    columns: list[Columns],
    rows: Array,
    lists: Callable[[Ragged, Array], Callable[[], Ragged]] = lambda table, rows: partial(table.take, rows),
    run: Callable[[list[Work]], list[Any]] = in_turn,
) -> Columns:
    """Return columns with the spans in another order, their events and links likewise.

    The list has one set of columns and is emptied, so that every column is released as soon as its rows are taken.
    ``lists`` takes the rows of attributes, ``run`` does all that for spans.
    """
    given = columns.pop()
    parts: dict[str, Any] = {column.name: getattr(given, column.name) for column in fields(given)}
    del given
    new_row = np.empty(len(rows), np.int64)
    new_row[rows] = np.arange(len(rows))
    tasks: list[Work] = [partial(lists, parts.pop("attributes"), rows)]
    spans = parts.pop("spans")
    tasks += [partial(_taken, getattr(spans, column.name), rows) for column in fields(spans)]
    del spans
    parts["attributes"], *taken = run(tasks)
    for name in ("events", "links"):
        own = parts[name]
        owners = new_row[own.span_row]
        order = np.argsort(owners, kind="stable")
        parts[name] = replace(take(own, order), span_row=owners[order])
        attributes = f"{name[:-1]}_attributes"
        parts[attributes] = lists(parts[attributes], order)()
    return Columns(spans=SpanColumns(*taken), **parts)


def _taken(column: Array, rows: Array) -> Callable[[], Array]:
    """Return what takes these rows of a column, which may be one value again and again."""
    made = np.empty(len(rows), column.dtype)

    def fill() -> Array:
        if any(column.strides):
            np.take(column, rows, out=made, mode="clip")  # which writes there at once; the rows are of the column
        elif len(made):
            made.fill(column[0])
        return made

    return fill


def trace_starts(spans: SpanColumns) -> Array:
    """Return the first row of every trace and, last, the number of rows.

    Examples
    --------
    >>> trace_starts(shop.columns.spans).tolist()
    [0, 3, 9, 15, 23, 28]
    """
    if not len(spans):
        return np.zeros(1, np.int64)
    change = (spans.trace_hi[1:] != spans.trace_hi[:-1]) | (spans.trace_lo[1:] != spans.trace_lo[:-1])
    return np.concatenate(([0], np.flatnonzero(change) + 1, [len(spans)]))
