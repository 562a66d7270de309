"""Static images of plotly figures: SVG without a browser, for saved and converted notebooks and files.

Supported are the elements that tracekit's charts use: lines, steps, points with intervals, filled bands, bars, heat
maps, vertical marks and annotations, on linear, logarithmic, time and category axes.
"""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tracekit.text import clean
from tracekit.views.colours import LIGHT
from tracekit.views.markup import Markup, element
from tracekit.views.scales import Scale, scale_of
from tracekit.views.svg import INK, LINE, PAPER, picture, text
from tracekit.views.svg_chart.marks import CHARACTER, DASHES, KINDS, dot, drawn, fill, heat_key, stacked_ends, values_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.views.figures import Chart

_WIDTH: Final = 860.0
HEIGHT: Final = 380.0
_TITLE, _SUBTITLE, _LEGEND, _BOTTOM, _RIGHT = 30.0, 14.0, 20.0, 44.0, 20.0
_LEGEND_LEFT: Final = 12.0
_MOST_NAME: Final = 46
_Entry: TypeAlias = tuple[int, int, float, str, Markup]


def still_picture(figure: Chart) -> Markup:
    """Return a figure as SVG."""
    title = html.unescape(figure.layout.title.text or "")
    about = html.unescape(figure.layout.title.subtitle.text or "")
    width, height, head = _sizes(figure)
    shown = shown_traces(figure)
    legend, axes = _plan(figure, shown)
    parts = [*axes.grid(), *drawn(shown, axes.x, axes.y, figure.layout.barmode), *_marks(figure, axes), *axes.words()]
    parts += [text(12, 19, title, font_size=14, font_weight=600), *_legend_parts(legend, head)]
    parts += [text(12, 34, about, kind="mute")] if about else []
    parts += [part for trace in shown if trace.type == "heatmap" for part in heat_key(trace, width - _RIGHT, 19)]
    return picture(width, height, title or "Chart", parts, paper=True)


def shown_traces(figure: Any) -> list[Any]:
    """Return the traces of a figure that are drawn."""
    shown = [trace for trace in figure.data if trace.visible is not False]
    for trace in shown:
        if trace.type not in KINDS:
            raise ValueError(f"expected {', '.join(KINDS)} traces, found {trace.type}, which has no static image")
    return shown


def axes_of(figure: Any, shown: Sequence[Any]) -> Axes:
    """Return the axes of the static image of a figure."""
    return _plan(figure, shown)[1]


def _sizes(figure: Any) -> tuple[float, float, float]:
    """Return width and height of a figure, and the height of its title, in pixels."""
    head = _TITLE + (_SUBTITLE if figure.layout.title.subtitle.text else 0.0)
    return float(figure.layout.width or _WIDTH), float(figure.layout.height or HEIGHT), head


def _plan(figure: Any, shown: Sequence[Any]) -> tuple[list[_Entry], Axes]:
    """Return the legend and the axes of a figure."""
    width, height, head = _sizes(figure)
    legend = _legend(shown, width, head) if figure.layout.showlegend is not False else []
    top = head + _LEGEND * (1 + max((row for _, row, *_ in legend), default=-1))
    return legend, Axes(figure, shown, (0.0, width - _RIGHT, top, height - _BOTTOM))


