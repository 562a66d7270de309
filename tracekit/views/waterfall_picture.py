"""The still picture of a waterfall: what stands where no script runs, in saved notebooks, on paper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.views.markup import Markup, element, table
from tracekit.views.svg import ERROR, LINE, picture, service_fill, text
from tracekit.views.text import count, duration, plural
from tracekit.views.waterfall import Flag

if TYPE_CHECKING:
    from tracekit.views.tkw1 import Payload

WIDTH: Final = 960
_ROW: Final = 20
_TOP: Final = 26
_BOTTOM: Final = 22
_LABELS: Final = 320
_FIGURES: Final = 76
_INDENT: Final = 9
_DEEPEST: Final = 14
_CHARACTER: Final = 6.1  # mean width of 11 px text


def waterfall_picture(payload: Payload, *, row_count: int = 24, paper: bool = True) -> Markup:
    """Return the top of a trace as SVG: its upper levels, the longest spans of the last one that fits.

    Parameters
    ----------
    payload
        As ``trace_payload`` makes it; details are not used.
    row_count
        Most rows.
    paper
        Paint a white background; a page that restyles the picture does not want it.

    Returns
    -------
    Markup
        An ``svg`` element, 960 pixels wide.

    Examples
    --------
    >>> import pandas as pd
    >>> from tracekit import TraceSet
    >>> from tracekit.views.waterfall import trace_payload
    >>> frame = pd.DataFrame({"trace_id": ["a1"], "span_id": ["1"], "name": "GET /", "start_ns": 0, "end_ns": 5000})
    >>> "GET /" in waterfall_picture(trace_payload(TraceSet.from_spans(frame), "0000"))
    True
    """
    columns = payload.columns
    total = len(columns["start"])
    end = _end(payload)
    order = np.lexsort((-columns["dur"], columns["depth"]))[:row_count]
    chosen = np.sort(order)
    height = _TOP + _ROW * len(chosen) + _BOTTOM
    scale = (WIDTH - _LABELS - _FIGURES) / end
    parts = [*_axis(end, scale, height)]
    for place, index in enumerate(chosen):
        parts += _row(payload, int(index), _TOP + place * _ROW, scale)
    if not total:
        parts.append(text(6, height - 7, payload.meta["note"], kind="mute"))
    if len(chosen) < total:
        rest = f"{count(len(chosen))} of {plural(total, 'span')}: the upper levels, the longest first"
        parts.append(text(6, height - 7, rest, kind="mute"))
    title = f"Waterfall of trace {payload.meta['id']}: {plural(total, 'span')}, {duration(end)}"
    return picture(WIDTH, height, title, parts, paper=paper)


def slowest_spans(payload: Payload, *, limit: int = 5) -> Markup:
    """Return the longest spans as a plain table.

    Parameters
    ----------
    payload
        As ``trace_payload`` makes it.
    limit
        Most rows.

    Returns
    -------
    Markup
        A ``table`` element: service, span, duration, start.
    """
    columns = payload.columns
    longest = np.argsort(-columns["dur"], kind="stable")[:limit]
    rows = [
        (_service(payload, i), _name(payload, i), time_words(payload, i), duration(float(columns["start"][i])))
        for i in map(int, longest)
    ]
    return table(("service", "span", "duration", "starts at"), rows)


def time_words(payload: Payload, index: int) -> str:
    """Return the duration of a row, or what is missing.

    Parameters
    ----------
    payload
        As ``trace_payload`` makes it.
    index
        Position of the row.

    Returns
    -------
    str
        For example ``12.4 ms``, ``no end``.
    """
    flags = Flag(int(payload.columns["flags"][index]))
    if Flag.NO_START in flags:
        return "no start"
    return "no end" if Flag.NO_END in flags else duration(float(payload.columns["dur"][index]))


def _end(payload: Payload) -> float:
    """Return the length of the axis in ns."""
    columns = payload.columns
    return max(1.0, float((columns["start"] + np.maximum(columns["dur"], 0)).max(initial=0)))


def _service(payload: Payload, index: int) -> str:
    """Return the service of a row."""
    return str(payload.meta["services"][payload.columns["svc"][index]])


def _name(payload: Payload, index: int) -> str:
    """Return the name of a row."""
    return payload.strings[int(payload.columns["name"][index])]


def _axis(end: float, scale: float, height: float) -> list[Markup]:
    """Return grid lines at the quarters, with their times."""
    parts = []
    for quarter in range(5):
        time = end * quarter / 4
        x = _LABELS + time * scale
        line = {"x1": x, "x2": x, "y1": _TOP - 6, "y2": height - _BOTTOM, "stroke": LINE, "class": "tk-grid"}
        parts += [element("line", line), text(x + 3, 14, duration(round(time)), kind="mute")]
    return parts


def _row(payload: Payload, index: int, y: float, scale: float) -> list[Markup]:
    """Return the label, the bar and the figure of one span."""
    columns = payload.columns
    flags = Flag(int(columns["flags"][index]))
    paint = service_fill(payload.meta["slots"][columns["svc"][index]])
    indent = 6 + min(int(columns["depth"][index]), _DEEPEST) * _INDENT
    x = _LABELS + float(columns["start"][index]) * scale
    width = max(2.0, max(0.0, float(columns["dur"][index])) * scale)
    bar: dict[str, object] = {"x": x, "y": y + 4, "width": width, "height": 11, "rx": 2, **paint}
    if Flag.ERROR in flags:
        bar |= {"stroke": ERROR, "stroke-width": 1.5, "class": f"{paint['class']} tk-failed"}
    if flags & (Flag.NO_END | Flag.NO_START | Flag.INFERRED):
        bar |= {"fill-opacity": 0.5}
    return [
        element("rect", {"x": indent, "y": y + 2, "width": 3, "height": 14, **paint}),
        _label(payload, index, flags, indent, y),
        element("rect", bar),
        text(x + width + 5, y + 13, time_words(payload, index), kind="mute"),
    ]


def _label(payload: Payload, index: int, flags: Flag, indent: float, y: float) -> Markup:
    """Return service and name, as much of them as fits."""
    room = max(8, int((_LABELS - indent - 16) / _CHARACTER))
    service, name = _service(payload, index)[:room], _name(payload, index)
    mark = "! " if Flag.ERROR in flags else ""
    left = room - len(service) - len(mark) - 1
    shown = name if len(name) <= left else name[: max(0, left - 1)] + "…"
    attributes = {"x": indent + 8, "y": y + 13, "fill": "#1c1e21", "class": "tk-ink"}
    bold = element("tspan", {"font-weight": 600}, service)
    warning = element("tspan", {"font-weight": 700, "fill": ERROR, "class": "tk-error"}, f" {mark}".rstrip() + " ")
    return element("text", attributes, bold, warning if mark else " ", shown)
