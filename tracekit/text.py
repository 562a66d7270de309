"""The formatter: cleaned names, durations, counts, ratios, factors, intervals and times in UTC.

Every string that reaches a page, an image or a widget goes through ``clean``.  Measured numbers have up to three
significant digits and a unit (``39.3 ms``, ``98.8%``); numbers that somebody chose, such as a sampling rate
of ``5%``, have no trailing zeros (``round_ratio``, ``round_duration``).  A missing number is ``unknown`` in a sentence,
a missing interval ``not estimable``; ``cell`` shows an en dash instead.  ``static/tracekit.js`` rounds in the same way,
and a test compares the two.

In sentences an arrow is a change from baseline to current (``100 → 256 ms``); calls are ``from A to B``, and ``A → B``
is a label of charts only.  An interval is ``95% CI 1.7–7.7%``, with ``to`` between figures with a sign
(``+12.6 to +22.9 ms``) and ``≥`` or ``≤`` where only one limit is estimable.
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
UNKNOWN: Final = "unknown"
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
_MARKS: Final = re.compile(r"([\\`*_{}\[\]|#~&!>])")  # of CommonMark with tables
_LINKED: Final = re.compile(
    r"@|:(?=//)|(?<=www)\.(?=\S)", re.IGNORECASE
)  # what many renderers make a link without a mark
_LEADING: Final = re.compile(
    r"^(\s*\d+(?=[.)](?:\s|$))|\s*(?=[-+=]))"
)  # ... a list or heading at the beginning of a line
_UNITS: Final = ((1, "ns"), (1_000, "µs"), (1_000_000, "ms"), (1_000_000_000, "s"))
_PII: Final = re.compile(r"@|\d{9,}")
_FIGURE: Final = re.compile(r"([+-]?)([\d,.]+)( ?\D*)")
_LAST_FIGURE: Final = re.compile(r"^(?:\d+% CI )?[+-]?[\d,.]+(?:–[\d,.]+)?( ?\D*)$")
_TINY_P: Final = 1e-12
_HUGE: Final = 1e20  # values from here on are written with an exponent
_BYTE_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")


def clean(text: object, *, limit: int | None = None, block: bool = False) -> str:
    r"""Return the text with characters that would reorder, hide or break it replaced by U+FFFD."""
    shown = text if isinstance(text, str) else str(text)
    if limit is not None and len(shown) > limit:
        shown = shown[: limit - 1] + "…"
    if shown.isascii() and shown.isprintable():
        return shown
    return (_UNSAFE_BLOCK if block else _UNSAFE).sub(REPLACEMENT, shown)


def in_markdown(text: object) -> str:
    r"""Return one line of text that Markdown shows as it is: no emphasis, link, image, heading, list or HTML.

    Examples
    --------
    >>> print(in_markdown("GET *.js <b> 1. www.example.org"))
    GET \*.js &lt;b\> 1. www\.example.org
    >>> print(in_markdown("1. http://x"), in_markdown("- # x"))
    1\. http\://x \- \# x
    """
    shown = _LINKED.sub(r"\\\g<0>", _MARKS.sub(r"\\\1", clean(text))).replace("<", "&lt;")
    return _LEADING.sub(r"\1\\", shown.strip())


def shortened(text: str, limit: int) -> str:
    """Return a text with its middle left out if it is longer than the limit: both ends of a name identify it."""
    if len(text) <= limit:
        return text
    end = (limit - 1) // 3
    return f"{text[: limit - 1 - end]}…{text[-end:]}"


def cell(form: Callable[[float], str], value: float | None) -> str:
    """Return a number as a table shows it: formatted by ``form``, an en dash where it is missing."""
    return NO_FIGURE if value is None or not math.isfinite(value) else form(value)


def duration(nanoseconds: float | None) -> str:
    """Return a duration with three significant digits and its unit."""
    if nanoseconds is None or not math.isfinite(nanoseconds):
        return UNKNOWN
    size = abs(nanoseconds)
    step = sum(size >= divisor for divisor, _ in _UNITS[1:])
    if step < len(_UNITS) - 1 and _rounded(size / _UNITS[step][0]) >= 1_000:  # noqa: PLR2004 - the step between units
        step += 1
    divisor, unit = _UNITS[step]
    if step == 0 and size == int(size):
        return f"{int(nanoseconds)} ns"
    return f"{'-' if nanoseconds < 0 else ''}{_rounded(size / divisor):,} {unit}"


def round_duration(nanoseconds: float | None) -> str:
    """Return a duration without trailing zeros: one that somebody chose, or the label of an axis."""
    return re.sub(r"(\.\d*?)0+(?= )", r"\1", duration(nanoseconds)).replace(". ", " ")


def signed_duration(nanoseconds: float | None) -> str:
    """Return a change of a duration with its sign."""
    is_more = nanoseconds is not None and 0 < nanoseconds < math.inf
    return f"{'+' if is_more else ''}{duration(nanoseconds)}"


def _rounded(value: float) -> Decimal:
    """Return the value rounded to three significant digits, halves up; integers above 1,000."""
    for places, below in ((2, 10), (1, 100)):
        short = _places(value, places)
        if short < below:
            return short
    return _places(value, 0)


def _places(value: float, places: int) -> Decimal:
    """Return the value rounded to so many decimals, halves up."""
    if value >= _HUGE:
        return Decimal(f"{value:.2e}")
    return Decimal(value).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def count(number: float | None) -> str:
    """Return a count with thousands separators."""
    return UNKNOWN if number is None or not math.isfinite(number) else f"{round(number):,}"


def short_count(number: float) -> str:
    """Return an abbreviated count such as ``1.5k``."""
    for divisor, letter in ((1_000_000, "M"), (1_000, "k")):
        if round(number) >= divisor:
            return f"{number / divisor:.{1 if number < 10 * divisor else 0}f}{letter}"
    return count(number)


def plural(number: float, one: str, many: str | None = None) -> str:
    """Return a count with its noun."""
    is_one = math.isfinite(number) and round(number) == 1
    return f"{count(number)} {one if is_one else many or one + 's'}"


def rough_count(number: float) -> str:
    """Return a count that is known approximately, with two significant digits."""
    return count(float(f"{number:.2g}"))


def mean_count(value: float | None) -> str:
    """Return a mean of counts, such as calls per request."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{_places(value, 2 if value < 1 else 1):,}"