class Axes:
    """The axes of a figure: one x axis, and one or more stacked y axes."""

    def __init__(self, figure: Any, traces: Sequence[Any], box: tuple[float, float, float, float]) -> None:
        _, right, top, bottom = box
        layout, self.figure = figure.layout, figure
        ys = sorted({trace.yaxis or "y" for trace in traces} or {"y"})
        self.y = {name: _vertical(layout, name, traces, bottom, bottom - top) for name in ys}
        widest = max((len(words[:_MOST_NAME]) for y in self.y.values() for _, words in y.ticks()), default=0)
        titled = any(layout[_long(name)].title.text for name in ys)
        self.left = 20.0 + CHARACTER * widest + 16.0 * titled
        self.has_flat_bars = _has_bars(traces, flat=True)
        reach = _reach(traces, "x", layout)
        self.x = scale_of(reach, layout.xaxis, (self.left, right), zero=self.has_flat_bars)
        self.right, self.top, self.bottom = right, top, bottom
        self.is_hidden = layout.xaxis.visible is False

    def grid(self) -> list[Markup]:
        """Return the grid lines."""
        if self.is_hidden:
            return []
        rules = [
            (self.left, self.right, y, y) for axis in self.y.values() if not self.has_flat_bars for y, _ in axis.ticks()
        ]
        rules += [(x, x, self.top, self.bottom) for x, _ in self.x.ticks() if self.has_flat_bars]
        rules.append((self.left, self.right, self.bottom, self.bottom))
        ends = ({"x1": a, "x2": b, "y1": c, "y2": d} for a, b, c, d in rules)
        return [element("line", {**end, "stroke": LINE, "class": "tk-grid"}) for end in ends]

    def words(self) -> list[Markup]:
        """Return the labels and titles of the axes."""
        if self.is_hidden:
            return []
        parts = _labels(self.x, self.bottom)
        for name, axis in self.y.items():
            for y, words in axis.ticks():
                shown = clean(html.unescape(words), limit=_MOST_NAME)
                parts.append(text(self.left - 7, y + 4, shown, kind="mute", text_anchor="end"))
            title = self.figure.layout[_long(name)].title.text
            if title:
                middle = (axis.start + axis.end) / 2
                turn = f"rotate(-90 12 {middle:.1f})"
                parts.append(text(12, middle, html.unescape(title), kind="mute", text_anchor="middle", transform=turn))
        title = self.figure.layout.xaxis.title.text
        if title:
            place = ((self.left + self.right) / 2, self.bottom + 34)
            parts.append(text(*place, html.unescape(title), kind="mute", text_anchor="middle"))
        return parts


def _vertical(layout: Any, name: str, traces: Sequence[Any], bottom: float, height: float) -> Scale:
    """Return one y axis, which starts at zero if bars stand on it."""
    own = [trace for trace in traces if (trace.yaxis or "y") == name]
    axis = layout[_long(name)]
    low, high = axis.domain or (0.0, 1.0)
    place = (bottom - low * height, bottom - high * height)
    return scale_of(_reach(own, "y", layout), axis, place, zero=_has_bars(own, flat=False))


def _has_bars(traces: Sequence[Any], *, flat: bool) -> bool:
    """Return whether there are horizontal (flat) or vertical bars."""
    return any(trace.type == "bar" and (trace.orientation == "h") == flat for trace in traces)


def _long(name: str) -> str:
    """Return the layout key of a plotly axis, such as yaxis2 for y2."""
    return f"{name[0]}axis{name[1:]}"


def _labels(axis: Scale, bottom: float) -> list[Markup]:
    """Return the labels of the x axis that do not overlap."""
    parts, reached = [], -math.inf
    for x, words in axis.ticks():
        half = CHARACTER * len(words) / 2
        if x - half > reached + 6:
            shown = clean(html.unescape(words), limit=_MOST_NAME)
            parts.append(text(x, bottom + 17, shown, kind="mute", text_anchor="middle"))
            reached = x + half
    return parts


def _reach(traces: Sequence[Any], side: str, layout: Any) -> list[list[Any]]:
    """Return all values on an axis, including the ends of intervals and stacked bars."""
    groups: list[list[Any]] = []
    bars = [trace for trace in traces if trace.type == "bar"]
    for trace in traces:
        values = list(values_of(trace, side))
        groups.append(values)
        error = trace[f"error_{side}"] if trace.type in ("scatter", "bar") else None
        if error is not None and error.array is not None:
            lower = error.arrayminus if error.arrayminus is not None else error.array
            groups.append([v + e for v, e in zip(values, error.array, strict=True)])
            groups.append([v - e for v, e in zip(values, lower, strict=True)])
    long = [bar for bar in bars if (bar.orientation == "h") == (side == "x")]
    groups += [[edge for _, low, high in ends for edge in (low, high)] for ends in stacked_ends(long, layout.barmode)]
    return groups


