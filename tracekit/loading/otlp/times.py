"""Times in OTLP's dialects: nanoseconds as digits or as a number, or a date as text."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tracekit.loading.numbers import MOST_DIGITS, is_digits
from tracekit.on_demand import pd

if TYPE_CHECKING:
    from tracekit.loading.building.builder import Builder
    from tracekit.loading.building.ledger import Position

_EXACT = 2**53
ROUNDED_NS = 256  # the resolution of nanoseconds that are a JSON number
_FAR = 10**MOST_DIGITS
_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)? ?(Z|z|UTC|[+-]\d\d(?::?\d\d)?)?")


def moment(value: Any, field: str, at: Position, builder: Builder) -> tuple[int | None, int]:
    """Return (nanoseconds or None, resolution in ns) of a time as digits, number or ISO text."""
    if value is None or value is False or value == "":
        return None, 1
    if isinstance(value, str):
        if is_digits(value) and len(value) <= MOST_DIGITS:
            return int(value) or None, 1
        return _from_text(value, field, at, builder), 1
    if isinstance(value, (int, float, Decimal)) and value is not True and -_FAR < value < _FAR:
        if not -_EXACT <= value <= _EXACT:
            note_rounded(field, at, builder)
            return int(value), ROUNDED_NS
        return int(value) or None, 1
    _no_time(value, field, at, builder)
    return None, 1


def note_rounded(field: str, at: Position, builder: Builder, count: int = 1) -> None:
    """Count times that are JSON numbers beyond 2^53."""
    message = f"expected text in {field}, found a JSON number beyond 2^53"
    builder.ledger.tally("TIME_PRECISION_LOST", message, at, count)


def is_naive(value: Any) -> bool:
    """Return whether a time is ISO text that names no time zone."""
    found = _ISO.fullmatch(value) if isinstance(value, str) else None
    return found is not None and not found[1]


def instant(text: str) -> int | None:
    """Return the nanoseconds of a date as text that names its time zone, None for any other text."""
    found = _ISO.fullmatch(text)
    return _nanoseconds(text) if found is not None and found[1] else None


def _nanoseconds(text: str) -> int | None:
    """Return the nanoseconds of ISO text, in UTC if it has no zone; None for an invalid date."""
    try:
        found = pd.Timestamp(text.replace(",", "."))
        return int((found.tz_localize("UTC") if found.tzinfo is None else found).as_unit("ns").value)
    except ValueError:  # the 31st of June, the year 9999
        return None


def _from_text(value: str, field: str, at: Position, builder: Builder) -> int | None:
    """Return nanoseconds of an ISO time; a naive one is UTC, with a warning."""
    nanoseconds = _nanoseconds(value) if _ISO.fullmatch(value) else None
    if nanoseconds is None:
        _no_time(value, field, at, builder)
        return None
    zone = "UTC assumed" if is_naive(value) else "converted"
    builder.ledger.tally("TIME_STRING", f"expected nanoseconds in {field}, found a date as text; {zone}", at)
    return nanoseconds


def _no_time(value: Any, field: str, at: Position, builder: Builder) -> None:
    message = f"expected nanoseconds in {field}, found {value!r:.80}; treated as missing"
    builder.ledger.issue("TIME_STRING", message, at=at, field=field)
