"""Exact conversion of X-Ray's seconds to nanoseconds, many at once.

A float64 of seconds in this century is off by up to 119 ns, so the digits themselves are read: ten before the point and
at most nine behind it, with or without an exponent of nine, which is all that the SDKs write.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from tracekit.loading.xray.segment import LATEST_S, NS_DIGITS, exact_times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msgspec import Raw

    from tracekit.columns import Array

_WHOLE = 10  # digits of seconds since the epoch, from 2001 to 2286
_WIDTH = _WHOLE + 1 + NS_DIGITS
_POINT, _NONE = (ord(".") - ord("0")) % 256, -ord("0") % 256  # as uint8, less the digit 0
_LAST = 9
_WHOLE_WEIGHTS = 10.0 ** np.arange(_WHOLE - 1, -1, -1)
_PART_WEIGHTS = 10.0 ** np.arange(NS_DIGITS - 1, -1, -1)
_EXPONENT = re.compile(rb"^(\d)\.(\d{9})(\d*)[eE]\+?9$", re.MULTILINE)


def duration_ns(seconds: Any) -> int:
    """Return a duration in seconds as nanoseconds, -1 for none."""
    is_number = isinstance(seconds, (int, float, Decimal)) and not isinstance(seconds, bool)
    exact = Decimal(repr(seconds)) if isinstance(seconds, float) else Decimal(seconds) if is_number else None
    return (exact_times(exact, exact) or (-1, -1))[0]


def nanoseconds(texts: Sequence[Raw | bytes]) -> Array:
    """Return JSON numbers of seconds as nanoseconds."""
    joined = b"\n".join(texts)
    if b"E" in joined or b"e" in joined:
        joined = _EXPONENT.sub(rb"\1\2.\3", joined)
    written = joined.split(b"\n")
    if len(written) != len(texts) or max(map(len, written), default=0) > _WIDTH:
        raise ValueError("expected numbers with at most nine digits behind the point")
    digits = np.array(written, f"S{_WIDTH}").view(np.uint8).reshape(-1, _WIDTH) - np.uint8(ord("0"))
    whole, point, part = digits[:, :_WHOLE], digits[:, _WHOLE], digits[:, _WHOLE + 1 :]
    part = np.where(part == _NONE, 0, part)
    seconds = (whole @ _WHOLE_WEIGHTS).astype(np.int64)  # exact: all numbers here are far below 2**53
    is_point = (point == _POINT) | (point == _NONE)
    if not ((whole <= _LAST).all() and is_point.all() and (part <= _LAST).all() and (seconds < int(LATEST_S)).all()):
        raise ValueError("expected ten digits, a point and further digits")
    return np.asarray(seconds * 10**NS_DIGITS + (part @ _PART_WEIGHTS).astype(np.int64))
