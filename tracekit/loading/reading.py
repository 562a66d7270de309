"""From sources to a builder: open containers, read lines or documents, and account for every record."""

from __future__ import annotations

import gc
import io
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from tracekit.errors import LoadError
from tracekit.loading import ahead
from tracekit.loading.building.ledger import Position
from tracekit.loading.dispatch import Dispatcher
from tracekit.loading.documents import DocumentReader
from tracekit.loading.memory import keep_freed
from tracekit.loading.opening.container import open_bytes
from tracekit.loading.protobuf.messages import Aside, Messages, message_chunks
from tracekit.loading.records import LineChunk, LongLine, begins_with_record, nests_deeper, shape
from tracekit.loading.together import read_together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tracekit.loading.building.builder import Builder
    from tracekit.loading.building.ledger import Ledger
    from tracekit.loading.loader import Loader
    from tracekit.loading.opening.container import ByteStream
    from tracekit.loading.opening.source import Source
    from tracekit.loading.progress import Watcher
    from tracekit.loading.records import Readable

_FIRST_LINE = 1 << 18  # bytes, enough to see that most files are lines
_FIRST_BYTES = 16 << 20  # a first line longer than this is read as a document
_SLACK = 1.03  # spans are not all of one length
_MOST_TO_COME = 128  # times what there is: an estimate that is wrong must not ask for much more


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the garbage collector: it would scan millions of small, acyclic objects again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class SourceReader:
    """Reads sources into a builder.

    Parameters
    ----------
    builder
        Receives the spans.
    loaders
        The formats allowed.
    meter
        Shows the progress.
    on_chunk
        Called after every chunk of lines and between two records of a document, so that a long stream can be built in
        pieces (``use``).
    threads
        Number of threads that scan the chunks of a large file of lines; the result is the same.
    """

    def __init__(
        self,
        builder: Builder,
        loaders: Iterable[Loader],
        meter: Watcher,
        on_chunk: Callable[[], object] | None = None,
        threads: int = 1,
    ) -> None:
        keep_freed()
        self._threads = threads
        self._loaders = tuple(loaders)
        self._meter = meter
        self._on_chunk = on_chunk
        self._bytes_before = 0
        self._remarked = 0  # notes of the present stream
        self.use(builder)

    @property
    def builder(self) -> Builder:
        """Where the spans go at present."""
        return self._builder

    def use(self, builder: Builder) -> None:
        """Continue with another builder."""
        self._builder = builder
        self._dispatcher = Dispatcher(builder, self._loaders)

    def read(self, source: Source) -> None:
        """Read one source."""
        ledger = self._builder.open_source(source.uri)
        with open_bytes(source, protobuf=True) as stream:
            ledger.compression = stream.compression
            self._remarked = 0
            try:
                if stream.is_protobuf:
                    self._messages(stream)
                else:
                    self._text(stream)
            finally:
                self._bytes_before += stream.raw_position
            ledger = self._builder.ledger
            ledger.byte_count = stream.offset
            self._remark(stream)
            if not stream.complete:
                ledger.incomplete(stream.stop_reason)
        ledger.close()
        refuse_empty(ledger)

    def small_files(self, sources: Sequence[Source]) -> Iterator[Source]:
        """Load small files that can be read together; yield every other source when it is to be read."""
        scanner = self._dispatcher.file_scanner
        if scanner is None or self._on_chunk is not None:
            yield from sources
            return
        for count, source in read_together(sources, scanner, self._threads):
            self._bytes_before += count
            self._meter.at(self._bytes_before, self._builder.span_count)
            if source is not None:
                yield source

    def _text(self, stream: ByteStream) -> None:
        """Read JSON, lines or a document."""
        if begins_with_record(stream.peek(_FIRST_LINE)):
            self._lines(stream)
            return
        first = stream.peek(_FIRST_BYTES)
        if shape(first, at_eof=len(first) < _FIRST_BYTES) == "lines":
            self._lines(stream)
        else:
            self._dispatcher.expect(first)
            self._document(stream, stream)

    def _lines(self, stream: ByteStream) -> None:
        """Read JSON Lines, chunk by chunk."""
        for chunk, lines, note_count in ahead.chunks(stream, self._dispatcher.work_ahead, self._threads):
            self._remark(stream, note_count)
            if isinstance(chunk, LongLine):
                self._document(chunk, stream, chunk.line)
            elif isinstance(chunk, LineChunk) and lines is not None:
                end = chunk.first_offset + len(chunk.data)
                self._expect(stream, chunk)
                for line, offset, data in self._dispatcher.scan(lines):
                    if data.lstrip().startswith((b"{", b"[")) and nests_deeper(data):  # loses a span, not the line
                        DocumentReader(io.BytesIO(data), self._builder, self._dispatcher, line, offset).read()
                        continue
                    cut = chunk.final and not chunk.ends_in_newline and offset + len(data) == end
                    self._dispatcher.line(data, Position(line, offset), may_be_cut=cut)
            del chunk, lines  # so that its memory can be used again
            self._tick(stream)
            self._between()

    def _messages(self, stream: ByteStream) -> None:
        """Read OTLP protobuf, chunk by chunk."""
        work = self._dispatcher.protobuf_work_ahead
        for chunk, messages, note_count in ahead.chunks(stream, work, self._threads, message_chunks, Messages):
            self._remark(stream, note_count)
            if isinstance(chunk, Aside):
                self._dispatcher.aside(chunk)
            elif messages is not None and isinstance(chunk, LineChunk):
                self._expect(stream, chunk)
                self._dispatcher.messages(messages)
            self._tick(stream)
            self._between()

    def _document(self, readable: Readable, stream: ByteStream, line: int = 0) -> None:
        """Read a document, or a line too long for memory."""
        tick = partial(self._tick, stream)
        reader = DocumentReader(
            readable, self._builder, self._dispatcher, line, on_progress=tick, between=self._between
        )
        reader.read()
        tick()

    def _expect(self, stream: ByteStream, chunk: LineChunk) -> None:
        """Tell the builder how much comes from this chunk on, so that columns need not grow again and again."""
        stored = stream.source.byte_count
        if stored and stream.raw_position and len(chunk.data) and self._on_chunk is None:
            total = stored * stream.offset / stream.raw_position
            self._builder.to_come = min(_SLACK * (total - chunk.first_offset) / len(chunk.data), _MOST_TO_COME)

    def _between(self) -> tuple[Builder, Dispatcher]:
        """Let the caller replace the builder; return where the next records go."""
        if self._on_chunk is not None:
            self._on_chunk()
        return self._builder, self._dispatcher

    def _remark(self, stream: ByteStream, note_count: int | None = None) -> None:
        """Add the new notes of the stream to the ledger, up to a number of them."""
        notes = stream.notes[self._remarked : note_count]
        self._remarked += len(notes)
        self._dispatcher.add_notes(notes, Position(0, 0))

    def _tick(self, stream: ByteStream) -> None:
        """Report progress to the meter."""
        self._meter.at(self._bytes_before + stream.raw_position, self._builder.span_count)


