"""Attribute lookup by key: values as codes with labels."""

from __future__ import annotations

import base64
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tracekit.on_demand import pd
from tracekit.schema import ValueType
from tracekit.stats.grouping import dense_codes, stable_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tracekit.columns import Array, KeyValues
    from tracekit.ragged import Ragged


class Codes(NamedTuple):
    """A column of text as numbers: ``labels[code]``, -1 for missing.

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

    def texts(self, codes: Array) -> list[str]:
        """Return the labels of these codes."""
        return [self.labels[code] for code in codes]

    def take(self, rows: Array | slice) -> Codes:
        """Return the column at these rows."""
        return Codes(self.codes[rows], self.labels)

    def used(self) -> Codes:
        """Return the column with the labels in use only, each once and in order.

        Examples
        --------
        >>> Codes(np.array([2, -1, 0]), ["shop", "ledger", "cart"]).used()
        Codes(codes=array([ 0, -1,  1], dtype=int32), labels=['cart', 'shop'])
        """
        is_used = np.zeros(len(self.labels) + 1, bool)
        is_used[self.codes] = True
        mine = np.flatnonzero(is_used[:-1])
        texts = self.texts(mine)
        labels = sorted({*texts})
        number = {label: code for code, label in enumerate(labels)}
        place = np.full(len(is_used), -1, np.int32)
        place[mine] = [number[text] for text in texts]
        return Codes(place[self.codes], labels)

    def followed_by(self, other: Codes) -> Codes:
        """Return the rows of both, with each label once."""
        number: dict[str, int] = {}
        maps = [
            np.array([*(number.setdefault(label, len(number)) for label in one.labels), -1], np.int32)
            for one in (self, other)
        ]
        return Codes(np.append(maps[0][self.codes], maps[1][other.codes]), list(number))


class Numbers(NamedTuple):
    """A column of whole numbers: ``values[code]`` where ``known[code]``; code -1 is the last one, which is not known.

    Examples
    --------
    >>> numbers = Numbers(np.array([0, -1, 0]), np.array([200, 0]), np.array([True, False]))
    >>> [column.tolist() for column in numbers.by_row()]
    [[200, 0, 200], [True, False, True]]
    """

    codes: Array
    values: Array
    known: Array

    def by_row(self) -> tuple[Array, Array]:
        """Return the number of every row, and whether it has one."""
        return self.values[self.codes], self.known[self.codes]


_MOST_DIGITS = 4300  # limit of Python's int()
_BLOCK = 65_536  # attributes that are sorted by key at once
_SPELLED = (ValueType.BOOL, ValueType.INT, ValueType.DOUBLE)  # of which only large numbers have a text


class _Sorted(NamedTuple):
    """Rows and codes of attributes sorted by key in blocks, and the keys of each block."""

    rows: Array
    codes: Array
    keys: list[Array]


class KeyIndex:
    """The attributes of one owner table, looked up by key.

    Those of a store are stored by key, and only keys that are asked for are read.  Others are sorted by key on first
    use, in blocks that fit into the cache of a processor, which costs as much as finding five keys by comparison.

    Parameters
    ----------
    attributes
        Attributes of each owner row.
    kv
        The attribute table that the codes refer to.

    Examples
    --------
    >>> from tracekit.ragged import Ragged
    >>> from tracekit.loading.building.pool import Attributes
    >>> pool = Attributes()
    >>> codes = np.array([pool.kv("tenant", "blue"), pool.kv("retries", 2)], np.int32)
    >>> index = KeyIndex(Ragged(np.array([0, 0, 2]), codes), pool.table()[0])
    >>> index.of("retries")
    (array([1], dtype=int32), array([1], dtype=int32))
    """

    def __init__(self, attributes: Ragged, kv: KeyValues) -> None:
        self.kv = kv
        self.row_count = len(attributes)
        self._attributes = attributes

    @cached_property
    def _sorted(self) -> _Sorted:
        """Return every attribute with its row, sorted by key in blocks, and the keys of each block."""
        key = self.kv.key.astype(np.min_scalar_type(max(len(self.kv.keys), 1)))
        codes = self._attributes.codes
        by_key, code, keys = np.empty(len(codes), np.int32), np.empty_like(codes), []
        for low in range(0, len(codes), _BLOCK):
            block = slice(low, min(low + _BLOCK, len(codes)))
            own = key[codes[block]]
            order = np.argsort(own, kind="stable")
            by_key[block], code[block] = self._attributes.owners_between(block)[order], codes[block][order]
            keys.append(own[order])
        return _Sorted(by_key, code, keys)

    def of(self, key: str) -> tuple[Array, Array]:
        """Return (owner rows, attribute codes) of a key, in the order of the rows."""
        rows, codes = self.pairs_of(key)
        if not (rows[1:] < rows[:-1]).any():
            return rows, codes
        order = stable_order(rows, self.row_count)
        return rows[order], codes[order]

    def pairs_of(self, key: str) -> tuple[Array, Array]:
        """Return the same in any order of the rows: of a store, they need not be sorted."""
        if key not in self.kv.keys:
            return np.zeros(0, np.int32), np.zeros(0, np.int32)
        at = self.kv.keys.index(key)
        stored = self._attributes.stored_of(at)
        if stored is not None:
            return stored
        rows, codes, keys = self._sorted
        runs = _runs(keys, at)
        return _joined(rows, runs), _joined(codes, runs)

    def first_of(self, keys: Iterable[str]) -> Array:
        """Return for every row the attribute code of the first of these keys that it has; -1 without any.

        If a row has a key twice, the last value is used.
        """
        chosen = np.full(self.row_count, -1, np.int32)
        for key in reversed(list(keys)):
            rows, codes = self.pairs_of(key)
            chosen[rows] = codes
        return chosen

    def has(self, keys: Iterable[str]) -> Array:
        """Return whether a row has one of these keys, with any value."""
        found = np.zeros(self.row_count, bool)
        for key in keys:
            found[self.pairs_of(key)[0]] = True
        return found

    def codes_of(
        self, keys: Iterable[str], rename: Callable[[str], str] | None = None, *, within: Array | None = None
    ) -> Codes:
        """Return the values of the first key present as codes with labels; ``within``: only of these rows."""
        labels: dict[str, int] = {}
        result = None
        for rows, used, position in self._distinct(keys, within):
            result = np.full(self.row_count, -1, np.int32) if result is None else result
            texts = texts_of(self.kv, used)
            texts = texts if rename is None else [rename(text) for text in texts]
            result[rows] = np.array([labels.setdefault(text, len(labels)) for text in texts], np.int32)[position]
        return Codes(nowhere(self.row_count) if result is None else result, list(labels))

    def numbers_of(self, keys: Iterable[str]) -> tuple[Array, Array]:
        """Return (int64 values, present) of the first key present; see ``number_codes_of``."""
        return self.number_codes_of(keys).by_row()

    def number_codes_of(self, keys: Iterable[str]) -> Numbers:
        """Return the first key present as codes of numbers; text is converted if it consists of digits."""
        found: list[int | None] = []
        result = nowhere(self.row_count)
        for rows, used, position in self._distinct(keys):
            result = result if result.flags.writeable else np.full(self.row_count, -1, np.int32)
            result[rows] = position + np.int32(len(found))
            some = self.kv.take(used)
            found += [number(some, at, text) for at, text in enumerate(some.text.to_pylist())]
        plain = np.array([value or 0 for value in found] + [0], np.int64)
        return Numbers(result, plain, np.array([value is not None for value in found] + [False]))

    def _distinct(self, keys: Iterable[str], within: Array | None = None) -> Iterator[tuple[Array, Array, Array]]:
        """Yield for each key that occurs, the last one first, its rows, its distinct codes, and which one each has."""
        if within is not None and not within.any():
            return
        for key in reversed(list(keys)):
            rows, codes = self.pairs_of(key)
            if within is not None:
                rows, codes = rows[within[rows]], codes[within[rows]]
            if len(rows):
                yield rows, *_used(codes)


def _runs(blocks: Sequence[Array], key: int) -> list[slice]:
    """Return the positions of a key in blocks of sorted keys, of each block that has it."""
    found = []
    for at, block in enumerate(blocks):
        wanted = block.dtype.type(key)
        low, high = int(block.searchsorted(wanted)), int(block.searchsorted(wanted, "right"))
        if low < high:
            found.append(slice(at * _BLOCK + low, at * _BLOCK + high))
    return found


def _joined(values: Array, runs: Sequence[slice]) -> Array:
    """Return the values of runs one after another."""
    return np.concatenate([values[:0], *(values[run] for run in runs)])


def _used(codes: Array) -> tuple[Array, Array]:
    """Return the distinct codes, and for every row the position among them."""
    size = int(codes.max()) + 1  # of codes that are met early, a table that fits into the cache
    seen = np.zeros(size, bool)
    seen[codes] = True
    used = np.flatnonzero(seen)
    position = np.empty(size, np.int32)
    position[used] = np.arange(len(used), dtype=np.int32)
    return used, position[codes]


def nowhere(rows: int) -> Array:
    """Return the codes of a column without values, which takes no memory."""
    return np.broadcast_to(np.int32(-1), rows)


def texts_of(kv: KeyValues, codes: Array) -> list[str]:
    """Return the values of these attributes as text: booleans as true and false, arrays and maps as JSON."""
    if not len(codes):
        return []
    texts = kv.texts_at(codes)
    missing = [at for at, text in enumerate(texts) if text is None]
    if missing:
        for at, text in zip(missing, _spelled(kv.take(np.asarray(codes)[missing])), strict=True):
            texts[at] = text
    return texts  # type: ignore[return-value]  # none is missing now


def _spelled(kv: KeyValues) -> list[str]:
    """Return numbers and booleans as text, an empty string for what is neither."""
    found = np.full(len(kv), "", object)
    spellings: dict[ValueType, tuple[Array, Callable[[Any], str]]] = {
        ValueType.BOOL: (kv.integer, lambda is_true: "true" if is_true else "false"),
        ValueType.INT: (kv.integer, str),
        ValueType.DOUBLE: (kv.double, repr),
    }
    for kind, (values, spell) in spellings.items():
        rows = np.flatnonzero(kv.type == kind)
        if len(rows):
            found[rows] = [spell(value) for value in values[rows].tolist()]
    texts: list[str] = found.tolist()
    return texts


def number(kv: KeyValues, code: int, text: str | None) -> int | None:
    """Return an attribute with this text as an integer of at most 18 digits, or None."""
    if kv.type[code] == ValueType.INT and text is None:
        return int(kv.integer[code])
    if kv.type[code] == ValueType.DOUBLE:
        double = float(kv.double[code])
        return int(double) if double.is_integer() and abs(double) < 1e18 else None  # noqa: PLR2004 - fits 64 bits
    text = text or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None  # noqa: PLR2004 - likewise


def value(kv: KeyValues, code: int) -> Any:
    """Return an attribute's value as a Python object; arrays and maps stay JSON text."""
    kind, text = int(kv.type[code]), kv.text[code].as_py()
    if kind == ValueType.INT:
        if text is not None:
            return int(text) if len(text) <= _MOST_DIGITS else text
        return int(kv.integer[code])
    if kind == ValueType.BOOL:
        return bool(kv.integer[code])
    if kind == ValueType.DOUBLE:
        return float(kv.double[code])
    return base64.b64decode(text) if kind == ValueType.BYTES else text


