"""The still picture of a waterfall: what stands where no script runs, in saved notebooks, on paper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.views.markup import Markup, element, table
from tracekit.views.svg import ERROR, LINE, picture, service_fill, text
from tracekit.views.text import count, duration, plural
from tracekit.views.waterfall.waterfall import Flag

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.views.tkw1 import Payload

WIDTH: Final = 960
FOLD_FROM: Final = 5  # equal siblings that stand in one row; the same in tracekit.js
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
    >>> from tracekit.views.waterfall.waterfall import trace_payload
    >>> frame = pd.DataFrame({"trace_id": ["a1"], "span_id": ["1"], "name": "GET /", "start_ns": 0, "end_ns": 5000})
    >>> "GET /" in waterfall_picture(trace_payload(TraceSet.from_spans(frame), "0000"))
    True
    """
    total = len(payload.columns["start"])
    end = _end(payload)
    listed, members = _folded(payload)
    took = np.array([payload.columns["dur"][rows].sum() for rows in members])
    chosen = np.sort(np.lexsort((-took, payload.columns["depth"][listed]))[:row_count])
    height = _TOP + _ROW * len(chosen) + _BOTTOM
    scale = (WIDTH - _LABELS - _FIGURES) / end
    parts = [*_axis(end, scale, height)]
    for place, k in enumerate(chosen):
        parts += _row(payload, members[k], _TOP + place * _ROW, scale)
    if not total:
        parts.append(text(6, height - 7, payload.meta["note"], kind="mute"))
    if len(chosen) < len(listed):
        rest = f"{count(len(chosen))} of {plural(len(listed), 'row')}: the upper levels, the longest first"
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


def _folded(payload: Payload) -> tuple[Array, list[Array]]:
    """Return the rows that are listed, and which spans stand in each: five or more equal siblings share one."""
    columns = payload.columns
    parent, end = columns["parent"], columns["subEnd"]
    keys = np.stack([parent, columns["svc"], columns["name"]]).astype(np.int64)
    _, group, counts = np.unique(keys, axis=1, return_inverse=True, return_counts=True)
    group = group.reshape(-1)
    is_member = (counts[group] >= FOLD_FROM) & (parent >= 0)
    hidden = np.zeros(len(parent) + 1, np.int64)  # spans below a member: one more from here, one less from there
    np.add.at(hidden, np.flatnonzero(is_member) + 1, 1)
    np.add.at(hidden, end[is_member], -1)
    shown = np.cumsum(hidden)[: len(parent)] == 0
    order = np.argsort(group, kind="stable")
    held = np.split(order, np.cumsum(counts)[:-1]) if len(parent) else []
    is_first = shown & ~(is_member & (np.arange(len(parent)) != np.array([rows[0] for rows in held], int)[group]))
    listed = np.flatnonzero(is_first)
    return listed, [held[group[row]] if is_member[row] else np.array([row]) for row in listed]


def _row(payload: Payload, rows: Array, y: float, scale: float) -> list[Markup]:
    """Return the label, the bars and the figure of one span, or of several equal ones."""
    columns = payload.columns
    index, several = int(rows[0]), len(rows) > 1
    flags = Flag(int(np.bitwise_or.reduce(columns["flags"][rows])))
    paint = service_fill(payload.meta["slots"][columns["svc"][index]])
    indent = 6 + min(int(columns["depth"][index]), _DEEPEST) * _INDENT
    x = _LABELS + columns["start"][rows] * scale
    width = np.maximum(1.0 if several else 2.0, np.maximum(columns["dur"][rows], 0.0) * scale - several)
    figure = f"total {duration(float(columns['dur'][rows].sum()))}" if several else time_words(payload, index)
    calls = len(rows)
    if several:
        drawn = np.concatenate(([True], np.floor(x[1:]) > np.floor(x[:-1])))  # one bar a pixel is enough
        x, width, rows = x[drawn], width[drawn], rows[drawn]
    bars = []
    for left, wide, row in zip(x.tolist(), width.tolist(), rows.tolist(), strict=True):
        bar: dict[str, object] = {"x": left, "y": y + 4, "width": wide, "height": 11, "rx": 2, **paint}
        own = Flag(int(columns["flags"][row]))
        if Flag.ERROR in own:
            bar |= {"stroke": ERROR, "stroke-width": 1.5, "class": f"{paint['class']} tk-failed"}
        if own & (Flag.NO_END | Flag.NO_START | Flag.INFERRED):
            bar |= {"fill-opacity": 0.5}
        bars.append(element("rect", bar))
    return [
        element("rect", {"x": indent, "y": y + 2, "width": 3, "height": 14, **paint}),
        _label(payload, index, flags, indent, y, calls),
        *bars,
        text(float((x + width).max()) + 5, y + 13, figure, kind="mute"),
    ]


def _label(payload: Payload, index: int, flags: Flag, indent: float, y: float, calls: int) -> Markup:
    """Return service and name, as much of them as fits."""
    room = max(8, int((_LABELS - indent - 16) / _CHARACTER))
    service, name = _service(payload, index)[:room], _name(payload, index)
    name = f"{count(calls)} \N{MULTIPLICATION SIGN} {name}" if calls > 1 else name
    mark = "! " if Flag.ERROR in flags else ""
    left = room - len(service) - len(mark) - 1
    shown = name if len(name) <= left else name[: max(0, left - 1)] + "…"
    attributes = {"x": indent + 8, "y": y + 13, "fill": "#1c1e21", "class": "tk-ink"}
    bold = element("tspan", {"font-weight": 600}, service)
    warning = element("tspan", {"font-weight": 700, "fill": ERROR, "class": "tk-error"}, f" {mark}".rstrip() + " ")
    return element("text", attributes, bold, warning if mark else " ", shown)
