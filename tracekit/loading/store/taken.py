"""Columns of a part, and of chosen spans of it: taken out of those of the part one by one, when they are first used.

What is not asked of chosen spans is neither read nor copied; the part stays in memory as long as they do.
"""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.columns import Columns
from tracekit.loading.store.on_demand import StoredEvents, StoredLinks, StoredSpans
from tracekit.on_demand import first_use, on_demand
from tracekit.ragged import OutOfOrder, Ragged

if TYPE_CHECKING:
    from tracekit.columns import Array

_KINDS: Final[dict[str, Any]] = {"spans": StoredSpans, "events": StoredEvents, "links": StoredLinks}


class StoredColumns(Columns):
    """The tables of a part, or of some of its spans."""

    __slots__ = ("read",)
    __getattr__ = first_use

    def take(self, rows: Array) -> Columns:
        """Return the columns of these span rows (ascending), which are taken when they are first used."""
        return on_demand(StoredColumns, _Taken(self, rows).member)


class _TakenAttributes(OutOfOrder):
    """The attributes of some rows: looked up by key among those of all, brought into rows if that is asked for."""

    __slots__ = ("chosen",)

    def __getattr__(self, name: str) -> Any:
        """Return what an empty slot is for: ``offsets`` or ``codes`` on first use."""
        if name == "chosen":
            return None  # of a copy with other codes
        if name not in Ragged.__dataclass_fields__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        made = self.chosen.table.take(self.chosen.rows)
        for column in Ragged.__dataclass_fields__:
            object.__setattr__(self, column, getattr(made, column))
        return getattr(made, name)

    def __len__(self) -> int:
        return Ragged.__len__(self) if self.chosen is None else len(self.chosen.rows)

    def stored_of(self, key: int) -> tuple[Array, Array] | None:
        """Return rows and codes of the attributes with a key, None if they are not stored by key."""
        found = None if self.chosen is None else self.chosen.table.stored_of(key)
        return None if found is None else self.chosen.own(*found)

    def pairs(self) -> tuple[Array, Array]:
        """Return row and code of every attribute, in any order."""
        return Ragged.pairs(self) if self.chosen is None else self.chosen.own(*self.chosen.table.pairs())


class _Chosen:
    """Some rows of a table of attributes, ascending."""

    def __init__(self, table: Ragged, rows: Array, new_row: Array) -> None:
        self.table, self.rows, self._new_row = table, rows, new_row

    def own(self, rows: Array, codes: Array) -> tuple[Array, Array]:
        """Return new rows and codes of those that are among the chosen ones."""
        own = self._new_row[rows]
        found = np.flatnonzero(own >= 0)
        return own[found], codes[found]


class _Taken:
    """Takes the columns of some spans (ascending rows), with their events and links, out of those of all."""

    def __init__(self, columns: Columns, rows: Array) -> None:
        self._columns, self._rows = columns, rows

    def member(self, name: str) -> Any:
        """Return a member of ``Columns``: resources, scopes, attribute and text tables are shared."""
        if name in {"spans", "events", "links"}:
            return on_demand(_KINDS[name], partial(self._column, name))
        owner = {"attributes": "spans", "event_attributes": "events", "link_attributes": "links"}.get(name)
        found = getattr(self._columns, name)
        if owner is None:
            return found
        made = _TakenAttributes.__new__(_TakenAttributes)
        object.__setattr__(made, "chosen", _Chosen(found, self._rows_of(owner), self._new_row_of(owner)))
        return made

    def _column(self, table: str, column: str) -> Array:
        """Return a column of spans, events or links."""
        values: Array = getattr(getattr(self._columns, table), column)
        taken = values[self._rows_of(table)]
        return self._new_span_row[taken] if column == "span_row" else taken

    def _rows_of(self, table: str) -> Array:
        """Return the rows that are taken of a table."""
        if table == "spans":
            return self._rows
        return self._event_rows if table == "events" else self._link_rows

    def _new_row_of(self, table: str) -> Array:
        """Return the new row of each row of a table, -1 for those that are not taken."""
        if table == "spans":
            return self._new_span_row.astype(np.int32)
        found = np.full(len(getattr(self._columns, table)), -1, np.int32)
        rows = self._rows_of(table)
        found[rows] = np.arange(len(rows), dtype=np.int32)
        return found

    @cached_property
    def _new_span_row(self) -> Array:
        """The new row of each span, -1 for those that are not taken."""
        found = np.full(len(self._columns.spans), -1, np.int64)
        found[self._rows] = np.arange(len(self._rows))
        return found

    @cached_property
    def _event_rows(self) -> Array:
        """The events of the chosen spans."""
        return np.flatnonzero(self._new_span_row[self._columns.events.span_row] >= 0)

    @cached_property
    def _link_rows(self) -> Array:
        """The links of the chosen spans."""
        return np.flatnonzero(self._new_span_row[self._columns.links.span_row] >= 0)