def pick(options: Sequence[Codes]) -> tuple[Codes, Array]:
    """Return for every row the first option with a value, and the number of that option (-1 = none)."""
    labels: dict[str, int] = {}
    codes = np.full(len(options[0].codes), -1, np.int32)
    which = np.full(len(codes), -1, np.int8)
    is_open = np.ones(len(codes), bool)
    for at, option in enumerate(options):
        if not option.labels:
            continue
        found = option.codes >= 0
        found &= is_open
        rows = np.flatnonzero(found)
        if not len(rows):
            continue
        joint = np.array([labels.setdefault(label, len(labels)) for label in option.labels], np.int32)
        codes[rows] = joint[option.codes[rows]]
        which[rows] = at
        is_open &= ~found
    return Codes(codes, list(labels)), which


def text_hashes(column: Codes) -> Array:
    """Return a number for the text of each row (uint64), the same in every recording; one for missing ones, too.

    Examples
    --------
    >>> first, second = Codes(np.array([0, 1]), ["cart", "shop"]), Codes(np.array([0, -1]), ["shop"])
    >>> bool(text_hashes(first)[1] == text_hashes(second)[0])
    True
    """
    texts = np.array([*column.labels, ""], object)
    try:
        found = pd.util.hash_array(texts, categorize=False)
    except UnicodeEncodeError:  # half of a surrogate pair; the hash of a text is that of its bytes
        encoded = np.array([text.encode("utf-8", "surrogatepass") for text in texts], object)
        found = pd.util.hash_array(encoded, categorize=False)
    return np.asarray(found)[column.codes]


