"""The tables of a store as Parquet files, each with its length and checksum.

A part of a store is a folder of files, one a table; ``write_part`` and ``read_part`` turn a set into such a folder and
back, bit for bit.  Codes stand for texts and attributes as they do in memory, so any Parquet reader can join them:
row i of ``names``, ``texts``, ``keys``, ``namespaces`` and ``kv`` is what code i means.  Attributes are by key
(``loading/store/by_key.py``): ``row`` is their owner, ``place`` their position there.
"""

from __future__ import annotations

import itertools
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from isal import isal_zlib

from tracekit import schema
from tracekit.columns import (
    Array,
    Columns,
    EventColumns,
    LinkColumns,
    ResourceColumns,
    ScopeColumns,
    SpanColumns,
    TraceFacts,
)
from tracekit.errors import LoadError
from tracekit.loading.paths import path_error, shown
from tracekit.loading.store.by_key import keyed
from tracekit.loading.store.layout import MAY_BE_EMPTY, NUMBERS, OWNED, column_difference
from tracekit.loading.store.order import InOrder, group_ends
from tracekit.text import size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.loading.store.remote import Place
    from tracekit.ragged import Ragged
    from tracekit.weights import Weights

VERSION = 5
SPAN_GROUP = 16_384  # small, so that a short window or one trace is few groups of the spans
_GROUP = 131_072
_KV_GROUP = 16_384  # small, because the values of a few keys are few of all
_WHOLE_BYTES = 65_536  # a file of this length is read at once also where only ranges of larger ones are
_COUNTED = 16_384  # rows that are decoded at once to count their bytes
_DIFFERENCES = {"key", "row", "place", "start_ns", "end_ns", "time_ns", "name", "kind", "resource"}
"""Columns of numbers that are close to the ones before: their differences are read sooner than the numbers."""
_TRAILER = 8  # the length of the footer, and the mark of Parquet

_CODED: dict[str, Any] = {
    "spans": SpanColumns,
    "events": EventColumns,
    "links": LinkColumns,
    "resources": ResourceColumns,
    "scopes": ScopeColumns,
    "facts": TraceFacts,
}
_KV = ("key", "type", "text", "integer", "double", "origin", "namespace", "is_indexed")
TABLES = (*_CODED, *OWNED, "kv", "keys", "namespaces", "names", "texts", "weights", "weight_sources")


class FileMark(msgspec.Struct):
    """The expected rows, length in bytes and CRC-32 of a file of a store, and the last two of its Parquet footer."""

    rows: int
    bytes: int
    crc32: int
    footer_bytes: int = 0
    footer_crc32: int = 0


# -------------------------------------------------------------------- one file


def write_table(path: Path, columns: dict[str, Any], group: int = _GROUP, ends: Array | None = None) -> FileMark:
    """Write columns of equal length as a Parquet file, in row groups of so many rows, or those that end at these."""
    table = pa.table(columns).replace_schema_metadata({"tracekit_store": str(VERSION)})
    cuts = list(range(group, table.num_rows, group)) if ends is None else ends[:-1].tolist()
    differences = {
        field.name for field in table.schema if field.name in _DIFFERENCES and pa.types.is_integer(field.type)
    }
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        table.schema,
        compression="zstd",
        compression_level=3,
        use_dictionary=False,  # codes are small numbers already, and a dictionary folds NaN of different bits
        column_encoding={name: "DELTA_BINARY_PACKED" if name in differences else "PLAIN" for name in columns},
        write_page_checksum=True,
    ) as writer:
        for low, high in itertools.pairwise([0, *cuts, table.num_rows]):
            writer.write_table(table.slice(low, high - low), row_group_size=max(high - low, 1))
    data = sink.getvalue()
    path.write_bytes(data)
    footer = memoryview(data)[-_TRAILER - int.from_bytes(data[-_TRAILER:-4].to_pybytes(), "little") :]
    return FileMark(table.num_rows, data.size, isal_zlib.crc32(data), len(footer), isal_zlib.crc32(footer))


def read_table(path: Place, mark: FileMark, name: str = "") -> pa.Table:
    """Read a table written by ``write_table``."""
    return columns_of(path, open_table(path, mark, name), name)


def open_table(path: Place, mark: FileMark, name: str = "") -> pq.ParquetFile:
    """Return a table's file, whose bytes and columns are those that were written; its values are not yet checked."""
    data = _checked_bytes(path, mark)
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise broken(path, "a Parquet table", f"an unreadable file ({error})") from error
    return _checked_table(path, file, mark, name)


