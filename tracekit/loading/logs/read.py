"""Reading of log lines from files, folders, globs, bytes or a table, in pieces."""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from tracekit.errors import MISSHAPEN, LoadError
from tracekit.loading.logs.fields import SLOTS, plan
from tracekit.loading.logs.issues import Issues
from tracekit.loading.logs.plain import continues, pattern_reader, text_row
from tracekit.loading.logs.records import Records, decode
from tracekit.loading.logs.table import LogLines, Row, Table, concatenated, row_of
from tracekit.loading.opening.container import open_bytes
from tracekit.loading.opening.sources import expand
from tracekit.loading.reading import collector_paused
from tracekit.loading.records.lines import LineChunk, LongLine, filled_lines, line_chunks
from tracekit.text import VALUE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tracekit.loading.opening.container import ByteStream
    from tracekit.loading.opening.source import Source

_JSON: Final = re.compile(rb"\s*(?:\{|\[\s*[\[{\]])")
_HEAD: Final = 4096
_PIECE: Final = 4 << 20
_LARGEST: Final = 1 << 30  # bytes of a JSON document, which has to fit into memory
_ROWS: Final = 100_000  # rows of a table that are converted at once
_ATTACHED: Final = 500  # lines that are added to one message
FRAME: Final = "frame"  # the name of a table among the sources


def read_lines(
    source: Any, *, pattern: str | re.Pattern[str] | None = None, service: str | None = None, strict: bool = False
) -> LogLines:
    """Return the log lines of a table or of any source of ``tk.read``.

    Parameters
    ----------
    source
        A DataFrame, a path, a glob, a folder, bytes, or a list of them.
    pattern
        Regular expression for lines of plain text, with groups named after the columns.
    service
        Service of the lines that name none.
    strict
        Raise at the first line that cannot be read.

    Returns
    -------
    LogLines
        The lines in the order of the sources.

    Raises
    ------
    LoadError
        If no source can be read; with ``strict`` at the first line that cannot be read.
    ValueError
        If the pattern has no known groups, or the table no known columns.
    """
    read_text = None if pattern is None else pattern_reader(pattern)
    issues = Issues(strict)
    with collector_paused():
        if isinstance(source, pd.DataFrame):
            tables = [_of_frame(source, issues)]
            facts = [tables[0].facts(is_complete=True)]
        else:
            tables, facts = _of_sources(expand(source), issues, read_text)
    frame = concatenated([part for table in tables for part in table.parts])
    if service is not None:
        names = frame["service_name"].cat.add_categories(
            [service] * (service not in frame["service_name"].cat.categories)
        )
        frame["service_name"] = names.fillna(service)
    return LogLines(frame, pd.DataFrame(facts), issues.frame())


def _of_sources(
    sources: Sequence[Source], issues: Issues, read_text: Callable[[str, int, int], Row | None] | None
) -> tuple[list[Table], list[dict[str, Any]]]:
    """Return the lines of each source; LoadError if none can be read."""
    tables, facts, failures = [], [], []
    for number, source in enumerate(sources):
        table = Table(source.uri, number, issues)
        is_complete = True
        try:
            with open_bytes(source) as stream:
                _read(stream, table, read_text)
                is_complete = stream.complete
                if not is_complete:
                    code, _, message = stream.stop_reason.partition(": ")
                    issues.add(source.uri, None, stream.offset, code, "aborted", message)
        except LoadError as error:
            if issues.strict:
                raise
            failures.append(error)
            is_complete = False
            issues.add(source.uri, None, None, error.code or "FORMAT_UNKNOWN", "aborted", str(error))
        tables.append(table)
        facts.append(table.facts(is_complete=is_complete))
    if failures and len(failures) == len(sources):
        raise failures[0]
    return tables, facts


def _read(stream: ByteStream, table: Table, read_text: Callable[[str, int, int], Row | None] | None) -> None:
    """Read a source: JSON or plain text, by its first characters."""
    is_json = read_text is None and _JSON.match(stream.peek(_HEAD)) is not None
    chunks = line_chunks(stream, _PIECE)
    if is_json:
        chunks = _documents(chunks, table)
    reader = _JsonLines(table) if is_json else _TextLines(table, read_text)
    for chunk in chunks:
        if isinstance(chunk, LongLine):
            reader.long_line(chunk)
        else:
            reader.chunk(chunk)
    reader.close()


