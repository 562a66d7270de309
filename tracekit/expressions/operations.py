"""Operations of conditions on columns: typed values, and one function per operation."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tracekit.filters import instant_ns
from tracekit.on_demand import pd
from tracekit.wildcards import compiled

if TYPE_CHECKING:
    from collections.abc import Callable

_BEYOND = 2**63
ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mult": operator.mul,
    "Div": operator.truediv,
    "FloorDiv": operator.floordiv,
    "Mod": operator.mod,
}
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "Eq": operator.eq,
    "NotEq": operator.ne,
    "Lt": operator.lt,
    "LtE": operator.le,
    "Gt": operator.gt,
    "GtE": operator.ge,
}
TEXT_METHODS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda label, part: part in label,
    "startswith": str.startswith,
    "endswith": str.endswith,
    "like": lambda label, pattern: compiled(pattern).fullmatch(label) is not None,
}
MISSING_METHODS = {"isna": True, "isnull": True, "notna": False, "notnull": False}
_ORDERED = {"number", "time"}


class Value(NamedTuple):
    """A column or a constant, with the kind of its values: ``truth``, ``number``, ``text`` or ``time``."""

    kind: str
    content: Any

    @property
    def is_column(self) -> bool:
        """Whether there is one entry per span."""
        return isinstance(self.content, pd.Series)


def column(series: pd.Series) -> Value:
    """Return a column of spans as a value; integers become int64."""
    if pd.api.types.is_bool_dtype(series.dtype):
        return Value("truth", series)
    if pd.api.types.is_integer_dtype(series.dtype):
        return Value("number", series.astype("Int64"))
    if pd.api.types.is_float_dtype(series.dtype):
        return Value("number", series)
    return Value("time" if isinstance(series.dtype, pd.DatetimeTZDtype) else "text", series)


def constant(content: bool | float | str) -> Value:
    """Return a constant as a value; an integer beyond 64 bits becomes a float."""
    if isinstance(content, (bool, str)):
        return Value("truth" if isinstance(content, bool) else "text", content)
    is_wide = isinstance(content, int) and not -_BEYOND <= content < _BEYOND
    return Value("number", float(content) if is_wide else content)


def compared(name: str, left: Value, right: Value) -> Value | None:
    """Return the comparison of two values; None if their kinds cannot be compared."""
    kinds = {left.kind, right.kind}
    if kinds == {"time", "text"}:
        left, right = (side if side.kind == "time" else _moment(side) for side in (left, right))
    elif kinds == {"truth", "number"}:
        left, right = (side if side.kind == "number" else _counted(side) for side in (left, right))
    if left.kind != right.kind or (left.kind not in _ORDERED and name not in {"Eq", "NotEq"}):
        return None
    sides = [side.content for side in (left, right)]
    if left.kind == "text" and left.is_column and right.is_column:
        sides = [side.astype("str") for side in sides]  # columns of other labels do not compare
    return Value("truth", COMPARISONS[name](*sides))


def _moment(text: Value) -> Value:
    """Return text as a time, UTC if it has no time zone; ValueError if it is not a time."""
    if text.is_column:
        raise ValueError("a column of texts")
    return Value("time", pd.Timestamp(instant_ns(text.content), tz="UTC"))


def as_numbers(texts: Value) -> Value:
    """Return a column of texts as numbers, missing where a text is not a number; converted once per distinct text."""
    labels = texts.content.astype("category")
    table = np.append(pd.to_numeric(pd.Series(labels.cat.categories, dtype=object), errors="coerce"), np.nan)
    return Value("number", pd.Series(table.astype(np.float64)[labels.cat.codes], index=texts.content.index))


def _counted(truth: Value) -> Value:
    """Return booleans as 1 and 0."""
    return Value("number", truth.content.astype("Int64") if truth.is_column else int(truth.content))


def calculated(name: str, left: Value, right: Value) -> Value | None:
    """Return the result of arithmetic; None if a side is not a number; results beyond 64 bits become floats."""
    if (left.kind, right.kind) != ("number", "number"):
        return None
    apply, a, b = ARITHMETIC[name], left.content, right.content
    if not (left.is_column or right.is_column):
        return constant(apply(a, b))
    with np.errstate(all="ignore"):  # a division by 0, or beyond all floats, compares as inf and NaN do
        wide = apply(*(side.astype("Float64") if isinstance(side, pd.Series) else float(side) for side in (a, b)))
        is_wide = bool((wide.abs() >= _BEYOND).any())
        return Value("number", wide if is_wide else apply(a, b))


def joined(name: str, sides: list[Value]) -> Value | None:
    """Return conditions joined by ``And``, ``Or`` or ``Xor``, or negated by ``Not``; None if one is not a condition."""
    if any(side.kind != "truth" for side in sides):
        return None
    first, *rest = (side.content for side in sides)
    if name == "Not":
        return Value("truth", ~first if isinstance(first, pd.Series) else not first)
    join = {"And": operator.and_, "Or": operator.or_, "Xor": operator.xor}[name]
    for other in rest:
        first = join(first, other)
    return Value("truth", first)


def member(value: Value, listed: list[Value]) -> Value | None:
    """Return whether a column equals one of some constants; None if they are of another kind."""
    if not value.is_column or value.kind not in {"text", "number"} or any(one.kind != value.kind for one in listed):
        return None
    return Value("truth", value.content.isin([one.content for one in listed]))


def by_text(name: str, texts: pd.Series, wanted: str) -> Value:
    """Return whether texts contain, begin with, end with or match another; evaluated once per distinct text."""
    labels = texts.astype("category")
    table = [TEXT_METHODS[name](str(label), wanted) for label in labels.cat.categories]
    return Value("truth", pd.Series(np.array([*table, False], bool)[labels.cat.codes], index=texts.index))


def missing(name: str, values: pd.Series) -> Value:
    """Return where a column is missing, or is not."""
    return Value("truth", values.isna() == MISSING_METHODS[name])
