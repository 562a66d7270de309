"""Columns of several parts as those of one: put together when they are first used, traces in the order of their ids.

Each part has codes of its own; what they are among those of all, and the order of the rows, are worked out once and may
be kept for the next time that the parts are read.  Attributes are looked up by key in the files of the parts.
"""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tracekit.columns import ResourceColumns, ScopeColumns, trace_starts
from tracekit.loading.building.merge import Interned, closed, joined_facts
from tracekit.loading.building.pool import Texts
from tracekit.loading.store.joined_values import Distinct, JoinedValues
from tracekit.loading.store.layout import OWNED, REFERENCES
from tracekit.loading.store.on_demand import StoredEvents, StoredLinks, StoredSpans
from tracekit.loading.store.order import firsts, inverse, run_rows
from tracekit.loading.store.taken import StoredColumns
from tracekit.on_demand import not_kept, on_demand
from tracekit.ragged import OutOfOrder, Ragged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracekit.columns import Array, Columns

_TABLES: Final[dict[str, Any]] = {"spans": StoredSpans, "events": StoredEvents, "links": StoredLinks}
_INTERNED: Final[dict[str, Any]] = {"resources": ResourceColumns, "scopes": ScopeColumns}
_TEXTS: Final = {"resources": ("schema_url",), "scopes": ("name", "version", "schema_url")}
_SHARED: Final = {"sources", "issues", "notes"}


class _Coded(NamedTuple):
    """A table of all parts, and for each part the new code of each of its codes."""

    table: Any
    codes: list[Array]


class _Rows(NamedTuple):
    """The rows of a table of all parts.

    Parameters
    ----------
    first
        The first row of each part among those of all, end to end; last, their number.
    order
        int32, of each row in memory: which of these it is.
    new
        int32, of each of these: its row in memory.
    """

    first: Array
    order: Array
    new: Array

    @classmethod
    def of(cls, sizes: Sequence[int], order: Array) -> _Rows:
        """Return the rows of parts of these sizes in an order."""
        return cls(firsts(sizes), order.astype(np.int32), inverse(order, len(order)).astype(np.int32))


