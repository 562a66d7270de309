"""JSON documents of any size, read item by item: a 3 GB line needs no more memory than its largest span."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tracekit.loading.building.ledger import Position
from tracekit.loading.loader import UNREADABLE, Place, Taken
from tracekit.loading.records import JsonError, JsonPull, Line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tracekit.loading.building.builder import Builder
    from tracekit.loading.dispatch import Dispatcher
    from tracekit.loading.loader import Scanner
    from tracekit.loading.records import Readable

WHOLE_VALUE = 1 << 30  # bytes; for fields that cannot be split: the processes of a Jaeger trace, for example
SPANS_AT_ONCE = 4096
_WORTH = 2 << 10  # bytes: fewer at a time are read sooner one by one
_PATIENCE = 10  # doublings of the number of items between two attempts to scan those of a list


class DocumentReader:
    """Reads the documents of one stream into a builder.

    A record is a document, or one item of a list in it: a ResourceSpans, a trace.

    Parameters
    ----------
    stream
        Decoded bytes.
    builder, dispatcher
        Where the records go.
    line
        Number of the line, if the stream is one line of a file; otherwise records are numbered one by one.
    offset
        Byte offset of the stream in its source; default: the stream's ``offset``.
    on_progress
        Called every few thousand spans.
    between
        Called between two records; returns where the next ones go.

    Attributes
    ----------
    pull : JsonPull
        The parser, which a format's ``walk`` reads from.
    builder : Builder
        Where the spans go at present.
    depth : int
        Objects around the present one that ``read_object`` entered.
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
        self.pull = JsonPull(stream, parse_float=dispatcher.parse_float, offset=offset)
        self.builder = builder
        self.depth = 0
        self._dispatcher = dispatcher
        self._line = line
        self._on_progress = on_progress
        self._between = between
        self._record = 0
        self._walked = 0
        self._failed = self._wait = 0  # attempts to scan items, and items until the next one

    def read(self) -> None:
        """Read everything; quarantine what cannot be read, and mark the source incomplete if nothing can follow."""
        documents = 0
        try:
            while self.pull.more():
                found = self._documents()
                documents += found or 1
                if not found:
                    self._document()
                self.end_record()
        except JsonError as error:
            self.builder.ledger.incomplete(error.message)
            if not self._record:
                self.next_record(error.offset)
            self._quarantine(error)
        if documents > 1:
            message = "several documents, one after the other"
            self.builder.ledger.tally("JSON_CONCAT", message, Position(1, 0), documents - 1)
        self._dispatcher.add_notes(self.pull.take_notes(), Position(self._line or 1, 0))

    def _documents(self) -> int:
        """Load the next documents with a scanner; return how many it loaded."""
        scanner = self._dispatcher.document_scanner
        if scanner is None or self.pull.peek() != "{":
            return 0
        count = 0

        def load(data: bytes, place: Place) -> Taken:
            nonlocal count
            found = scanner.load_documents(data, place)
            count = found.items
            return found

        return count if self.run(load) else 0

    def _document(self) -> None:
        """Read one document."""
        if self.pull.peek() == "{":
            self._object()
        elif self.pull.peek() == "[":
            for _ in self.pull.items():
                if not self.run(self._load_list):
                    if self.pull.peek() == "{":
                        self._object()
                    else:
                        self.load_item()
                self.end_record()
        else:
            self.load_item()

    def read_object(self) -> None:
        """Read an object inside a document like the document itself."""
        self.depth += 1
        self._object()
        self.depth -= 1

    def _object(self) -> None:
        """Read an object: lists of independent items one by one, all other fields together."""
        others: dict[str, Any] = {}
        load_others: Callable[[dict[str, Any]], object] | None = None
        offset = self.pull.offset
        for key in self.pull.keys():  # noqa: SIM118 - a method that reads on, not a dict
            walked = self._dispatcher.walk(key, self)
            if walked is not None:
                load_others = walked
            elif key in self._dispatcher.streams and self.pull.peek() == "[":
                load_others = partial(self._load_others, key, offset)
                for _ in self.pull.items():
                    if not self.run(partial(self._load_items, key)):
                        self.load_item(key)
                    self.end_record()
            else:
                others[key] = self.field_value()
        if load_others is None:
            self._dispatcher.value(others, self.next_record(offset))
        else:
            load_others(others)

    def scanner(self, name: str) -> Scanner | None:
        """Return the scanner of a format, None without one."""
        return self._dispatcher.scanner_of(name)

    def run(self, load: Callable[[bytes, Place], Taken]) -> bool:
        """Let a scanner load the next items of a list, as many as it can; return whether it loaded any."""
        if self._wait or not self._dispatcher.scans_lists:
            self._wait -= bool(self._wait)
            return False
        count, spans_before, begin = 0, self.builder.span_count, self.pull.offset

        def taken(data: bytes, offset: int) -> tuple[int, bool]:
            nonlocal count
            found = load(data, Place(self._record, self._line, offset))
            count = found.records
            return found.stop, found.may_be_cut

        is_loaded = self.pull.run(taken)
        self._record += count
        self._count(count + self.builder.span_count - spans_before)
        is_worth = is_loaded and (self.pull.offset - begin >= _WORTH or self.pull.peek() in {"", "]"})
        self._failed = 0 if is_worth else min(self._failed + 1, _PATIENCE)
        self._wait = max(2**self._failed - 2, 0)  # a list of another format would be scanned in vain again and again
        return is_loaded

    def _load_list(self, data: bytes, place: Place) -> Taken:
        """Load the next items of a list that is a document."""
        return _first(scanner.load_list(data, place) for scanner in self._dispatcher.list_scanners)

    def load_hits(self, data: bytes, place: Place) -> Taken:
        """Load the first hits of a search in some bytes with the scanner that can, for ``run``."""
        return _first(scanner.load_hits(data, place) for scanner in self._dispatcher.hit_scanners)

    def _load_items(self, key: str, data: bytes, place: Place) -> Taken:
        """Load the next items of a field as lines of one item each."""
        places_of = self._dispatcher.places_of(key)
        if places_of is None:
            return Taken()
        found = self._dispatcher.load_field(key, data, place)
        if found.stop:
            return found
        places = np.frombuffer(places_of(data), np.int64).reshape(-1, 2).tolist()
        if not places:
            return Taken(may_be_cut=True)
        lines = []
        for record, (start, stop) in enumerate(places):
            one = data[start:stop].replace(b"\n", b" ")  # JSON has no newlines in its strings
            lines.append(Line(place.number(record), place.offset + start, b'{"%b":[%b]}' % (key.encode(), one)))
        self._dispatcher.scan_items(key, lines)
        return Taken(places[-1][1], len(lines))

    def _load_others(self, streamed: str, offset: int, others: dict[str, Any]) -> None:
        """Load the other fields of an object with a list whose items were loaded separately."""
        if others:
            self._dispatcher.value({streamed: [], **others}, Position(self._line or max(self._record, 1), offset))

    # ---------------------------------------------------------------- values

    def read_value(self, *max_bytes: int) -> Any:
        """Return the next value; quarantine one that cannot be read and return ``UNREADABLE``."""
        try:
            return self.pull.value(*max_bytes)
        except JsonError as error:
            if not error.recoverable:
                raise
            self._quarantine(error)
            return UNREADABLE

    def field_value(self) -> Any:
        """Return the value of a field, None if it cannot be read."""
        value = self.read_value(WHOLE_VALUE)
        return None if value is UNREADABLE else value

    def load_item(self, *fields: str) -> None:
        """Load the next value as a record; with fields, one inside the other, as an item of the last one's list."""
        at = self.next_record()
        value = self.read_value(WHOLE_VALUE)
        if value is UNREADABLE:
            return
        value = [value] if fields else value
        for field in reversed(fields):
            value = {field: value}
        self._dispatcher.value(value, at)

    def load_value(self, value: Any, offset: int) -> None:
        """Load a value that began at an offset, and was read, as a record."""
        self._dispatcher.value(value, self.next_record(offset))

    # ---------------------------------------------------------------- positions

    def next_record(self, offset: int | None = None) -> Position:
        """Count a record and return its position."""
        self._record += 1
        self.builder.ledger.record_count += 1
        self.count_span()
        return Position(self._line or self._record, self.pull.offset if offset is None else offset)

    def position(self) -> Position:
        """Return the position of the next value in the present record."""
        return Position(self._line or self._record, self.pull.offset)

    def end_record(self) -> None:
        """Let the caller replace the builder; every resource of the records so far must be final."""
        if self._between is not None:
            self.builder, self._dispatcher = self._between()

    def count_span(self) -> None:
        """Report progress every few thousand spans."""
        self._count(1)

    def _count(self, more: int) -> None:
        """Count spans and records, and report progress."""
        reported, self._walked = self._walked // SPANS_AT_ONCE, self._walked + more
        if self._walked // SPANS_AT_ONCE > reported and self._on_progress is not None:
            self._on_progress()

    def _quarantine(self, error: JsonError) -> None:
        """Quarantine a value that cannot be read."""
        self.builder.ledger.quarantine(
            error.code, error.message, at=Position(self._line or max(self._record, 1), error.offset), raw=error.raw
        )


def _first(each: Iterable[Taken]) -> Taken:
    """Return the first that loaded anything; otherwise whether more bytes may help any of them."""
    may_be_cut = False
    for found in each:
        if found.stop:
            return found
        may_be_cut |= found.may_be_cut
    return Taken(may_be_cut=may_be_cut)
