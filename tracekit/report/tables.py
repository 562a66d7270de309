"""Tables of the page: words for the reader, values for sorting."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tracekit.text import clean, count, duration, ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from tracekit.views.colours import Colours

MOST_ROWS: Final = 400
_NAME_LIMIT: Final = 160


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Parameters
    ----------
    words
        Its head; empty for a column of pictures, which cannot be sorted.
    is_number
        Right-aligned, and sorted by value, the largest first.
    is_sorted
        The rows come in this order, the largest first.
    note
        What the head means, on hovering.
    unit
        Of the values that are downloaded, where the words have another or none.
    """

    words: str
    is_number: bool = False
    is_sorted: bool = False
    note: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell.

    Parameters
    ----------
    text
        What is read; Markup goes in as it is.
    value
        What is sorted by; None where there is nothing.
    kind
        Class of the cell: ``mute``, ``bad``, ``code``, ``wide`` or several.
    slot
        Colour of the service it names, None for no swatch.
    link
        Anchor within the page that it leads to.
    """

    text: str
    value: float | int | str | None = None
    kind: str = ""
    slot: int | None = None
    link: str = ""

    @property
    def sort_key(self) -> str:
        """The value as text; empty where there is nothing to sort by."""
        if isinstance(self.value, float):
            return f"{self.value:.15g}" if math.isfinite(self.value) else ""
        return "" if self.value is None else clean(self.value)


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its caption.

    Parameters
    ----------
    caption
        What it holds, for those who do not see it.
    columns
        From left to right.
    rows
        Each as long as ``columns``.
    short
        How many rows are shown before somebody asks for all.
    note
        A sentence below it.
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    short: int = 15
    note: str = ""


def time_cell(nanoseconds: float | None, kind: str = "") -> Cell:
    """Return a duration."""
    value = None if nanoseconds is None else float(nanoseconds)
    return Cell(duration(value), value, kind)


def count_cell(number: float, kind: str = "") -> Cell:
    """Return a number of things."""
    return Cell(count(number), float(number), kind)


def share_cell(share: float, *, bad_from: float = math.inf) -> Cell:
    """Return a ratio in per cent."""
    return Cell(ratio(share), float(share), "bad" if share >= bad_from else "mute" if not share else "")


def number(words: str, note: str = "", *, is_sorted: bool = False, unit: str = "") -> Column:
    """Return a column of numbers."""
    return Column(words, is_number=True, is_sorted=is_sorted, note=note, unit=unit)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the first 400 rows as dictionaries."""
    return [{str(key): value for key, value in row.items()} for row in frame.head(MOST_ROWS).to_dict("records")]


def rest_note(total: int, what: str, most: int = MOST_ROWS) -> str:
    """Return the sentence that says that rows were left out."""
    return f"The first {count(most)} of {count(total)} {what}." if total > most else ""


def service_cell(name: object, colours: Colours, *, inferred: bool = False) -> Cell:
    """Return a service with its swatch."""
    text = clean(name, limit=_NAME_LIMIT)
    return Cell(f"{text} (inferred)" if inferred else text, text, slot=None if inferred else colours.slot(str(name)))


def name_cell(name: object) -> Cell:
    """Return a long name, which may break."""
    text = clean(name, limit=_NAME_LIMIT)
    return Cell(text, text, "wide")


def trace_cell(trace_id: str, shown: set[str]) -> Cell:
    """Return the id of a trace, leading to its waterfall where there is one."""
    return Cell(trace_id, trace_id, "code", link=f"trace-{trace_id}" if trace_id in shown else "")
