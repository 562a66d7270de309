"""Traffic over time: traces by start time and outcome, as a static image."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.text import count, moment, plural
from tracekit.views.markup import Markup, element
from tracekit.views.scales import clock, time_step
from tracekit.views.svg import ACCENT, ERROR, LINE, picture, text

if TYPE_CHECKING:
    from tracekit.columns import Array

_LABEL = 40.0  # width of a time


class Bars(NamedTuple):
    """Traces over time.

    Parameters
    ----------
    low_ns, high_ns
        The first and the last start.
    step_ns
        Length of a bar; the first begins at a multiple of it.
    totals, failed
        float64, one per bar: sums of weights.
    """

    low_ns: int
    high_ns: int
    step_ns: int
    totals: Array
    failed: Array


def volume_picture(
    start_ns: Array, weight: Array, is_error: Array, *, width: float = 720, height: float = 132, paper: bool = False
) -> Markup:
    """Return traces over time as bars, failed ones in red."""
    if not len(start_ns):
        return picture(width, height, "No traces", [text(0, 16, "No traces with a start.", kind="mute")])
    if not weight.any():
        return picture(width, height, "No traces", [text(0, 16, "All sampling weights are 0.", kind="mute")])
    low, high = int(start_ns.min()), int(start_ns.max())
    step = time_step(low, high)
    bar = (start_ns - low // step * step) // step
    totals = np.bincount(bar, weight)
    bars = Bars(low, high, step, totals, np.bincount(bar, weight * is_error, len(totals)))
    return bars_picture(bars, width=width, height=height, paper=paper)


def bars_picture(bars: Bars, *, width: float = 720, height: float = 132, paper: bool = False) -> Markup:
    """Return traces that are counted by bar, failed ones in red."""
    low, high, step, totals, failed = bars
    first = low // step * step
    floor, top, left = height - 22, 16.0, 44.0
    wide, tallest = (width - left) / len(totals), float(totals.max())
    scale = (floor - top) / tallest
    parts = [
        element("line", {"x1": left, "x2": width, "y1": y, "y2": y, "stroke": LINE, "class": "tk-grid"})
        for y in (top, floor)
    ]
    parts += [
        text(left - 6, top + 4, count(tallest), kind="mute", text_anchor="end"),
        text(left - 6, floor + 4, "0", kind="mute", text_anchor="end"),
    ]
    for k in np.flatnonzero(totals):
        box = {"x": left + k * wide + 0.5, "width": max(0.5, wide - 1)}
        words = f"{clock(first + int(k) * step, step)}: {plural(totals[k], 'trace')}, {count(failed[k])} failed"
        hover = element("title", {}, words)
        parts.append(_bar({**box, "fill": ACCENT, "class": "tk-bar"}, floor, totals[k] * scale, hover))
        if failed[k]:
            parts.append(_bar({**box, "fill": ERROR, "class": "tk-failed-bar"}, floor, failed[k] * scale, hover))
    parts += _ticks(first, step, len(totals), left, wide, floor)
    title = f"Traces over time: {plural(float(totals.sum()), 'trace')} from {moment(low)} to {moment(high)} UTC"
    return picture(width, height, title, parts, paper=paper)


def _bar(attributes: dict[str, object], floor: float, height: float, title: Markup) -> Markup:
    """Return one bar, at least a pixel high."""
    tall = max(1.0, float(height))
    return element("rect", {**attributes, "y": floor - tall, "height": tall}, title)


def _ticks(first: int, step: int, bars: int, left: float, wide: float, floor: float) -> list[Markup]:
    """Return labels of round times below the bars."""
    apart = time_step(0, bars * step, bars=8)
    start = -(-first // apart) * apart
    places = [(time - first) / step * wide for time in range(start, first + bars * step, apart)]
    times = range(start, first + bars * step, apart)
    return [
        text(left + place, floor + 16, clock(time, step), kind="mute")
        for place, time in zip(places, times, strict=True)
        if place + _LABEL < bars * wide
    ] or [text(left, floor + 16, clock(first, step), kind="mute")]
