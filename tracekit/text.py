"""Text and numbers as people read them: cleaned names, durations, counts, ratios, moments.

Every string that reaches a page, a picture or a widget goes through ``clean``.  Numbers carry three significant digits
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
LABEL_LIMIT: Final = 300
VALUE_LIMIT: Final = 32_768

# what could flip, hide or break text: C0 and C1 controls, line separators, bidi embeddings, overrides and isolates,
# lone surrogates (no encoder takes them), the two code points that XML forbids, and characters without a width, with
# which two different names look alike; joiners stay between letters of scripts that need them
_FLIPPING: Final = "\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff"
_WIDTHLESS: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0"
    "\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_JOINER: Final = r"[\u200c\u200d](?![^\x00-\u036f\u2000-\u200f])|(?<![^\x00-\u036f\u2000-\u200f])[\u200c\u200d]"
_UNSAFE: Final = re.compile(f"[\x00-\x1f{_FLIPPING}{_WIDTHLESS}]|{_JOINER}")
_UNSAFE_BLOCK: Final = re.compile(f"[\x00-\x08\x0b-\x1f{_FLIPPING}{_WIDTHLESS}]|{_JOINER}")
_UNITS: Final = ((1, "ns"), (1_000, "µs"), (1_000_000, "ms"), (1_000_000_000, "s"))
_BYTE_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")


def clean(text: object, *, limit: int | None = None, block: bool = False) -> str:
    r"""Return the text with everything that could flip, hide or break it shown as U+FFFD."""
    shown = text if isinstance(text, str) else str(text)
    if limit is not None and len(shown) > limit:
        shown = shown[: limit - 1] + "…"
    if shown.isascii() and shown.isprintable():
        return shown
    return (_UNSAFE_BLOCK if block else _UNSAFE).sub(REPLACEMENT, shown)


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


def _rounded(value: float) -> Decimal:
    """Return the value to three significant digits, halves up; whole numbers above 1,000."""
    exact = Decimal(value)
    for places, below in ((2, 10), (1, 100), (0, math.inf)):
        short = exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
        if short < below:
            return short
    return exact.quantize(Decimal(1), ROUND_HALF_UP)


def count(number: float | None) -> str:
    """Return a number of things with thousands separated; an en dash where there is none."""
    return NO_FIGURE if number is None or not math.isfinite(number) else f"{round(number):,}"


def short_count(number: float) -> str:
    """Return a number of things in little room."""
    for divisor, letter in ((1_000_000, "M"), (1_000, "k")):
        if round(number) >= divisor:
            return f"{number / divisor:.{1 if number < 10 * divisor else 0}f}{letter}"
    return count(number)


def plural(number: float, one: str, many: str | None = None) -> str:
    """Return a count with its noun."""
    return f"{count(number)} {one if round(number) == 1 else many or one + 's'}"


def ratio(share: float | None) -> str:
    """Return a share between 0 and 1 in per cent, never rounded to nothing or to all."""
    if share is None or not math.isfinite(share):
        return NO_FIGURE
    if share in (0, 1):
        return f"{share * 100:.0f} %"
    percent = share * 100
    if percent < 0.01:  # noqa: PLR2004 - the last figure that two decimals can show
        return "<0.01 %"
    if 99.9 < percent < 100:  # noqa: PLR2004 - the last figure that one decimal can show
        return ">99.9 %"
    return f"{percent:.{2 if percent < 1 else 1}f} %"


def interval(low: float, high: float, form: Callable[[float], str], *, confidence: str = "95% CI ") -> str:
    """Return the limits of an estimate; what is not estimable is said to be so."""
    if math.isnan(low) and math.isnan(high):
        return "interval not estimable"
    first, last = ("not estimable" if math.isnan(limit) else form(limit) for limit in (low, high))
    return f"{confidence}{first} to {last}"


def size(byte_count: float | None) -> str:
    """Return a number of bytes in decimal units."""
    if byte_count is None or not math.isfinite(byte_count):
        return NO_FIGURE
    step, rest = 0, float(byte_count)
    while rest >= 1_000 and step < len(_BYTE_UNITS) - 1:  # noqa: PLR2004 - the step between units
        step, rest = step + 1, rest / 1_000
    return f"{rest:.1f} {_BYTE_UNITS[step]}" if step else f"{int(rest):,} bytes"


def moment(nanoseconds: int, *, decimals: int = 0) -> str:
    """Return a moment in UTC."""
    seconds, rest = divmod(int(nanoseconds), 1_000_000_000)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"{whole}.{rest:09d}"[: len(whole) + 1 + decimals] if decimals else whole


def short_names(uris: Sequence[str]) -> list[str]:
    """Return file names without the folder they share, so that a report does not tell where it was made."""
    parts = [_parts(uri) for uri in uris]
    shared = min((len(part) - 1 for part in parts), default=0)
    while shared > 0 and len({tuple(part[:shared]) for part in parts}) > 1:
        shared -= 1
    return [posixpath.join(*part[shared:]) for part in parts]


def _parts(uri: str) -> list[str]:
    """Return folders and name; a backslash separates in paths of Windows only, elsewhere it escapes a character."""
    separators = r"/\\" if re.match(r"[A-Za-z]:\\|\\\\", uri) else "/"
    return re.split(f"[{separators}]+", re.sub(f"[{separators}]+$", "", uri))
