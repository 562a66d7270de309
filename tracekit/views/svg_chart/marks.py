"""Marks of static images: lines, steps, bands, points with intervals, bars and heat maps, as SVG."""

from __future__ import annotations

import html
import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tracekit.text import short_count
from tracekit.views.colours import LIGHT
from tracekit.views.markup import Markup, element
from tracekit.views.svg import MUTE, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tracekit.columns import Array
    from tracekit.views.scales import Scale

CHARACTER: Final = 6.2  # mean width of 11 px text
KINDS: Final = ("scatter", "bar", "heatmap")
DASHES: Final = {"dash": "6 4", "dot": "2 3", "dashdot": "6 3 2 3", "longdash": "12 4", "longdashdot": "12 3 2 3"}

Point = tuple[float, float]
Box = tuple[float, float, float, float]  # left, top, width, height


def values_of(trace: Any, side: str) -> Sequence[Any]:
    """Return the x or y values of a trace as plain Python."""
    values = trace[side]
    if values is None:
        return ()
    if isinstance(values, np.ndarray):
        return list(values.astype(str) if values.dtype.kind == "M" else values.tolist())
    return list(values)


def stacked_ends(bars: Sequence[Any], barmode: str | None) -> list[list[tuple[Any, float, float]]]:
    """Return position, start and end of each bar, stacked if the layout requires it."""
    reached: dict[tuple[Any, bool], float] = {}
    out = []
    for bar in bars:
        places, sizes = (values_of(bar, side) for side in (("y", "x") if bar.orientation == "h" else ("x", "y")))
        base = bar.base if bar.base is not None else [0.0] * len(sizes)
        bases = [base] * len(sizes) if isinstance(base, int | float) else list(base)
        ends = []
        for place, size, own in zip(places, sizes, bases, strict=True):
            key = (place, size >= 0)
            low = own + (reached.get(key, 0.0) if barmode in ("stack", "relative") else 0.0)
            reached[key] = low + size - own
            ends.append((place, low, low + size))
        out.append(ends)
    return out


class Bars(NamedTuple):
    """The bars of one trace: place and both ends of each; the places of all bars; which one of several side by side."""

    ends: list[tuple[Any, float, float]]
    places: list[Any]
    slot: tuple[int, int]


def bars_of(traces: Sequence[Any], barmode: str | None) -> dict[int, Bars]:
    """Return the bars of each trace that has any, by its ``id``."""
    bars = [trace for trace in traces if trace.type == "bar"]
    ends = stacked_ends(bars, barmode)
    places = [place for part in ends for place, _, _ in part]
    slots = [(k, len(bars)) if barmode == "group" else (0, 1) for k in range(len(bars))]
    return {id(trace): Bars(part, places, slot) for trace, part, slot in zip(bars, ends, slots, strict=True)}


def drawn(traces: Sequence[Any], x: Scale, ys: Mapping[str, Scale], barmode: str | None) -> list[Markup]:
    """Return the marks of all traces, back to front."""
    parts: list[Markup] = []
    before: dict[str, list[Point]] = {}
    bars = bars_of(traces, barmode)
    for k, trace in enumerate(traces):
        y, colour = ys[trace.yaxis or "y"], LIGHT[k % len(LIGHT)]
        if trace.type == "scatter":
            marks = _scatter(trace, x, y, colour, before)
        elif trace.type == "bar":
            marks = _bars(trace, x, y, colour, bars[id(trace)])
        else:
            marks = _heat(trace, x, y)
        parts += [element("g", {"class": f"tk-series{k}"}, *marks)] if marks else []
    return parts


def _scatter(trace: Any, x: Scale, y: Scale, colour: str, before: dict[str, list[Point]]) -> list[Markup]:
    """Return the line, filled area, intervals and points of a trace."""
    mode = trace.mode or "lines"
    points = [(x.at(a), y.at(b)) for a, b in zip(values_of(trace, "x"), values_of(trace, "y"), strict=True)]
    line = _steps(points) if trace.line.shape == "hv" else points
    paint = trace.line.color or colour
    axis = trace.yaxis or "y"
    parts = _area(trace, line, before.get(axis, []), y.at(0), paint)
    before[axis] = line
    if "lines" in mode and trace.line.width != 0:
        stroke = {"stroke": paint, "stroke-width": trace.line.width or 2, "stroke-linejoin": "round"}
        dashes = {"stroke-dasharray": DASHES.get(trace.line.dash or "")}
        parts += [element("path", {"d": _path(run), "fill": "none", **stroke, **dashes}) for run in _runs(line)]
    parts += _intervals(trace, points, x, y)
    if "markers" in mode:
        parts += _dots(trace, points, paint)
    return parts


