"""The builder of all loaders: from spans to columns.

Loaders of JSON records call ``kv``, ``resource``, ``scope`` and ``span``; fast scanners add whole batches.
``take_columns`` empties it, and ``successor`` continues with new tables, so that a stream of any length can be built in
pieces.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tracekit.columns import (
    Array,
    EventColumns,
    LinkColumns,
    ResourceColumns,
    ScopeColumns,
    SpanColumns,
    TraceFacts,
)
from tracekit.loading.building.batches import (
    EVENT_DTYPES,
    LINK_DTYPES,
    SPAN_DTYPES,
    Batch,
    Growing,
    SpanRow,
    column,
    ragged,
    transposed,
)
from tracekit.loading.building.ledger import Issue, Ledger, Position
from tracekit.loading.building.pool import HIGHEST, LOWEST, Attributes, Texts
from tracekit.schema import Quality

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracekit.ragged import Ragged

ROWS_PER_BATCH = 65_536
PENDING = -1  # the resource of a span without one in its record
_LOW = 0xFFFF_FFFF_FFFF_FFFF


class Event(NamedTuple):
    """An event of a span; ``time_ns`` is None if it is missing, attributes are codes of ``Builder.kv``."""

    time_ns: int | None
    name: str
    attributes: Sequence[int] = ()
    dropped: int = 0


class Link(NamedTuple):
    """A link of a span; ``relation`` is a ``schema.Relation``."""

    trace_id: int
    span_id: int
    relation: int = 0
    attributes: Sequence[int] = ()
    trace_state: str = ""
    flags: int = 0
    dropped: int = 0


class Builder:
    """Collects the spans of one or more sources.

    Parameters
    ----------
    strict
        Raise ``LoadError`` at the first record that has to be quarantined.
    on_issue
        Called with every issue as it is found.

    Attributes
    ----------
    to_come : float
        How many spans the present source probably still has for each span of the next batch, itself included: then
        there is room for them.

    Examples
    --------
    >>> builder = Builder()
    >>> ledger = builder.open_source("memory")
    >>> shop = builder.resource([builder.kv("service.name", "shop")])
    >>> builder.span(at=Position(1, 0), trace_id=1, span_id=2, name="GET /", start_ns=10, end_ns=30, resource=shop)
    >>> ledger.seen, len(builder.take_columns().spans)
    (1, 1)
    """

    def __init__(self, *, strict: bool = False, on_issue: Callable[[Issue], object] | None = None) -> None:
        self.strict = strict
        self.on_issue = on_issue
        self.ledgers: list[Ledger] = []
        self.ledger, self.source = Ledger("", strict, on_issue), -1  # of no source yet
        self.attributes = Attributes()
        self.kv = self.attributes.kv
        self.names = Texts()
        self.texts = Texts()
        self.span_count = 0
        self.to_come: float = 1
        self._resources: dict[tuple[Any, ...], int] = {}
        self._scopes: dict[tuple[Any, ...], int] = {}
        self._resource_attributes: list[Sequence[int]] = []  # in the order of the first occurrence
        self._scope_attributes: list[Sequence[int]] = []
        self._aliases: dict[int, int] = {}
        self._scope_aliases: dict[int, int] = {}
        self._provisional = PENDING
        self._facts: dict[int, tuple[int, bool]] = {}
        self._grown = Growing()
        self.memory: dict[str, Any] = {}  # state of the loaders between two records
        self._clear_rows()

    def successor(self) -> Builder:
        """Return an empty builder that continues in the same source, with the same ledgers."""
        successor = Builder(strict=self.strict, on_issue=self.on_issue)
        successor.ledgers = self.ledgers
        successor.span_count = self.span_count
        if self.ledgers:
            successor.ledger, successor.source = self.ledger, self.source
        return successor

    def open_source(self, uri: str) -> Ledger:
        """Begin a source: all later spans belong to it."""
        self._flush()
        self.ledger = Ledger(uri, self.strict, self.on_issue)
        self.ledgers.append(self.ledger)
        self.to_come = 1
        self.source = len(self.ledgers) - 1
        return self.ledger

    # ---------------------------------------------------------------- resources and scopes

    def resource(self, attributes: Sequence[int], schema_url: str = "", dropped: int = 0) -> int:
        """Return the number of a resource; resources with equal attributes, in any order, are the same."""
        key = (tuple(sorted(attributes)), self.texts.optional(schema_url), dropped)
        return _interned(key, attributes, self._resources, self._resource_attributes)

    def scope(
        self,
        name: str = "",
        version: str = "",
        attributes: Sequence[int] = (),
        schema_url: str = "",
        dropped: int = 0,
    ) -> int:
        """Return the number of an instrumentation scope."""
        text = self.texts.optional
        key = (tuple(sorted(attributes)), text(name), text(version), text(schema_url), dropped)
        return _interned(key, attributes, self._scopes, self._scope_attributes)

    def provisional_resource(self) -> int:
        """Return a number for a resource that follows its spans; replaced by ``finalise``."""
        self._provisional -= 1
        return self._provisional

    def finalise(self, provisional: int, resource: int) -> None:
        """Set the resource of a provisional number."""
        self._aliases[provisional] = resource

    def provisional_scope(self) -> int:
        """Return a number for a scope that follows its spans; replaced by ``finalise_scope``."""
        self._provisional -= 1
        return self._provisional

    def finalise_scope(self, provisional: int, scope: int) -> None:
        """Set the scope of a provisional number."""
        self._scope_aliases[provisional] = scope

    def fact(self, trace_id: int, *, reported_duration_ns: int = -1, limit_exceeded: bool = False) -> None:
        """Keep the source's facts about a trace; of several, the longest duration and any exceeded limit."""
        duration, limit = self._facts.get(trace_id, (-1, False))
        self._facts[trace_id] = (max(duration, reported_duration_ns), limit or limit_exceeded)

    # ---------------------------------------------------------------- spans

    def span(
        self,
        *,
        at: Position,
        trace_id: int,
        span_id: int,
        parent_id: int = 0,
        name: str,
        kind: int = 0,
        start_ns: int | None,
        end_ns: int | None,
        status_code: int = 0,
        status_message: str = "",
        trace_state: str = "",
        flags: int = 0,
        record_kind: int = 0,
        resolution_ns: int = 1,
        resource: int,
        scope: int | None = None,
        attributes: Sequence[int] = (),
        events: Sequence[Event] = (),
        links: Sequence[Link] = (),
        dropped_attributes: int = 0,
        dropped_events: int = 0,
        dropped_links: int = 0,
        quality: int = 0,
    ) -> None:
        """Add one span and count it as seen; quarantine it if a time or duration exceeds 64 bits."""
        length = 0 if start_ns is None or end_ns is None else end_ns - start_ns
        if start_ns is None:
            start_ns, quality = 0, quality | Quality.NO_START
        if end_ns is None:
            end_ns, quality = 0, quality | Quality.NO_END
        fits = LOWEST <= start_ns <= HIGHEST and LOWEST <= end_ns <= HIGHEST and LOWEST <= length <= HIGHEST
        if not fits:
            self.ledger.quarantine(
                "TIME_UNIT",
                "expected times and a duration of nanoseconds within 64 bits,"
                f" found start {start_ns!s:.40} and end {end_ns!s:.40}; span skipped",
                at=at,
                trace_id=f"{trace_id:032x}",
                span_id=f"{span_id:016x}",
                field="start_ns, end_ns",
            )
            return
        self.ledger.seen += 1
        self.span_count += 1
        row = len(self._rows)
        text = self.texts.optional
        self._rows.append(
            SpanRow(
                trace_hi=trace_id >> 64,
                trace_lo=trace_id & _LOW,
                span_id=span_id,
                parent_id=parent_id,
                name=self.names.code(name),
                kind=kind,
                start_ns=start_ns,
                end_ns=end_ns,
                status_code=status_code,
                status_message=text(status_message),
                trace_state=text(trace_state),
                flags=flags,
                record_kind=record_kind,
                resolution_ns=resolution_ns,
                resource=resource,
                scope=self.scope() if scope is None else scope,
                source=self.source,
                record_number=at.record,
                byte_offset=at.offset,
                dropped_attributes=dropped_attributes,
                dropped_events=dropped_events,
                dropped_links=dropped_links,
                quality=quality,
            )
        )
        self._attributes.append(attributes)
        if events:
            self._events.extend((row, self._dated(event, at)) for event in events)
        if links:
            self._links.extend((row, link) for link in links)
        if row >= ROWS_PER_BATCH:
            self._flush()

    def _dated(self, event: Event, at: Position) -> Event:
        """Return the event, without its time if that exceeds 64 bits, which is an issue."""
        if event.time_ns is None or LOWEST <= event.time_ns <= HIGHEST:
            return event
        message = f"expected nanoseconds within 64 bits, found an event at {event.time_ns!s:.40}; treated as missing"
        self.ledger.issue("TIME_UNIT", message, at=at, severity="warn", field="events")
        return event._replace(time_ns=None)

    def batch(self, batch: Batch, counts: Sequence[int] | None = None) -> None:
        """Add a batch with the codes of this builder, and count its spans as seen.

        ``counts`` are the spans of each of the last sources, where the batch has those of several.
        """
        self._flush()
        if counts is None:
            self.ledger.seen += len(batch.spans)
        else:
            for ledger, count in zip(self.ledgers[-len(counts) :], counts, strict=True):
                ledger.seen += count
        self.span_count += len(batch.spans)
        self._grown.add(batch, self.to_come)

    def take_columns(self) -> Batch:
        """Return and clear everything collected so far, in order of arrival.

        A provisional resource without a final one is ``PENDING``, such a scope is the empty one.
        """
        self._flush()
        batch, self._grown = self._grown.all(), Growing()
        resource = _settled(batch.spans.resource, self._aliases, lambda: PENDING)
        scope = _settled(batch.spans.scope, self._scope_aliases, self.scope)
        batch.spans = replace(batch.spans, resource=resource, scope=scope)
        return batch

    # ---------------------------------------------------------------- the small tables

    def resource_tables(self) -> tuple[ResourceColumns, Ragged]:
        """Return the resources and their attribute codes."""
        rows = list(self._resources)
        return (
            ResourceColumns(column([r[1] for r in rows], np.int32), column([r[2] for r in rows], np.uint32)),
            ragged(self._resource_attributes),
        )

    def scope_tables(self) -> tuple[ScopeColumns, Ragged]:
        """Return the scopes and their attribute codes."""
        rows = list(self._scopes)
        schema_url, name, version = (column([r[i] for r in rows], np.int32) for i in (3, 1, 2))
        dropped = column([r[4] for r in rows], np.uint32)
        return ScopeColumns(name, version, schema_url, dropped), ragged(self._scope_attributes)

    def trace_facts(self) -> TraceFacts:
        """Return the sources' facts about whole traces, by trace id."""
        ids = sorted(self._facts)
        return TraceFacts(
            column([i >> 64 for i in ids], np.uint64),
            column([i & _LOW for i in ids], np.uint64),
            column([self._facts[i][0] for i in ids], np.int64),
            column([self._facts[i][1] for i in ids], np.bool_),
        )

    # ---------------------------------------------------------------- inside

    def _clear_rows(self) -> None:
        self._rows: list[SpanRow] = []
        self._attributes: list[Sequence[int]] = []
        self._events: list[tuple[int, Event]] = []
        self._links: list[tuple[int, Link]] = []

    def _flush(self) -> None:
        """Turn the collected rows into a batch."""
        if not self._rows:
            return
        text = self.texts.optional
        columns = dict(zip(SpanRow._fields, transposed(self._rows, SPAN_DTYPES), strict=True))
        spans = SpanColumns(**columns)
        events = [(row, 0 if e.time_ns is None else e.time_ns, text(e.name), e.dropped) for row, e in self._events]
        links = [
            (row, k.trace_id >> 64, k.trace_id & _LOW, k.span_id, text(k.trace_state), k.flags, k.dropped, k.relation)
            for row, k in self._links
        ]
        batch = Batch(
            spans,
            ragged(self._attributes),
            EventColumns(*transposed(events, EVENT_DTYPES)),
            ragged([e.attributes for _, e in self._events]),
            LinkColumns(*transposed(links, LINK_DTYPES)),
            ragged([k.attributes for _, k in self._links]),
        )
        self._clear_rows()
        self._grown.add(batch)


def _interned(
    key: tuple[Any, ...], attributes: Sequence[int], known: dict[tuple[Any, ...], int], attribute_lists: list[Any]
) -> int:
    """Return the number of a resource or scope; keep the attributes of a new one in their order."""
    number = known.setdefault(key, len(known))
    if number == len(attribute_lists):
        attribute_lists.append(attributes)
    return number


def _settled(codes: Array, final: dict[int, int], nothing: Callable[[], int]) -> Array:
    """Return the codes with provisional (negative) ones replaced by the final ones or by ``nothing``."""
    if not (codes < 0).any():
        return codes
    pending, inverse = np.unique(codes, return_inverse=True)
    chosen = [final[c] if c in final else c if c >= 0 else nothing() for c in pending.tolist()]
    return np.array(chosen, np.int32)[inverse]
