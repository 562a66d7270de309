"""Shares as rows of a small drawing: a label, a bar and a percentage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tracekit.text import ratio, shortened
from tracekit.views.card import NARROW, Drawing
from tracekit.views.markup import element
from tracekit.views.svg import LINE, text

if TYPE_CHECKING:
    from collections.abc import Sequence

_BAR, _VALUE = 210.0, 326.0  # left end of bars and of values
_STEP: Final = 17.0
_CHARACTER: Final = 6.3


class ShareRow(NamedTuple):
    """One share."""

    label: str
    share: float
    colour: str


def share_rows(heading: str, rows: Sequence[ShareRow]) -> Drawing:
    """Return shares as bars below a heading."""
    marks = [text(0.0, 13.0, heading, font_weight=600)] if heading else []
    y = 22.0 if heading else 2.0
    wide = _VALUE - _BAR - 8
    for row in rows:
        part = min(1.0, max(0.0, row.share)) * wide
        place = {"x": _BAR, "y": y + 1, "height": 10.0}
        marks += [
            text(0.0, y + 10, shortened(row.label, int(_BAR / _CHARACTER) - 1), kind="mute"),
            element("rect", {**place, "width": wide, "fill": LINE, "fill-opacity": 0.5}),
            element("rect", {**place, "width": max(0.5, part), "fill": row.colour}),
            text(_VALUE, y + 10, ratio(row.share)),
        ]
        y += _STEP
    words = f"{heading}: " * bool(heading) + ", ".join(f"{row.label} {ratio(row.share)}" for row in rows)
    return Drawing(marks, y + 2, words, NARROW)
