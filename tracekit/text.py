"""The formatter: cleaned names, durations, counts, ratios, factors, intervals and times in UTC.

Every string that reaches a page, an image or a widget goes through ``clean``.  Numbers have three significant digits
and a unit; ``static/tracekit.js`` rounds in the same way, and a test compares the two.
"""

from __future__ import annotations

import math
import posixpath
import re
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

REPLACEMENT: Final = "\ufffd"
NO_FIGURE: Final = "\N{EN DASH}"
NOT_ESTIMABLE: Final = "not estimable"
LABEL_LIMIT: Final = 300
VALUE_LIMIT: Final = 32_768

# characters that reorder, hide or break text: C0 and C1 controls, line separators, bidi embeddings, overrides and
# isolates, lone surrogates (they cannot be encoded), the two code points that XML forbids, and zero-width characters,
# which make different names look alike; joiners are kept between letters of scripts that need them
_CONTROLS: Final = "\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff"
_ZERO_WIDTH: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0"
    "\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_JOINER: Final = r"[\u200c\u200d](?![^\x00-\u036f\u2000-\u200f])|(?<![^\x00-\u036f\u2000-\u200f])[\u200c\u200d]"
_UNSAFE: Final = re.compile(f"[\x00-\x1f{_CONTROLS}{_ZERO_WIDTH}]|{_JOINER}")
_UNSAFE_BLOCK: Final = re.compile(f"[\x00-\x08\x0b-\x1f{_CONTROLS}{_ZERO_WIDTH}]|{_JOINER}")
_UNITS: Final = ((1, "ns"), (1_000, "µs"), (1_000_000, "ms"), (1_000_000_000, "s"))
_PII: Final = re.compile(r"@|\d{9,}")
_BYTE_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")


def clean(text: object, *, limit: int | None = None, block: bool = False) -> str:
    r"""Return the text with characters that would reorder, hide or break it replaced by U+FFFD."""
    shown = text if isinstance(text, str) else str(text)
    if limit is not None and len(shown) > limit:
        shown = shown[: limit - 1] + "…"
    if shown.isascii() and shown.isprintable():
        return shown
    return (_UNSAFE_BLOCK if block else _UNSAFE).sub(REPLACEMENT, shown)


def shortened(text: str, limit: int) -> str:
    """Return a text with its middle left out if it is longer than the limit: both ends of a name identify it."""
    if len(text) <= limit:
        return text
    end = (limit - 1) // 3
    return f"{text[: limit - 1 - end]}…{text[-end:]}"


def duration(nanoseconds: float | None) -> str:
    """Return a duration with three significant digits and its unit."""
    if nanoseconds is None or not math.isfinite(nanoseconds):
        return NO_FIGURE
    size = abs(nanoseconds)
    step = sum(size >= divisor for divisor, _ in _UNITS[1:])
    if step < len(_UNITS) - 1 and _rounded(size / _UNITS[step][0]) >= 1_000:  # noqa: PLR2004 - the step between units
        step += 1
    divisor, unit = _UNITS[step]
    if step == 0 and size == int(size):
        return f"{int(nanoseconds)} ns"
    return f"{'-' if nanoseconds < 0 else ''}{_rounded(size / divisor)} {unit}"


def round_duration(nanoseconds: float | None) -> str:
    """Return a duration without trailing zeros, as axis labels show it."""
    return re.sub(r"(\.\d*?)0+(?= )", r"\1", duration(nanoseconds)).replace(". ", " ")


def _rounded(value: float) -> Decimal:
    """Return the value rounded to three significant digits, halves up; integers above 1,000."""
    exact = Decimal(value)
    for places, below in ((2, 10), (1, 100), (0, math.inf)):
        short = exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
        if short < below:
            return short
    return exact.quantize(Decimal(1), ROUND_HALF_UP)


def count(number: float | None) -> str:
    """Return a count with thousands separators; an en dash for a missing value."""
    return NO_FIGURE if number is None or not math.isfinite(number) else f"{round(number):,}"


def short_count(number: float) -> str:
    """Return an abbreviated count such as ``1.5k``."""
    for divisor, letter in ((1_000_000, "M"), (1_000, "k")):
        if round(number) >= divisor:
            return f"{number / divisor:.{1 if number < 10 * divisor else 0}f}{letter}"
    return count(number)


def plural(number: float, one: str, many: str | None = None) -> str:
    """Return a count with its noun."""
    return f"{count(number)} {one if round(number) == 1 else many or one + 's'}"


def rough_count(number: float) -> str:
    """Return a count that is known approximately, with two significant digits."""
    return count(float(f"{number:.2g}")) if math.isfinite(number) else NO_FIGURE


