"""Tables of the page: words for the reader, values for sorting."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tracekit.views.text import clean, count, duration, ratio

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

    Examples
    --------
    >>> Column("p95", is_number=True).words
    'p95'
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

    Examples
    --------
    >>> Cell("3.1 %", 0.031).sort_key
    '0.031'
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

    Examples
    --------
    >>> Table("nothing", (), ()).rows
    ()
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    short: int = 15
    note: str = ""


def time_cell(nanoseconds: float | None, kind: str = "") -> Cell:
    """Return a duration.

    Parameters
    ----------
    nanoseconds
        Its value; missing ones are a dash and sort last.
    kind
        See ``Cell``.

    Returns
    -------
    Cell
        For a column of numbers.

    Examples
    --------
    >>> time_cell(1.5e6).text
    '1.50 ms'
    """
    value = None if nanoseconds is None else float(nanoseconds)
    return Cell(duration(value), value, kind)


def count_cell(number: float, kind: str = "") -> Cell:
    """Return a number of things.

    Parameters
    ----------
    number
        Its value.
    kind
        See ``Cell``.

    Returns
    -------
    Cell
        For a column of numbers.

    Examples
    --------
    >>> count_cell(1204).text
    '1,204'
    """
    return Cell(count(number), float(number), kind)


def share_cell(share: float, *, bad_from: float = math.inf) -> Cell:
    """Return a ratio in per cent.

    Parameters
    ----------
    share
        Between 0 and 1.
    bad_from
        From here on it is marked.

    Returns
    -------
    Cell
        For a column of numbers.

    Examples
    --------
    >>> share_cell(0.02, bad_from=0.01)
    Cell(text='2.0 %', value=0.02, kind='bad', slot=None, link='')
    """
    return Cell(ratio(share), float(share), "bad" if share >= bad_from else "mute" if not share else "")


def number(words: str, note: str = "", *, is_sorted: bool = False, unit: str = "") -> Column:
    """Return a column of numbers.

    Parameters
    ----------
    words, note, is_sorted, unit
        See ``Column``.

    Returns
    -------
    Column
        Right-aligned.
    """
    return Column(words, is_number=True, is_sorted=is_sorted, note=note, unit=unit)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the first 400 rows as dictionaries.

    Parameters
    ----------
    frame
        A result.

    Returns
    -------
    list of dict
        By column name.
    """
    return [{str(key): value for key, value in row.items()} for row in frame.head(MOST_ROWS).to_dict("records")]


def rest_note(total: int, what: str, most: int = MOST_ROWS) -> str:
    """Return the sentence that says that rows were left out.

    Parameters
    ----------
    total
        Rows there are.
    what
        Their noun.
    most
        Rows that are shown.

    Returns
    -------
    str
        Empty where all are shown.

    Examples
    --------
    >>> rest_note(1000, "operations")
    'The first 400 of 1,000 operations.'
    """
    return f"The first {count(most)} of {count(total)} {what}." if total > most else ""


def service_cell(name: object, colours: Colours, *, inferred: bool = False) -> Cell:
    """Return a service with its swatch.

    Parameters
    ----------
    name
        Of the service.
    colours
        Slots of services.
    inferred
        It sent no spans of its own: no swatch, and it is said.

    Returns
    -------
    Cell
        Sorted by name.
    """
    text = clean(name, limit=_NAME_LIMIT)
    return Cell(f"{text} (inferred)" if inferred else text, text, slot=None if inferred else colours.slot(str(name)))


def name_cell(name: object) -> Cell:
    """Return a long name, which may break.

    Parameters
    ----------
    name
        Of an operation, or a message.

    Returns
    -------
    Cell
        Cut at 160 characters.
    """
    text = clean(name, limit=_NAME_LIMIT)
    return Cell(text, text, "wide")


def trace_cell(trace_id: str, shown: set[str]) -> Cell:
    """Return the id of a trace, leading to its waterfall where there is one.

    Parameters
    ----------
    trace_id
        Hex text.
    shown
        Ids of the traces whose waterfall is in the page.

    Returns
    -------
    Cell
        The whole id: it is what one searches for elsewhere.

    Examples
    --------
    >>> trace_cell("a1", {"a1"}).link
    'trace-a1'
    """
    return Cell(trace_id, trace_id, "code", link=f"trace-{trace_id}" if trace_id in shown else "")
