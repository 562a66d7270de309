"""Rows of a frame of spans as a batch, column by column; a row with anything unusual is left to its reader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from tracekit import schema
from tracekit.columns import EventColumns, LinkColumns, SpanColumns
from tracekit.loading.building.batches import EVENT_DTYPES, LINK_DTYPES, Batch
from tracekit.ragged import Ragged
from tracekit.schema import Quality

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tracekit.columns import Array
    from tracekit.loading.building.builder import Builder

_TRACE_DIGITS, _SPAN_DIGITS = 32, 16
EXACT = 2**53  # the largest number up to which floats represent every integer
_FAR = 2.0**62  # no duration between times nearer than this exceeds 64 bits
_NO_DIGIT = 255
_DIGIT = np.full(256, _NO_DIGIT, np.uint8)
for _digits in (b"0123456789abcdef", b"0123456789ABCDEF"):
    _DIGIT[np.frombuffer(_digits, np.uint8)] = np.arange(16)
CONCLUDED = (  # from times, ids and shape, which are checked again
    Quality.NO_START
    | Quality.NO_END
    | Quality.DUPLICATE
    | Quality.DURATION_NEGATIVE
    | Quality.DURATION_ZERO
    | Quality.DURATION_ABSURD
    | Quality.OUTSIDE_PARENT
    | Quality.TIME_FUTURE
)


class Keys(NamedTuple):
    """The attribute keys of the columns of a frame.

    Parameters
    ----------
    span, resource
        Key of each column of attributes of spans and of resources.
    inbound, outbound
        Key of each column about the peer, which depends on the kind of the span.
    quality
        Bit of each column of truth values.
    operations
        Keys of attributes that ``operation`` is from.
    flags
        Key of the flag that each ``error_class`` is from.
    """

    span: Mapping[str, str]
    resource: Mapping[str, str]
    inbound: Mapping[str, str]
    outbound: Mapping[str, str]
    quality: Mapping[str, Quality]
    operations: frozenset[str]
    flags: Mapping[str, str]


class _Cells(NamedTuple):
    """A column: the number of the value of each row, -1 if it is missing, and the values."""

    codes: Array
    distinct: list[Any]

    def where(self, test: Callable[[Any], bool]) -> Array:
        """Return which rows have a value that passes a test."""
        return np.array([*map(test, self.distinct), False])[self.codes]

    def equal(self, text: str) -> Array:
        """Return which rows have this text."""
        return self.where(lambda value: _is_text(value, text))

    def by_value(self, change: Callable[[Any], Any], kind: type, missing: Any) -> Array:
        """Return what a function makes of the value of each row."""
        return np.array([*map(change, self.distinct), missing], kind)[self.codes]


def _cells(column: pd.Series) -> _Cells:
    """Return a column as distinct values; values of different types are never the same one."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        used, codes = np.unique(column.cat.codes.to_numpy(), return_inverse=True)
        values, is_missing = column.cat.categories.astype(object).tolist(), len(used) > 0 and int(used[0]) < 0
        return _Cells(codes - is_missing, [values[code] for code in used[int(is_missing) :].tolist()])
    if pd.api.types.is_float_dtype(column.dtype):  # -0.0 is another value than 0.0
        return _each(column)
    try:
        codes, found = pd.factorize(column)
    except TypeError:  # lists and maps
        return _each(column)
    values = found.astype(object).tolist() if hasattr(found, "astype") else list(found)
    if column.dtype == object and not all(type(value) is str for value in values):  # True is equal to 1
        return _each(column)
    return _Cells(codes, values)


def _each(column: pd.Series) -> _Cells:
    """Return a column with the value of each row by itself."""
    is_known = column.notna().to_numpy()
    values = column.astype(object)[is_known].tolist()
    return _Cells(np.where(is_known, np.cumsum(is_known) - 1, -1), values)


