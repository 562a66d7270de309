"""The static image of a waterfall, for saved notebooks, print, and pages without scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.text import count, duration, from_to, plural
from tracekit.views.markup import Markup, element, table
from tracekit.views.scales import Scale
from tracekit.views.svg import ERROR, INK, LINE, MUTE, picture, service_fill, text
from tracekit.views.waterfall.compare import State
from tracekit.views.waterfall.labels import end_of, is_gone, names_of, time_words
from tracekit.views.waterfall.payload import Flag

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.views.tkw1 import Payload

WIDTH: Final = 960
FOLD_FROM: Final = 5  # number of equal siblings that are folded into one row; the same in tracekit.js
_NS: Final = 1e-9
_ROW: Final = 20
_TOP: Final = 26
_BOTTOM: Final = 22
_FRAME: Final = 18  # padding and border of a static image on a page
_LABELS: Final = 320
_FIGURES: Final = 76  # pixels for one duration, and for two
_BOTH_FIGURES: Final = 164
_INDENT: Final = 9
_DEEPEST: Final = 14
_CHARACTER: Final = 6.1  # mean width of 11 px text


def fitting_rows(height: int) -> int:
    """Return how many rows of a static image fit into a view of this height, with its border."""
    return max((height - _TOP - _BOTTOM - _FRAME) // _ROW, 1)


def waterfall_picture(payload: Payload, *, row_count: int = 24, paper: bool = True) -> Markup:
    """Return a trace as SVG: its upper levels, and the longest spans of the last level that fits."""
    total = len(payload.columns["start"])
    end = end_of(payload)
    listed, fold = _folded(payload)
    longest = np.maximum(payload.columns["dur"], payload.columns.get("dur2", 0))
    of_folds = np.bincount(fold[fold >= 0], longest[fold >= 0], minlength=1)
    took = np.where(fold[listed] >= 0, of_folds[fold[listed]], longest[listed])
    chosen = np.sort(np.lexsort((-took, payload.columns["depth"][listed]))[:row_count])
    height = _TOP + _ROW * len(chosen) + _BOTTOM
    scale = (WIDTH - _LABELS - (_BOTH_FIGURES if _is_compared(payload) else _FIGURES)) / end
    parts = [*_axis(end, scale, height)]
    for place, k in enumerate(chosen):
        row = int(listed[k])
        members = np.array([row]) if fold[row] < 0 else np.flatnonzero(fold == fold[row])
        parts += _row(payload, members, _TOP + place * _ROW, scale)
    if below := _below(payload, len(chosen), len(listed)):
        parts.append(text(6, height - 7, below, kind="mute"))
    facts = payload.meta["note"] if _is_compared(payload) else f"{plural(total, 'span')}, {duration(end)}"
    title = f"Waterfall of trace {payload.meta['id']}: {facts}"
    return picture(WIDTH, height, title, parts, paper=paper)


def slowest_spans(payload: Payload, *, limit: int = 5) -> Markup:
    """Return the longest spans as a plain table."""
    columns = payload.columns
    longest = np.argsort(-columns["dur"], kind="stable")[:limit]
    rows = [
        (*names_of(payload, i), time_words(payload, i), duration(float(columns["start"][i]))) for i in map(int, longest)
    ]
    return table(("service", "span", "duration", "starts at"), rows)


def _below(payload: Payload, shown: int, listed: int) -> str:
    """Return the footer: the number of omitted rows, and the summary of a comparison."""
    some = f"{count(shown)} of {plural(listed, 'row')}" if shown < listed else ""
    if _is_compared(payload) or not listed:
        return "; ".join(filter(None, [some, payload.meta["note"]]))
    return some and f"{some}: upper levels first, then by duration"


def _axis(end: float, scale: float, height: float) -> list[Markup]:
    """Return grid lines at round times, with their labels."""
    parts = []
    for x, words in Scale("linear", 0.0, end * _NS, _LABELS, _LABELS + end * scale, form="~s").ticks():
        line = {"x1": x, "x2": x, "y1": _TOP - 6, "y2": height - _BOTTOM, "stroke": LINE, "class": "tk-grid"}
        parts += [element("line", line), text(x + 3, 14, words, kind="mute")]
    return parts


def _folded(payload: Payload) -> tuple[Array, Array]:
    """Return the listed rows, and the fold of each span, else -1: five or more equal siblings share a row."""
    columns = payload.columns
    parent, end = columns["parent"], columns["subEnd"]
    keys = np.stack([parent, columns["svc"], columns["name"]]).astype(np.int64)
    _, first, group, counts = np.unique(keys, axis=1, return_index=True, return_inverse=True, return_counts=True)
    group = group.reshape(-1)
    is_member = (counts[group] >= FOLD_FROM) & (parent >= 0)
    hidden = np.zeros(len(parent) + 1, np.int64)  # depth of folds around each row, as differences
    np.add.at(hidden, np.flatnonzero(is_member) + 1, 1)
    np.add.at(hidden, end[is_member], -1)
    shown = np.cumsum(hidden)[: len(parent)] == 0
    is_listed = shown & ~(is_member & (np.arange(len(parent)) != first[group]))
    return np.flatnonzero(is_listed), np.where(is_member, group, -1)


def _row(payload: Payload, rows: Array, y: float, scale: float) -> list[Markup]:
    """Return the label, the bars and the duration of a span or of folded spans."""
    columns, index = payload.columns, int(rows[0])
    flags = Flag(int(np.bitwise_or.reduce(columns["flags"][rows])))
    paint = service_fill(payload.meta["slots"][columns["svc"][index]])
    indent = 6 + min(int(columns["depth"][index]), _DEEPEST) * _INDENT
    bars, reached = _bars(payload, rows, y, scale, paint)
    return [
        element("rect", {"x": indent, "y": y + 2, "width": 3, "height": 14, **paint}),
        _label(payload, rows, flags, indent, y),
        *bars,
        text(reached + 5, y + 13, _figure(payload, rows), kind="mute"),
    ]


def _bars(
    payload: Payload, rows: Array, y: float, scale: float, paint: dict[str, object]
) -> tuple[list[Markup], float]:
    """Return the bars of a row, with thin bars of the baseline below, and where they end."""
    columns, gone, several = payload.columns, is_gone(payload, rows), len(rows) > 1
    took = np.where(gone, columns["dur2"][rows], columns["dur"][rows]) if gone.any() else columns["dur"][rows]
    x, width, drawn = _places(columns["start"][rows], took, scale, several=several)
    bars = []
    for left, wide, row, is_lost in zip(x[drawn], width[drawn], rows[drawn], gone[drawn], strict=True):
        bar: dict[str, object] = {"x": left, "y": y + 4, "width": wide, "height": 11, "rx": 2, **paint}
        own = Flag(int(columns["flags"][row]))
        if is_lost:
            bar |= {"fill-opacity": 0, "stroke": paint["fill"], "stroke-dasharray": "3 2"}
        elif Flag.ERROR in own:
            bar |= {"stroke": ERROR, "stroke-width": 1.5, "class": f"{paint['class']} tk-failed"}
        if not is_lost and own & (Flag.NO_END | Flag.NO_START | Flag.INFERRED):
            bar |= {"fill-opacity": 0.5}
        bars.append(element("rect", bar))
    reached = float((x + width).max())
    if _is_compared(payload):
        before = rows[~gone & (columns["state"][rows] != State.ADDED)]
        x, width, drawn = _places(columns["start2"][before], columns["dur2"][before], scale, several=several)
        thin: dict[str, object] = {"y": y + 16, "height": 3, "fill": MUTE}
        bars += [element("rect", {"x": a, "width": b, **thin}) for a, b in zip(x[drawn], width[drawn], strict=True)]
        reached = max(reached, float((x + width).max(initial=0.0)))
    return bars, reached


def _places(start: Array, took: Array, scale: float, *, several: bool) -> tuple[Array, Array, Array]:
    """Return left ends and widths in pixels, and which bars are drawn: at most one per pixel."""
    x = _LABELS + start * scale
    width = np.maximum(1.0 if several else 2.0, np.maximum(took, 0.0) * scale - several)
    drawn = np.concatenate(([True], np.floor(x[1:]) > np.floor(x[:-1]))) if len(x) else np.zeros(0, bool)
    return x, width, drawn


def _figure(payload: Payload, rows: Array) -> str:
    """Return the duration of a span or the total of folded spans; in a comparison baseline and current."""
    if len(rows) == 1:
        return time_words(payload, int(rows[0]))
    total = float(payload.columns["dur"][rows].sum())
    if _is_compared(payload):
        return f"total {from_to(float(payload.columns['dur2'][rows].sum()), total)}"
    return f"total {duration(total)}"


def _is_compared(payload: Payload) -> bool:
    """Return whether two traces are drawn."""
    return "state" in payload.columns


def _calls(payload: Payload, rows: Array) -> str:
    """Return the number of folded spans; in a comparison baseline and current where they differ."""
    if len(rows) == 1:
        return ""
    current = int((~is_gone(payload, rows)).sum())
    baseline = int((payload.columns["state"][rows] != State.ADDED).sum()) if _is_compared(payload) else current
    return (f"{count(baseline)} → " if baseline != current else "") + f"{count(current)} \N{MULTIPLICATION SIGN} "


def _label(payload: Payload, rows: Array, flags: Flag, indent: float, y: float) -> Markup:
    """Return service and operation, truncated to the width of the column."""
    room = max(8, int((_LABELS - indent - 16) / _CHARACTER))
    service, name = names_of(payload, int(rows[0]))
    service, name = service[:room], f"{_calls(payload, rows)}{name}"
    mark = "! " if Flag.ERROR in flags else ""
    left = room - len(service) - len(mark) - 1
    shown = name if len(name) <= left else name[: max(0, left - 1)] + "…"
    attributes = {"x": indent + 8, "y": y + 13, "fill": INK, "class": "tk-ink"}
    bold = element("tspan", {"font-weight": 600}, service)
    warning = element("tspan", {"font-weight": 700, "fill": ERROR, "class": "tk-error"}, f" {mark}".rstrip() + " ")
    return element("text", attributes, bold, warning if mark else " ", shown)