def ratio(share: float | None) -> str:
    """Return a ratio as a percentage; only 0 and 1 themselves are shown as 0% and 100%."""
    if share is None or not math.isfinite(share):
        return NO_FIGURE
    if share < 0:
        return f"-{ratio(-share)}"
    if share in (0, 1):
        return f"{share * 100:.0f}%"
    percent = share * 100
    if percent < 0.01:  # noqa: PLR2004 - the last figure that two decimals can show
        return "<0.01%"
    if 99.9 < percent < 100:  # noqa: PLR2004 - the last figure that one decimal can show
        return ">99.9%"
    return f"{percent:.{2 if percent < 1 else 1}f}%"


def ratio_range(low: float, high: float) -> str:
    """Return an interval of ratios as percentages; different limits are shown as different numbers."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return " to ".join(ratio(limit) if math.isfinite(limit) else NOT_ESTIMABLE for limit in (low, high))
    first, last = (ratio(limit).removesuffix("%") for limit in (low, high))
    if first == last and low < high:
        pairs = ((f"{100 * low:.{digits}g}", f"{100 * high:.{digits}g}") for digits in (3, 4, 5, 6))
        first, last = next((pair for pair in pairs if pair[0] != pair[1]), (first, last))
    return f"{first}\N{EN DASH}{last}%"


def factor(value: float | None) -> str:
    """Return a factor, with two decimals below 10, one above, and a multiplication sign."""
    return NO_FIGURE if value is None or not math.isfinite(value) else f"{_factor(value)}\N{MULTIPLICATION SIGN}"


def factor_range(low: float, high: float) -> str:
    """Return an interval of factors."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return " to ".join(factor(limit) if math.isfinite(limit) else NOT_ESTIMABLE for limit in (low, high))
    return f"{_factor(low)}\N{EN DASH}{factor(high)}"


def _factor(value: float) -> str:
    """Return a factor without its sign, with two decimals below 10 and one above."""
    return f"{value:.2f}" if value < 10 else f"{value:,.1f}"  # noqa: PLR2004 - three digits are enough


def interval(low: float, high: float, form: Callable[[float], str], *, confidence: str = "95% CI ") -> str:
    """Return the limits of an estimate, formatted by ``form``; limits that are NaN as ``not estimable``."""
    if math.isnan(low) and math.isnan(high):
        return f"interval {NOT_ESTIMABLE}"
    first, last = (NOT_ESTIMABLE if math.isnan(limit) else form(limit) for limit in (low, high))
    return f"{confidence}{first} to {last}"


def quoted(name: str) -> str:
    """Return a name between backticks; masked where it could be an e-mail address, phone or card number."""
    return f"`{name[:2]}...` (masked)" if _PII.search(name) else f"`{name}`"


def size(byte_count: float | None) -> str:
    """Return a size in bytes with a decimal unit."""
    if byte_count is None or not math.isfinite(byte_count):
        return NO_FIGURE
    step, rest = 0, float(byte_count)
    while rest >= 1_000 and step < len(_BYTE_UNITS) - 1:  # noqa: PLR2004 - the step between units
        step, rest = step + 1, rest / 1_000
    return f"{rest:.1f} {_BYTE_UNITS[step]}" if step else f"{int(rest):,} bytes"


def moment(nanoseconds: int, *, decimals: int = 0) -> str:
    """Return a time in UTC, truncated to so many decimals of a second."""
    seconds, rest = divmod(int(nanoseconds), 1_000_000_000)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"{whole}.{rest:09d}"[: len(whole) + 1 + decimals] if decimals else whole


def period(start_ns: int, end_ns: int) -> str:
    """Return a period in UTC to the second; the end date only where it differs from the start date."""
    first, last = moment(start_ns), moment(end_ns)
    return f"{first} to {last[11:] if first[:10] == last[:10] else last} UTC"


def short_names(uris: Sequence[str]) -> list[str]:
    """Return file names without their common folder, so that a report does not disclose local paths."""
    parts = [_parts(uri) for uri in uris]
    shared = min((len(part) - 1 for part in parts), default=0)
    while shared > 0 and len({tuple(part[:shared]) for part in parts}) > 1:
        shared -= 1
    return [posixpath.join(*part[shared:]) for part in parts]


def _parts(uri: str) -> list[str]:
    """Return the parts of a path; a backslash is a separator in Windows paths only."""
    separators = r"/\\" if re.match(r"[A-Za-z]:\\|\\\\", uri) else "/"
    return re.split(f"[{separators}]+", re.sub(f"[{separators}]+$", "", uri))
