"""How numbers are said: percentages, ratios, durations and their intervals."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))
_PRIVATE = re.compile(r"@|\d{9,}")


def percent(share: float) -> str:
    """Return a share as a percentage with two or three digits.

    Examples
    --------
    >>> percent(0.134), percent(0.0093), percent(1.0), percent(0.00004), percent(float("nan"))
    ('13.4 %', '0.93 %', '100 %', '0.004 %', 'unknown')
    """
    return f"{_hundred(share)} %" if math.isfinite(share) else "unknown"


def percents(low: float, high: float) -> str:
    """Return an interval of shares.

    Examples
    --------
    >>> percents(0.0087, 0.0098)
    '0.87-0.98 %'
    >>> percents(0.01, 0.012), percents(0, 0.05), percents(0.983, 1)
    ('1.0-1.2 %', '0-5 %', '98.3-100 %')
    >>> percents(0.0497, 0.0502)
    '4.97-5.02 %'
    >>> percents(0.049996, 0.050001)
    '4.9996-5.0001 %'
    """
    texts = _hundred(low), _hundred(high)
    if texts[0] == texts[1] and low < high:
        pairs = ((f"{100 * low:.{digits}g}", f"{100 * high:.{digits}g}") for digits in (3, 4, 5, 6))
        first, second = next((pair for pair in pairs if pair[0] != pair[1]), texts)
        return f"{first}-{second} %"
    if low >= 0.01 and high < 1 and any("." in text for text in texts):  # noqa: PLR2004 - from 1 % on, as _hundred does
        return f"{100 * low:.1f}-{100 * high:.1f} %"
    return f"{texts[0]}-{texts[1]} %"


def _hundred(share: float) -> str:
    """Return a hundred times a share."""
    value = 100 * share
    if not math.isfinite(value):
        return "not estimable"
    text = f"{value:.1f}" if value >= 1 else f"{value:.2g}"
    return text.removesuffix(".0")


def times(ratio: float) -> str:
    """Return a factor.

    Examples
    --------
    >>> times(0.714), times(14.4)
    ('0.71x', '14.4x')
    """
    return f"{ratio:.2f}x" if ratio < 10 else f"{ratio:,.1f}x"  # noqa: PLR2004 - three digits are enough


def factors(low: float, high: float) -> str:
    """Return an interval of factors.

    Examples
    --------
    >>> factors(0.66, 0.76)
    '0.66-0.76'
    """
    return f"{times(low)[:-1]}-{times(high)[:-1]}"


def duration(nanoseconds: float) -> str:
    """Return a duration with three digits.

    Examples
    --------
    >>> duration(241_300_000), duration(2_003e6), duration(float("nan"))
    ('241 ms', '2 s', 'not estimable')
    """
    if not math.isfinite(nanoseconds):
        return "not estimable"
    size, unit = next((pair for pair in _UNITS if abs(nanoseconds) >= pair[0]), _UNITS[-1])
    return f"{float(f'{nanoseconds / size:.3g}'):g} {unit}"


def number(count: float) -> str:
    """Return a count with thousands apart.

    Examples
    --------
    >>> number(18_940)
    '18,940'
    """
    return f"{count:,.0f}"


def period(start: pd.Timestamp, end: pd.Timestamp) -> str:
    """Return a stretch of time to the second, the day of its end only where it is another one.

    Examples
    --------
    >>> import pandas as pd
    >>> begin = pd.Timestamp("2026-11-21 23:59:30")
    >>> period(begin, begin + pd.Timedelta("20s"))
    'from 2026-11-21 23:59:30 to 23:59:50 UTC'
    >>> period(begin, begin + pd.Timedelta("40s"))
    'from 2026-11-21 23:59:30 to 2026-11-22 00:00:10 UTC'
    """
    day = "" if start.date() == end.date() else f"{end:%Y-%m-%d} "
    return f"from {start:%Y-%m-%d %H:%M:%S} to {day}{end:%H:%M:%S} UTC"


def about(count: float) -> str:
    """Return a count that is only roughly known, with two digits.

    Examples
    --------
    >>> about(198_416), about(90)
    ('200,000', '90')
    """
    return f"{float(f'{count:.2g}'):,.0f}"


def counted(count: float, thing: str) -> str:
    """Return a count of things.

    Examples
    --------
    >>> counted(1, "trace"), counted(1200, "trace")
    ('1 trace', '1,200 traces')
    """
    return f"{number(count)} {thing}{'s' * (round(count) != 1)}"


def shown(value: str) -> str:
    """Return a label for a sentence; what could be an address or the number of a person or card is masked.

    Examples
    --------
    >>> shown("acme"), shown("jo@example.org")
    ('`acme`', '`jo...` (masked)')
    """
    return f"`{value[:2]}...` (masked)" if _PRIVATE.search(value) else f"`{value}`"
