"""Parquet and Arrow files as lines of OTLP JSON: line n is row n."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from tracekit.loading.tables.layout import ROWS, hexadecimal, lines
from tracekit.loading.tables.layouts import layout_of, unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tracekit.loading.tables.layout import Layout

_ERRORS = (pa.ArrowException, OSError, ValueError)
_END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"


class TableError(Exception):
    """A table that cannot be read at all: a code of the catalogue and a message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def open_table(
    what: Path | bytes, name: str, stop: Callable[[str, str], object], advance: Callable[[float], None]
) -> tuple[Layout, Iterator[bytes]]:
    """Return the layout of a table, and its rows as blocks of lines of JSON.

    Parameters
    ----------
    what
        A path, or the content.
    name
        ``parquet``, ``arrow`` or ``arrow-stream``.
    stop
        Called with a code and a message if the table cannot be read to its end.
    advance
        Called with the share of the table that has been read.

    Raises
    ------
    TableError
        It cannot be opened, or has no known layout.
    """
    try:
        schema, row_count, batches = _opened(what, name)
    except _ERRORS as error:
        message = f"expected a whole {name} file, found: {_short(error)}; was it cut off while it was copied?"
        raise TableError("CONTAINER_DAMAGED", message) from error
    layout = layout_of(schema.names)
    if layout is None:
        raise TableError("FORMAT_UNKNOWN", unknown(schema.names))
    return layout, _blocks(layout, row_count, batches, stop, advance)


def distinct_texts(stream: bytes, column: str) -> set[str]:
    """Return the distinct texts of a column of an Arrow stream; TableError for one that is not complete."""
    try:
        texts = pa.ipc.open_stream(pa.BufferReader(stream)).read_all().column(column).unique().to_pylist()
    except (*_ERRORS, KeyError) as error:
        message = f"expected a whole Arrow stream with a column {column}, found: {_short(error)}"
        raise TableError("CONTAINER_DAMAGED", message) from error
    if not stream.endswith(_END_OF_STREAM):
        raise TableError("CONTAINER_DAMAGED", "expected the end of an Arrow stream, found a part of one")
    return {hexadecimal(one) for one in texts}


def _blocks(
    layout: Layout,
    row_count: int,
    batches: Iterator[pa.RecordBatch],
    stop: Callable[[str, str], object],
    advance: Callable[[float], None],
) -> Iterator[bytes]:
    """Yield the lines of a block of rows at a time."""
    rows = 0
    try:
        for batch in batches:
            for at in range(0, batch.num_rows, ROWS):
                part = batch.slice(at, ROWS)
                rows += part.num_rows
                advance(min(rows / row_count, 1.0) if row_count else 1.0)
                yield lines(layout.requests(_cells(part)))
    except _ERRORS as error:
        message = f"expected to continue reading at row {rows + 1:,}, found: {_short(error)}; all before was read"
        stop("CONTAINER_DAMAGED", message)


def _opened(what: Path | bytes, name: str) -> tuple[pa.Schema, int, Iterator[pa.RecordBatch]]:
    """Return the schema, the number of rows (0 if it is not known) and the batches of a file."""
    if name == "parquet":
        file = pq.ParquetFile(io.BytesIO(what) if isinstance(what, bytes) else what)
        return file.schema_arrow, file.metadata.num_rows, file.iter_batches(ROWS)
    stored = pa.BufferReader(what) if isinstance(what, bytes) else pa.OSFile(str(what), "rb")
    if name == "arrow-stream":
        stream = pa.ipc.open_stream(stored)
        return stream.schema, 0, iter(stream)
    whole = pa.ipc.open_file(stored)
    return whole.schema, 0, (whole.get_batch(at) for at in range(whole.num_record_batches))


def _cells(batch: pa.RecordBatch) -> dict[str, list[Any]]:
    """Return the cells of a batch by column, dates as nanoseconds."""
    return {name: _plain(batch.column(at)).to_pylist() for at, name in enumerate(batch.schema.names)}


def _plain(column: pa.Array) -> pa.Array:
    """Return a column with dates as integers; dates beyond the range of 64 bits stay as they are."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    fine = _with_dates(column.type, lambda kind: pa.timestamp("ns", kind.tz))
    if fine == _with_dates(column.type, lambda _: pa.int64()):
        return column
    try:
        return column.cast(fine).cast(_with_dates(fine, lambda _: pa.int64()))
    except pa.ArrowInvalid:
        return column


def _with_dates(kind: pa.DataType, change: Callable[[pa.DataType], pa.DataType]) -> pa.DataType:
    """Return a type in which the types of dates are replaced, also within lists and records."""
    if pa.types.is_timestamp(kind):
        return change(kind)
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_with_dates(kind.value_type, change)))
    if pa.types.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(_with_dates(kind.value_type, change)))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_with_dates(field.type, change)) for field in kind])
    return kind


def _short(error: BaseException) -> str:
    """Return the first line of an error."""
    return str(error).partition("\n")[0][:200]
