"""Tables for people: the suffix of a column name determines how its numbers are shown."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracekit.on_demand import pd
from tracekit.text import NO_FIGURE, clean, duration, moment, number, ratio, size, usd

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_EPOCH, _LATEST = 10**17, 2**63 - 1  # ns between which a value may be a timestamp (1973 to 2262)
_INSTANTS: Final = {"start", "end", "first", "last", "begin", "onset", "arrival"}
_FORMS: Final[dict[str, tuple[Callable[[float], str], str]]] = {
    "ns": (duration, "ns"),
    "ms": (lambda value: duration(value * 1e6), "ms"),
    "ratio": (ratio, ""),
    "bytes": (size, "bytes"),
    "usd": (usd, "USD"),
}


class Readable(NamedTuple):
    """How one column is shown.

    Parameters
    ----------
    name
        Its name without the unit.
    unit
        Unit of its numbers; empty for counts, ratios and text.
    kind
        ``number``, ``time``, ``flag`` or ``text``.
    form
        Function from a value to its text.
    """

    name: str
    unit: str
    kind: str
    form: Callable[[Any], str]


def readable(frame: pd.DataFrame | pd.Series) -> pd.DataFrame:
    """Return a table formatted for reading: numbers as text with units, and column names without the unit suffix.

    Parameters
    ----------
    frame
        Any table of tracekit, or one with the same suffixes: ``_ns``, ``_ms``, ``_ratio``, ``_bytes``, ``_usd``.  Not
        modified.

    Returns
    -------
    pandas.DataFrame
        The same rows as text, an en dash for a missing value; times in UTC.

    Raises
    ------
    TypeError
        If it is not a table.

    Examples
    --------
    >>> table = tk.latency(shop, by="service_name").table
    >>> tk.readable(table[["service_name", "span_count", "p95_ns"]].head(2))
      service_name span_count     p95
    0         shop         15  400 ms
    1       ledger          8  340 ms
    """
    if isinstance(frame, pd.Series):
        frame = frame.to_frame()
    if not isinstance(frame, pd.DataFrame):
        hint = "; pass its table: readable(result.table)" if hasattr(frame, "table") else ""
        raise TypeError(f"expected a DataFrame or Series, found {type(frame).__name__}{hint}")
    shown = frame.copy()
    names: list[Hashable] = []
    for position, name in enumerate(frame.columns):
        values = frame.iloc[:, position]
        column = how(str(name), values)
        texts = [NO_FIGURE if is_missing(value) else column.form(value) for value in values]
        shown.isetitem(position, pd.array(texts, dtype=object))
        names.append(column.name if isinstance(name, str) else name)
    shown.columns = pd.Index(names, name=frame.columns.name) if frame.columns.nlevels == 1 else frame.columns
    return shown


def as_html(frame: pd.DataFrame, *, index: bool = False) -> str:
    """Return a table as HTML for a notebook; all text is escaped."""
    return readable(frame).to_html(index=index, border=0)


def how(name: str, values: pd.Series) -> Readable:
    """Return how a column is shown, from its name and its values."""
    short, unit = split_unit(name)
    if pd.api.types.is_bool_dtype(values):
        return Readable(short, "", "flag", lambda value: "yes" if value else "no")
    if values.dtype.kind == "M":
        return Readable(short, "", "time", lambda value: moment(pd.Timestamp(value).value, decimals=3))
    if values.dtype.kind == "m":
        return Readable(short, "ns", "number", lambda value: duration(pd.Timedelta(value).value))
    if not pd.api.types.is_numeric_dtype(values):
        return Readable(name, "", "text", clean)
    if unit == "ns" and _INSTANTS & set(short.split("_")) and values.dropna().between(_EPOCH, _LATEST).any():
        return Readable(short, "ns since 1970, UTC", "time", _instant)
    form, shown_unit = _FORMS.get(unit, (_number, ""))
    return Readable(short, shown_unit, "number", form)


def split_unit(name: str) -> tuple[str, str]:
    """Return a column name without its unit, and the unit; ``ratio`` stays in the name."""
    parts = name.split("_")
    unit = next((part for part in parts[1:] if part in _FORMS), "")
    kept = [part for part in parts if part != unit or unit == "ratio"]
    return "_".join(kept), unit


def is_missing(value: Any) -> bool:
    """Return whether a value is missing; lists and other containers are not."""
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _instant(value: float) -> str:
    """Return a time in UTC; a value that cannot be one as it is."""
    return moment(int(value), decimals=3) if abs(value) <= _LATEST else str(value)


def _number(value: float) -> str:
    """Return a number without a unit."""
    return number(value) if math.isfinite(value) else str(value)
