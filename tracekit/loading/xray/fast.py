"""X-Ray's answers at speed: lines of BatchGetTraces are kept until many can be read at once, column by column.

Takes what X-Ray writes.  A line with anything else in it goes the careful way (``loading/xray/walk.py``) in its turn:
both ways give the same spans in the same order, whatever the lines between.
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
    from tracekit.loading.xray.answer import Answer
    from tracekit.loading.xray.walk import Walk

AT_ONCE = 1 << 20  # bytes: enough to spread the cost of a batch, few enough to stay near the processor


class Reader(Protocol):
    """What reads an answer carefully, and says what there is to say about answers and traces."""

    walk: Walk

    def load(self, value: Any, at: Position) -> None:
        """Take a record the careful way."""

    def about(self, answer: Answer, at: Position) -> None:
        """Say what an answer says beside its documents."""


class _Line(NamedTuple):
    """An answer and where it stands; its documents, trace by trace, None where one of them is not plain."""

    answer: Answer
    at: Position
    traces: list[list[Part]] | None


class Scanner:
    """Takes lines into a builder.

    Parameters
    ----------
    builder
        Takes the spans.
    reader_of
        Makes what takes the lines in which something is odd; asked for when a line is taken.
    """

    def __init__(self, builder: Builder, reader_of: Callable[[Builder], Reader]) -> None:
        self._builder = builder
        self._reader_of = reader_of
        self._lines: list[tuple[Answer, Position]] = []
        self._kept = 0

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
        """What reads the builder's records."""
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
        """Give lines to the builder, all at once, or one by one where something in them is odd."""
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
        """Give one line to the careful reader."""
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
    """Return the documents of lines; ValueError where the id of a trace is none."""
    documents = DocumentColumns()
    for number, (answer, _, traces) in enumerate(lines):
        for trace, parts in zip(answer.Traces, traces or (), strict=True):
            trace_id = parse_trace_id(trace.Id).value
            if not trace_id:
                raise ValueError("expected the id of a trace")
            documents.add(parts, [entry.Id for entry in trace.Segments], trace.Id, trace_id, number)
    return documents
