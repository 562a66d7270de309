"""Latency distributions as static images: bars on a logarithmic axis, written as SVG."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.stats.histograms import BASE
from tracekit.text import duration, interval, ratio
from tracekit.views.colours import LIGHT
from tracekit.views.markup import Markup, element
from tracekit.views.scales import Scale
from tracekit.views.svg import ACCENT, INK, LINE, MUTE, picture, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from tracekit.columns import Array

BARS: Final = 56
_NS: Final = 1e-9
_LEAST: Final = 1e-9  # ns that stand for a duration of 0 on a logarithmic axis
_LEVELS: Final = 3  # lines of labels above the bars
_TOP: Final = 44.0
_LABEL_TOP: Final = 11
_LABEL_HEIGHT: Final = 13
_LEGEND: Final = 18
_CHARACTER: Final = 6.4  # mean width of bold 11 px text


def latency_picture(
    cells: pd.DataFrame,
    marks: Mapping[str, float],
    *,
    width: float = 720,
    height: float = 190,
    subject: str = "Latency",
    baseline: pd.DataFrame | None = None,
    names: tuple[str, str] = ("baseline", "current"),
) -> Markup:
    """Return one distribution as a static image: bars, and a line over them for the baseline.

    Both are weighted shares of their own side, so sides of different sizes are comparable.
    """
    known = {name: value for name, value in marks.items() if math.isfinite(value)}
    figures = ", ".join(f"{name} {duration(value)}" for name, value in known.items())
    title = f"{subject}: {figures or 'no durations'}"
    if cells.empty:
        return picture(width, height, title, [text(0, 16, "No durations.", kind="mute")])
    sides = [cells] if baseline is None or baseline.empty else [cells, baseline]
    low, step = common_grid(sides)
    (edges, share), *others = [binned(side, low, step) for side in sides]
    axis = _log_axis(float(edges[0]), max(float(ends[-1]) for ends, _ in ((edges, share), *others)), width)
    floor, top = height - 22, _TOP
    tallest = max(float(part.max()) for part in (share, *(part for _, part in others)))
    bars = [
        _bar(axis, (float(a), float(b)), float(part), (floor, (floor - top) * float(part) / tallest))
        for a, b, part in zip(edges[:-1], edges[1:], share, strict=True)
        if part > 0
    ]
    base = element("line", {"x1": 0, "x2": width, "y1": floor, "y2": floor, "stroke": LINE, "class": "tk-line"})
    parts = [*_ticks(axis, floor), *bars, base]
    for ends, part in others:
        parts.append(_outline(axis, ends, part / tallest, floor, floor - top))
        parts += _legend(names, height)
        title, height = f"{title}; {names[1]} compared with {names[0]}", height + _LEGEND
    return picture(width, height, title, [*parts, *_marks(axis, known, floor)])


def strip_picture(row: Mapping[str, Any], low_ns: float, high_ns: float, *, slot: int) -> Markup:
    """Return p50, p95 and p99 of one group as a bar on a logarithmic axis shared by all groups of a table."""
    values = [float(row[f"{name}_ns"]) for name in ("p50", "p95", "p99")]
    width, height = 120.0, 14.0
    figures = ", ".join(f"{name} {duration(value)}" for name, value in zip(("p50", "p95", "p99"), values, strict=True))
    if not all(math.isfinite(value) for value in values):
        return picture(width, height, "no durations", [])
    axis = _log_axis(max(1.0, low_ns), max(high_ns, low_ns * 1.1, 1.1), width)
    p50, p95, p99 = (_at(axis, value) for value in values)
    paint = {"fill": LIGHT[slot], "class": f"tk-s{slot}"}
    parts = [
        element("line", {"x1": 0, "x2": width, "y1": 7, "y2": 7, "stroke": LINE, "class": "tk-line"}),
        element("rect", {"x": p50, "y": 6, "width": max(1.0, p99 - p50), "height": 2, **paint}),
        element("rect", {"x": p50, "y": 3, "width": max(2.0, p95 - p50), "height": 8, "rx": 1.5, **paint}),
    ]
    return picture(width, height, figures, parts)


def _log_axis(low_ns: float, high_ns: float, width: float) -> Scale:
    """Return a logarithmic axis of durations in seconds."""
    return Scale("log", low_ns * _NS, high_ns * _NS, 0.0, width, form="~s")


def _at(axis: Scale, nanoseconds: float) -> float:
    """Return the position of a duration in pixels, clipped to the axis."""
    return min(axis.end, max(axis.start, axis.at(max(nanoseconds, _LEAST) * _NS)))


def grid(cells: pd.DataFrame) -> tuple[int, int]:
    """Return the first bucket and the number of buckets per bar, for at most ``BARS`` bars."""
    used = cells["bucket"].to_numpy()
    if not len(used):
        return 0, 1
    low = max(0, int(used.min()) - 1)
    return low, max(1, math.ceil((int(used.max()) + 2 - low) / BARS))


def common_grid(parts: list[pd.DataFrame]) -> tuple[int, int]:
    """Return the first bucket and the number of buckets per bar for all distributions."""
    widest = max(parts, key=lambda cells: int(cells["bucket"].max()))
    lowest = min(parts, key=lambda cells: int(cells["bucket"].min()))
    import pandas as pd  # noqa: PLC0415 - types elsewhere

    return grid(pd.concat([widest, lowest]))


def binned(cells: pd.DataFrame, low: int, step: int) -> tuple[Array, Array]:
    """Return the edges of the bars in ns and the weighted share of each; zero durations are in the first."""
    bar = np.maximum(cells["bucket"].to_numpy(np.int64) - low, 0) // step
    weight = np.bincount(bar, cells["weight_sum"].to_numpy(float))
    edges = BASE ** (low + np.arange(len(weight) + 1.0) * step)
    return edges, weight / max(float(weight.sum()), 1e-300)


def _bar(axis: Scale, ends: tuple[float, float], share: float, box: tuple[float, float]) -> Markup:
    """Return one bar with a tooltip; ``box`` is floor and height in pixels."""
    x0, x1 = _at(axis, ends[0]), _at(axis, ends[1])
    floor, height = box
    attributes = {
        "x": x0 + 0.5,
        "y": floor - max(1.0, height),
        "width": max(0.5, x1 - x0 - 1),
        "height": max(1.0, height),
        "fill": ACCENT,
        "class": "tk-bar",
    }
    words = f"{interval(round(ends[0]), round(ends[1]), duration, confidence='')}: {ratio(share)}"
    return element("rect", attributes, element("title", {}, words))


def _outline(axis: Scale, edges: Array, share: Array, floor: float, height: float) -> Markup:
    """Return a histogram as a line; ``share`` is relative to the tallest bar."""
    x = np.array([_at(axis, float(edge)) for edge in edges]).repeat(2)
    y = floor - height * np.concatenate(([0.0], share.repeat(2), [0.0]))
    path = "M" + "L".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    return element("path", {"d": path, "fill": "none", "stroke": INK, "stroke-width": 1.5, "class": "tk-outline"})


def _legend(names: tuple[str, str], y: float) -> list[Markup]:
    """Return the names of both sides with samples, below the axis."""
    bar = {"x": 0, "y": y + 3, "width": 14, "height": 9, "fill": ACCENT, "class": "tk-bar"}
    x = 20 + _CHARACTER * len(names[1]) + 24
    line = {
        "x1": x,
        "x2": x + 14,
        "y1": y + 7.5,
        "y2": y + 7.5,
        "stroke": INK,
        "stroke-width": 1.5,
        "class": "tk-outline",
    }
    words = [text(20, y + 12, names[1]), text(x + 20, y + 12, names[0])]
    return [element("rect", bar), element("line", line), *words]


def _ticks(axis: Scale, floor: float) -> list[Markup]:
    """Return the labels and grid lines of the time axis."""
    parts = []
    for x, words in axis.ticks():
        line = {"x1": x, "x2": x, "y1": _TOP, "y2": floor + 4, "stroke": LINE, "class": "tk-grid"}
        anchor = "start" if x < 20 else "end" if x > axis.end - 20 else "middle"  # noqa: PLR2004 - half a label
        parts += [element("line", line), text(x, floor + 17, words, kind="mute", text_anchor=anchor)]
    return parts


def _marks(axis: Scale, marks: Mapping[str, float], floor: float) -> list[Markup]:
    """Return the marked durations: lines, and labels on the first level without overlap."""
    lines: list[tuple[float, float]] = []
    labels: list[Markup] = []
    taken: list[list[tuple[float, float]]] = [[] for _ in range(_LEVELS)]
    for name, value in sorted(marks.items(), key=lambda item: item[1]):
        x, words = _at(axis, value), f"{name} {duration(value)}"
        wide = _CHARACTER * len(words) + 8
        left = x if x + wide < axis.end else x - wide
        free = [k for k, used in enumerate(taken) if all(left + wide < a or b < left for a, b in used)]
        level = free[0] if free else _LEVELS - 1
        taken[level].append((left, left + wide))
        y = _LABEL_TOP + _LABEL_HEIGHT * level
        lines.append((x, y - 9))
        at, anchor = (x + 4, "start") if left == x else (x - 4, "end")
        labels.append(text(at, y, words, text_anchor=anchor, font_weight=600))
    return [_mark(*piece) for line in lines for piece in _around(*line, floor, taken)] + labels


def _around(x: float, top: float, floor: float, taken: list[list[tuple[float, float]]]) -> list[tuple[float, ...]]:
    """Return the segments of a vertical line, interrupted by labels."""
    pieces, begin = [], top
    for level, used in enumerate(taken):
        y = _LABEL_TOP + _LABEL_HEIGHT * level - 10
        if y > top and any(a < x < b for a, b in used):
            pieces += [(x, begin, y)] if y > begin else []
            begin = y + _LABEL_HEIGHT
    return [*pieces, (x, begin, floor)]


def _mark(x: float, top: float, bottom: float) -> Markup:
    """Return a segment of the line at a marked duration."""
    ends = {"x1": x, "x2": x, "y1": top, "y2": bottom}
    return element("line", {**ends, "stroke": MUTE, "stroke-dasharray": "3 2", "class": "tk-mark"})