def open_ranges(path: Place, mark: FileMark, name: str) -> pq.ParquetFile:
    """Return a table's file of which only what is used is read; its length and footer are those that were written.

    Each page of values is compared with its own checksum when it is read.
    """
    if mark.bytes <= _WHOLE_BYTES or not mark.footer_bytes:
        return open_table(path, mark, name)
    try:
        source = pa.OSFile(str(path)) if isinstance(path, Path) else path.open()
        found = source.size()
        if found != mark.bytes:
            raise broken(path, f"{mark.bytes:,} bytes", f"{found:,}")
        footer = source.read_at(mark.footer_bytes, mark.bytes - mark.footer_bytes)
        if isal_zlib.crc32(footer) != mark.footer_crc32:
            raise broken(path, "the bytes that were written", "different ones: the file is damaged")
        metadata = pq.read_metadata(pa.BufferReader(footer))
        file = pq.ParquetFile(source, metadata=metadata, page_checksum_verification=True)
    except FileNotFoundError as error:
        raise broken(path, f"a file of {mark.bytes:,} bytes", "none") from error
    except OSError as error:
        raise path_error(path, error) from error
    return _checked_table(path, file, mark, name)


def _checked_table(path: Place, file: pq.ParquetFile, mark: FileMark, name: str) -> pq.ParquetFile:
    """Return a file if it has the rows and columns that were written."""
    if file.metadata.num_rows != mark.rows:
        raise broken(path, f"{mark.rows:,} rows", f"{file.metadata.num_rows:,}")
    wrong = name and column_difference(name, {column.name: str(column.type) for column in file.schema_arrow})
    if wrong:
        raise broken(path, f"the columns of {name}", wrong)
    return file


def _checked_bytes(path: Place, mark: FileMark) -> Any:
    """Return the bytes of a file, as any buffer, if they are those that were written."""
    try:
        data = np.fromfile(path, np.uint8) if isinstance(path, Path) else path.read_bytes()  # numpy has larger pages
    except FileNotFoundError as error:
        raise broken(path, f"a file of {mark.bytes:,} bytes", "none") from error
    except OSError as error:
        raise path_error(path, error) from error
    if len(data) != mark.bytes:
        raise broken(path, f"{mark.bytes:,} bytes", f"{len(data):,}")
    if isal_zlib.crc32(data) != mark.crc32:
        raise broken(path, "the bytes that were written", "different ones: the file is damaged")
    return data


def columns_of(
    path: Place,
    file: pq.ParquetFile,
    name: str,
    columns: list[str] | None = None,
    groups: Sequence[int] | None = None,
) -> pa.Table:
    """Return columns of some row groups of a table's file, without lists all, if they can be those written."""
    try:
        table = file.read(columns=columns) if groups is None else file.read_row_groups(groups, columns=columns)
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise broken(path, "a Parquet table", f"an unreadable file ({error})") from error
    for column in table.column_names:
        if table.column(column).null_count and (name, column) not in MAY_BE_EMPTY:
            raise broken(path, f"a value in every row of {column}", f"{table.column(column).null_count:,} without")
    return table


def broken(path: Place, expected: str, found: str) -> LoadError:
    """Return the LoadError for a file that differs from what was written."""
    message = f"expected {expected}, found {found}; copy the store again, or convert its sources again"
    return LoadError(f"STORE_BROKEN {shown(path)}: {message}", source=shown(path), code="STORE_BROKEN")


def text_column(texts: Sequence[str | None], what: str) -> pa.LargeStringArray:
    """Return texts as a column; ValueError names one that is not Unicode."""
    try:
        return pa.array(texts, pa.large_string())
    except UnicodeEncodeError as error:
        message = (
            f"expected {what} of whole Unicode characters, found {error.object!r:.80} with half of a surrogate pair;"
            " replace it before saving"
        )
        raise ValueError(message) from error


# -------------------------------------------------------------------- sources and issues


def frame_table(frame: pd.DataFrame, name: str) -> dict[str, Any]:
    """Return ``sources`` or ``issues`` as columns to write."""
    columns: dict[str, Any] = {}
    for column in schema.TABLES[name]:
        values = frame[column.name].astype(object)
        plain = [None if missing else value for value, missing in zip(values, values.isna(), strict=True)]
        kind = NUMBERS.get(column.dtype)
        columns[column.name] = pa.array(plain, kind) if kind else text_column(plain, f"{name}.{column.name}")
    return columns