@dataclass(eq=False)
class FrameBatch:
    """Some rows of a frame.

    Parameters
    ----------
    frame
        With names as columns.
    records
        Record number of each row.
    builder
        Receives the texts and attributes of the usual rows.
    keys
        The attribute keys of the columns.
    """

    frame: pd.DataFrame
    records: Array
    builder: Builder
    keys: Keys

    def __post_init__(self) -> None:
        self._is_odd = np.zeros(len(self.frame), bool)
        self._cells_of: dict[str, _Cells] = {}

    def load(self) -> Array:
        """Add the usual rows to the builder, and return the positions of the others."""
        self._find_torn()
        numbers = self._numbers()
        if not self._is_odd.any():
            self._add(numbers)
        elif not self._is_odd.all():
            usual = np.flatnonzero(~self._is_odd)
            FrameBatch(self.frame.iloc[usual], self.records[usual], self.builder, self.keys).load()
        return np.flatnonzero(self._is_odd)

    def _add(self, numbers: dict[str, Array]) -> None:
        """Add the rows to the builder."""
        codes = self._attributes(numbers["kind"], numbers["record_kind"])
        is_given = codes >= 0
        nothing = Ragged.from_counts(np.zeros(0, np.int64), np.zeros(0, np.int32))
        events, links = ([np.zeros(0, kind) for kind in kinds] for kinds in (EVENT_DTYPES, LINK_DTYPES))
        spans = SpanColumns(**numbers, **self._coded_columns())
        attributes = Ragged.from_counts(is_given.sum(axis=1), codes[is_given])
        self.builder.batch(Batch(spans, attributes, EventColumns(*events), nothing, LinkColumns(*links), nothing))

    # ---------------------------------------------------------------- columns

    def _cells(self, name: str) -> _Cells:
        """Return a column as distinct values; of one that is missing no row has any."""
        if name not in self._cells_of:
            found = _cells(self.frame[name]) if name in self.frame else _Cells(np.full(len(self.frame), -1), [])
            self._cells_of[name] = found
        return self._cells_of[name]

    def _is_given(self, name: str) -> Array:
        """Return which rows have a value."""
        return self._cells(name).codes >= 0

    def _find_torn(self) -> None:
        """Mark rows with unpaired surrogates, which only columns of objects can have."""
        for name in map(str, self.frame):
            if not _may_be_torn(self.frame[name].dtype):
                continue
            cells = self._cells(name)
            if not _is_whole("".join(value for value in cells.distinct if isinstance(value, str))):
                self._is_odd |= cells.where(lambda value: isinstance(value, str) and not _is_whole(value))

    def _id(self, name: str, digits: int, *, may_be_missing: bool = False) -> list[Array]:
        """Return an id as 64-bit words; rows with other than hex digits are odd."""
        cells = self._cells(name)
        is_usual = np.array([isinstance(v, str) and len(v) <= digits and v.isascii() for v in cells.distinct], bool)
        text = "".join(
            v.rjust(digits, "0") for v, is_so in zip(cells.distinct, is_usual.tolist(), strict=True) if is_so
        )
        nibbles = _DIGIT[np.frombuffer(text.encode("ascii"), np.uint8)].reshape(-1, digits)
        packed = np.ascontiguousarray((nibbles[:, 0::2] << 4) | nibbles[:, 1::2])
        words = packed.view(">u8").astype(np.uint64)
        is_right = (nibbles != _NO_DIGIT).all(axis=1) & words.any(axis=1)
        values = np.zeros((len(cells.distinct) + 1, digits // _SPAN_DIGITS), np.uint64)
        values[:-1][is_usual] = np.where(is_right[:, None], words, 0)
        is_bad = np.append(~values[:-1].any(axis=1), not may_be_missing)
        if may_be_missing:
            is_bad[:-1] &= np.array([not _is_text(value, "") for value in cells.distinct], bool)
        self._is_odd |= is_bad[cells.codes]
        return list(values[cells.codes].T)

    def _word(self, name: str, words: Sequence[str]) -> Array:
        """Return the number of an enumeration value of each row."""
        number = {word: at for at, word in enumerate(words)}
        found = self._cells(name).by_value(lambda v: number.get(v, -1) if isinstance(v, str) else -1, np.int8, 0)
        self._is_odd |= found < 0
        return np.where(found < 0, np.int8(0), found)

    def _text(self, name: str, code: Callable[[str], int]) -> Array:
        """Return the builder's code of a text of each row."""
        cells = self._cells(name)
        missing = code("") if (cells.codes < 0).any() else 0
        return cells.by_value(lambda value: code(str(value)), np.int32, missing)

    def _number(self, name: str, kind: Any, missing: int = 0) -> Array:
        """Return an integer of each row; rows with anything else, or with one that does not fit, are odd."""
        limits = np.iinfo(kind)
        if name in self.frame and self.frame[name].dtype == np.int64:
            values = self.frame[name].to_numpy()
            fits = (values >= limits.min) & (values <= limits.max)
            self._is_odd |= ~fits
            return np.asarray(np.where(fits, values, 0).astype(kind))

        def fitting(value: Any) -> int | None:
            is_exact = isinstance(value, float) and value.is_integer() and abs(value) <= EXACT
            is_whole = is_exact or isinstance(value, int)
            return int(value) if is_whole and limits.min <= value <= limits.max else None

        cells = self._cells(name)
        self._is_odd |= cells.where(lambda value: fitting(value) is None)
        return cells.by_value(lambda value: fitting(value) or 0, kind, missing)

    def _time(self, name: str) -> Array:
        """Return nanoseconds of each row, 0 if they are missing."""
        found = self._number(name, np.int64)
        self._is_odd |= np.abs(found.astype(np.float64)) > _FAR
        return found

    # ---------------------------------------------------------------- spans

    def _numbers(self) -> dict[str, Array]:
        """Return the columns of the spans without texts and attributes."""
        count = len(self.frame)
        dropped = ("dropped_attributes", "dropped_events", "dropped_links")
        return {
            **dict(zip(("trace_hi", "trace_lo"), self._id("trace_id", _TRACE_DIGITS), strict=True)),
            "span_id": self._id("span_id", _SPAN_DIGITS)[0],
            "parent_id": self._id("parent_span_id", _SPAN_DIGITS, may_be_missing=True)[0],
            "kind": self._word("kind", schema.KINDS),
            "start_ns": self._time("start_ns"),
            "end_ns": self._time("end_ns"),
            "status_code": self._word("status_code", schema.STATUS_CODES),
            "flags": self._number("trace_flags", np.uint32),
            "record_kind": self._word("record_kind", schema.RECORD_KINDS),
            "resolution_ns": self._number("time_resolution_ns", np.int32, 1),
            "source": np.full(count, self.builder.source, np.int32),
            "record_number": self.records,
            "byte_offset": np.zeros(count, np.int64),
            **{name: self._number(f"{name}_count", np.uint32) for name in dropped},
            "quality": self._quality(),
        }

    def _coded_columns(self) -> dict[str, Array]:
        """Return the columns of the spans that are codes of the builder."""
        builder = self.builder
        return {
            "name": self._text("name", builder.names.code),
            "status_message": self._text("status_message", builder.texts.optional),
            "trace_state": self._text("trace_state", builder.texts.optional),
            "resource": self._resource(),
            "scope": np.full(len(self.frame), builder.scope(), np.int32),
        }

    def _quality(self) -> Array:
        """Return the quality bits that are not derived again, and those of missing times."""
        bits = self._number("quality", np.uint32) & np.uint32(0xFFFF_FFFF & ~int(CONCLUDED))
        for name, bit in self.keys.quality.items():
            is_set = self._cells(name).where(bool)
            bits = np.where(self._is_given(name) & ~is_set, bits & np.uint32(0xFFFF_FFFF & ~int(bit)), bits)
            bits = np.where(is_set, bits | np.uint32(bit), bits)
        known = (
            (self._is_given("parent_is_remote"), Quality.PARENT_REMOTE_KNOWN),
            (~self._is_given("start_ns"), Quality.NO_START),
            (~self._is_given("end_ns"), Quality.NO_END),
        )
        for rows, bit in known:
            bits = np.where(rows, bits | np.uint32(bit), bits)
        return bits

    # ---------------------------------------------------------------- attributes

    def _resource(self) -> Array:
        """Return the resource of each row."""
        codes = [self._coded(name, key) for name, key in self.keys.resource.items() if name in self.frame]
        group = np.zeros(len(self.frame), np.int64)
        for column in codes:
            group = pd.factorize(group * (int(column.max(initial=-1)) + 2) + column + 1)[0]
        _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
        rows = np.stack(codes, axis=1)[first].tolist() if codes else [[]] * len(first)
        made = [self.builder.resource([code for code in row if code >= 0]) for row in rows]
        return np.array(made, np.int32)[inverse]

    def _attributes(self, kind: Array, record_kind: Array) -> Array:
        """Return the codes of the attributes of each row, -1 for none, in their order."""
        entries = [self._coded(name, key) for name, key in self.keys.span.items() if name in self.frame]
        is_inbound = np.isin(kind, (schema.Kind.SERVER, schema.Kind.CONSUMER))
        for name in self.keys.inbound:
            for key, rows in ((self.keys.inbound[name], is_inbound), (self.keys.outbound[name], ~is_inbound)):
                if name in self.frame and key not in self.keys.span.values():
                    entries.append(self._coded(name, key, rows))
        source, error_class = self._cells("operation_source"), self._cells("error_class")
        for key in self.keys.operations:
            rows = source.equal(key)
            entries.append(self._coded("operation", key, rows & ~self._is_given(f"attributes.{key}")))
        is_http = (record_kind == schema.RecordKind.SPAN) & self._is_given("http_response_status_code")
        is_error = self._cells("is_error").where(bool)
        for name, key in self.keys.flags.items():
            rows = error_class.equal(name) & ~is_http
            rows &= ~self._is_given(f"attributes.{key}")
            rows &= is_error | (name != "throttle")
            code = self.builder.kv(key, value=True) if rows.any() else -1
            entries.append(np.where(rows, np.int32(code), np.int32(-1)))
        return np.stack(entries, axis=1)

    def _coded(self, name: str, key: str, rows: Array | None = None) -> Array:
        """Return the builder's codes of a column as an attribute, -1 where there is none; of these rows only."""
        cells = self._cells(name)
        codes = cells.codes if rows is None else np.where(rows, cells.codes, -1)
        used = np.unique(codes[codes >= 0])
        coded = np.full(len(cells.distinct) + 1, -1, np.int32)
        coded[used] = [self.builder.kv(key, plain(cells.distinct[at])) for at in used.tolist()]
        return coded[codes]


def _may_be_torn(kind: Any) -> bool:
    """Return whether texts of a column may have unpaired surrogates; those of Arrow have none."""
    is_of_arrow = isinstance(kind, pd.StringDtype) and kind.storage == "pyarrow"
    return isinstance(kind, pd.CategoricalDtype) or (pd.api.types.is_string_dtype(kind) and not is_of_arrow)


def _is_text(value: Any, text: str) -> bool:
    """Return whether a cell is this text."""
    return isinstance(value, str) and value == text


def _is_whole(text: str) -> bool:
    """Return whether a text has no unpaired surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def plain(value: Any) -> Any:
    """Return numpy scalars as Python numbers.

    Examples
    --------
    >>> plain(np.int64(5)), plain("five")
    (5, 'five')
    """
    return value.item() if hasattr(value, "item") else value
