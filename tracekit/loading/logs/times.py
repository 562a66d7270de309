"""Times of log lines in the notations of logging libraries, as nanoseconds since the epoch."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.loading.building.time_units import unit_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.columns import Array

NO_TIME: Final = np.iinfo(np.int64).min  # pandas' NaT
_FORMATS: Final = (
    "%d/%b/%Y:%H:%M:%S %z", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M:%S.%f", "%a %b %d %H:%M:%S %Y",
    "%a, %d %b %Y %H:%M:%S %z", "%d-%b-%Y %H:%M:%S.%f", "%d %b %Y %H:%M:%S.%f", "%d %b %Y %H:%M:%S",
)  # fmt: skip
_ZONE: Final = re.compile(r"(?:Z|z|UTC|GMT|[+-]\d\d:?\d\d)\s*$")
_LEAST, _MOST = 8, 60  # characters of a date
_NEITHER, _NUMBER, _TEXT = range(3)
_EXACT: Final = 2.0**63
_FACTORS: Final = np.array([10**9, 10**6, 10**3, 1], np.int64)


class Times(NamedTuple):
    """Times in ns (``NO_TIME`` where missing or invalid), which are invalid, and how many name no time zone."""

    ns: Array
    is_invalid: Array
    naive_count: int


def times_of(values: Sequence[Any]) -> Times:
    """Return times: dates as text, or numbers in s, ms, us or ns, whichever is a date between 2000 and 2100.

    Examples
    --------
    >>> found = times_of(["2026-11-21T14:00:03,5Z", 1795269603500, "1795269603.5", "soon", None])
    >>> found.ns[:3].tolist(), found.is_invalid.tolist()
    ([1795269603500000000, 1795269603500000000, 1795269603500000000], [False, False, False, True, False])
    """
    ns = np.full(len(values), NO_TIME, np.int64)
    is_missing = np.array([one is None or one == "" for one in values], bool)
    kinds = np.array([_kind(one) for one in values], np.int8)
    numbers = np.flatnonzero(kinds == _NUMBER)
    ns[numbers] = _of_numbers([values[at] for at in numbers.tolist()])
    texts = np.flatnonzero(kinds == _TEXT)
    naive = 0
    if len(texts):
        ns[texts], naive = _of_texts(pd.Series([values[at].strip() for at in texts.tolist()], dtype=object))
    return Times(ns, (ns == NO_TIME) & ~is_missing, naive)


def _kind(value: Any) -> int:
    """Return whether a value may be a time as a number or as text."""
    if type(value) is str:
        return _TEXT if len(value) <= _MOST and value.isascii() else _NEITHER
    return _NUMBER if type(value) in {int, float} else _NEITHER


def resolution_of(ns: Array) -> int:
    """Return the unit of which all times are multiples, in ns: 1 s, 1 ms, 1 us or 1 ns."""
    known = ns[ns != NO_TIME]
    return next((step for step in (10**9, 10**6, 10**3) if len(known) and not (known % step).any()), 1)


def _of_numbers(values: Sequence[Any]) -> Array:
    """Return numbers as times, by the only unit in which each is a plausible date."""
    found = np.full(len(values), NO_TIME, np.int64)
    whole = np.array([type(one) is int and abs(one) < _EXACT for one in values], bool)
    at = np.flatnonzero(whole)
    integers = np.array([values[k] for k in at.tolist()], np.int64)
    unit = unit_of(integers)
    is_date = unit < len(_FACTORS)
    found[at[is_date]] = integers[is_date] * _FACTORS[unit[is_date]]
    rest = [(k, _fraction(values[k])) for k in np.flatnonzero(~whole).tolist()]
    for k, time in rest:
        found[k] = time
    return found


def _fraction(value: Any) -> int:
    """Return a number with a fraction as a time: exact to the microsecond."""
    try:
        number = float(value)
        unit = int(unit_of(np.array([number]))[0])
    except (TypeError, ValueError, OverflowError):
        return NO_TIME
    if unit >= len(_FACTORS):
        return NO_TIME
    factor = int(_FACTORS[unit])
    whole = int(number)
    return whole * factor + (
        round((number - whole) * min(factor, 10**6)) * max(factor // 10**6, 1) if factor > 1 else 0
    )


def _of_texts(texts: pd.Series) -> tuple[Array, int]:
    """Return dates and numbers as text as times, and how many dates name no time zone (UTC)."""
    found = np.full(len(texts), NO_TIME, np.int64)
    plain = texts.str.fullmatch(r"\d{9,19}(?:\.\d{1,9})?").to_numpy(bool)
    at = np.flatnonzero(plain)
    found[at] = _of_numbers([float(one) if "." in one else int(one) for one in texts.iloc[at]])
    dates = np.flatnonzero(~plain & (texts.str.len() >= _LEAST).to_numpy(bool))
    if not len(dates):
        return found, 0
    words = texts.iloc[dates].str.replace(",", ".", n=1, regex=False).str.replace(r" ?(?:UTC|GMT)$", "Z", regex=True)
    found[dates] = _ns(pd.to_datetime(words, utc=True, errors="coerce", format="ISO8601"))
    for form in _FORMATS:
        left = dates[found[dates] == NO_TIME]
        if not len(left):
            break
        found[left] = _ns(pd.to_datetime(texts.iloc[left], utc=True, errors="coerce", format=form))
    known = found[dates] != NO_TIME
    naive = ~texts.iloc[dates][known].str.contains(_ZONE)
    return found, int(naive.sum())


def _ns(times: pd.Series) -> Array:
    """Return times as nanoseconds."""
    return np.asarray(
        times.astype("datetime64[ns, UTC]").dt.tz_convert(None).to_numpy("datetime64[ns]").astype(np.int64)
    )