def _documents(chunks: Iterator[LineChunk | LongLine], table: Table) -> Iterator[LineChunk | LongLine]:
    """Yield chunks of JSON lines; a document of many lines is read here, as a whole."""
    first = next(chunks, None)
    if first is None or isinstance(first, LongLine):
        yield from [] if first is None else [first]
        yield from chunks
        return
    if _has_json_lines(first):
        yield first
        yield from chunks
        return
    pieces, size = [first], len(first.content)
    for chunk in chunks:
        if isinstance(chunk, LongLine) or size > _LARGEST:
            table.line_count += 1
            table.reject(
                chunk.line if isinstance(chunk, LongLine) else chunk.first_line, size, "JSON_LARGE", _TOO_LARGE
            )
            return
        pieces.append(chunk)
        size += len(chunk.content)
    data = b"".join(piece.content for piece in pieces)
    values = _values(_as_utf8(data))
    if values is None:  # lines after all, of which the first is broken
        yield from pieces
        return
    if not _is_utf8(data):
        table.issues.add(table.source, first.first_line, first.first_offset, "ENC_INVALID", "repaired", _REPLACED)
    reader = _JsonLines(table)
    for value in values:
        reader.value(value, first.first_line, first.first_offset)
    reader.close()


_REPLACED: Final = "expected UTF-8, found other bytes; replaced"
_TOO_LARGE: Final = "expected JSON lines, or a document of at most 1 GiB, found a larger one; split it"


def _has_json_lines(chunk: LineChunk) -> bool:
    """Return whether the first line is JSON, or broken and followed by two that are: no document looks like that."""
    lines = islice(filled_lines(chunk.content, chunk.first_line), 3)
    first, *others = [_is_json(_as_utf8(chunk.content[start:stop])) for _, start, stop in lines] or [True]
    return first or (bool(others) and all(others))


def _is_utf8(data: bytes) -> bool:
    """Return whether bytes are text."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _as_utf8(data: bytes) -> bytes:
    """Return bytes with those that are not UTF-8 replaced."""
    return data if _is_utf8(data) else data.decode("utf-8", "replace").encode()


def _is_json(data: bytes) -> bool:
    """Return whether a line is a JSON value."""
    try:
        decode(data)
    except (ValueError, RecursionError):
        return False
    return True


def _values(data: bytes) -> list[Any] | None:
    """Return the JSON values that follow one another in a text; None if it is not JSON."""
    try:
        return [decode(data)]
    except (ValueError, RecursionError):
        pass
    text, at, found = data.decode(), 0, []
    decoder = json.JSONDecoder()
    try:
        while at < len(text):
            value, at = decoder.raw_decode(text, at)
            found.append(value)
            while at < len(text) and text[at] in " \t\r\n,":
                at += 1
    except (ValueError, RecursionError):
        return None
    return found


class _JsonLines:
    """Reads JSON, one value per line."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._records = Records(table.formats)
        self._rows: list[Row] = []

    def chunk(self, chunk: LineChunk) -> None:
        """Read complete lines."""
        data = chunk.content
        for number, start, stop in filled_lines(data, chunk.first_line):
            offset = chunk.first_offset + start
            try:
                value = decode(data[start:stop])
            except (ValueError, RecursionError) as error:
                value = self._again(data[start:stop], number, offset, error)
                if value is None:
                    continue
            self.value(value, number, offset)
        self.close()

    def long_line(self, line: LongLine) -> None:
        """Read a line of more than 64 MB, which may be a document."""
        number, offset = line.line, line.offset
        data = bytearray()
        while (piece := line.read(_PIECE)) and len(data) <= _LARGEST:
            data += piece
        if len(data) > _LARGEST or (values := _values(_as_utf8(bytes(data)))) is None:
            self._table.line_count += 1
            self._table.reject(number, offset, "JSON_LARGE", _TOO_LARGE)
            return
        for value in values:
            self.value(value, number, offset)
        self.close()

    def value(self, value: Any, number: int, offset: int) -> None:
        """Collect the records in a value; count it if it is not a log record."""
        if not self._records.is_record(value):
            for row in self._records.rows(value, number, offset):
                self._keep(row, number, offset)
            return
        self._table.formats["json"] = None
        try:
            self._rows.append(self._records.row(value, number, offset))
            self._table.line_count += 1
        except MISSHAPEN as error:
            self._keep(error, number, offset)

    def _keep(self, row: Row | Exception, number: int, offset: int) -> None:
        """Collect a record, or count what is none."""
        self._table.line_count += 1
        if isinstance(row, Row):
            self._rows.append(row)
        else:
            self._table.reject(number, offset, "RECORD_BAD", f"{row or type(row).__name__}"[:300])

    def close(self) -> None:
        """Convert what was collected."""
        self._table.add(self._rows)
        self._rows = []

    def _again(self, line: bytes, number: int, offset: int, error: Exception) -> Any:
        """Return the value of a line that is not UTF-8; None for a line that is not JSON, which is counted."""
        if not _is_utf8(line) and _is_json(repaired := _as_utf8(line)):
            self._table.issues.add(self._table.source, number, offset, "ENC_INVALID", "repaired", _REPLACED)
            return decode(repaired)
        self._table.line_count += 1
        message = f"expected a JSON object, found {line[:60]!r}: {error}"
        self._table.reject(number, offset, "JSON_BROKEN", message[:300])
        return None