def refuse_empty(ledger: Ledger) -> None:
    """Raise LoadError if a source contained no trace data: an empty result would look like an answer."""
    first = next((issue for issue in ledger.issues if issue.severity == "error"), None)
    if ledger.accepted or ledger.merged or (ledger.formats and (ledger.seen or first is None)):
        return
    if first is not None:
        message = first.message
        if first.code == "JSON_SYNTAX" and first.record_number == 1 and not ledger.formats:
            message = (
                f"JSON_SYNTAX {ledger.uri}:1 is not JSON, so this is not a trace file; pass an OTLP, X-Ray,"
                " Jaeger or Zipkin export"
            )
        raise LoadError(message, source=ledger.uri, record=first.record_number, code=first.code)
    if ledger.pull:
        return  # a part of a pull that found no traces
    if ledger.skipped:
        found = ", ".join(
            f"{signal} ({count:,} record{'s' * (count != 1)})" for signal, count in ledger.skipped.items()
        )
        message = f"SIGNAL_MIXED {ledger.uri}: contains only {found}, no traces; pass the file of the traces"
        raise LoadError(message, source=ledger.uri, code="SIGNAL_MIXED")
    if not ledger.formats:
        message = f"FORMAT_UNKNOWN {ledger.uri}: no records found; pass a file with trace data"
        raise LoadError(message, source=ledger.uri, code="FORMAT_UNKNOWN")


def total_bytes(sources: Sequence[Source]) -> int | None:
    """Return the bytes to read, None if the size of a source is unknown."""
    sizes = [source.byte_count for source in sources]
    return None if None in sizes else sum(size or 0 for size in sizes)


def read_all(reader: SourceReader, sources: Sequence[Source]) -> None:
    """Read every source; raise LoadError only if none can be read."""
    if len(sources) == 1:
        reader.read(sources[0])
    elif len(failures := read_each(reader, sources)) == len(sources):
        raise failures[0]


def read_each(reader: SourceReader, sources: Sequence[Source]) -> list[LoadError]:
    """Read every source; return the errors of those that cannot be read, which are also added as issues."""
    failures: list[LoadError] = []
    for source in reader.small_files(sources):
        try:
            reader.read(source)
        except LoadError as error:
            builder = reader.builder
            if builder.strict:
                raise
            failures.append(error)
            if not builder.ledgers or builder.ledger.uri != source.uri:
                builder.open_source(source.uri)
            builder.ledger.incomplete(str(error))
            if not any(issue.severity == "error" for issue in builder.ledger.issues):
                message = str(error).removeprefix(error.code).removeprefix(f" {source.uri}").lstrip(": ")
                builder.ledger.issue(error.code or "FORMAT_UNKNOWN", message, action="aborted")
    return failures
