"""The tables of a store as Parquet files, each with its length and checksum.

A part of a store is a folder of files, one a table; ``write_part`` and ``read_part`` turn a set into such a folder and
back, bit for bit.  Codes stand for texts and attributes as they do in memory, so any Parquet reader can join them:
row i of ``names``, ``texts``, ``keys``, ``namespaces`` and ``kv`` is what code i means.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from isal import isal_zlib

from tracekit import schema
from tracekit.columns import (
    Array,
    Columns,
    EventColumns,
    LinkColumns,
    Ragged,
    ResourceColumns,
    ScopeColumns,
    SpanColumns,
    TraceFacts,
)
from tracekit.errors import LoadError
from tracekit.loading.paths import path_error, shown
from tracekit.loading.store.layout import MAY_BE_EMPTY, NUMBERS, column_difference

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tracekit.weights import Weights

VERSION = 3
SPAN_GROUP = 16_384  # small, so that one trace is one group of the sorted spans
_GROUP = 131_072

_CODED: dict[str, Any] = {
    "spans": SpanColumns,
    "events": EventColumns,
    "links": LinkColumns,
    "resources": ResourceColumns,
    "scopes": ScopeColumns,
    "facts": TraceFacts,
}
OWNED = {
    "attributes": "spans",
    "event_attributes": "events",
    "link_attributes": "links",
    "resource_attributes": "resources",
    "scope_attributes": "scopes",
}
_KV = ("key", "type", "text", "integer", "double", "origin", "namespace", "is_indexed")
TABLES = (*_CODED, *OWNED, "kv", "keys", "namespaces", "names", "texts", "weights", "weight_sources")


class FileMark(msgspec.Struct):
    """The expected rows, length in bytes and CRC-32 of a file of a store."""

    rows: int
    bytes: int
    crc32: int


# -------------------------------------------------------------------- one file


def write_table(path: Path, columns: dict[str, Any], group: int = _GROUP) -> FileMark:
    """Write columns of equal length as a Parquet file."""
    table = pa.table(columns).replace_schema_metadata({"tracekit_store": str(VERSION)})
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        row_group_size=group,
        compression="zstd",
        compression_level=3,
        use_dictionary=False,  # codes are small numbers already, and a dictionary folds NaN of different bits
        column_encoding={name: "DELTA_BINARY_PACKED" if name == "row" else "PLAIN" for name in columns},
    )
    data = sink.getvalue()
    path.write_bytes(data)
    return FileMark(table.num_rows, data.size, isal_zlib.crc32(data))


def read_table(path: Path, mark: FileMark, name: str = "") -> pa.Table:
    """Read a table written by ``write_table``."""
    return columns_of(path, open_table(path, mark, name), name)


def open_table(path: Path, mark: FileMark, name: str = "") -> pq.ParquetFile:
    """Return a table's file, whose bytes and columns are those that were written; its values are not yet checked."""
    data = _checked_bytes(path, mark)
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise broken(path, "a Parquet table", f"an unreadable file ({error})") from error
    if file.metadata.num_rows != mark.rows:
        raise broken(path, f"{mark.rows:,} rows", f"{file.metadata.num_rows:,}")
    wrong = name and column_difference(name, {column.name: str(column.type) for column in file.schema_arrow})
    if wrong:
        raise broken(path, f"the columns of {name}", wrong)
    return file


def _checked_bytes(path: Path, mark: FileMark) -> bytes:
    """Return the bytes of a file if they are those that were written."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise broken(path, f"a file of {mark.bytes:,} bytes", "none") from error
    except OSError as error:
        raise path_error(path, error) from error
    if len(data) != mark.bytes:
        raise broken(path, f"{mark.bytes:,} bytes", f"{len(data):,}")
    if isal_zlib.crc32(data) != mark.crc32:
        raise broken(path, "the bytes that were written", "different ones: the file is damaged")
    return data


def columns_of(path: Path, file: pq.ParquetFile, name: str, columns: list[str] | None = None) -> pa.Table:
    """Return columns of a table's file, all without a list, if they can be those that were written."""
    try:
        table = file.read(columns=columns)
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise broken(path, "a Parquet table", f"an unreadable file ({error})") from error
    for column in table.column_names:
        if table.column(column).null_count and (name, column) not in MAY_BE_EMPTY:
            raise broken(path, f"a value in every row of {column}", f"{table.column(column).null_count:,} without")
    return table


def broken(path: Path, expected: str, found: str) -> LoadError:
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


def write_part(folder: Path, columns: Columns, weights: Weights) -> dict[str, FileMark]:
    """Write a set as the files of one part."""
    kv = columns.kv
    pools = {"keys": kv.keys, "namespaces": kv.namespaces, "names": columns.names, "texts": columns.texts}
    pools["weight_sources"] = weights.source.labels
    tables: dict[str, dict[str, Any]] = {name: _members(getattr(columns, name)) for name in _CODED}
    tables |= {name: {"text": text_column(texts, name)} for name, texts in pools.items()}
    tables["kv"] = {name: getattr(kv, name) for name in _KV}
    tables["weights"] = {"value": weights.value, "source": weights.source.codes}
    marks = {}
    for name in TABLES:
        table = tables.pop(name) if name in tables else _owned(getattr(columns, name))
        marks[name] = write_table(folder / f"{name}.parquet", table, SPAN_GROUP if name == "spans" else _GROUP)
    return marks


def _members(table: Any) -> dict[str, Array]:
    """Return the columns of a table by name."""
    return {column.name: getattr(table, column.name) for column in fields(table)}


def _owned(table: Ragged) -> dict[str, Array]:
    """Return an attribute table as (row, code), one entry per attribute; Parquet stores rows as differences."""
    return {"row": np.repeat(np.arange(len(table), dtype=np.int32), table.counts), "kv": table.codes}