def number(value: float | None) -> str:
    """Return a number without a unit: whole numbers as counts, others with three significant digits."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return count(value) if value == round(value) or abs(value) >= 1_000 else f"{value:.3g}"  # noqa: PLR2004 - no exponent


def usd(amount: float | None) -> str:
    """Return an amount of US dollars, to the cent; less than a cent with two significant digits."""
    if amount is None or not math.isfinite(amount):
        return UNKNOWN
    if 0 < abs(amount) < 0.01:  # noqa: PLR2004 - a cent
        return f"${Decimal(f'{amount:.2g}'):f}"
    return f"${amount:,.2f}"


def ratio(share: float | None) -> str:
    """Return a ratio as a percentage; only 0 and 1 themselves are shown as 0% and 100%."""
    if share is None or not math.isfinite(share):
        return UNKNOWN
    if share < 0:
        return f"-{ratio(-share)}"
    if share in (0, 1):
        return f"{share * 100:.0f}%"
    percent = share * 100
    if percent < 0.01:  # noqa: PLR2004 - the last figure that two decimals can show
        return "<0.01%"
    if 99.9 < percent < 100:  # noqa: PLR2004 - the last figure that one decimal can show
        return ">99.9%"
    return f"{_places(percent, 2 if percent < 1 else 1)}%"


def p_value(value: float) -> str:
    """Return a p value with its sign, such as ``= 0.012``; tiny ones as ``< 1e-12``."""
    return f"< {_TINY_P:.0e}" if value < _TINY_P else f"= {value:.2g}"


def round_ratio(share: float) -> str:
    """Return a ratio that somebody chose, such as a sampling rate or a confidence level: no trailing zeros."""
    return f"{Decimal(f'{100 * share:.4g}'):f}%" if math.isfinite(share) else UNKNOWN


def points(share: float) -> str:
    """Return a change of a ratio in percentage points, with its sign."""
    if not math.isfinite(share):
        return UNKNOWN
    return f"{'+' if share > 0 else ''}{_places(100 * share, 2 if abs(share) < 0.01 else 1)} percentage points"  # noqa: PLR2004 - 1%


def ratio_range(low: float, high: float) -> str:
    """Return an interval of ratios as percentages; different limits are shown as different numbers."""
    first, last = (ratio(limit) for limit in (low, high))
    if first == last and low < high:
        pairs = ((f"{100 * low:.{digits}g}%", f"{100 * high:.{digits}g}%") for digits in (3, 4, 5, 6))
        first, last = next((pair for pair in pairs if pair[0] != pair[1]), (first, last))
        return _joined(first, last)
    return interval(low, high, ratio, confidence="")


def factor(value: float | None) -> str:
    """Return a factor, with two decimals below 10, one above, and a multiplication sign."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{value:.2f}\N{MULTIPLICATION SIGN}" if value < 10 else f"{value:,.1f}\N{MULTIPLICATION SIGN}"  # noqa: PLR2004 - three digits are enough


