"""The shape of a trace as a small flame graph: callers above callees, as wide as a typical trace spends time there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.text import clean, duration, mean_count, plural, shortened
from tracekit.views.card import NARROW, Drawing
from tracekit.views.colours import LIGHT, NO_SERVICE, ink
from tracekit.views.flame.layout import icicle
from tracekit.views.markup import element
from tracekit.views.svg import INK, text

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.views.colours import Colours
    from tracekit.views.markup import Markup

_LANE: Final = 16.0
_OUTLINE: Final[dict[str, object]] = {"stroke": INK, "stroke-width": 1.5, "class": "tk-outline"}
_LANES: Final = 8
_FRAMES: Final = 200  # the widest; a call that takes no time is part of the shape as well
_THINNEST: Final = 3.0
_LABEL: Final = 30.0  # narrower frames have no label
_CHARACTER: Final = 5.8  # mean width of 10 px text
_OFTEN: Final = 0.05  # calls per trace more or fewer than 1 from which their number is shown
_SHORTEST: Final = 12  # characters of a label that times leave


def shape_drawing(tree: pd.DataFrame, colours: Colours, *, added: str = "") -> Drawing:
    """Return a shape as a small flame graph; ``tree`` is that of ``Paths.tree``.

    Operations that ``added`` has after a plus sign, as ``differs_by`` of a shape does, have an outline.
    """
    parent, depth = (tree[name].to_numpy(np.int64) for name in ("parent", "depth"))
    calls, mean = (np.nan_to_num(tree[name].to_numpy(float)) for name in ("call_count", "mean_ns"))
    start, end = icicle(parent, depth, calls * mean)
    lanes = min(int(depth.max(initial=-1)) + 1, _LANES)
    services = [service if isinstance(service, str) else "" for service in tree["service_name"]]
    marks: list[Markup] = []
    widest = np.argsort(start - end, kind="stable")[:_FRAMES]
    drawn = widest[depth[widest] < lanes].tolist()  # narrow frames lie on their wider neighbours
    rows = tree.to_dict("records")
    for at in drawn:
        row = rows[at]
        is_same = row["parent"] >= 0 and services[row["parent"]] == services[at]
        name = f"{services[at]} {row['operation']}".strip()
        label = str(row["operation"]) if is_same else name
        times = _times(row["call_count"], row["mean_ns"])
        colour = LIGHT[colours.slot(services[at] or NO_SERVICE)]
        place = float(start[at]) * NARROW, float(end[at]) * NARROW
        look = {"fill": colour, **(_OUTLINE if f"+ {name}" in added else {})}
        marks += _frame((label, f"{name}: {times}", times), place, row["depth"] * _LANE, look)
    height = _LANE * lanes
    hidden = len(tree) - len(drawn)
    if hidden:
        marks.append(text(0.0, height + 12, f"{plural(hidden, 'call path')} not shown", kind="mute"))
    longest = ", ".join(clean(name, limit=40) for name in tree["operation"].head(_LANES))
    return Drawing(marks, height + 18 * bool(hidden), f"Shape with {plural(len(tree), 'call path')}: {longest}")


def _times(calls: float, mean_ns: float) -> str:
    """Return the mean duration of a call, and how many there are per trace unless it is one."""
    often = f"{mean_count(calls)} \N{MULTIPLICATION SIGN} " * (abs(calls - 1) >= _OFTEN)
    return f"{often}{duration(mean_ns)}"


def _frame(words: tuple[str, str, str], ends: tuple[float, float], y: float, look: dict[str, object]) -> list[Markup]:
    """Return the frame of one call path, with label and times if it is wide enough; ``words`` are both, and all."""
    label, hover, times = words
    left, wide = ends[0], ends[1] - ends[0]
    box = {"x": left, "y": y, "width": max(_THINNEST, wide - 1), "height": _LANE - 1, **look}
    marks = [element("rect", box, element("title", {}, clean(hover, limit=200)))]
    room = int((wide - 6) / _CHARACTER)
    if wide >= _LABEL and room > 2:  # noqa: PLR2004 - two letters say nothing
        has_room = room >= len(times) + 1 + min(len(label), _SHORTEST)
        shown = (
            f"{shortened(clean(label), room - len(times) - 1)} {times}" if has_room else shortened(clean(label), room)
        )
        marks.append(
            element("text", {"x": left + 3, "y": y + 11.5, "fill": ink(str(look["fill"])), "font-size": 10}, shown)
        )
    return marks
