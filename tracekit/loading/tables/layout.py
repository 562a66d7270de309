"""The interface of a layout, and the parts of OTLP that layouts are made of."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pandas as pd

from tracekit.schema import KINDS, STATUS_CODES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_KINDS = {name: at for at, name in enumerate(KINDS)}
_STATUS = {name: at for at, name in enumerate(STATUS_CODES)}
ROWS: Final = 4_096  # that are turned into requests at once
_encode = msgspec.json.Encoder().encode
_EXACT = 2**53  # floats represent every integer below


@dataclass(frozen=True)
class Layout:
    """The columns in which a tool writes spans.

    Parameters
    ----------
    name
        What writes it, for messages.
    columns
        Columns that a table of this layout has.
    requests
        Given the cells of some rows by column, returns for each row an ``ExportTraceServiceRequest`` of OTLP JSON.
        Never raises on bad cells: they are passed on, and the reader of OTLP reports them.
    lost
        What the layout does not store, as a part of a sentence.
    """

    name: str
    columns: frozenset[str]
    requests: Callable[[dict[str, list[Any]]], Iterator[dict[str, Any]]]
    lost: str


class Blocks:
    """A layer: bytes that are made block by block.

    Parameters
    ----------
    blocks
        The blocks.
    """

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = b""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none at the end."""
        if not self._rest:
            self._rest = next(self._blocks, b"")
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    def close(self) -> None:
        """Do nothing: there is no file."""


def lines(requests: Iterable[dict[str, Any]]) -> bytes:
    """Return requests as lines of JSON."""
    return b"".join(_encode(one) + b"\n" for one in requests)


def cells(columns: dict[str, list[Any]], names: Iterable[str]) -> Iterator[tuple[Any, ...]]:
    """Return for every row the cells of some columns, None where there is no such column."""
    rows = len(next(iter(columns.values()), []))
    return zip(*(columns.get(name) or [None] * rows for name in names), strict=True)


def request(resource: list[Any], scope: dict[str, Any], span: dict[str, Any]) -> dict[str, Any]:
    """Return the request that contains one span."""
    group = {"resource": {"attributes": resource}, "scopeSpans": [{"scope": scope, "spans": [span]}]}
    return {"resourceSpans": [group]}


def attributes(*groups: Any, prefix: str = "") -> list[dict[str, Any]]:
    """Return attributes from maps, lists of pairs, or JSON text of an object; a later key replaces an earlier one."""
    found: dict[str, Any] = {}
    for group in groups:
        found |= pairs(group)
    return [{"key": f"{prefix}{key}", "value": any_value(value)} for key, value in found.items() if value is not None]


def pairs(group: Any) -> dict[str, Any]:
    """Return a group of attributes by key; what is none of the forms becomes one attribute."""
    if group is None or (isinstance(group, float) and math.isnan(group)):
        return {}
    if isinstance(group, str) and group.lstrip().startswith("{"):
        try:
            group = json.loads(group)
        except ValueError:
            return {"attributes": group}
    if isinstance(group, dict):
        return {str(key): value for key, value in group.items()}
    if isinstance(group, (list, tuple)) and all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in group):  # noqa: PLR2004 - a pair
        return {str(key): value for key, value in group}
    return {"attributes": group} if group != "" else {}


def any_value(value: Any) -> dict[str, Any]:
    """Return a Python value as an AnyValue."""
    value = value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value
    value = value.tolist() if hasattr(value, "tolist") else value
    match value:
        case None:
            return {}
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value if math.isfinite(value) else repr(value).replace("inf", "Infinity")}
        case bytes():
            return {"bytesValue": base64.b64encode(value).decode()}
        case list() | tuple():
            return {"arrayValue": {"values": [any_value(one) for one in value]}}
        case dict():
            return {"kvlistValue": {"values": attributes(value)}}
    return {"stringValue": value if isinstance(value, str) else str(value)}


def whole(value: Any) -> Any:
    """Return a float without a fraction as an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT else value


def listed(value: Any) -> list[Any]:
    """Return the items of a list, a tuple or an array; none of anything else."""
    value = value.tolist() if hasattr(value, "tolist") else value
    return list(value) if isinstance(value, (list, tuple)) else []


def hexadecimal(value: Any, digits: int = 0) -> str:
    """Return an id as text: bytes and integers as hex digits, at least so many; "" where there is none."""
    if isinstance(value, bytes):
        return "" if not any(value) else value.hex() if len(value) in {8, 16} else value.decode("ascii", "replace")
    if isinstance(value, int) and not isinstance(value, bool):
        value = f"{value % 2**64:x}" if value else ""
    found = text(value)
    return found.rjust(digits, "0") if found else ""


def _is_missing(value: Any) -> bool:
    """Return whether a cell is empty."""
    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def text(value: Any) -> str:
    """Return a cell as text, "" where it is empty."""
    return "" if _is_missing(value) else value if isinstance(value, str) else str(value)


def nanoseconds(value: Any, factor: int = 1) -> int | None:
    """Return a date (UTC if it has no time zone), or a number times the factor, as nanoseconds; None for others."""
    if _is_missing(value) or isinstance(value, bool):
        return None
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, int):
        return value * factor
    if isinstance(value, float):
        return round(value * factor) if math.isfinite(value) else None
    try:
        found = pd.Timestamp(value)
        return int((found.tz_localize("UTC") if found.tzinfo is None else found).as_unit("ns").value)
    except (TypeError, ValueError, OverflowError):
        return None


def interval(start: int | None, end: int | None) -> dict[str, str]:
    """Return the times of a span; a missing one is left out, which the reader reports."""
    given = {"startTimeUnixNano": start, "endTimeUnixNano": end}
    return {name: str(value) for name, value in given.items() if value is not None}


def kind(value: Any) -> Any:
    """Return a span kind by its number; anything else as it is."""
    return _number(value, _KINDS, "SPAN_KIND_")


def status(code: Any, message: Any) -> dict[str, Any]:
    """Return a status."""
    return {"code": _number(code, _STATUS, "STATUS_CODE_"), "message": text(message)}


def _number(value: Any, names: dict[str, int], prefix: str) -> Any:
    """Return the number of a name of an enumeration in any case; 0 for none, anything else as it is."""
    if _is_missing(value) or value == "":
        return 0
    if not isinstance(value, str):
        return whole(value.item() if hasattr(value, "item") else value)
    return names.get(value.upper().removeprefix(prefix), value)
