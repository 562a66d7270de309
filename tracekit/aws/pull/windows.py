"""Time windows of API calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

import pandas as pd

MAX_WINDOW_S = 6 * 3600  # the maximum of X-Ray


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


def instant(moment: Any) -> int:
    """Return a time as whole seconds since the epoch."""
    if isinstance(moment, (str, timedelta)):
        try:
            ago = pd.Timedelta(moment)
        except ValueError:
            pass
        else:
            return int(datetime.now(UTC).timestamp() - ago.total_seconds())
    try:
        stamp = pd.Timestamp(moment)
    except (TypeError, ValueError):
        stamp = pd.NaT  # type: ignore[assignment]
    if pd.isna(stamp):
        message = f"invalid time {moment!r}: use a UTC time (2026-11-21T14:00) or a duration before now (6h)"
        raise ValueError(message)
    stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp
    return int(stamp.timestamp())


def split(window: Window, longest_s: int = MAX_WINDOW_S) -> list[Window]:
    """Return the consecutive windows of at most ``longest_s`` seconds that cover a longer one."""
    edges = [*range(window.start, window.end, longest_s), window.end]
    return [Window(low, high) for low, high in pairwise(edges)]
