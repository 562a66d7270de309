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
    r"""Return the text with everything that could flip, hide or break it shown as U+FFFD.

    Parameters
    ----------
    text
        Anything; what is not a string is turned into one.
    limit
        Longest answer in characters; what is longer is cut and ends with an ellipsis.
    block
        Keep line breaks and tabs, as values such as stack traces and queries need.

    Returns
    -------
    str
        Safe in HTML and XML text once escaped, and encodable in UTF-8.

    Examples
    --------
    >>> clean("gpj.\u202eexe") == "gpj.\ufffdexe"
    True
    >>> clean("SELECT 1\n  FROM t", block=True)
    'SELECT 1\n  FROM t'
    >>> clean("abcdef", limit=4)
    'abc…'
    """
    shown = text if isinstance(text, str) else str(text)
    if limit is not None and len(shown) > limit:
        shown = shown[: limit - 1] + "…"
    if shown.isascii() and shown.isprintable():
        return shown
    return (_UNSAFE_BLOCK if block else _UNSAFE).sub(REPLACEMENT, shown)


def duration(nanoseconds: float | None) -> str:
    """Return a duration with three significant digits and its unit.

    Parameters
    ----------
    nanoseconds
        Duration in ns; None, NaN and infinities have no figure.

    Returns
    -------
    str
        In ns, µs, ms or s; an en dash where there is no figure.

    Examples
    --------
    >>> [duration(value) for value in (7, 1_234, 99_960, 999_600_000, -45_000_000)]
    ['7 ns', '1.23 µs', '100 µs', '1.00 s', '-45.0 ms']
    >>> duration(None) == NO_FIGURE
    True
    """
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
    """Return a number of things with thousands separated; an en dash where there is none.

    Parameters
    ----------
    number
        A count; weighted ones may have a fraction and are rounded.

    Returns
    -------
    str
        For example ``12,345``.

    Examples
    --------
    >>> count(12345)
    '12,345'
    """
    return NO_FIGURE if number is None or not math.isfinite(number) else f"{round(number):,}"


def short_count(number: float) -> str:
    """Return a number of things in little room.

    Parameters
    ----------
    number
        A count, 0 or more.

    Returns
    -------
    str
        Two significant digits or more, with k or M.

    Examples
    --------
    >>> [short_count(number) for number in (7, 999, 1_204, 38_911, 2_500_000)]
    ['7', '999', '1.2k', '39k', '2.5M']
    """
    for divisor, letter in ((1_000_000, "M"), (1_000, "k")):
        if round(number) >= divisor:
            return f"{number / divisor:.{1 if number < 10 * divisor else 0}f}{letter}"
    return count(number)


def plural(number: float, one: str, many: str | None = None) -> str:
    """Return a count with its noun.

    Parameters
    ----------
    number
        How many.
    one, many
        The noun for one, and for another number; ``one`` + s by default.

    Returns
    -------
    str
        For example ``1 trace``.

    Examples
    --------
    >>> plural(1, "trace"), plural(1204, "trace"), plural(0, "entry", "entries")
    ('1 trace', '1,204 traces', '0 entries')
    """
    return f"{count(number)} {one if round(number) == 1 else many or one + 's'}"


def ratio(share: float | None) -> str:
    """Return a share between 0 and 1 in per cent, never rounded to nothing or to all.

    Parameters
    ----------
    share
        A ratio; None and NaN have no figure.

    Returns
    -------
    str
        Two significant digits below 10 %, one decimal above.

    Examples
    --------
    >>> [ratio(share) for share in (0, 0.00004, 0.0312, 0.254, 0.99999, 1)]
    ['0 %', '<0.01 %', '3.1 %', '25.4 %', '>99.9 %', '100 %']
    """
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


def interval(low: float, high: float, form: Callable[[float], str], *, level: str = "95% CI ") -> str:
    """Return the limits of an estimate; what is not estimable is said to be so.

    Parameters
    ----------
    low, high
        Its limits, NaN where one is not estimable.
    form
        Writes a number, such as ``duration`` or ``ratio``.
    level
        What the limits are called.

    Returns
    -------
    str
        Without parentheses.

    Examples
    --------
    >>> interval(81e6, 89e6, duration), interval(81e6, float("nan"), duration)
    ('95% CI 81.0 ms to 89.0 ms', '95% CI 81.0 ms to not estimable')
    >>> interval(float("nan"), float("nan"), ratio)
    'interval not estimable'
    """
    if math.isnan(low) and math.isnan(high):
        return "interval not estimable"
    first, last = ("not estimable" if math.isnan(limit) else form(limit) for limit in (low, high))
    return f"{level}{first} to {last}"


def size(byte_count: float | None) -> str:
    """Return a number of bytes in decimal units.

    Parameters
    ----------
    byte_count
        Bytes; None and NaN have no figure.

    Returns
    -------
    str
        For example ``1.2 MB``.

    Examples
    --------
    >>> size(917), size(1_234_567)
    ('917 bytes', '1.2 MB')
    """
    if byte_count is None or not math.isfinite(byte_count):
        return NO_FIGURE
    step, rest = 0, float(byte_count)
    while rest >= 1_000 and step < len(_BYTE_UNITS) - 1:  # noqa: PLR2004 - the step between units
        step, rest = step + 1, rest / 1_000
    return f"{rest:.1f} {_BYTE_UNITS[step]}" if step else f"{int(rest):,} bytes"


def moment(nanoseconds: int, *, decimals: int = 0) -> str:
    """Return a moment in UTC.

    Parameters
    ----------
    nanoseconds
        Since the epoch.
    decimals
        Digits of the second, at most 9.

    Returns
    -------
    str
        For example ``2025-05-14 14:00:00``; the zone is said once, beside it.

    Examples
    --------
    >>> moment(1_747_231_200_123_456_789, decimals=3)
    '2025-05-14 14:00:00.123'
    """
    seconds, rest = divmod(int(nanoseconds), 1_000_000_000)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"{whole}.{rest:09d}"[: len(whole) + 1 + decimals] if decimals else whole


def short_names(uris: Sequence[str]) -> list[str]:
    """Return file names without the folder they share, so that a report does not tell where it was made.

    Parameters
    ----------
    uris
        Paths or addresses of sources.

    Returns
    -------
    list of str
        As many, in the same order; equal ones stay equal.

    Examples
    --------
    >>> short_names(["/home/ann/case/before.jsonl", "/home/ann/case/eu/during.jsonl"])
    ['before.jsonl', 'eu/during.jsonl']
    >>> short_names(["/home/ann/case/before.jsonl"])
    ['before.jsonl']
    """
    parts = [_parts(uri) for uri in uris]
    shared = min((len(part) - 1 for part in parts), default=0)
    while shared > 0 and len({tuple(part[:shared]) for part in parts}) > 1:
        shared -= 1
    return [posixpath.join(*part[shared:]) for part in parts]


def _parts(uri: str) -> list[str]:
    """Return folders and name; a backslash separates in paths of Windows only, elsewhere it escapes a character."""
    separators = r"/\\" if re.match(r"[A-Za-z]:\\|\\\\", uri) else "/"
    return re.split(f"[{separators}]+", re.sub(f"[{separators}]+$", "", uri))
