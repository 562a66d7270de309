"""Fast reader of X-Ray: lines with BatchGetTraces responses are collected and read together, column by column.

A line that X-Ray would not write is read by the tolerant reader (``loading/xray/walk.py``) in its turn:
both produce the same spans in the same order.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from tracekit.loading.building.ledger import Position
from tracekit.loading.ids import parse_trace_id
from tracekit.loading.xray import answer as xray_answer
from tracekit.loading.xray.batch import Spans
from tracekit.loading.xray.columns import DocumentColumns, SegmentColumns
from tracekit.loading.xray.segment import Part, decode_part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from tracekit.loading.building.builder import Builder
    from tracekit.loading.records import Line
    from tracekit.loading.xray.answer import Answer, Trace
    from tracekit.loading.xray.walk import Walk

AT_ONCE = 1 << 20  # bytes: enough to amortise a batch, few enough for the processor's cache


class Reader(Protocol):
    """The tolerant reader, which also reports about responses and traces."""

    walk: Walk

    def load(self, value: Any, at: Position) -> None:
        """Load a record tolerantly."""

    def about(self, answer: Answer, at: Position, *, is_retrieved: bool = False) -> None:
        """Add the issues of a response apart from its documents; ``is_retrieved``: of ListRetrievedTraces, complete."""

    def about_trace(self, trace: Trace, at: Position) -> None:
        """Report everything in a trace except its documents."""


class _Line(NamedTuple):
    """A response, its position, and its documents by trace, None if one of them is irregular."""

    answer: Answer
    at: Position
    traces: list[list[Part]] | None


class Scanner:
    """Loads lines into a builder.

    Parameters
    ----------
    builder
        Receives the spans.
    reader_of
        Returns the reader of irregular lines; called when it is needed.
    """

    def __init__(self, builder: Builder, reader_of: Callable[[Builder], Reader]) -> None:
        self._builder = builder
        self._reader_of = reader_of
        self._lines: list[tuple[Answer, Position]] = []
        self._kept = 0

    takes = staticmethod(xray_answer.may_be_answer)
    work_ahead = None

    def scan(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Load the responses of BatchGetTraces; yield every other line once the lines before it are loaded."""
        for line in lines:
            try:
                self._lines.append((xray_answer.decode(line.data), Position(line.number, line.offset)))
            except ValueError:
                self._flush()
                yield line
                continue
            self._kept += len(line.data)
            if self._kept > AT_ONCE:
                self._flush()
        self._flush()

    @property
    def _reader(self) -> Reader:
        """The tolerant reader of the builder's records."""
        return self._reader_of(self._builder)

    def _flush(self) -> None:
        """Load the collected lines."""
        lines, self._lines, self._kept = self._lines, [], 0
        opened = [_opened(answer, at) for answer, at in lines]
        for is_plain, run in groupby(opened, lambda line: line.traces is not None):
            if is_plain:
                self._give(list(run))
            else:
                for line in run:
                    self._read_tolerantly(line)

    def _give(self, lines: Sequence[_Line]) -> None:
        """Load lines together, or one by one if something in them is irregular."""
        try:
            documents = _documents(lines)
            columns = SegmentColumns(documents, self._reader.walk) if documents.roots else None
        except ValueError:
            if len(lines) == 1:
                self._read_tolerantly(lines[0])
            else:
                for line in lines:
                    self._give([line])
            return
        spans = Spans(columns, self._reader.walk) if columns else None
        for number, line in enumerate(lines):
            self._count()
            self._reader.about(line.answer, line.at)
            if spans:
                spans.explain(number, line.at)
        if spans:
            self._builder.batch(spans.batch(self._builder, [line.at for line in lines]))

    def _read_tolerantly(self, line: _Line) -> None:
        """Load one line with the tolerant reader."""
        self._count()
        self._reader.load(xray_answer.as_record(line.answer), line.at)

    def _count(self) -> None:
        """Count a line."""
        self._builder.ledger.record_count += 1
        self._builder.ledger.formats["xray"] += 1


def _opened(answer: Answer, at: Position) -> _Line:
    """Return a line with its documents decoded."""
    try:
        return _Line(answer, at, [[decode_part(entry.Document) for entry in trace.Segments] for trace in answer.Traces])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _Line(answer, at, None)


def _documents(lines: Sequence[_Line]) -> DocumentColumns:
    """Return the documents of lines; ValueError for an invalid trace id."""
    documents = DocumentColumns()
    for number, (answer, _, traces) in enumerate(lines):
        for trace, parts in zip(answer.Traces, traces or (), strict=True):
            trace_id = parse_trace_id(trace.Id).value
            if not trace_id:
                raise ValueError("expected the id of a trace")
            documents.add(parts, [entry.Id for entry in trace.Segments], trace.Id, trace_id, number)
    return documents