def hashes_of(kv: KeyValues, codes: Array, before: str = "") -> Array:
    """Return ``text_hashes`` of ``texts_of`` these attributes, each behind a text.

    Examples
    --------
    >>> kv = shop.columns.kv
    >>> codes = np.arange(len(kv))
    >>> expected = text_hashes(Codes(codes, [f"a {text}" for text in texts_of(kv, codes)]))
    >>> bool((hashes_of(kv, codes, "a ") == expected).all())
    True
    """
    found = kv.hashes_at(codes, before)
    spelled = np.flatnonzero(np.isin(kv.take(codes).type, _SPELLED))
    texts = [before + text for text in texts_of(kv, codes[spelled])]
    found[spelled] = text_hashes(Codes(np.arange(len(texts)), texts))
    return found


def join(parts: Sequence[Codes], between: str = " ", *, within: Array | None = None) -> Codes:
    """Return the parts joined row by row; missing where the first part is missing, other missing parts are skipped.

    ``within``: only of these rows.
    """
    if not parts[0].labels:
        return parts[0]
    is_present = parts[0].codes >= 0
    rows = np.flatnonzero(is_present if within is None else is_present & within)
    key, size = np.zeros(len(rows), np.int64), 1
    for part in parts:
        key *= len(part.labels) + 1
        key += part.codes[rows]
        key += 1
        size *= len(part.labels) + 1
    group, distinct = dense_codes(key, size)
    example = np.zeros(len(distinct), np.int64)
    example[group[::-1]] = rows[::-1]
    labels: dict[str, int] = {}
    label = np.zeros(len(distinct), np.int32)
    for at in np.argsort(example):
        row = example[at]
        text = between.join(p.labels[p.codes[row]] for p in parts if p.codes[row] >= 0)
        label[at] = labels.setdefault(text, len(labels))
    codes = np.full(len(parts[0].codes), -1, np.int32)
    codes[rows] = label[group]
    return Codes(codes, list(labels))
