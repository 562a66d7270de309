"""One Parquet file of spans for DuckDB, Polars and pandas: a row per span, with its attributes as maps.

Rows are written in blocks of bounded size, each a row group, so that a set of any size can be written part by part.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tracekit import frames, schema
from tracekit.attributes import Codes
from tracekit.derived import CODED
from tracekit.loading.paths import shown
from tracekit.loading.store.place import beside, clear, resolved
from tracekit.schema import ValueType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tracekit.columns import Array, Columns, KeyValues
    from tracekit.ragged import Ragged
    from tracekit.traces import TraceSet

ROWS, BYTES = 131_072, 128 << 20  # the largest row group; bytes are those of its attributes
_WITHIN_THE_SET = {  # rows of other tables, positions in sources, and bits that only tracekit interprets
    *("parent_row", "resource_id", "scope_id", "source_id", "record_number", "byte_offset", "quality"),
}
_TEXT = pa.large_string()
_COLUMNS = tuple(column for column in schema.SPANS if column.name not in _WITHIN_THE_SET)
_MAP = pa.map_(_TEXT, _TEXT)
_TYPES = {
    "str": _TEXT,
    "category": pa.dictionary(pa.int32(), _TEXT),
    "datetime64[ns, UTC]": pa.timestamp("ns", "UTC"),
    "bool": pa.bool_(),
    "boolean": pa.bool_(),
}


def _schema() -> pa.Schema:
    """Return the columns of the file, with the types that pandas restores."""
    like = pd.DataFrame({column.name: pd.Series(dtype=column.dtype) for column in _COLUMNS})
    own = [(c.name, _TYPES[c.dtype] if c.dtype in _TYPES else pa.type_for_alias(c.dtype.lower())) for c in _COLUMNS]
    more = [("weight", pa.float64()), ("attributes", _MAP), ("resource_attributes", _MAP)]
    return pa.schema([*own, *more], pa.Schema.from_pandas(like, preserve_index=False).metadata)


def write(traces: TraceSet, path: Path) -> Path:
    """Write a set as one file; see ``TraceSet.to_parquet``."""
    with writing(path) as file:
        file.part(traces)
    return path


class FlatWriter:
    """A file of spans while it is written; see ``writing``.

    Parameters
    ----------
    file
        Where pyarrow writes.
    """

    def __init__(self, file: pq.ParquetWriter) -> None:
        self._file = file

    def part(self, traces: TraceSet) -> None:
        """Write complete traces."""
        columns = traces.columns
        values = _values(columns.kv)
        build = _builders(traces, values)
        for rows in _blocks(columns, values):
            block = pa.table([column(rows) for column in build], self._file.schema)
            self._file.write_table(block, row_group_size=max(len(block), 1))

    def finish(self, *_: Any) -> None:
        """Do nothing: sources and issues are not part of the file."""


@contextmanager
def writing(path: Path) -> Iterator[FlatWriter]:
    """Yield a file to write to; it is renamed to the path when complete, and removed otherwise."""
    place = place_for(path)
    with beside(place, "new") as folder:
        new = folder / "spans.parquet"
        with pq.ParquetWriter(new, _schema(), compression="zstd", compression_level=3) as file:
            yield FlatWriter(file)
        new.replace(place_for(path))


def place_for(path: Path) -> Path:
    """Return the path of a file with links resolved, after removing leftovers; FileExistsError for other things."""
    place = resolved(path)
    clear(place)
    if place.is_dir():
        message = f"cannot write {shown(path)}: expected a file name, found a folder; choose another path"
        raise FileExistsError(message)
    if place.exists() and not _is_parquet(place):
        message = f"cannot replace {shown(path)}, which is not a Parquet file; choose another path, or move it"
        raise FileExistsError(message)
    return place


def _is_parquet(place: Path) -> bool:
    """Return whether an existing file begins like a Parquet file."""
    if not place.is_file():
        return False
    with place.open("rb") as file:
        return file.read(4) == b"PAR1"


# -------------------------------------------------------------------- columns


def _builders(traces: TraceSet, values: pa.Array) -> list[Callable[[Array], pa.Array]]:
    """Return for every column of the file the function that builds it for some rows."""
    columns, kv = traces.columns, traces.columns.kv
    keys = pa.array(kv.keys, _TEXT)
    of_resources = _map(columns.resource_attributes, kv, keys, values)
    weight = np.where(traces.weights.known, traces.weights.value, np.nan)[traces.forest.trace]
    return [
        *(_builder(traces, column) for column in _COLUMNS),
        lambda rows: pa.array(weight[rows], from_pandas=True),
        lambda rows: _map(columns.attributes.take(rows), kv, keys, values),
        lambda rows: of_resources.take(pa.array(columns.spans.resource[rows])),
    ]


def _builder(traces: TraceSet, column: schema.Column) -> Callable[[Array], pa.Array]:
    """Return the function that builds a column of ``spans`` for some rows."""
    spans = traces.columns.spans
    words = {
        "trace_id": (spans.trace_hi, spans.trace_lo),
        "span_id": (spans.span_id,),
        "parent_span_id": (spans.parent_id,),
    }
    if column.name in words:
        return lambda rows: hexes(*(word[rows] for word in words[column.name]))
    if column.name in CODED:
        return _texts(traces.codes(column.name))
    series = frames.span_column(traces.lookup, traces.forest, column.name)
    if column.dtype == "category":
        return _texts(Codes(series.cat.codes.to_numpy(), list(series.cat.categories)))
    return lambda rows: pa.array(series.iloc[rows], from_pandas=True)


def _texts(codes: Codes) -> Callable[[Array], pa.Array]:
    """Return the function that builds a column of text, with only the texts that occur in the rows."""
    labels = pa.array(codes.labels, _TEXT)

    def build(rows: Array) -> pa.Array:
        own = codes.codes[rows]
        return labels.take(pa.array(own, mask=own < 0)).dictionary_encode()

    return build


def hexes(*words: Array) -> pa.Array:
    """Return ids of one or two 64-bit words as lower-case hex text; missing where they are 0."""
    digits = np.column_stack(words).astype(">u8").tobytes().hex().encode()
    ends = np.arange(len(words[0]) + 1, dtype=np.int64) * 16 * len(words)
    texts = pa.LargeStringArray.from_buffers(len(words[0]), pa.py_buffer(ends), pa.py_buffer(digits))
    return pc.if_else(pa.array(np.any(words, axis=0)), texts, None)


# -------------------------------------------------------------------- attributes


def _values(kv: KeyValues) -> pa.Array:
    """Return the values of all distinct attributes as text, as ``attributes.texts_of`` writes them."""
    kind = kv.type
    plain = np.full(len(kv), "", object)
    for wanted, write_one in (
        (ValueType.INT, lambda rows: map(str, kv.integer[rows].tolist())),
        (ValueType.BOOL, lambda rows: np.where(kv.integer[rows] != 0, "true", "false")),
        (ValueType.DOUBLE, lambda rows: map(repr, kv.double[rows].tolist())),
    ):
        rows = np.flatnonzero(kind == wanted)
        plain[rows] = list(write_one(rows))
    return pc.coalesce(kv.text, pa.array(plain, _TEXT))


def _map(table: Ragged, kv: KeyValues, keys: pa.Array, values: pa.Array) -> pa.MapArray:
    """Return attributes as maps; of a key that a row has twice, the last value, as in ``attribute``."""
    owner, key = table.owners(), kv.key[table.codes]
    kept = ~pd.Series(owner * len(keys) + key).duplicated(keep="last").to_numpy()
    ends = np.zeros(len(table) + 1, np.int32)
    np.cumsum(np.bincount(owner[kept], minlength=len(table)), out=ends[1:])
    return pa.MapArray.from_arrays(ends, keys.take(pa.array(key[kept])), values.take(pa.array(table.codes[kept])))


def _blocks(columns: Columns, values: pa.Array) -> Iterator[Array]:
    """Yield the rows of each row group: at most ``ROWS``, and about ``BYTES`` of attributes."""
    kv, count = columns.kv, len(columns.spans)
    size = pc.binary_length(values).to_numpy() + pc.binary_length(pa.array(kv.keys, _TEXT)).to_numpy()[kv.key]
    of_resource = np.diff(_running(columns.resource_attributes, size))[columns.spans.resource]
    total = _running(columns.attributes, size) + np.concatenate(([0], np.cumsum(of_resource)))
    low = 0
    while low < count:
        full = int(np.searchsorted(total, total[low] + BYTES, side="right")) - 1
        high = min(max(full, low + 1), low + ROWS, count)
        yield np.arange(low, high)
        low = high


def _running(table: Ragged, size: Array) -> Array:
    """Return the size of the attributes before each row, and last that of all."""
    return np.asarray(np.concatenate(([0], np.cumsum(size[table.codes])))[table.offsets])
