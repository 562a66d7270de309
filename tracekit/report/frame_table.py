"""Tables made from any DataFrame: the suffix of a column name determines the unit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from tracekit.report.tables import (
    Cell,
    Column,
    Table,
    name_cell,
    rest_note,
    service_cell,
    time_cell,
    trace_cell,
)
from tracekit.text import NO_FIGURE, clean, duration, moment, number, ratio, size

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.views.colours import Colours

MOST_ROWS: Final = 2_000
_HEAD: Final = 80  # characters of a head
_EPOCH: Final = 10**17  # ns from which a value is a timestamp (after 1973) and not a duration (three years)
_UNITS: Final = {"ns": "ns", "ms": "ms", "bytes": "bytes", "usd": "USD", "ratio": ""}
_FORMS: Final[dict[str, Callable[[float], str]]] = {
    "ns": duration,
    "ratio": ratio,
    "bytes": size,
}


def frame_table(frame: pd.DataFrame, caption: str, colours: Colours, shown: set[str]) -> Table:
    """Return a DataFrame as a table."""
    named = frame.reset_index() if any(name is not None for name in frame.index.names) else frame
    columns, cells = [], []
    for position, name in enumerate(named.columns):
        values = named.iloc[:, position].head(MOST_ROWS)
        words = " ".join(map(str, name)) if isinstance(name, tuple) else str(name)
        column, shown_as = _kind(words, values, colours, shown)
        columns.append(column)
        cells.append([Cell(NO_FIGURE, None, "mute") if _is_missing(value) else shown_as(value) for value in values])
    return Table(caption, columns, list(zip(*cells, strict=True)), note=rest_note(len(frame), "rows", MOST_ROWS))


def _kind(name: str, values: pd.Series, colours: Colours, shown: set[str]) -> tuple[Column, Callable[[Any], Cell]]:
    """Return the head of a column, and the function that makes its cells."""
    words, unit = _split_unit(name)
    if pd.api.types.is_bool_dtype(values):
        return Column(words), lambda value: Cell("yes" if value else "no", "yes" if value else "no")
    if values.dtype.kind == "M":
        return Column(words), lambda value: _moment_cell(pd.Timestamp(value).value)
    if values.dtype.kind == "m":
        return Column(words, is_number=True, unit="ns"), lambda value: time_cell(pd.Timedelta(value).value)
    if not pd.api.types.is_numeric_dtype(values):
        return Column(words), _text_kind(name, colours, shown)
    if unit == "ns" and (values.dropna() > _EPOCH).any():
        return Column(words, is_number=True, unit="ns since 1970, UTC"), _moment_cell
    exact = int if pd.api.types.is_integer_dtype(values) else float
    form = _FORMS.get(unit, _number)
    return Column(words, is_number=True, unit=_UNITS.get(unit, "")), lambda value: Cell(form(value), exact(value))


def _split_unit(name: str) -> tuple[str, str]:
    """Return the column head and the unit, from the column name."""
    parts = name.split("_")
    unit = next((part for part in parts[1:] if part in _UNITS), "")
    kept = [part for part in parts if part != unit or unit == "ratio"]
    return clean(" ".join(kept), limit=_HEAD), unit


def _text_kind(name: str, colours: Colours, shown: set[str]) -> Callable[[Any], Cell]:
    """Return the function that makes the cells of a text column."""
    if name.endswith("trace_id"):
        return lambda value: trace_cell(clean(value, limit=80), shown)
    if name == "service" or name.endswith(("service_name", "_service")):
        return lambda value: service_cell(value, colours)
    return name_cell


def _moment_cell(nanoseconds: float) -> Cell:
    """Return a time in UTC, from ns since the epoch."""
    return Cell(moment(int(nanoseconds), decimals=3), int(nanoseconds), "mute")


def _number(value: float) -> str:
    """Return a number without a unit."""
    return number(value) if math.isfinite(value) else str(value)


def _is_missing(value: Any) -> bool:
    """Return whether a value is missing; lists and other containers are not."""
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))
