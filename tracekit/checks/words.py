"""Numbers as text: percentages, ratios, durations and their intervals."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))
_PRIVATE = re.compile(r"@|\d{9,}")


def percent(share: float) -> str:
    """Return a share as a percentage with two or three digits."""
    return f"{_hundred(share)}%" if math.isfinite(share) else "unknown"


def percents(low: float, high: float) -> str:
    """Return an interval of shares."""
    texts = _hundred(low), _hundred(high)
    if not (math.isfinite(low) or math.isfinite(high)):
        return "not estimable"
    if texts[0] == texts[1] and low < high:
        pairs = ((f"{100 * low:.{digits}g}", f"{100 * high:.{digits}g}") for digits in (3, 4, 5, 6))
        first, second = next((pair for pair in pairs if pair[0] != pair[1]), texts)
        return f"{first}-{second}%"
    if low >= 0.01 and high < 1 and any("." in text for text in texts):  # noqa: PLR2004 - from 1% on, as _hundred does
        return f"{100 * low:.1f}-{100 * high:.1f}%"
    return f"{texts[0]}-{texts[1]}%"


def _hundred(share: float) -> str:
    """Return a share in percent without the sign."""
    value = 100 * share
    if not math.isfinite(value):
        return "not estimable"
    text = f"{value:.1f}" if value >= 1 else f"{value:.2g}"
    return text.removesuffix(".0")


def times(ratio: float) -> str:
    """Return a factor."""
    return f"{ratio:.2f}x" if ratio < 10 else f"{ratio:,.1f}x"  # noqa: PLR2004 - three digits are enough


def factors(low: float, high: float) -> str:
    """Return an interval of factors."""
    return f"{times(low)[:-1]}-{times(high)[:-1]}"


def duration(nanoseconds: float) -> str:
    """Return a duration with three digits."""
    if not math.isfinite(nanoseconds):
        return "not estimable"
    size, unit = next((pair for pair in _UNITS if abs(nanoseconds) >= pair[0]), _UNITS[-1])
    return f"{float(f'{nanoseconds / size:.3g}'):g} {unit}"


def number(count: float) -> str:
    """Return a count with thousands separated."""
    return f"{count:,.0f}"


def period(start: pd.Timestamp, end: pd.Timestamp) -> str:
    """Return a period to the second; the date of its end only if it differs."""
    day = "" if start.date() == end.date() else f"{end:%Y-%m-%d} "
    return f"from {start:%Y-%m-%d %H:%M:%S} to {day}{end:%H:%M:%S} UTC"


def about(count: float) -> str:
    """Return an approximate count with two digits."""
    return f"{float(f'{count:.2g}'):,.0f}"


def counted(count: float, thing: str) -> str:
    """Return a count of things."""
    return f"{number(count)} {thing}{'s' * (round(count) != 1)}"


def shown(value: str) -> str:
    """Return a label for a sentence; possible addresses, phone and card numbers are masked."""
    return f"`{value[:2]}...` (masked)" if _PRIVATE.search(value) else f"`{value}`"
