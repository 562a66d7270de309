"""Times in microseconds, as Jaeger and Zipkin write them, to nanoseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tracekit.loading.numbers import whole

if TYPE_CHECKING:
    from tracekit.loading.building.builder import Builder
    from tracekit.loading.building.ledger import Position

RESOLUTION_NS = 1000
NO_DATE = 946_684_800  # no number below it is a date of this century in any unit

_NS_PER_US = 1000
_FAR = 2**63
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def nanoseconds(value: Any, field: str, at: Position, builder: Builder) -> int | None:
    """Return a time or duration in microseconds as nanoseconds."""
    if value is None:
        return None
    number = whole(value)
    if number is not None and (isinstance(value, int) or -_FAR < number < _FAR):
        return number * _NS_PER_US
    if isinstance(value, (float, Decimal)) and -_FAR < value < _FAR:
        before = int(value)
        return before * _NS_PER_US + round((float(value) - before) * _NS_PER_US)
    date = _date(value)
    if date is None:
        message = f"expected microseconds in {field}, found {value!r:.80}; treated as missing"
        builder.ledger.issue("TIME_STRING", message, at=at, field=field)
        return None
    zone = "no time zone, UTC assumed" if date.tzinfo is None else "converted"
    builder.ledger.tally("TIME_STRING", f"expected microseconds in {field}, found a date as text; {zone}", at)
    return (date.replace(tzinfo=date.tzinfo or UTC) - _EPOCH) // timedelta(microseconds=1) * _NS_PER_US


def _date(value: Any) -> datetime | None:
    """Return the nanoseconds of a date in text, None for anything else."""
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
