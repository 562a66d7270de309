"""The distinct attributes of several parts as those of one: equal ones have one code."""

from __future__ import annotations

from dataclasses import fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from tracekit.columns import KeyValues
from tracekit.loading.building.merge import closed, joined_kv
from tracekit.loading.building.pool import Texts
from tracekit.loading.store.on_demand import StoredKeyValues
from tracekit.loading.store.order import firsts
from tracekit.on_demand import not_kept, on_demand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.columns import Array

_LISTS: Final = {"key": "keys", "namespace": "namespaces"}
"""The columns that are codes, and the texts that these stand for."""


class Distinct(NamedTuple):
    """Which of the attributes of several parts, end to end, are distinct.

    Parameters
    ----------
    rows
        The first of each equal ones.
    codes
        int32, one per attribute: which of these it is.
    """

    rows: Array
    codes: Array

    @classmethod
    def of(cls, tables: Sequence[KeyValues]) -> Distinct:
        """Return the distinct ones of the attributes of parts, of which nothing is kept."""
        names = [column.name for column in fields(KeyValues)]
        whole, maps = joined_kv([KeyValues(**{name: not_kept(table, name) for name in names}) for table in tables])
        codes = np.concatenate([new[:-1] for new in maps])
        rows = np.empty(len(whole), np.int32)
        rows[codes[::-1]] = np.arange(len(codes), dtype=np.int32)[::-1]
        return cls(rows, codes)


class JoinedValues:
    """The distinct attributes of parts, whose columns are read when they are first used.

    Parameters
    ----------
    tables
        Those of each part.
    distinct
        What ``Distinct.of`` returns of them.

    Examples
    --------
    >>> from tracekit.loading.building.pool import Attributes
    >>> first, second = Attributes(), Attributes()
    >>> _ = first.kv("tenant", "blue"), second.kv("retries", 2), second.kv("tenant", "blue")
    >>> tables = [first.table()[0], second.table()[0]]
    >>> values = JoinedValues(tables, Distinct.of(tables))
    >>> values.table.text.to_pylist(), values.of_part(1).tolist()
    (['blue', None], [1, 0])
    """

    def __init__(self, tables: Sequence[KeyValues], distinct: Distinct) -> None:
        self._tables = tables
        self._distinct = distinct
        self._firsts = firsts([len(table) for table in tables])

    def of_part(self, number: int) -> Array:
        """Return for each attribute of a part its code among those of all."""
        return self._distinct.codes[self._firsts[number] : self._firsts[number + 1]]

    @property
    def table(self) -> KeyValues:
        """The distinct attributes; not kept here, so that both are released without the garbage collector."""
        return on_demand(StoredKeyValues, self._column)

    @property
    def keys(self) -> list[str]:
        """The keys of all parts."""
        return self._texts["keys"][0]

    @cached_property
    def _texts(self) -> dict[str, tuple[list[str], list[Array]]]:
        """The keys and namespaces of all parts, and the new code of each code of each part."""
        found = {}
        for name in _LISTS.values():
            texts = Texts()
            maps = [closed(list(map(texts.code, getattr(table, name)))) for table in self._tables]
            found[name] = texts.list(), maps
        return found

    def _column(self, column: str) -> Any:
        """Return a column, which the parts do not keep."""
        if column in self._texts:
            return self._texts[column][0]
        read = [not_kept(table, column) for table in self._tables]
        if column == "text":
            return pa.concat_arrays(read).take(pa.array(self._distinct.rows))
        if column in _LISTS:
            read = [codes[own] for codes, own in zip(self._texts[_LISTS[column]][1], read, strict=True)]
        return np.concatenate(read)[self._distinct.rows]
