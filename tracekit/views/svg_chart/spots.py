"""Values of a static image and where they are: what a frame shows for the pointer and the arrow keys."""

from __future__ import annotations

import html
import math
import re
from typing import TYPE_CHECKING, Any, Final

from tracekit.text import clean, duration
from tracekit.views.svg_chart.figure import axes_of, shown_traces
from tracekit.views.svg_chart.marks import bar_boxes, bars_of, heat_boxes, values_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tracekit.views.scales import Scale
    from tracekit.views.svg_chart.figure import Axes
    from tracekit.views.svg_chart.marks import Bars, Box

MOST: Final = 3000  # values of a series
_FIELD: Final = re.compile(r"%\{(\w+(?:\.\w+)?)(?::([^}]*))?\}(s(?!\w))?")
_EXTRA: Final = re.compile(r"<extra>(.*)</extra>")
_LONGEST: Final = 300
_PLAIN: Final = "%{x}: %{y}"


def spots_of(figure: Any) -> list[dict[str, Any]]:
    """Return for each series its name, and left, top, width, height and words of its values.

    Of a series with more than 3,000 values, evenly spaced ones are returned.
    """
    shown = shown_traces(figure)
    axes = axes_of(figure, shown)
    bars = bars_of(shown, figure.layout.barmode)
    out = []
    for trace in shown:
        y = axes.y[trace.yaxis or "y"]
        found = list(_boxes(trace, axes, y, bars)) if trace.hoverinfo != "skip" else []
        spots = [
            [*(round(side, 1) for side in box), _words(trace, k, axes.x, y)]
            for k, box in found[:: max(1, math.ceil(len(found) / MOST))]
        ]
        out.append({"name": html.unescape(trace.name or ""), "spots": spots})
    return out


def _boxes(trace: Any, axes: Axes, y: Scale, bars: Mapping[int, Bars]) -> Iterator[tuple[Any, Box]]:
    """Yield number and box of each value; a point has no width and no height."""
    if trace.type == "bar":
        yield from bar_boxes(trace, axes.x, y, bars[id(trace)])
    elif trace.type == "heatmap":
        yield from (((i, j), box) for i, j, box in heat_boxes(trace, axes.x, y))
    else:
        for k, (a, b) in enumerate(zip(values_of(trace, "x"), values_of(trace, "y"), strict=True)):
            at = (axes.x.at(a), y.at(b))
            if all(map(math.isfinite, at)):
                yield k, (*at, 0.0, 0.0)


def _words(trace: Any, k: Any, x: Scale, y: Scale) -> str:
    """Return the words of a value, as plotly's template of the series has them."""
    template = trace.hovertemplate or _PLAIN
    extra = _EXTRA.search(template)
    name = extra[1] if extra else ""

    def field(found: re.Match[str]) -> str:
        return _field(trace, k, found, x, y)

    body, more = (_FIELD.sub(field, part).strip() for part in (_EXTRA.sub("", template), name))
    return clean(html.unescape(f"{more} \N{MIDDLE DOT} {body}" if more else body), limit=_LONGEST)


def _field(trace: Any, k: Any, found: re.Match[str], x: Scale, y: Scale) -> str:
    """Return one field of a template."""
    name, form, unit = found[1], found[2] or "", found[3] or ""
    if name == "fullData.name":
        return str(trace.name or "")
    if name in ("text", "customdata"):
        values = trace[name]
        return "" if values is None else str(values if isinstance(values, str) else values[k])
    row, column = k if isinstance(k, tuple) else (k, k)
    if name == "z":
        return f"{trace.z[row][column]:,.4g}"
    scale, value = (x, values_of(trace, "x")[column]) if name == "x" else (y, values_of(trace, "y")[row])
    return _value(value, scale, form, unit)


def _value(value: Any, scale: Scale, form: str, unit: str) -> str:
    """Return a value of an axis in the format of a template."""
    if scale.kind in ("category", "date"):
        return f"{str(value).replace('T', ' ') if scale.kind == 'date' else value}{unit}"
    if (form.endswith("s") and unit) or (not form and "s" in scale.form):
        return duration(float(value) * 1e9)
    if form.endswith("s"):
        return f"{scale.words(float(value))}{unit}"
    if "%" in form or "." in form:
        return f"{format(float(value), form.replace('~', ''))}{unit}"
    return f"{scale.words(float(value))}{unit}"
