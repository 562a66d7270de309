"""Tables made from any DataFrame: the suffix of a column name determines the unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from tracekit.readable_tables import how, is_missing
from tracekit.report.tables import Cell, Column, Table, name_cell, rest_note, service_cell, trace_cell
from tracekit.text import NO_FIGURE, clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.readable_tables import Readable
    from tracekit.views.colours import Colours

MOST_ROWS: Final = 2_000
_HEAD: Final = 80  # characters of a head


def frame_table(frame: pd.DataFrame, caption: str, colours: Colours, shown: set[str]) -> Table:
    """Return a DataFrame as a table."""
    named = frame.reset_index() if any(name is not None for name in frame.index.names) else frame
    columns, cells = [], []
    for position, name in enumerate(named.columns):
        values = named.iloc[:, position].head(MOST_ROWS)
        column = how(" ".join(map(str, name)) if isinstance(name, tuple) else str(name), values)
        head, shown_as = _cells(column, values, colours, shown)
        columns.append(head)
        cells.append([Cell(NO_FIGURE, None, "mute") if is_missing(value) else shown_as(value) for value in values])
    return Table(caption, columns, list(zip(*cells, strict=True)), note=rest_note(len(frame), "rows", MOST_ROWS))


def _cells(
    column: Readable, values: pd.Series, colours: Colours, shown: set[str]
) -> tuple[Column, Callable[[Any], Cell]]:
    """Return the head of a column, and the function that makes its cells."""
    words = clean(column.name.replace("_", " "), limit=_HEAD)
    if column.kind == "flag":
        return Column(words), lambda value: Cell(column.form(value), column.form(value))
    if column.kind == "text":
        return Column(words), _text_cells(column.name, colours, shown)
    if column.kind == "time":
        is_number = bool(column.unit)
        return Column(words, is_number=is_number, unit=column.unit), lambda value: Cell(
            column.form(value), int(value) if is_number else pd.Timestamp(value).value, "mute"
        )
    exact = _exact(values)
    return Column(words, is_number=True, unit=column.unit), lambda value: Cell(column.form(value), exact(value))


def _exact(values: pd.Series) -> Callable[[Any], float]:
    """Return the function from a value to the number that is sorted and downloaded."""
    if values.dtype.kind == "m":
        return lambda value: float(pd.Timedelta(value).value)
    return int if pd.api.types.is_integer_dtype(values) else float


def _text_cells(name: str, colours: Colours, shown: set[str]) -> Callable[[Any], Cell]:
    """Return the function that makes the cells of a text column."""
    if name.endswith("trace_id"):
        return lambda value: trace_cell(clean(value, limit=80), shown)
    if name == "service" or name.endswith(("service_name", "_service")):
        return lambda value: service_cell(value, colours)
    return name_cell
