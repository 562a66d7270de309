"""Interning: every distinct attribute, name and text once, codes everywhere else."""

from __future__ import annotations

import base64
import json
from array import array
from collections import defaultdict
from itertools import compress, count, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tracekit.columns import Array, KeyValues
from tracekit.loading import native
from tracekit.loading.building.arrow_texts import arrow_texts
from tracekit.loading.records.parse import BigInt
from tracekit.on_demand import pd
from tracekit.schema import Origin, ValueType

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

LOWEST, HIGHEST = -(2**63), 2**63 - 1  # the 64-bit range
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_STEPS = (  # of splitmix64: bits of a shift, and a factor
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
_LAST = np.uint64(31)
_ROWS = 1 << 15


class Texts:
    """Distinct texts and their codes, in order of arrival."""

    def __init__(self) -> None:
        self._codes: defaultdict[str, int] = defaultdict(count().__next__)
        self.code = self._codes.__getitem__

    def optional(self, text: str | None) -> int:
        """Return the code, -1 for nothing."""
        return self._codes[text] if text else -1

    def list(self) -> list[str]:
        """Return the texts by code."""
        return list(self._codes)


class Attributes:
    """The growing table of distinct attributes.

    ``kv`` interns by value; ``append`` always adds a row and is for callers that intern by other means (the raw bytes).
    ``table`` gives the columns with equal rows folded, and the map from old codes to new.
    """

    def __init__(self) -> None:
        self.keys = Texts()
        self._namespaces = Texts()
        self._codes: dict[tuple[Any, ...], int] = {}
        self._key, self._namespace = array("i"), array("i")
        self._type, self._origin, self._indexed = array("b"), array("b"), array("b")
        self._text: list[str | None] = []
        self._integer, self._double = array("q"), array("d")
        self._sealed: list[_Block] = []  # the first rows; the others are in the arrays
        self._sealed_count = 0

    def __len__(self) -> int:
        return self._sealed_count + len(self._key)

    def kv(
        self, key: str, value: Any, origin: int = Origin.ATTRIBUTE, namespace: str = "", is_indexed: bool = False
    ) -> int:
        """Return the code of an attribute; arrays and maps are kept as canonical JSON."""
        kind = value.__class__
        if kind is dict or kind is list or kind is tuple:
            token: Any = canonical_json(value)
        elif kind is float:
            token = repr(value)
        else:
            token = value
        full = (key, kind, token, origin, namespace, is_indexed)
        code = self._codes.get(full)
        if code is None:
            code = self._codes[full] = self.append(key, *typed(value), origin, namespace, is_indexed)
        return code

    def append(
        self,
        key: str,
        kind: int,
        text: str | None,
        integer: int,
        double: float,
        origin: int = Origin.ATTRIBUTE,
        namespace: str = "",
        is_indexed: bool = False,
    ) -> int:
        """Add a row and return its code."""
        self._key.append(self.keys.code(key))
        self._type.append(kind)
        self._text.append(text)
        self._integer.append(integer)
        self._double.append(double)
        self._origin.append(origin)
        self._namespace.append(self._namespaces.optional(namespace))
        self._indexed.append(is_indexed)
        return len(self) - 1

    def extend(
        self,
        keys: Sequence[str],
        kinds: Array,
        texts: Sequence[str | None],
        integers: Sequence[int | None],
        doubles: Sequence[float | None],
    ) -> Array:
        """Add a row for each value of its kind (text, integer, double); the code of kind 0 is -1."""
        known = kinds > 0
        codes = np.full(len(kinds), -1, np.int32)
        codes[known] = np.arange(len(self), len(self) + int(known.sum()))
        chosen = known.tolist()
        self._key.extend(map(self.keys.code, compress(keys, chosen)))
        self._text += compress(texts, chosen)
        self._integer.extend([value or 0 for value in compress(integers, chosen)])
        self._double.extend([0.0 if value is None else value for value in compress(doubles, chosen)])
        added = kinds[known].astype(np.int8).tobytes()
        self._type.frombytes(added)
        self._origin.frombytes(bytes(len(added)))
        self._namespace.extend(repeat(-1, len(added)))
        self._indexed.frombytes(bytes(len(added)))
        return codes

    def extend_columns(
        self,
        keys: Array,
        kinds: Array,
        texts: pa.LargeStringArray,
        integers: Array,
        doubles: Array,
        origin: int = Origin.ATTRIBUTE,
    ) -> int:
        """Add rows by column, ``keys`` as codes of ``self.keys``; return the code of the first."""
        first, count = len(self), len(keys)
        self._seal()
        others = np.full(count, origin, np.int8), np.full(count, -1, np.int32), np.zeros(count, np.bool_)
        self._put(_Block(keys, kinds, texts, integers, doubles, *others))
        return first

    def extend_texts(self, key: str, texts: Sequence[str], origin: int) -> range:
        """Add a row for each text of one key; return their codes."""
        first, count = len(self), len(texts)
        self._key.extend(repeat(self.keys.code(key) if texts else 0, count))
        self._type.frombytes(bytes([ValueType.STR]) * count)
        self._text += texts
        self._integer.frombytes(bytes(8 * count))
        self._double.frombytes(bytes(8 * count))
        self._origin.frombytes(bytes([origin]) * count)
        self._namespace.extend(repeat(-1, count))
        self._indexed.frombytes(bytes(count))
        return range(first, first + count)

    def _put(self, block: _Block) -> None:
        """Add rows by column."""
        self._sealed.append(block)
        self._sealed_count += len(block.key)

    def _seal(self) -> None:
        """Put the rows that came one by one behind those that came by column."""
        if len(self._key):
            grown = (self._key, self._type, self._integer, self._double, self._origin, self._namespace, self._indexed)
            key, kind, *others = (np.frombuffer(one, _KINDS[one.typecode]).copy() for one in grown)
            others[-1] = others[-1].view(np.bool_)
            self._put(_Block(key, kind, arrow_texts(self._text), *others))
            self._text = []
            for column in grown:
                del column[:]

    def table(self) -> tuple[KeyValues, Array | None]:
        """Return the distinct attributes and, if rows were folded, the new code of every old one; empties the pool."""
        import pyarrow as pa  # noqa: PLC0415 - slow to import, and not needed for the package itself

        self._seal()
        columns = list(zip(*self._sealed, strict=True)) or [()] * len(_Block._fields)
        self._sealed, self._sealed_count, self._codes = [], 0, {}
        key, kind, texts, integer, double, origin, namespace, indexed = columns
        kv = KeyValues(
            keys=self.keys.list(),
            key=_joined(key, np.int32),
            type=_joined(kind, np.int8),
            text=pa.concat_arrays(texts) if texts else arrow_texts([]),
            integer=_joined(integer, np.int64),
            double=_joined(double, np.float64),
            origin=_joined(origin, np.int8),
            namespace=_joined(namespace, np.int32),
            namespaces=self._namespaces.list(),
            is_indexed=_joined(indexed, np.bool_),
        )
        return (kv, None) if _are_distinct(kv) else fold(kv)


class _Block(NamedTuple):
    """Rows of the table of attributes, column by column."""

    key: Array
    type: Array
    text: pa.LargeStringArray
    integer: Array
    double: Array
    origin: Array
    namespace: Array
    is_indexed: Array


_KINDS = {"i": np.int32, "b": np.int8, "q": np.int64, "d": np.float64}


def _joined(parts: Sequence[Array], kind: Any) -> Array:
    """Return columns end to end."""
    return np.concatenate(parts, dtype=kind, casting="unsafe") if parts else np.zeros(0, kind)


def _are_distinct(kv: KeyValues) -> bool:
    """Return whether no two rows have the same hash: then none are equal."""
    extension = native.compiled()
    if extension is None:
        text_hash = np.fromiter(map(hash, kv.text.to_pylist()), np.int64, len(kv))
        return len(pd.unique(mix([*_numbers(kv), text_hash]))) == len(kv)
    _, offsets, text = kv.text.buffers()
    if kv.text.offset or offsets is None:
        return not len(kv)
    small = (kv.key, kv.namespace, kv.type, kv.origin, kv.integer, kv.double, kv.is_indexed)
    return bool(extension.are_distinct(*small, offsets, text or b""))


def _numbers(kv: KeyValues) -> list[Array]:
    """Return all columns but the text as integers."""
    return [kv.key, kv.type, kv.integer, kv.double.view(np.int64), kv.origin, kv.namespace, kv.is_indexed]


def fold(kv: KeyValues) -> tuple[KeyValues, Array | None]:
    """Merge equal rows of the attribute table; the map is None if all are distinct.

    Rows are grouped by a 64-bit mix of their columns and then compared: a collision costs a fold, never a value.
    """
    text = np.asarray(kv.text.dictionary_encode().indices.fill_null(-1)).astype(np.int64)
    columns = [*_numbers(kv), text]
    group, mixes = pd.factorize(mix(columns))
    row = np.arange(len(kv))
    first = np.empty(len(mixes), np.int64)
    first[group[::-1]] = row[::-1]
    keep_of = first[group]
    same = np.ones(len(kv), bool)
    for column in columns:
        same &= column == column[keep_of]
    keep_of = np.where(same, keep_of, row)
    kept = np.flatnonzero(keep_of == row)
    if len(kept) == len(kv):
        return kv, None
    new_code = np.full(len(kv), -1, np.int32)
    new_code[kept] = np.arange(len(kept), dtype=np.int32)
    return take_kv(kv, kept), new_code[keep_of]


def take_kv(kv: KeyValues, rows: Array) -> KeyValues:
    """Return the attribute table of these rows."""
    return KeyValues(
        keys=kv.keys,
        key=kv.key[rows],
        type=kv.type[rows],
        text=kv.text.take(rows),
        integer=kv.integer[rows],
        double=kv.double[rows],
        origin=kv.origin[rows],
        namespace=kv.namespace[rows],
        namespaces=kv.namespaces,
        is_indexed=kv.is_indexed[rows],
    )


def mix(columns: Iterable[Array]) -> Array:
    """Return a 64-bit hash of every row of these columns (splitmix64 steps)."""
    parts = list(columns)
    total = np.zeros(len(parts[0]), np.uint64)
    for low in range(0, len(total), _ROWS):
        _mix_into(total[low : low + _ROWS], [column[low : low + _ROWS] for column in parts])
    return total


def _mix_into(total: Array, columns: Iterable[Array]) -> None:
    """Add some rows of each column to their hashes, which stay in the cache of a processor."""
    shifted = np.empty_like(total)
    with np.errstate(over="ignore"):
        for column in columns:
            total *= _GOLDEN
            total += column if column.dtype == np.uint64 else column.astype(np.int64).view(np.uint64)
            for bits, factor in _STEPS:
                np.right_shift(total, bits, out=shifted)
                total ^= shifted
                total *= factor
            np.right_shift(total, _LAST, out=shifted)
            total ^= shifted


def typed(value: Any) -> tuple[int, str | None, int, float]:
    """Return (type, text, integer, double) of a value."""
    if value is None:
        return ValueType.EMPTY, None, 0, 0.0
    if isinstance(value, bool):
        return ValueType.BOOL, None, int(value), 0.0
    if isinstance(value, str):
        return (ValueType.INT if isinstance(value, BigInt) else ValueType.STR), str(value), 0, 0.0
    if isinstance(value, int):
        return (ValueType.INT, None, value, 0.0) if LOWEST <= value <= HIGHEST else (ValueType.INT, str(value), 0, 0.0)
    if isinstance(value, bytes):
        return ValueType.BYTES, base64.b64encode(value).decode(), 0, 0.0
    if isinstance(value, (list, tuple)):
        return ValueType.ARRAY, canonical_json(value), 0, 0.0
    if isinstance(value, dict):
        return ValueType.MAP, canonical_json(value), 0, 0.0
    return ValueType.DOUBLE, None, 0, float(value)


def canonical_json(value: Any) -> str:
    """Return the canonical JSON of an array or map: sorted keys, no white space."""
    return _encode(value)


def _plain(value: Any) -> Any:
    """Encode values without a JSON type: bytes as base64, decimals as floats."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else float(value)


_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain).encode
