"""Tables of the page: formatted text for the reader, values for sorting."""

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
        Column head.
    is_number
        Right-aligned, and sorted by value, the largest first.
    is_sorted
        The rows are sorted by this column, the largest first.
    note
        Tooltip of the head.
    unit
        Unit of the downloaded values.
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
        Shown text; Markup is inserted unescaped.
    value
        Sort key; None for a missing value.
    kind
        CSS classes: ``mute``, ``bad``, ``code``, ``wide`` or several.
    slot
        Colour slot of the service; None for no swatch.
    link
        Anchor in the page that the cell links to.
    """

    text: str
    value: float | int | str | None = None
    kind: str = ""
    slot: int | None = None
    link: str = ""

    @property
    def sort_key(self) -> str:
        """The sort key as text; empty for a missing value."""
        if isinstance(self.value, float):
            return f"{self.value:.15g}" if math.isfinite(self.value) else ""
        return "" if self.value is None else clean(self.value)


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its caption.

    Parameters
    ----------
    caption
        Title for screen readers and of downloaded files.
    columns
        From left to right.
    rows
        Each as long as ``columns``.
    short
        Rows that are shown at first.
    note
        Text below the table.
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
    """Return a count."""
    return Cell(count(number), float(number), kind)


def share_cell(share: float, *, bad_from: float = math.inf) -> Cell:
    """Return a ratio as a percentage; ``bad_from`` is the ratio from which it is red."""
    return Cell(ratio(share), float(share), "bad" if share >= bad_from else "mute" if not share else "")


def number(words: str, note: str = "", *, is_sorted: bool = False, unit: str = "") -> Column:
    """Return the head of a numeric column."""
    return Column(words, is_number=True, is_sorted=is_sorted, note=note, unit=unit)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the first 400 rows as dictionaries."""
    return [{str(key): value for key, value in row.items()} for row in frame.head(MOST_ROWS).to_dict("records")]


def rest_note(total: int, what: str, most: int = MOST_ROWS) -> str:
    """Return a note that rows were left out; empty if none were."""
    return f"The first {count(most)} of {count(total)} {what}." if total > most else ""


def service_cell(name: object, colours: Colours, *, inferred: bool = False) -> Cell:
    """Return a service name with its swatch."""
    text = clean(name, limit=_NAME_LIMIT)
    return Cell(f"{text} (inferred)" if inferred else text, text, slot=None if inferred else colours.slot(str(name)))


def name_cell(name: object) -> Cell:
    """Return a name that may wrap."""
    text = clean(name, limit=_NAME_LIMIT)
    return Cell(text, text, "wide")


def trace_cell(trace_id: str, shown: set[str]) -> Cell:
    """Return a trace id, linked to its waterfall if the page has one."""
    return Cell(trace_id, trace_id, "code", link=f"trace-{trace_id}" if trace_id in shown else "")
