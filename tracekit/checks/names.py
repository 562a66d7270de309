"""Operations and callees in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tracekit.text import clean

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import pandas as pd

KEYS: Final = ("service_name", "operation")
WAITS: Final = (*KEYS, "callee_service")  # time lost between two services is the caller's own: name the other end
_NAME: Final = 80


def name_of(row: Mapping[Hashable, Any] | pd.Series) -> str:
    """Return an operation in words; X-Ray names many after their service."""
    if row["operation"] == row["service_name"]:
        return clean(row["service_name"], limit=_NAME)
    return f"{clean(row['service_name'], limit=_NAME)} {clean(row['operation'], limit=_NAME)}"


def callee_of(row: Mapping[Any, Any] | pd.Series) -> str:
    """Return the service that an operation calls, where its own name does not say so."""
    callee = row["callee_service"]
    is_named = isinstance(callee, str) and callee and callee not in row["operation"] and callee != row["service_name"]
    return clean(callee, limit=_NAME) if is_named else ""


def place_of(row: pd.Series) -> str:
    """Return an operation and its callee."""
    callee = callee_of(row)
    return f"{name_of(row)} (calling {callee})" if callee else name_of(row)