def _marks(figure: Any, axes: Axes) -> list[Markup]:
    """Return vertical bands, vertical marks and annotations."""
    parts: list[Markup] = []
    for shape in figure.layout.shapes:
        if shape.type == "rect":
            x, end = (min(max(axes.x.at(at), axes.left), axes.right) for at in (shape.x0, shape.x1))
            box = {"x": x, "width": end - x, "y": axes.top, "height": axes.bottom - axes.top}
            parts.append(element("rect", {**box, **fill(shape.fillcolor)}))
        elif shape.type == "line" and shape.x0 == shape.x1:
            x = axes.x.at(shape.x0)
            stroke = {"stroke": shape.line.color or INK, "stroke-dasharray": DASHES.get(shape.line.dash or "")}
            parts.append(element("line", {"x1": x, "x2": x, "y1": axes.top, "y2": axes.bottom, **stroke}))
    return parts + [_annotation(note, axes) for note in figure.layout.annotations]


def _annotation(note: Any, axes: Axes) -> Markup:
    """Return one annotation, placed by an axis or by the paper."""
    y = axes.y.get(note.yref or "y")
    paper = (note.xref or "x") == "paper"
    px = axes.left + float(note.x) * (axes.right - axes.left) if paper else axes.x.at(note.x)
    high = axes.bottom - float(note.y) * (axes.bottom - axes.top) if y is None else y.at(note.y)
    anchor = {"left": "start", "right": "end"}.get(note.xanchor or "", "middle")
    place = (px + (note.xshift or 0), high - (note.yshift or 0) + 4)
    kind = "mute" if note.font.color else "ink"
    halo: dict[str, Any] = {"stroke": PAPER, "stroke_width": 3, "paint_order": "stroke"} if note.bgcolor else {}
    size = note.font.size or 12
    return text(*place, html.unescape(note.text), kind=kind, text_anchor=anchor, font_size=size, **halo)


def _legend(traces: Sequence[Any], width: float, head: float) -> list[_Entry]:
    """Return series, row, position, name and sample of each legend entry; none for a single series."""
    named = [(k, t) for k, t in enumerate(traces) if t.name and t.showlegend is not False]
    if len(named) < 2:  # noqa: PLR2004 - the title says it
        return []
    entries, row, x = [], 0, _LEGEND_LEFT
    for k, trace in named:
        name = clean(html.unescape(trace.name), limit=_MOST_NAME)
        wide = 36 + CHARACTER * len(name)
        if x + wide > width and x > _LEGEND_LEFT:
            row, x = row + 1, _LEGEND_LEFT
        entries.append((k, row, x, name, _sample(trace, x, head + row * _LEGEND + 7, LIGHT[k % len(LIGHT)])))
        x += wide
    return entries


def _sample(trace: Any, x: float, y: float, colour: str) -> Markup:
    """Return the legend sample of a trace: a line, a point, or a patch."""
    if trace.type == "scatter" and not trace.fill:
        own = trace.line.color or (trace.marker.color if isinstance(trace.marker.color, str) else colour)
        if "lines" not in (trace.mode or "lines"):
            return element(*dot(x + 9, y, 8, own, trace.marker.symbol))
        dashes = {"stroke-dasharray": DASHES.get(trace.line.dash or "")}
        stroke = {"stroke": own, "stroke-width": trace.line.width or 2, **dashes}
        return element("line", {"x1": x, "x2": x + 18, "y1": y, "y2": y, **stroke})
    own = trace.fillcolor if trace.type == "scatter" else trace.marker.color
    paint = fill(own if isinstance(own, str) else colour)
    return element("rect", {"x": x + 2, "y": y - 4, "width": 14, "height": 8, "rx": 2, **paint})


def _legend_parts(legend: Sequence[_Entry], head: float) -> list[Markup]:
    """Return samples and names of the legend."""
    return [
        element("g", {"class": f"tk-legend{k}"}, sample, text(x + 23, head + row * _LEGEND + 11, name))
        for k, row, x, name, sample in legend
    ]
