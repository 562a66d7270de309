"""JSON documents of any size: walked item by item, so that a 3 GB line needs no more memory than its largest span."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracekit.loading.building.ledger import Position
from tracekit.loading.otlp import otlp
from tracekit.loading.records import JsonError, JsonPull

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.loading.building.builder import Builder
    from tracekit.loading.dispatch import Dispatcher
    from tracekit.loading.records import Readable

WHOLE_VALUE = 1 << 30  # members that only mean something as a whole: a Jaeger trace's processes, say
SPANS_AT_ONCE = 4096
MOST_WRAPPERS = 4  # more of them are read as one value, whose depth is bounded


class Documents:
    """Reads the documents of one stream into a builder.

    A record is a document, or one of the items that it is a list of: a ResourceSpans, a trace.

    Parameters
    ----------
    stream
        Decoded bytes.
    builder, dispatcher
        Where the records go.
    line
        Number of the line, where the stream is one line of a file; otherwise records are numbered one by one.
    offset
        Byte offset of the stream in its source; by default the stream knows.
    on_progress
        Called every few thousand spans.
    between
        Called between two records; returns where the next ones go.
    """

    def __init__(
        self,
        stream: Readable,
        builder: Builder,
        dispatcher: Dispatcher,
        line: int = 0,
        offset: int | None = None,
        on_progress: Callable[[], object] | None = None,
        between: Callable[[], tuple[Builder, Dispatcher]] | None = None,
    ) -> None:
        self._pull = JsonPull(stream, parse_float=dispatcher.parse_float, offset=offset)
        self._builder = builder
        self._dispatcher = dispatcher
        self._line = line
        self._on_progress = on_progress
        self._between = between
        self._record = 0
        self._walked = 0

    def read(self) -> None:
        """Read everything; what cannot be read is quarantined, and the source is incomplete if nothing can follow."""
        documents = 0
        try:
            while self._pull.more():
                documents += 1
                self._document()
                self._rest()
        except JsonError as error:
            self._builder.ledger.incomplete(error.message)
            if not self._record:
                self._next(error.offset)
            self._quarantine(error)
        if documents > 1:
            self._builder.ledger.tally(
                "JSON_CONCAT", "several documents, one after the other", Position(1, 0), documents - 1
            )
        self._notes()

    def _document(self) -> None:
        if self._pull.peek() == "{":
            self._object()
        elif self._pull.peek() == "[":
            for _ in self._pull.items():
                if self._pull.peek() == "{":
                    self._object()
                else:
                    self._value({})
                self._rest()
        else:
            self._value({})

    def _object(self, wrappers: int = 0) -> None:
        """Walk an object inside so many wrappers: lists of independent items one by one, the rest as a whole."""
        rest: dict[str, Any] = {}
        streamed = ""
        offset = self._pull.offset
        takes_otlp = self._dispatcher.takes_otlp
        for key in self._pull.keys():  # noqa: SIM118 - a method that reads on, not a dict
            opening = self._pull.peek()
            if key in otlp.GROUPS and opening == "[" and takes_otlp:
                self._builder.ledger.formats["otlp"] += 1
                if key != otlp.GROUPS[0]:
                    self._builder.ledger.dialect(key)
                streamed = key
                self._each(self._group)
            elif key in otlp.WRAPPERS and opening == "{" and takes_otlp and wrappers < MOST_WRAPPERS:
                self._builder.ledger.dialect(f"wrapped_in_{key}")
                self._object(wrappers + 1)
                streamed = key
            elif key in self._dispatcher.streams and opening == "[":
                streamed = key
                for _ in self._pull.items():
                    self._value({"": key})
                    self._rest()
            else:
                rest[key] = self._whole()
        if not streamed:
            self._dispatcher.value(rest, self._next(offset))
        elif streamed in otlp.GROUPS or streamed in otlp.WRAPPERS:
            otlp.note_wrapper(rest, self._builder)
        elif rest:
            self._dispatcher.value({streamed: [], **rest}, Position(self._line or max(self._record, 1), offset))

    def _whole(self) -> Any:
        """Return one member; one that cannot be read is quarantined and None."""
        try:
            return self._pull.value(WHOLE_VALUE)
        except JsonError as error:
            if not error.recoverable:
                raise
            self._quarantine(error)
            return None

    def _value(self, member: dict[str, str]) -> None:
        """Load the next value, as an item of a member if one is given."""
        at = self._next()
        try:
            value = self._pull.value(WHOLE_VALUE)
        except JsonError as error:
            if not error.recoverable:
                raise
            self._quarantine(error)
            return
        self._dispatcher.value({member[""]: [value]} if member else value, at)

    # ---------------------------------------------------------------- OTLP, down to the span

    def _each(self, walk: Any) -> None:
        """Walk every item of a list that is an object; others are loaded as they are, to be refused."""
        for _ in self._pull.items():
            if self._pull.peek() == "{":
                walk()
            else:
                self._value({"": otlp.GROUPS[0]})

    def _group(self) -> None:
        """Walk a ResourceSpans; the resource may come behind its spans."""
        at = self._next()
        provisional = self._builder.provisional_resource()
        group: dict[str, Any] = {}
        try:
            for key in self._pull.keys():  # noqa: SIM118 - a method that reads on, not a dict
                if key in otlp.SCOPES and self._pull.peek() == "[":
                    otlp.note_scopes(key, self._builder)
                    self._each(lambda: self._scope(provisional))
                elif key in otlp.OF_GROUP:
                    group[key] = self._whole()
                elif key in otlp.SCOPES:
                    otlp.load_scopes(key, self._whole(), provisional, at, self._builder)
                else:
                    self._pull.skip()
        finally:  # also where the document is cut: what was read of the resource is its spans'
            self._builder.finalise(provisional, otlp.resource_of_group(group, at, self._builder))
        self._rest()

    def _scope(self, resource: int) -> None:
        """Walk a ScopeSpans; the scope may come behind its spans."""
        at = self._here()
        provisional = self._builder.provisional_scope()
        part: dict[str, Any] = {}
        try:
            for key in self._pull.keys():  # noqa: SIM118 - a method that reads on, not a dict
                if key in {"spans", "Spans"} and self._pull.peek() == "[":
                    for _ in self._pull.items():
                        self._span(resource, provisional)
                else:
                    part[key] = self._whole()
        finally:
            self._builder.finalise_scope(provisional, otlp.scope_of(part, at, self._builder))
        otlp.load_spans(part.get("spans", part.get("Spans")), resource, provisional, at, self._builder)

    def _span(self, resource: int, scope: int) -> None:
        """Load one span."""
        at = self._here()
        self._tick()
        try:
            span = self._pull.value()
        except JsonError as error:
            if not error.recoverable:
                raise
            self._quarantine(error)
            return
        otlp.load_span(span, resource, scope, at, self._builder)

    # ---------------------------------------------------------------- positions and remarks

    def _next(self, offset: int | None = None) -> Position:
        """Return where the next record stands, and count it."""
        self._record += 1
        self._builder.ledger.record_count += 1
        self._tick()
        return Position(self._line or self._record, self._pull.offset if offset is None else offset)

    def _here(self) -> Position:
        """Return where the next part of the present record stands."""
        return Position(self._line or self._record, self._pull.offset)

    def _rest(self) -> None:
        """Between two records, with all resources settled: a moment to go on with another builder."""
        if self._between is not None:
            self._builder, self._dispatcher = self._between()

    def _tick(self) -> None:
        self._walked += 1
        if self._walked % SPANS_AT_ONCE == 0 and self._on_progress is not None:
            self._on_progress()

    def _quarantine(self, error: JsonError) -> None:
        self._builder.ledger.quarantine(
            error.code, error.message, at=Position(self._line or max(self._record, 1), error.offset), raw=error.raw
        )

    def _notes(self) -> None:
        self._dispatcher.tell(self._pull.take_notes(), Position(self._line or 1, 0))
