"""The compiled lane of X-Ray: answers, traces and documents are scanned together, as many at once as are regular.

What the extension makes of them becomes a batch in ``scanned.py``; the Python lane (``fast.py``, ``loader.py``) reads
every line with anything unexpected.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from tracekit.loading.building.ledger import Position
from tracekit.loading.loader import Taken
from tracekit.loading.otlp import compiled as otlp
from tracekit.loading.xray.answer import may_be_answer
from tracekit.loading.xray.retrieved import Spans
from tracekit.loading.xray.scanned import Found, Rows, Said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tracekit.columns import Array
    from tracekit.loading.building.builder import Builder
    from tracekit.loading.loader import Place
    from tracekit.loading.records import Line, Lines
    from tracekit.loading.xray import fast

_BEGINNING = 4096  # bytes of a chunk, enough to see what its first line contains
AT_ONCE = 16 << 20  # bytes, as many as there are in a chunk of lines: every batch decodes its distinct texts again

_OF_OTEL = (b'\\"spanId\\"', b'\\"resourceSpans\\"')  # in a text inside JSON
_is_trace = re.compile(rb'\s*\{\s*"(?:Id|Duration|LimitExceeded|Segments|Spans)"').match
_around_documents = re.compile(rb'\s*\{\s*"(?:format"\s*:\s*"json"|version"|TraceSegmentDocuments")').match
_MEMBERS = (
    rb"id|name|start_time|end_time|trace_id|parent_id|type|origin|resource_arn|namespace|http|aws|annotations|metadata"
    rb"|subsegments|in_progress|inferred|error|fault|throttle|cause|sql|service|user|links"
)
_begins_document = re.compile(rb'\s*(?:\[\s*)?\{\s*"(?:%b)"' % _MEMBERS).match
_has_document = re.compile(rb'"Document"\s*:\s*"\s*\{\s*\\"(?!name)(?:%b)\\"' % _MEMBERS).search  # as text


class _Kind(Enum):
    """What a line contains."""

    ANSWER = "scan_xray"
    ANSWER_OF_OTEL = "scan_xray_of_otel"  # with documents of OpenTelemetry
    TRACE = "scan_xray_traces"
    TRACE_OF_OTEL = "scan_xray_traces_of_otel"
    DOCUMENT = "scan_xray_documents"  # alone, in a list, in a body of PutTraceSegments, or what the daemon receives

    @classmethod
    def of(cls, data: bytes) -> _Kind:
        """Return the kind that a line may have, by its beginning."""
        has_otel = _has_otel(data)
        if may_be_answer(data):
            return cls.ANSWER_OF_OTEL if has_otel else cls.ANSWER
        if _is_trace(data):
            return cls.TRACE_OF_OTEL if has_otel else cls.TRACE
        return cls.DOCUMENT

    @property
    def is_answer(self) -> bool:
        """Whether lines are answers."""
        return self in {_Kind.ANSWER, _Kind.ANSWER_OF_OTEL}

    @property
    def has_otel(self) -> bool:
        """Whether documents are of OpenTelemetry."""
        return self in {_Kind.ANSWER_OF_OTEL, _Kind.TRACE_OF_OTEL}


def _has_otel(data: bytes) -> bool:
    """Return whether the first documents in some bytes may be of OpenTelemetry."""
    if _has_document(data, 0, _BEGINNING):
        return False
    return any(data.find(name, 0, _BEGINNING) >= 0 for name in _OF_OTEL)


def _may_be_document(data: bytes) -> bool:
    """Return whether a line may contain segment documents; spans of Zipkin have some of their members."""
    if _around_documents(data):
        return True
    return _begins_document(data) is not None and b'"start_time"' in data and b'"traceId"' not in data


def _takes(data: bytes) -> bool:
    """Return whether a line may be of X-Ray."""
    return may_be_answer(data) or _is_trace(data) is not None or _may_be_document(data)


class Scanner:
    """Loads lines into a builder.

    Parameters
    ----------
    builder
        Receives the spans.
    careful
        The Python lane, for the lines that the extension does not read.
    reader_of
        Returns the tolerant reader of a builder.
    extension
        The module ``tracekit.loading.native._scan``.
    """

    takes = begins = staticmethod(_takes)
    work_ahead = None

    def __init__(
        self, builder: Builder, careful: fast.Scanner, reader_of: Callable[[Builder], fast.Reader], extension: Any
    ) -> None:
        self._builder = builder
        self._careful = careful
        self._reader_of = reader_of
        self._extension = extension

    @cached_property
    def _otlp(self) -> otlp.Scanner:
        """The scanner of documents of OpenTelemetry."""
        return otlp.Scanner(self._builder, self._extension)

    def scan(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Load lines of X-Ray; yield every other line once the lines before it are loaded."""
        for kind, run in groupby(lines, lambda line: _Kind.of(line.data)):
            kept: list[Line] = []
            size = 0
            for line in run:
                kept.append(line)
                size += len(line.data)
                if size > AT_ONCE:
                    yield from self._read(kept, kind)
                    kept, size = [], 0
            if kept:
                yield from self._read(kept, kind)

    def scan_whole(self, lines: Lines) -> bool:
        """Load a chunk if its lines are all of one kind, and can be read together; return whether so."""
        kind = _Kind.of(bytes(lines.data[:_BEGINNING]))
        found = self._scanned(lines.data, kind)
        starts = found["line_start"]
        numbers = lines.first_line + np.arange(len(starts))
        return self._gives(found, np.column_stack((numbers, lines.first_offset + starts)), kind)

    def load_field(self, data: bytes, place: Place) -> Taken:
        """Load the first traces of a list, as many as it can, if they can be read together."""
        if _has_otel(data):
            return self._items(self._extension.scan_xray_items_of_otel, data, place, _Kind.ANSWER_OF_OTEL)
        return self._items(self._extension.scan_xray_items, data, place, _Kind.ANSWER)

    def load_list(self, data: bytes, place: Place) -> Taken:
        """Load the first documents of a list that is a document, likewise."""
        return self._alone(self._extension.scan_xray_list, data, place)

    def load_documents(self, data: bytes, place: Place) -> Taken:
        """Load the first documents of a stream of them, likewise."""
        found = self._alone(self._extension.scan_xray_stream, data, place)
        return found._replace(items=found.records)

    def _alone(self, scan: Callable[[bytes], dict[str, Any]], data: bytes, place: Place) -> Taken:
        """Load the first documents that are not in a trace."""
        if not _may_be_document(data):
            return Taken()
        found = self._items(scan, data, place, _Kind.DOCUMENT)
        return found._replace(may_be_cut=not found.stop)

    def _items(self, scan: Callable[[bytes], dict[str, Any]], data: bytes, place: Place, kind: _Kind) -> Taken:
        """Load the first items in some bytes: fewer, where something in them is irregular."""
        while data:
            found = Found(scan(data))
            starts, stops = found["line_start"], found["line_stop"]
            count = len(starts)
            numbers = place.number(0) + np.arange(count) * (not place.line)
            if self._gives(found, np.column_stack((numbers, place.offset + starts)), kind):
                return Taken(int(stops[-1]), count)
            data = data[: int(stops[count // 2 - 1])] if count > 1 else b""
        return Taken()

    def _gives(self, found: Found, places: Array, kind: _Kind) -> bool:
        """Load lines if none is of another shape or irregular; return whether it did."""
        if not len(places) or len(found["others"]):
            return False
        reader = self._reader_of(self._builder)
        try:
            said, rows = Said(found), self._rows(found, reader, kind)
        except (ValueError, msgspec.MsgspecError):
            return False
        self._load(said, rows, reader, places, kind)
        return True

    def _read(self, lines: list[Line], kind: _Kind) -> Iterator[Line]:
        """Load lines; yield those of another shape in their turn."""
        found = self._scanned(_joined(lines), kind)
        is_other = np.zeros(len(lines), bool)
        is_other[found["others"]] = True
        if not is_other.any():
            yield from self._give(lines, found, kind)
            return
        for other, run in groupby(zip(lines, is_other.tolist(), strict=True), lambda pair: pair[1]):
            some = [line for line, _ in run]
            if other:
                yield from self._careful.scan(some)
            else:
                yield from self._give(some, self._scanned(_joined(some), kind), kind)

    def _scanned(self, data: bytes | memoryview, kind: _Kind) -> Found:
        """Return the columns of lines."""
        return Found(getattr(self._extension, kind.value)(data))

    def _give(self, lines: list[Line], found: Found, kind: _Kind) -> Iterator[Line]:
        """Load lines together, or fewer at a time if something in them is irregular."""
        reader = self._reader_of(self._builder)
        try:
            said, rows = Said(found), self._rows(found, reader, kind)
        except (ValueError, msgspec.MsgspecError):
            half = len(lines) // 2
            if not half:
                yield from self._careful.scan(lines)
                return
            for some in (lines[:half], lines[half:]):
                yield from self._give(some, self._scanned(_joined(some), kind), kind)
            return
        self._load(said, rows, reader, np.array([(line.number, line.offset) for line in lines], np.int64), kind)

    def _rows(self, found: Found, reader: fast.Reader, kind: _Kind) -> Rows | Spans:
        """Return what is in the documents; ValueError if it is not regular."""
        return Spans(found, self._otlp) if kind.has_otel else Rows(found, reader.walk)

    def _load(self, said: Said, rows: Rows | Spans, reader: fast.Reader, places: Array, kind: _Kind) -> None:
        """Give lines to the builder; ``places`` has the number and the offset of each."""
        ledger, alone = self._builder.ledger, not kind.is_answer
        ledger.record_count += len(places)
        ledger.formats["xray"] += len(places)
        said.facts(self._builder)
        said.dialects(self._builder)
        last = -1
        for number in sorted((said.limited if alone else said.lines) | rows.lines):
            at = Position(*places[number].tolist())
            if alone:
                for trace in said.answer(number).Traces:
                    reader.about_trace(trace, at)
            else:
                said.plain(slice(last + 1, number), self._builder)
                reader.about(said.answer(number), at, is_retrieved=said.is_retrieved(number))
            rows.explain(number, at)
            last = number
        if not alone:
            said.plain(slice(last + 1, None), self._builder)
        rows.give(self._builder, places)


def _joined(lines: Sequence[Line]) -> bytes:
    """Return lines as one text."""
    return b"\n".join([line.data for line in lines])