def factor_range(low: float, high: float) -> str:
    """Return an interval of factors."""
    return interval(low, high, factor, confidence="")


def interval(low: float, high: float, form: Callable[[float], str], *, confidence: str = "95% CI") -> str:
    """Return the limits of an estimate, formatted by ``form``: both, one (``≥ 10.4 ms``), or ``not estimable``."""
    label = f"{confidence} " * bool(confidence)
    if not (math.isfinite(low) or math.isfinite(high)):
        return f"{label}{NOT_ESTIMABLE}"
    if not math.isfinite(low):
        return f"{label}≤ {form(high)}"
    return f"{label}{_joined(form(low), form(high)) if math.isfinite(high) else f'≥ {form(low)}'}"


def with_interval(value: float, low: float, high: float, form: Callable[[float], str]) -> str:
    """Return an estimate and its limits in parentheses, all formatted by ``form``."""
    return f"{form(value)} ({interval(low, high, form, confidence='')})"


def from_to(before: float | None, now: float | None, form: Callable[[float | None], str] = duration) -> str:
    """Return a change such as ``100 → 256 ms`` or ``1.2% → 3.4%``: the baseline first."""
    return _arrow(form(before), form(now))


def intervals_from_to(
    before: tuple[float, float], now: tuple[float, float], form: Callable[[float], str] = duration
) -> str:
    """Return the change of an interval such as ``95% CI 90.7–110 → 248–268 ms``."""
    return _arrow(interval(*before, form), interval(*now, form, confidence=""))


def _arrow(before: str, now: str) -> str:
    """Return two figures, or two intervals, with an arrow between: the unit once where both have the same word."""
    one, two = _LAST_FIGURE.search(before), _LAST_FIGURE.search(now)
    has_word = one is not None and two is not None and one[1] == two[1] and one[1].startswith(" ")
    return f"{before.removesuffix(one[1]) if one and has_word else before} → {now}"


def _joined(first: str, last: str) -> str:
    """Return two figures as a range: the unit once where both have it, an en dash between figures without a sign."""
    one, two = _FIGURE.fullmatch(first), _FIGURE.fullmatch(last)
    if one is None or two is None or one[3] != two[3]:
        return f"{first} to {last}"
    return f"{one[1]}{one[2]}{' to ' if one[1] or two[1] else NO_FIGURE}{last}"


def quoted(name: str) -> str:
    """Return a name between backticks; masked where it could be an e-mail address, phone or card number."""
    return f"`{name[:2]}...` (masked)" if _PII.search(name) else f"`{name}`"


def size(byte_count: float | None) -> str:
    """Return a size in bytes with a decimal unit."""
    if byte_count is None or not math.isfinite(byte_count):
        return UNKNOWN
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
