"""Tables of the page: formatted text for the reader, values for sorting."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tracekit.glossary import definition_of
from tracekit.text import cell, clean, count, duration, ratio, shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from tracekit.views.colours import Colours

MOST_ROWS: Final = 400
_NAME_LIMIT: Final = 1_000  # characters of a name that are kept ...
_SHOWN: Final = 120  # ... and shown


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
        Tooltip of the head; default: what the glossary says of it.
    unit
        Unit of the downloaded values.
    is_lead
        On a phone it is the first column.
    """

    words: str
    is_number: bool = False
    is_sorted: bool = False
    note: str = ""
    unit: str = ""
    is_lead: bool = False

    @property
    def hint(self) -> str:
        """Tooltip of the head."""
        return self.note or definition_of(self.words)


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
    title
        The whole name where the text is shortened.
    """

    text: str
    value: float | int | str | None = None
    kind: str = ""
    slot: int | None = None
    link: str = ""
    title: str = ""

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
    return Cell(cell(duration, value), value, kind)


def count_cell(number: float, kind: str = "") -> Cell:
    """Return a count."""
    return Cell(cell(count, number), float(number), kind)


def share_cell(share: float, *, bad_from: float = math.inf) -> Cell:
    """Return a ratio as a percentage; ``bad_from`` is the ratio from which it is red."""
    return Cell(cell(ratio, share), float(share), "bad" if share >= bad_from else "mute" if not share else "")


def number(words: str, note: str = "", *, is_sorted: bool = False, unit: str = "", is_lead: bool = False) -> Column:
    """Return the head of a numeric column."""
    return Column(words, is_number=True, is_sorted=is_sorted, note=note, unit=unit, is_lead=is_lead)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the first 400 rows as dictionaries."""
    return [{str(key): value for key, value in row.items()} for row in frame.head(MOST_ROWS).to_dict("records")]


def rest_note(total: int, what: str, most: int = MOST_ROWS) -> str:
    """Return a note that rows were left out; empty if none were."""
    return f"The first {count(most)} of {count(total)} {what}." if total > most else ""


def service_cell(name: object, colours: Colours, *, inferred: bool = False) -> Cell:
    """Return a service name with its swatch."""
    whole = clean(name, limit=_NAME_LIMIT)
    text, slot = shortened(whole, _SHOWN), None if inferred else colours.slot(str(name))
    return Cell(f"{text} (inferred)" if inferred else text, whole, slot=slot, title="" if text == whole else whole)


def name_cell(name: object) -> Cell:
    """Return a name that may wrap; a very long one is shortened in the middle."""
    whole = clean(name, limit=_NAME_LIMIT)
    text = shortened(whole, _SHOWN)
    return Cell(text, whole, "wide", title="" if text == whole else whole)


def trace_cell(trace_id: str, shown: set[str]) -> Cell:
    """Return a trace id, linked to its waterfall if the page has one."""
    return Cell(trace_id, trace_id, "code", link=f"trace-{trace_id}" if trace_id in shown else "")