class _TextLines:
    """Reads plain text; lines without a time are part of the message above."""

    def __init__(self, table: Table, read_text: Callable[[str, int, int], Row | None] | None) -> None:
        self._table = table
        self._read = read_text or text_row
        self._is_lenient = read_text is None
        self._records = Records({})
        self._rows: list[Row] = []
        self._tail: list[str] = []
        self._room = 0
        table.formats["text"] = None

    def chunk(self, chunk: LineChunk) -> None:
        """Read complete lines; the last message may go on in the next chunk."""
        data, table = chunk.content, self._table
        for number, start, stop in filled_lines(data, chunk.first_line):
            offset = chunk.first_offset + start
            raw = data[start:stop].rstrip(b"\r")
            text = raw.decode("utf-8", "replace")
            if "\ufffd" in text and b"\xef\xbf\xbd" not in raw:
                table.issues.add(table.source, number, offset, "ENC_INVALID", "repaired", _REPLACED)
            table.line_count += 1
            row = self._json(raw, number, offset) or self._read(text, number, offset)
            if row is not None:
                self._finish()
                self._rows.append(self._records.of_text(row))
                self._room = VALUE_LIMIT - len(text)
            elif (
                self._rows and self._room > 0 and len(self._tail) < _ATTACHED and (self._is_lenient or continues(text))
            ):
                self._tail.append(text)
                self._room -= len(text)
                table.continued_count += 1
            else:
                table.reject(number, offset, "LINE_BAD", f"expected {self._wanted}, found {text[:60]!r}")
        self._finish()
        if len(self._rows) > 1:
            table.add(self._rows[:-1])
            self._rows = self._rows[-1:]

    def _json(self, raw: bytes, number: int, offset: int) -> Row | None:
        """Return the row of a JSON object among lines of text, such as after a banner or the rest of a cut line."""
        if not self._is_lenient or raw[:1] != b"{":
            return None
        try:
            return self._records.row(decode(raw), number, offset)
        except MISSHAPEN:
            return None

    @property
    def _wanted(self) -> str:
        """What a line should be."""
        if self._is_lenient:
            return "a line that begins with a date and time (pass pattern= for others)"
        return "a line that matches pattern="

    def long_line(self, line: LongLine) -> None:
        """Count a line of more than 64 MB."""
        self._table.line_count += 1
        message = "expected lines of at most 64 MiB, found a longer one; left out"
        self._table.reject(line.line, line.offset, "LINE_LONG", message)

    def close(self) -> None:
        """Convert the last line."""
        self._table.add(self._rows)
        self._rows = []

    def _finish(self) -> None:
        """Add the lines that belong to the last message to it."""
        if self._tail:
            last = self._rows[-1]
            self._rows[-1] = last._replace(message="\n".join([str(last.message or ""), *self._tail]))
            self._tail = []


def _of_frame(frame: pd.DataFrame, issues: Issues) -> Table:
    """Return the lines of a table; ValueError if no column is known."""
    table = Table(FRAME, 0, issues, formats={"frame": None})
    fields = plan(map(str, frame.columns))
    if not {SLOTS[field.slot] for field in fields} & {"time", "message", "trace_id", "span_id"}:
        names = ", ".join(map(str, frame.columns))[:120] or "none"
        raise ValueError(f"expected columns such as time, message, level, trace_id and span_id, found {names}")
    fields = tuple({field.slot: field for field in reversed(fields)}.values())  # the preferred column of each slot
    kinds = {field.slot: field.kind for field in fields if field.kind} or None
    table.line_count = len(frame)
    named = {str(name): name for name in frame.columns}
    for low in range(0, len(frame), _ROWS):
        part = frame.iloc[low : low + _ROWS]
        columns: list[Any] = [[None] * len(part) for _ in SLOTS]
        for field in fields:
            columns[field.slot] = _cells(part[named[field.key]])
        lines = range(low, low + len(part))
        table.add(
            [row_of(cells, line, 0, kinds) for cells, line in zip(zip(*columns, strict=True), lines, strict=True)]
        )
    return table


def _cells(column: pd.Series) -> list[Any]:
    """Return the values of a column: times as ns since the epoch, missing ones as None."""
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        times = pd.to_datetime(column, utc=True).astype("datetime64[ns, UTC]")
        ns = times.dt.tz_convert(None).to_numpy("datetime64[ns]").astype(np.int64)
        return [None if missing else int(one) for one, missing in zip(ns, times.isna(), strict=True)]
    plain = column.astype(object)
    is_missing = plain.map(lambda one: one is None or one is pd.NaT or one is pd.NA or one != one)  # noqa: PLR0124 - NaN
    values = (one.item() if isinstance(one, np.generic) else one for one in plain)
    values = (one.value if isinstance(one, pd.Timestamp) else one for one in values)
    return [None if missing else one for one, missing in zip(values, is_missing, strict=True)]