def _area(trace: Any, line: list[Point], previous: list[Point], zero: float, paint: str) -> list[Markup]:
    """Return the area between a line and the previous one or zero, as the trace wants it."""
    if trace.fill not in ("tonexty", "tozeroy"):
        return []
    ground = previous if trace.fill == "tonexty" else [(p, zero) for p, _ in line]
    shape = _known([*line, *reversed(ground)])
    return [element("path", {"d": _path(shape, closed=True), **fill(trace.fillcolor or paint)})]


def _intervals(trace: Any, points: Sequence[Point], x: Scale, y: Scale) -> list[Markup]:
    """Return the whiskers of a trace."""
    parts = []
    for side, axis in (("x", x), ("y", y)):
        error = trace[f"error_{side}"]
        if error.array is None:
            continue
        lower = error.arrayminus if error.arrayminus is not None else error.array
        for (px, py), value, up, down in zip(points, values_of(trace, side), error.array, lower, strict=True):
            a, b = axis.at(value - down), axis.at(value + up)
            ends = {"x1": a, "x2": b, "y1": py, "y2": py} if side == "x" else {"x1": px, "x2": px, "y1": a, "y2": b}
            if all(map(math.isfinite, ends.values())):
                stroke = {"stroke": error.color or MUTE, "stroke-width": error.thickness or 1.5}
                parts.append(element("line", {**ends, **stroke}))
    return parts


def _dots(trace: Any, points: Sequence[Point], paint: str) -> list[Markup]:
    """Return the points of a trace, with tooltips."""
    colours = trace.marker.color
    words = trace.text if isinstance(trace.text, tuple | list | np.ndarray) else None
    size = trace.marker.size if isinstance(trace.marker.size, int | float) else 7
    parts = []
    for k, (px, py) in enumerate(points):
        if math.isfinite(px) and math.isfinite(py):
            own = colours if isinstance(colours, str) else paint if colours is None else colours[k]
            hover = [element("title", {}, html.unescape(str(words[k])))] if words is not None else []
            parts.append(element(*dot(px, py, size, own, trace.marker.symbol), *hover, Markup()))
    return parts


def dot(x: float, y: float, size: float, colour: str, symbol: str | None) -> tuple[str, dict[str, object]]:
    """Return a point: a disc, or a vertical line."""
    if symbol != "line-ns-open":
        return "circle", {"cx": x, "cy": y, "r": size / 2, "fill": colour}
    ends = {"x1": x, "x2": x, "y1": y - size / 2, "y2": y + size / 2}
    return "line", {**ends, "stroke": colour, "stroke-width": 2}


def _bars(trace: Any, x: Scale, y: Scale, colour: str, bars: Bars) -> list[Markup]:
    """Return the bars of a trace with their labels."""
    flat = trace.orientation == "h"
    words = trace.text if isinstance(trace.text, tuple | list | np.ndarray) else None
    parts = []
    for k, box in bar_boxes(trace, x, y, bars):
        own = trace.marker.color
        paint = fill(own if isinstance(own, str) else colour if own is None else own[k])
        parts.append(element("rect", {**dict(zip(("x", "y", "width", "height"), box, strict=True)), **paint}))
        if flat and words is not None:
            middle, end = box[1] + box[3] / 2, max(x.at(bars.ends[k][1]), x.at(bars.ends[k][2]))
            inside = end + CHARACTER * len(str(words[k])) > x.end
            anchor = "end" if inside else "start"
            label = html.unescape(str(words[k]))
            parts.append(
                text(
                    end - 5 if inside else end + 5,
                    middle + 4,
                    label,
                    kind="ink" if inside else "mute",
                    text_anchor=anchor,
                )
            )
    return parts


def bar_boxes(trace: Any, x: Scale, y: Scale, bars: Bars) -> Iterator[tuple[int, Box]]:
    """Yield number and box of each bar that has a position; the places of all bars determine the thickness.

    Of bars side by side the first is the left one, or the lower one of horizontal bars, as in plotly.
    """
    flat = trace.orientation == "h"
    across, along = (y, x) if flat else (x, y)
    slot, slots = bars.slot
    thick = _thickness(across, bars.places) * 0.8 / slots
    aside = (slot - (slots - 1) / 2) * thick * (-1 if flat else 1)
    for k, (place, low, high) in enumerate(bars.ends):
        middle, a, b = across.at(place) + aside, along.at(low), along.at(high)
        if all(map(math.isfinite, (middle, a, b))):
            first, size = min(a, b), max(0.5, abs(b - a))
            yield k, (first, middle - thick / 2, size, thick) if flat else (middle - thick / 2, first, thick, size)


