"""Texts in an archive of Parquet and other files: compression would hide a removed value from a search."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC: Final = b"PK\x03\x04"
_WITH_NUMBERS: Final = "kv.parquet"  # attribute values: card numbers may be numbers


def texts_of_archive(raw: bytes) -> Iterator[bytes]:
    """Yield the names and texts of each member of a zip archive; numbers of attribute values as text.

    Examples
    --------
    >>> buffer = io.BytesIO()
    >>> with zipfile.ZipFile(buffer, "w") as archive:
    ...     archive.writestr("a.json", '{"service": "ledger"}')
    >>> list(texts_of_archive(buffer.getvalue()))
    [b'a.json', b'{"service": "ledger"}']
    """
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        for name in archive.namelist():
            yield name.encode("utf-8", "replace")
            yield from texts_of_file(name, archive.read(name))


def texts_of_file(name: str, data: bytes) -> Iterator[bytes]:
    """Yield the texts of a Parquet file, and the bytes of any other one."""
    if not name.endswith(".parquet"):
        yield data
        return
    for column in pq.read_table(io.BytesIO(data)).columns:
        yield _texts(column, with_numbers=name.endswith(_WITH_NUMBERS))


def _texts(column: pa.ChunkedArray, *, with_numbers: bool) -> bytes:
    """Return the distinct texts of a column, a line each; nothing of other columns."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if not is_text and not (with_numbers and pa.types.is_integer(kind)):
        return b""
    texts = pc.unique(column).cast(pa.large_string()).drop_null()
    return "\n".join(texts.to_pylist()).encode("utf-8", "replace")
