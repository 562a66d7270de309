"""The static image of a flame graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tracekit.text import duration, plural
from tracekit.views.colours import LIGHT, ink
from tracekit.views.markup import element
from tracekit.views.svg import picture, text

if TYPE_CHECKING:
    from tracekit.views.markup import Markup

WIDTH: Final = 960.0
_LANE: Final = 18
_LANES: Final = 20
_TOP: Final = 30
_LABEL: Final = 34.0
_CHARACTER: Final = 6.2
_THINNEST: Final = 0.5
_UNCHANGED, _SLOWER, _FASTER = (205, 209, 215), (209, 73, 91), (45, 120, 196)


def difference_colour(tint: float) -> str:
    """Return the colour of a change: red for slower, blue for faster, grey for unchanged."""
    end = _FASTER if tint < 0 else _SLOWER
    share = min(1.0, abs(tint)) ** 0.5
    return "#" + "".join(
        f"{round(grey + (full - grey) * share):02x}" for grey, full in zip(_UNCHANGED, end, strict=True)
    )


def flame_picture(tree: dict[str, Any]) -> Markup:
    """Return the upper 20 levels of a flame graph as SVG, frames of at least half a pixel."""
    levels = max(tree["depth"], default=-1) + 1
    lanes = min(levels, _LANES)
    height = _TOP + _LANE * lanes + 24
    parts = [text(4, 19, tree["title"], font_size=14, font_weight=600)]
    for k, depth in enumerate(tree["depth"]):
        if depth < lanes and (tree["x1"][k] - tree["x0"][k]) * WIDTH >= _THINNEST:
            parts += _frame(tree, k)
    below = f" {plural(levels - lanes, 'deeper level')} not shown." if levels > lanes else ""
    parts.append(text(4, height - 8, f"{tree['note']}{below}", kind="mute"))
    title = f"Flame graph. {tree['title']}: {plural(len(tree['name']), 'call path')}"
    return picture(WIDTH, height, title, parts, paper=True)


def _frame(tree: dict[str, Any], k: int) -> list[Markup]:
    """Return the frame of one call path, labelled if it is wide enough."""
    x, wide = tree["x0"][k] * WIDTH, (tree["x1"][k] - tree["x0"][k]) * WIDTH
    y = _TOP + tree["depth"][k] * _LANE
    colour = difference_colour(tree["tint"][k]) if "tint" in tree else LIGHT[tree["slot"][k]]
    name = tree["names"][tree["name"][k]]
    hover = element("title", {}, f"{name}: {duration(tree['value'][k])} {tree['unit']}")
    box = {"x": x, "y": y, "width": max(_THINNEST, wide - (wide > 3)), "height": _LANE - 1, "fill": colour}  # noqa: PLR2004 - room for a gap
    parts = [element("rect", box, hover)]
    room = int((wide - 8) / _CHARACTER)
    if wide >= _LABEL and room > 1:
        shown = name if len(name) <= room else name[: room - 1] + "…"
        parts.append(element("text", {"x": x + 4, "y": y + 13, "fill": ink(colour)}, shown))
    return parts