def heat_boxes(trace: Any, x: Scale, y: Scale) -> Iterator[tuple[int, int, Box]]:
    """Yield row, column and box of each non-empty cell of a heat map."""
    z, _ = _cells(trace)
    xs, ys = _edges([x.at(v) for v in values_of(trace, "x")]), _edges([y.at(v) for v in values_of(trace, "y")])
    for i, j in zip(*np.nonzero(np.isfinite(z) & (z > 0)), strict=True):
        (a, b), (c, d) = sorted(xs[j : j + 2]), sorted(ys[i : i + 2])
        yield int(i), int(j), (a, c, b - a + 0.3, d - c + 0.3)


def _heat(trace: Any, x: Scale, y: Scale) -> list[Markup]:
    """Return the non-empty cells of a heat map."""
    z, top = _cells(trace)
    scale = [(float(at), colour) for at, colour in trace.colorscale]
    return [
        element("rect", {"x": a, "y": b, "width": w, "height": h, "fill": _level(scale, z[i, j] / top)})
        for i, j, (a, b, w, h) in heat_boxes(trace, x, y)
    ]


def _cells(trace: Any) -> tuple[Array, float]:
    """Return the values of a heat map, NaN for missing ones, and the maximum."""
    z = np.array(trace.z, dtype=float)
    return z, float(np.nanmax(z)) if np.isfinite(z).any() else 1.0


def heat_key(trace: Any, right: float, y: float) -> list[Markup]:
    """Return the legend of a heat map: colours from few to many, and the maximum."""
    words = f"up to {short_count(_cells(trace)[1])} {html.unescape(trace.colorbar.title.text or '')}".rstrip()
    colours = list(dict.fromkeys(colour for _, colour in trace.colorscale))
    left = right - CHARACTER * len(words) - 8 - 14 * len(colours)
    patches = [
        element("rect", {"x": left + 14 * k, "y": y - 9, "width": 14, "height": 10, "fill": colour})
        for k, colour in enumerate(colours)
    ]
    return [*patches, text(right, y, words, kind="mute", text_anchor="end")]


def _level(scale: Sequence[tuple[float, str]], share: float) -> str:
    """Return the colour of a share of the maximum: the last step of the scale that it reaches."""
    return [colour for at, colour in scale if at <= share + 1e-9][-1]


def _edges(middles: Sequence[float]) -> list[float]:
    """Return the edges of cells from their centres."""
    if len(middles) == 1:
        return [middles[0] - 6, middles[0] + 6]
    between = [(a + b) / 2 for a, b in pairwise(middles)]
    return [2 * middles[0] - between[0], *between, 2 * middles[-1] - between[-1]]


def _thickness(axis: Scale, places: Sequence[Any]) -> float:
    """Return the thickness of one slot of a bar chart in pixels."""
    at = sorted({axis.at(place) for place in places})
    steps = [b - a for a, b in pairwise(at) if b > a]
    whole = abs(axis.end - axis.start)
    return min(steps) if steps else whole / max(1, len(axis.names)) if axis.kind == "category" else whole / 10


def _steps(points: Sequence[Point]) -> list[Point]:
    """Return a step line through the points."""
    out = [points[0]] if points else []
    for (_, y0), (x1, y1) in pairwise(points):
        out += [(x1, y0), (x1, y1)]
    return out


def _known(points: Sequence[Point]) -> list[Point]:
    """Return the points with finite positions."""
    return [point for point in points if all(map(math.isfinite, point))]


def _runs(points: Sequence[Point]) -> list[list[Point]]:
    """Return the runs of finite points."""
    runs: list[list[Point]] = [[]]
    for point in points:
        if all(map(math.isfinite, point)):
            runs[-1].append(point)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _path(points: Sequence[Point], *, closed: bool = False) -> str:
    """Return a line as the ``d`` of a path."""
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points) + "Z" * closed


def fill(colour: str) -> dict[str, object]:
    """Return the fill attributes of an area; SVG 1.1 has no ``rgba()``."""
    if not colour.startswith("rgba("):
        return {"fill": colour}
    red, green, blue, share = (float(part) for part in colour[5:-1].split(","))
    return {"fill": f"#{int(red):02x}{int(green):02x}{int(blue):02x}", "fill-opacity": share}
