"""Looking attributes up by key: slices sorted by key, built once, and values as codes with labels."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from tracekit.schema import ValueType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tracekit.columns import Array, KeyValues, Ragged


class Codes(NamedTuple):
    """A column of text as numbers: ``labels[code]``, -1 where there is nothing.

    Examples
    --------
    >>> Codes(np.array([0, -1, 0]), ["cart"]).series().tolist()
    ['cart', nan, 'cart']
    """

    codes: Array
    labels: list[str]

    def series(self) -> pd.Series:
        """Return the column as a pandas categorical."""
        return pd.Series(pd.Categorical.from_codes(self.codes, pd.Index(self.labels, dtype=object)))

    def at(self, row: int) -> str | None:
        """Return the text of one row."""
        code = int(self.codes[row])
        return self.labels[code] if code >= 0 else None

    def take(self, rows: Array) -> Codes:
        """Return the column at these rows."""
        return Codes(self.codes[rows], self.labels)


NOTHING: list[str] = []


@dataclass(frozen=True)
class KeyIndex:
    """The attributes of one owner table, grouped by key.

    Parameters
    ----------
    rows, codes
        Owner row and attribute code, grouped by key, owner rows ascending within each.
    offsets
        Where each key's group begins.
    kv
        The attribute table that the codes mean.
    row_count
        Number of owner rows.
    """

    rows: Array
    codes: Array
    offsets: Array
    kv: KeyValues
    row_count: int

    @classmethod
    def build(cls, attributes: Ragged, kv: KeyValues) -> KeyIndex:
        """Group the attributes by key: one stable sort."""
        small = np.int16 if len(kv.keys) < np.iinfo(np.int16).max else np.int32  # 16 bits sort by radix
        key = kv.key.astype(small)[attributes.codes]
        order = np.argsort(key, kind="stable")
        rows = np.repeat(np.arange(len(attributes), dtype=np.int32), attributes.counts)
        offsets = np.concatenate(([0], np.cumsum(np.bincount(key, minlength=len(kv.keys)))))
        return cls(rows[order], attributes.codes[order], offsets, kv, len(attributes))

    def of(self, key: str) -> tuple[Array, Array]:
        """Return (owner rows, attribute codes) of a key."""
        try:
            at = self.kv.keys.index(key)
        except ValueError:
            return self.rows[:0], self.codes[:0]
        part = slice(self.offsets[at], self.offsets[at + 1])
        return self.rows[part], self.codes[part]

    def first_of(self, keys: Iterable[str]) -> Array:
        """Return for every row the attribute code of the first of these keys that it has; -1 without any.

        Where a row has a key twice the last one counts.
        """
        chosen = np.full(self.row_count, -1, np.int32)
        for key in reversed(list(keys)):
            rows, codes = self.of(key)
            chosen[rows] = codes
        return chosen

    def codes_of(self, keys: Iterable[str], rename: Callable[[str], str] | None = None) -> Codes:
        """Return the values of the first key present as codes with labels."""
        return labelled(self.first_of(keys), self.kv, rename)

    def numbers_of(self, keys: Iterable[str]) -> tuple[Array, Array]:
        """Return (int64 values, present) of the first key present; texts count where they are digits."""
        chosen = self.first_of(keys)
        used, inverse = _used(chosen, len(self.kv))
        values = [number(self.kv, int(code)) for code in used]
        known = np.array([value is not None for value in values] + [False])
        plain = np.array([value or 0 for value in values] + [0], np.int64)
        return plain[inverse], known[inverse]


def labelled(chosen: Array, kv: KeyValues, rename: Callable[[str], str] | None = None) -> Codes:
    """Return attribute codes (-1 = none) as codes with distinct labels, in order of first code.

    Examples
    --------
    >>> from tracekit.loading.pool import Attributes
    >>> pool = Attributes()
    >>> code = pool.kv("n", 5)
    >>> labelled(np.array([code, -1]), pool.table()[0])
    Codes(codes=array([ 0, -1], dtype=int32), labels=['5'])
    """
    used, inverse = _used(chosen, len(kv))
    texts = texts_of(kv, used)
    if rename is not None:
        texts = [rename(text) for text in texts]
    labels: dict[str, int] = {}
    code = np.array([labels.setdefault(text, len(labels)) for text in texts] + [-1], np.int32)
    return Codes(code[inverse], list(labels))


def _used(chosen: Array, size: int) -> tuple[Array, Array]:
    """Return the distinct codes and, for every row, the position among them; the last position stands for none."""
    seen = np.zeros(size + 1, bool)
    seen[chosen] = True  # -1 marks the last one
    used = np.flatnonzero(seen[:-1])
    position = np.full(size + 1, len(used), np.int32)
    position[used] = np.arange(len(used), dtype=np.int32)
    return used, position[chosen]


def texts_of(kv: KeyValues, codes: Array) -> list[str]:
    """Return the values of these attributes as text: true and false, digits, JSON of arrays and maps."""
    if not len(codes):
        return []
    texts: list[str | None] = kv.text.take(codes).to_pylist()
    return [text if text is not None else _spell(kv, int(code)) for text, code in zip(texts, codes, strict=True)]


def _spell(kv: KeyValues, code: int) -> str:
    """Return a number, truth value or nothing as text."""
    kind = kv.type[code]
    if kind == ValueType.BOOL:
        return "true" if kv.integer[code] else "false"
    if kind == ValueType.INT:
        return str(kv.integer[code])
    return repr(float(kv.double[code])) if kind == ValueType.DOUBLE else ""


def number(kv: KeyValues, code: int) -> int | None:
    """Return an attribute as an integer of at most 18 digits, None where it is none."""
    if kv.type[code] == ValueType.INT and kv.text[code].as_py() is None:
        return int(kv.integer[code])
    if kv.type[code] == ValueType.DOUBLE:
        double = float(kv.double[code])
        return int(double) if double.is_integer() and abs(double) < 1e18 else None  # noqa: PLR2004 - fits 64 bits
    text = kv.text[code].as_py() or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None  # noqa: PLR2004 - likewise


def value(kv: KeyValues, code: int) -> Any:
    """Return an attribute's value as Python has it; arrays and maps stay JSON text.

    Examples
    --------
    >>> from tracekit.loading.pool import Attributes
    >>> pool = Attributes()
    >>> codes = [pool.kv("k", v) for v in (True, 3, 2.5, b"ab", None)]
    >>> table, _ = pool.table()
    >>> [value(table, code) for code in codes]
    [True, 3, 2.5, b'ab', None]
    """
    kind, text = int(kv.type[code]), kv.text[code].as_py()
    if kind == ValueType.INT:
        return int(text) if text is not None else int(kv.integer[code])
    if kind == ValueType.BOOL:
        return bool(kv.integer[code])
    if kind == ValueType.DOUBLE:
        return float(kv.double[code])
    return base64.b64decode(text) if kind == ValueType.BYTES else text


def pick(options: Sequence[Codes]) -> tuple[Codes, Array]:
    """Return for every row the first option that has a value, and which option it was (-1 = none).

    Examples
    --------
    >>> a, b = Codes(np.array([0, -1]), ["x"]), Codes(np.array([0, 0]), ["y"])
    >>> chosen, which = pick([a, b])
    >>> chosen.series().tolist(), which.tolist()
    (['x', 'y'], [0, 1])
    """
    labels: dict[str, int] = {}
    codes = np.full(len(options[0].codes), -1, np.int32)
    which = np.full(len(codes), -1, np.int8)
    for at, option in enumerate(options):
        used, inverse = _used(option.codes, len(option.labels))
        new = (codes < 0) & (option.codes >= 0)
        if not new.any():
            continue
        joint = np.array([labels.setdefault(option.labels[i], len(labels)) for i in used] + [-1], np.int32)
        codes[new] = joint[inverse[new]]
        which[new] = at
    return Codes(codes, list(labels)), which


def join(parts: Sequence[Codes], between: str = " ") -> Codes:
    """Return the parts joined row by row; missing where the first part is, later missing parts are left out.

    Examples
    --------
    >>> method, route = Codes(np.array([0, -1]), ["GET"]), Codes(np.array([0, 0]), ["/cart"])
    >>> join([method, route]).series().tolist()
    ['GET /cart', nan]
    """
    first, *rest = parts
    key = first.codes.astype(np.int64)
    for part in rest:
        key = np.where(key >= 0, key * (len(part.labels) + 1) + part.codes + 1, -1)
    distinct, where, inverse = np.unique(key, return_index=True, return_inverse=True)
    texts = [between.join(p.labels[p.codes[i]] for p in parts if p.codes[i] >= 0) for i in where]
    labels: dict[str, int] = {}
    code = [labels.setdefault(t, len(labels)) if d >= 0 else -1 for d, t in zip(distinct, texts, strict=True)]
    return Codes(np.array(code, np.int32)[inverse] if code else key.astype(np.int32), list(labels))
