"""Tables of the page: words for the reader, values for sorting."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracekit.views.text import clean, count, duration, ratio

if TYPE_CHECKING:
    from collections.abc import Sequence


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

    Examples
    --------
    >>> Column("p95", is_number=True).words
    'p95'
    """

    words: str
    is_number: bool = False
    is_sorted: bool = False
    note: str = ""


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
    value: float | str | None = None
    kind: str = ""
    slot: int | None = None
    link: str = ""

    @property
    def sort_key(self) -> str:
        """The value as text; empty where there is nothing to sort by."""
        if isinstance(self.value, float) and not math.isfinite(self.value):
            return ""
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
