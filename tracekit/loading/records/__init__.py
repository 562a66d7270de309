"""From decoded bytes to JSON records.

Lines or a document?

- ``shape(first, at_eof=...)`` -> "lines" | "document", from the first bytes (``ByteStream.peek``).

Lines:

- ``line_chunks(stream, size=16 MiB)`` -> ``LineChunk(data, first_line, first_offset, final, ends_in_newline)``, and
  ``LongLine`` (a stream with ``line`` and ``offset``) for a line of more than 64 MiB: read that with ``JsonPull``.
- ``parse(line)`` -> ``Parsed(value, notes, failure, cut)``; never raises on bad data.
- ``strip_prefix(line)`` -> (rest, name of the prefix or ""), for lines that do not parse.

Documents of any size:

- ``JsonPull(stream)``: ``more()``, ``peek()``, ``keys()``, ``items()``, ``value()``, ``skip()``, ``offset``,
  ``take_notes()``; errors are ``JsonError(code, message, offset, recoverable, raw)``.

A ``Note(code, severity, action, message, byte_offset, raw)`` becomes a row of the ledger.
"""

from tracekit.loading.records.depth import MAX_DEPTH, nests_deeper
from tracekit.loading.records.json_pull import MAX_VALUE, JsonPull
from tracekit.loading.records.lines import (
    CHUNK,
    MAX_LINE,
    Line,
    LineChunk,
    Lines,
    LongLine,
    filled_lines,
    line_chunks,
)
from tracekit.loading.records.notes import Note
from tracekit.loading.records.parse import BigInt, Parsed, parse
from tracekit.loading.records.shape import begins_with_record, shape, strip_prefix
from tracekit.loading.records.window import JsonError, Readable

__all__ = [
    "CHUNK",
    "MAX_DEPTH",
    "MAX_LINE",
    "MAX_VALUE",
    "BigInt",
    "JsonError",
    "JsonPull",
    "Line",
    "LineChunk",
    "Lines",
    "LongLine",
    "Note",
    "Parsed",
    "Readable",
    "begins_with_record",
    "filled_lines",
    "line_chunks",
    "nests_deeper",
    "parse",
    "shape",
    "strip_prefix",
]
