"""Time windows of requests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

import pandas as pd

MAX_WINDOW_S = 6 * 3600  # the maximum of X-Ray
_SECOND_NS = 10**9


class Window(NamedTuple):
    """Seconds since the epoch, the second one excluded."""

    start: int
    end: int

    def halves(self) -> list[Window]:
        """Return the two halves, or nothing for a single second."""
        middle = (self.start + self.end) // 2
        return [Window(self.start, middle), Window(middle, self.end)] if self.start < middle < self.end else []

    @property
    def start_time(self) -> datetime:
        """As boto3 takes it."""
        return datetime.fromtimestamp(self.start, UTC)

    @property
    def end_time(self) -> datetime:
        """As boto3 takes it."""
        return datetime.fromtimestamp(self.end, UTC)


class Period(NamedTuple):
    """Nanoseconds since the epoch, the second one excluded."""

    start_ns: int
    end_ns: int

    def halves(self, unit_ns: int) -> list[Period]:
        """Return the two halves in whole units, or nothing for a single unit."""
        middle = (self.start_ns + self.end_ns) // 2 // unit_ns * unit_ns
        is_divisible = self.start_ns < middle < self.end_ns
        return [Period(self.start_ns, middle), Period(middle, self.end_ns)] if is_divisible else []

    def parts(self, longest_ns: int) -> list[Period]:
        """Return the consecutive periods of at most ``longest_ns`` that cover this one."""
        edges = [*range(self.start_ns, self.end_ns, longest_ns), self.end_ns]
        return [Period(low, high) for low, high in pairwise(edges)]

    def widened(self, unit_ns: int) -> Period:
        """Return the period of whole units that contains this one."""
        return Period(self.start_ns // unit_ns * unit_ns, -(-self.end_ns // unit_ns) * unit_ns)

    def __str__(self) -> str:
        return f"{rfc3339(self.start_ns)} to {rfc3339(self.end_ns)}"


def rfc3339(moment_ns: int) -> str:
    """Return a time as RFC 3339 text with nanoseconds.

    Examples
    --------
    >>> rfc3339(1_760_000_000_000_000_001)
    '2025-10-09T08:53:20.000000001Z'
    """
    seconds, rest = divmod(moment_ns, _SECOND_NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def instant_ns(moment: Any) -> int:
    """Return a time as nanoseconds since the epoch."""
    if isinstance(moment, (str, timedelta)):
        try:
            ago = pd.Timedelta(moment)
        except ValueError:
            pass
        else:
            return int(datetime.now(UTC).timestamp() * _SECOND_NS) - ago.value
    try:
        stamp = pd.Timestamp(moment)
    except (TypeError, ValueError):
        stamp = pd.NaT  # type: ignore[assignment]
    if pd.isna(stamp):
        message = f"invalid time {moment!r}: use a UTC time (2026-11-21T14:00) or a duration before now (6h)"
        raise ValueError(message)
    stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp
    return int(stamp.as_unit("ns").value)


def instant(moment: Any) -> int:
    """Return a time as whole seconds since the epoch."""
    return instant_ns(moment) // _SECOND_NS


def split(window: Window, longest_s: int = MAX_WINDOW_S) -> list[Window]:
    """Return the consecutive windows of at most ``longest_s`` seconds that cover a longer one."""
    edges = [*range(window.start, window.end, longest_s), window.end]
    return [Window(low, high) for low, high in pairwise(edges)]


def duration_ns(duration: str | None) -> int | None:
    """Return a duration such as ``250ms`` in nanoseconds, None without one.

    Examples
    --------
    >>> duration_ns("250ms")
    250000000
    """
    if duration is None:
        return None
    try:
        found = pd.Timedelta(duration)
    except ValueError:
        found = pd.NaT  # type: ignore[assignment]
    if pd.isna(found):
        raise ValueError(f"expected a duration such as 250ms, found {duration!r}")
    return int(found.as_unit("ns").value)