def frame_of(rows: list[dict[str, Any]], name: str) -> pd.DataFrame:
    """Return rows as ``sources`` or ``issues``, of the same types as the ledgers make them."""
    frame = pd.DataFrame(rows, columns=schema.names(name))
    frame.index.name = {"sources": "source_id", "issues": "issue_id"}[name]
    if name == "sources":
        return frame.astype({"byte_count": "Int64"})
    return frame.astype({column.name: column.dtype for column in schema.ISSUES if column.dtype != "str"})


# -------------------------------------------------------------------- one part


def write_part(folder: Path, columns: Columns, weights: Weights, begun: Array) -> dict[str, FileMark]:
    """Write a set as the files of one part, its traces in the order of ``begun``, the start of each."""
    kv = columns.kv
    order = InOrder.of(columns, np.argsort(begun, kind="stable"))
    pools = {"keys": kv.keys, "namespaces": kv.namespaces, "names": columns.names, "texts": columns.texts}
    pools["weight_sources"] = weights.source.labels
    tables: dict[str, dict[str, Any]] = {name: {"text": text_column(texts, name)} for name, texts in pools.items()}
    tables["kv"] = {name: getattr(kv, name) for name in _KV}
    value, source = weights.value[order.traces], weights.source.codes[order.traces]
    tables["weights"] = {"row": order.starts[:-1].astype(np.int32), "value": value, "source": source}
    marks = {}
    for name in TABLES:
        ends = group_ends(order.starts, SPAN_GROUP) if name == "spans" else None
        if name in OWNED:
            table, ends = keyed(_attributes(columns, name, order), kv)
        else:
            table = tables.pop(name) if name in tables else _ordered(columns, name, order)
        marks[name] = write_table(folder / f"{name}.parquet", table, _KV_GROUP if name == "kv" else _GROUP, ends)
    return marks


def _attributes(columns: Columns, name: str, order: InOrder) -> Ragged:
    """Return a table of attributes in the order of the traces."""
    table: Ragged = getattr(columns, name)
    rows = order.rows(OWNED[name])
    return table if rows is None else table.take(rows)


def _ordered(columns: Columns, name: str, order: InOrder) -> dict[str, Array]:
    """Return the columns of a table in the order of the traces."""
    table, rows = getattr(columns, name), order.rows(name)
    found = {column.name: getattr(table, column.name) for column in fields(table)}
    if rows is None:
        return found
    taken = {column: values[rows] for column, values in found.items()}
    return taken | ({"span_row": order.new_row[taken["span_row"]]} if "span_row" in taken else {})


def check_decoded_size(data: bytes, most: int) -> int:
    """Return the bytes that the values of a Parquet file decode to; ValueError as soon as they exceed a limit.

    A footer can say less.  Texts stay dictionaries while they are counted, so that a long one that is repeated is not
    written out; no more than ``_COUNTED`` rows are decoded at once.
    """
    schema = pq.read_schema(pa.BufferReader(data))
    texts = [one.name for one in schema if pa.types.is_string(one.type) or pa.types.is_binary(one.type)
             or pa.types.is_large_string(one.type) or pa.types.is_large_binary(one.type)]  # fmt: skip
    total = 0
    file = pq.ParquetFile(pa.BufferReader(data), read_dictionary=texts)
    for batch in file.iter_batches(batch_size=_COUNTED, use_threads=False):
        total += sum(map(_decoded_size, batch.columns))
        if total > most:
            raise ValueError(f"expected tables of at most {size(most)} in memory, found more than their footers say")
    return total


def _decoded_size(values: pa.Array) -> int:
    """Return the bytes of values, of a dictionary as if it were written out."""
    if not isinstance(values, pa.DictionaryArray):
        return int(values.nbytes)
    lengths = pc.fill_null(pc.binary_length(values.dictionary).cast(pa.int64()), 0)
    return int(pc.sum(lengths.take(values.indices)).as_py() or 0)


def size_in_memory(data: bytes) -> int:
    """Return the bytes that a Parquet file is expected to need in memory, by its footer: 8 a value, or as written."""
    footer = pq.read_metadata(pa.BufferReader(data))
    written = sum(footer.row_group(at).total_byte_size for at in range(footer.num_row_groups))
    return int(max(written, footer.num_rows * footer.num_columns * 8))