class JoinedParts:
    """Columns of parts, of which no two have the same trace.

    Parameters
    ----------
    parts
        At least one.
    kept
        Codes and rows that an earlier reading of the same parts put there, about 20 bytes a span; filled by this one.
    """

    def __init__(self, parts: Sequence[Columns], kept: dict[str, Any]) -> None:
        self._parts = parts
        self._kept = kept
        self._coded: dict[str, _Coded] = {}

    @property
    def columns(self) -> Columns:
        """The columns of all parts."""
        return on_demand(StoredColumns, self._member)

    def _member(self, name: str) -> Any:
        """Return a member of ``Columns``."""
        if name in _TABLES:
            return on_demand(_TABLES[name], partial(self._column, name))
        if name in {"names", "texts"}:
            return self._texts(name).table
        if name == "kv":
            return self._values.table
        if name == "facts":
            return joined_facts([part.facts for part in self._parts])
        if name in _SHARED:
            return getattr(self._parts[0], name)
        if name in _INTERNED:
            return _INTERNED[name](*self._interned(name).table.columns(len(_TEXTS[name])))
        if OWNED[name] in _INTERNED:
            return self._interned(OWNED[name]).table.attributes()
        return _JoinedAttributes.made_of(self, name)

    def _once(self, name: str, made: Callable[[], Any]) -> Any:
        """Return what is kept, made on first use."""
        if name not in self._kept:
            self._kept[name] = made()
        return self._kept[name]

    # ---------------------------------------------------------------- codes

    @cached_property
    def _values(self) -> JoinedValues:
        """The distinct attributes."""
        tables = [part.kv for part in self._parts]
        return JoinedValues(tables, self._once("kv", lambda: Distinct.of(tables)))

    def _texts(self, name: str) -> _Coded:
        """Return the names of spans, or the other texts; not kept for another reading, as they may be long."""
        if name not in self._coded:
            texts = Texts()
            codes = [closed(list(map(texts.code, getattr(part, name)))) for part in self._parts]
            self._coded[name] = _Coded(texts.list(), codes)
        return self._coded[name]

    def _interned(self, name: str) -> _Coded:
        """Return the resources or scopes: equal ones are the same."""

        def made() -> _Coded:
            table, codes = Interned(), []
            for number, (part, text) in enumerate(zip(self._parts, self._texts("texts").codes, strict=True)):
                own, attributes = getattr(part, name), getattr(part, f"{name[:-1]}_attributes")
                texts = [text[getattr(own, column)] for column in _TEXTS[name]]
                codes.append(table.add(self._values.of_part(number), attributes, texts, own.dropped_attributes))
            return _Coded(table, codes)

        return self._once(name, made)  # type: ignore[no-any-return]  # what is made

    def _codes(self, table: str, column: str) -> list[Array] | None:
        """Return the new code of each code of each part, None for a column that means the same in all parts."""
        to = REFERENCES.get((table, column), (0, 0))[1]
        if to in _INTERNED:
            return self._interned(str(to)).codes
        return self._texts(str(to)).codes if to in {"names", "texts"} else None

    # ---------------------------------------------------------------- rows

    def rows(self, table: str) -> _Rows:
        """Return the rows of spans by the ids of their traces, of events or links by their spans."""
        made = self._by_trace if table == "spans" else partial(self._by_span, table)
        return self._once(f"rows of {table}", made)  # type: ignore[no-any-return]  # what is made

    def _by_trace(self) -> _Rows:
        """Return the rows of spans by the ids of their traces."""
        spans = [part.spans for part in self._parts]
        begun = [trace_starts(own) for own in spans]
        hi = np.concatenate([own.trace_hi[rows[:-1]] for own, rows in zip(spans, begun, strict=True)])
        lo = np.concatenate([own.trace_lo[rows[:-1]] for own, rows in zip(spans, begun, strict=True)])
        order = np.lexsort((lo, hi))
        sizes = [int(rows[-1]) for rows in begun]
        starts = np.concatenate([rows[:-1] + first for rows, first in zip(begun, firsts(sizes), strict=False)])
        counts = np.concatenate([np.diff(rows) for rows in begun])
        return _Rows.of(sizes, run_rows(starts[order], counts[order]))

    def _by_span(self, table: str) -> _Rows:
        """Return the rows of events or links by their spans."""
        sizes = [len(getattr(part, table)) for part in self._parts]
        return _Rows.of(sizes, np.argsort(self._owners(table), kind="stable"))

    def _owners(self, table: str) -> Array:
        """Return the row in memory of the span of each event or link of all parts, end to end."""
        spans = self.rows("spans")
        rows = [getattr(part, table).span_row + first for part, first in zip(self._parts, spans.first, strict=False)]
        owners: Array = spans.new[np.concatenate(rows)].astype(np.int64)
        return owners

    def _column(self, table: str, column: str) -> Array:
        """Return a column of spans, events or links."""
        order = self.rows(table).order
        if column == "span_row":
            return self._owners(table)[order]
        read = [not_kept(getattr(part, table), column) for part in self._parts]
        codes = self._codes(table, column)
        own = read if codes is None else [new[values] for new, values in zip(codes, read, strict=True)]
        found: Array = np.concatenate(own)[order]
        return found

    # ---------------------------------------------------------------- attributes

    def attributes_of(self, name: str, key: int) -> tuple[Array, Array] | None:
        """Return rows and codes of the attributes with a key, None if those of a part are not stored by key."""
        text, found = self._values.keys[key], []
        for number, part in enumerate(self._parts):
            stored = getattr(part, name).stored_of(part.kv.keys.index(text)) if text in part.kv.keys else ()
            if stored is None:
                return None
            found += [self._moved(name, number, stored)] if stored else []
        return _end_to_end(found)

    def pairs(self, name: str) -> tuple[Array, Array]:
        """Return row and code of every attribute, in any order."""
        pairs = (getattr(part, name).pairs() for part in self._parts)
        return _end_to_end([self._moved(name, number, own) for number, own in enumerate(pairs)])

    def by_row(self, name: str) -> Ragged:
        """Return a table of attributes in the order of memory."""
        tables = [getattr(part, name) for part in self._parts]
        codes = [self._values.of_part(number)[table.codes] for number, table in enumerate(tables)]
        whole = Ragged.from_counts(np.concatenate([table.counts for table in tables]), np.concatenate(codes))
        return whole.take(self.rows(OWNED[name]).order)

    def _moved(self, name: str, number: int, pairs: tuple[Array, Array]) -> tuple[Array, Array]:
        """Return rows in memory and codes of all parts, given attributes of one of them."""
        of_owner = self.rows(OWNED[name])
        return of_owner.new[of_owner.first[number] :][pairs[0]], self._values.of_part(number)[pairs[1]]


class _JoinedAttributes(OutOfOrder):
    """The attributes of a table of all parts: looked up by key in each, brought into rows if that is asked for."""

    __slots__ = ("joined", "name")

    @classmethod
    def made_of(cls, joined: JoinedParts, name: str) -> _JoinedAttributes:
        """Return the attributes, of which nothing is read."""
        made = cls.__new__(cls)
        object.__setattr__(made, "joined", joined)
        object.__setattr__(made, "name", name)
        return made

    def __getattr__(self, name: str) -> Any:
        """Return what an empty slot is for: ``offsets`` or ``codes`` on first use."""
        if name == "joined":
            return None  # of a copy with other codes
        if name not in Ragged.__dataclass_fields__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        made = self.joined.by_row(self.name)
        for column in Ragged.__dataclass_fields__:
            object.__setattr__(self, column, getattr(made, column))
        return getattr(made, name)

    def __len__(self) -> int:
        return Ragged.__len__(self) if self.joined is None else len(self.joined.rows(OWNED[self.name]).order)

    def stored_of(self, key: int) -> tuple[Array, Array] | None:
        """Return rows and codes of the attributes with a key, None if they are not stored by key."""
        return None if self.joined is None else self.joined.attributes_of(self.name, key)

    def pairs(self) -> tuple[Array, Array]:
        """Return row and code of every attribute, in any order."""
        return Ragged.pairs(self) if self.joined is None else self.joined.pairs(self.name)


def _end_to_end(pairs: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Return rows and codes of several parts."""
    rows, codes = (np.concatenate([np.zeros(0, np.int32), *(pair[at] for pair in pairs)]) for at in range(2))
    return rows, codes
