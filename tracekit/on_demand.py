"""What is made when it is first used: pandas, and members of tables.

The import of pandas takes as long as the critical path of 2,000 files, and not every command makes a frame.  Modules
that are loaded before that is known write ``from tracekit.on_demand import pd``; all others import pandas as usual.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

__all__ = ["first_use", "not_kept", "on_demand", "pd"]

Table = TypeVar("Table")


class _OnDemand(ModuleType):
    """The module of the same name, imported when one of its names is first used."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(import_module(self.__name__), name)
        setattr(self, name, found)
        return found


if not TYPE_CHECKING:
    pd = _OnDemand("pandas")


def first_use(table: Any, name: str) -> Any:
    """Return a column that was not used before (``__getattr__`` is called for empty slots), and keep it."""
    if name not in type(table).__dataclass_fields__:
        raise AttributeError(f"{type(table).__name__!r} object has no attribute {name!r}")
    value = table.read(name)
    object.__setattr__(table, name, value)
    return value


def on_demand(kind: type[Table], read: Callable[[str], Any]) -> Table:
    """Return a table without columns that reads them; ``kind`` has the slot ``read``, and ``first_use`` as getter."""
    made = kind.__new__(kind)
    object.__setattr__(made, "read", read)
    return made


def not_kept(table: Any, name: str) -> Any:
    """Return a column, which a table that reads columns when they are first used does not keep for it."""
    try:
        return object.__getattribute__(table, name)
    except AttributeError:
        return table.read(name)
