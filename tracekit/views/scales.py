"""Axes of static images: positions of values, and ticks at round values."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.text import moment, round_duration, round_ratio, short_count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tracekit.columns import Array

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d([ T]|$)")
_FEW_DECADES: Final = 3
_DAY: Final = 86_400 * 10**9
_SECOND = 1_000_000_000
_STEPS = tuple(
    int(seconds * _SECOND)
    for seconds in (
        1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5,
        1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800,
    )
)  # fmt: skip
_HOUR = 3600 * _SECOND


@dataclass(frozen=True)
class Scale:
    """One axis.

    Parameters
    ----------
    kind
        ``linear``, ``log``, ``date`` or ``category``.
    low, high
        Ends, as numbers: ns since the epoch for dates, positions for categories.
    start, end
        Their positions in pixels; ``end`` may be smaller.
    names
        The categories.
    form
        plotly's ``tickformat``: determines the format of values.
    """

    kind: str
    low: float
    high: float
    start: float
    end: float
    names: tuple[str, ...] = ()
    form: str = ""

    def number(self, value: Any) -> float:
        """Return a value as a number on the axis; NaN if it has no position."""
        if self.kind == "category":
            return float(self.names.index(str(value))) if str(value) in self.names else math.nan
        if self.kind == "date":
            return float(np.datetime64(str(value).removesuffix("Z"), "ns").astype(np.int64))
        value = math.nan if value is None else float(value)
        return value if self.kind != "log" or value > 0 else math.nan

    def at(self, value: Any) -> float:
        """Return the position of a value in pixels; NaN if it has none."""
        x, low, high = self.number(value), self.low, self.high
        if self.kind == "log":
            x, low, high = (math.log(v) if v > 0 else math.nan for v in (x, low, high))
        return self.start + (x - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[tuple[float, str]]:
        """Return positions and labels of round values."""
        if self.kind == "category":
            return [(self.at(name), name) for name in self.names]
        if self.kind == "date":
            return self._times()
        return [
            (self.at(value), self.words(value)) for value in (self._powers() if self.kind == "log" else self._rounds())
        ]

    def words(self, value: float) -> str:
        """Return the label of a value."""
        if "s" in self.form:
            return round_duration(round(value * 1e9, 3)) if value else "0"
        if "%" in self.form:
            return round_ratio(value)
        return short_count(value) if abs(value) >= 10_000 and value == int(value) else f"{value:,.4g}"  # noqa: PLR2004 - k

    def _powers(self) -> list[float]:
        """Return 1, 2 and 5 times powers of ten, or powers of ten only over many decades."""
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        steps = (1, 2, 5) if len(decades) <= _FEW_DECADES + 1 else (1,)
        slack = 1e-9
        return [
            value
            for decade in decades
            for step in steps
            if self.low * (1 - slack) <= (value := step * 10.0**decade) <= self.high * (1 + slack)
        ]

    def _rounds(self) -> list[float]:
        """Return multiples of a round step: about one per 90 pixels, or 40 on a vertical axis."""
        room = 90 if self.end > self.start else 40
        wanted = (self.high - self.low) / max(2.0, abs(self.end - self.start) / room)
        power = 10.0 ** math.floor(math.log10(wanted))
        step = next(power * k for k in (1, 2, 5, 10) if power * k >= wanted * (1 - 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [k * step for k in range(first, last + 1)]

    def _times(self) -> list[tuple[float, str]]:
        """Return round times in UTC."""
        low, high = int(self.low), int(self.high)
        step = time_step(low, high, bars=max(3, int(abs(self.end - self.start) // 90)))
        times = range(-(-low // step) * step, high + 1, step)
        scale = (self.end - self.start) / (self.high - self.low)
        return [(self.start + (time - low) * scale, clock(time, step)) for time in times]


def scale_of(values: Iterable[Array | Sequence[Any]], axis: Any, place: tuple[float, float], *, zero: bool) -> Scale:
    """Return an axis that includes all values."""
    known = [value for part in values for value in part if value is not None]
    kind = axis.type or _kind(known)
    form = axis.tickformat or ""
    if kind == "category":
        names = tuple(dict.fromkeys(map(str, axis.categoryarray if axis.categoryarray is not None else known)))
        return Scale(kind, -0.5, len(names) - 0.5, *place, names=names, form=form)
    low, high = _limits(kind, known, axis, zero=zero)
    return Scale(kind, low, high if high > low else low + (_DAY if kind == "date" else 1.0), *place, form=form)


def _limits(kind: str, known: Sequence[Any], axis: Any, *, zero: bool) -> tuple[float, float]:
    """Return the ends of an axis of numbers or times: its range, else those of the values with some room."""
    probe = Scale(kind, 1.0, 2.0, 0.0, 1.0)
    numbers = np.array([x for value in known if math.isfinite(x := probe.number(value))])
    low, high = (float(numbers.min()), float(numbers.max())) if len(numbers) else (1.0, 10.0)
    if axis.range is not None:
        low, high = (10.0 ** float(v) if kind == "log" else probe.number(v) for v in axis.range)
        return low, high
    if kind == "log":
        return low / 1.05, high * 1.05
    if kind != "linear":
        return low, high
    room = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    is_grounded = zero or axis.rangemode == "tozero"
    return (min(0.0, low), max(0.0, high) + room) if is_grounded else (low - room, high + room)


def _kind(values: Sequence[Any]) -> str:
    """Return the kind of axis for these values: date, category or linear."""
    if not values or not isinstance(values[0], str | np.datetime64):
        return "linear"
    return "date" if _DATE.match(str(values[0])) else "category"


def time_step(low_ns: int, high_ns: int, *, bars: int = 72) -> int:
    """Return the smallest round step in ns that divides a period into at most so many bars."""
    wanted = max(1, high_ns - low_ns) / max(1, bars - 1)
    fitting = [step for step in _STEPS if step >= wanted]
    return fitting[0] if fitting else int(np.ceil(wanted / _STEPS[-1])) * _STEPS[-1]


def clock(time_ns: int, step: int) -> str:
    """Return a time with the precision that the step needs."""
    if step >= 24 * _HOUR:
        return moment(time_ns)[:10]
    if step >= 60 * _SECOND:
        return moment(time_ns)[5:16] if step >= _HOUR else moment(time_ns)[11:16]
    decimals = 0 if step >= _SECOND else 3 if step >= _SECOND // 1000 else 6
    return moment(time_ns, decimals=decimals)[11:]
