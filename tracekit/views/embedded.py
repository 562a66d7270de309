"""Views embedded in a page: the data that the scripts draw, and the static image.

Imported on first use, because it imports plotly and the widgets.
"""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from plotly.basedatatypes import BaseFigure
from plotly.offline import get_plotlyjs

from tracekit.text import clean
from tracekit.views.figures import Chart
from tracekit.views.flame.widget import FlameWidget
from tracekit.views.heat import HeatWidget
from tracekit.views.service_graph.widget import MapWidget
from tracekit.views.svg_chart.figure import still_picture
from tracekit.views.svg_chart.marks import KINDS
from tracekit.views.themes import repainted
from tracekit.views.tkw1 import Payload
from tracekit.views.waterfall.compare import compared_payload
from tracekit.views.waterfall.payload import encoded, trace_payload
from tracekit.views.waterfall.widget import WaterfallWidget

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.traces import TraceSet
    from tracekit.views.markup import Markup
    from tracekit.views.waterfall.drawing import Drawing

_CANVAS_STATE: Final = ("payload", "height", "selected", "search", "brush")  # traits that the front end needs
_TALL: Final = 380  # default height of a figure in pixels
_BORDER: Final = 18  # pixels around a static image
# trace types with maps that plotly loads from the network: a self-contained page cannot show them
_FETCHED: Final = {"scattergeo", "choropleth"} | {
    f"{kind}{base}" for kind in ("scatter", "density", "choropleth") for base in ("map", "mapbox")
}


@dataclass(frozen=True)
class Embedded:
    """One interactive view.

    Parameters
    ----------
    kind
        ``waterfall``, ``map``, ``canvas`` (flame graph and heat map) or ``chart`` (plotly).
    data
        Input of the front end.
    height
        Height in pixels.
    title
        Plain-text title.
    picture
        Static image for print and pages without scripts; None for a figure without one.
    trace_id
        Trace id of a waterfall.
    """

    kind: str
    data: bytes
    height: int
    title: str
    picture: Markup | None
    trace_id: str = ""


def embedded(view: Any, redacted: Callable[[TraceSet], TraceSet] | None = None) -> Embedded | None:
    """Return the embedded form of a view, of ``redacted`` traces where it shows their attributes; else None."""
    if isinstance(view, BaseFigure):
        return _chart(view)
    if isinstance(view, WaterfallWidget):
        drawing = view._drawing  # noqa: SLF001 - widgets of this package
        payload = _with_details(drawing, redacted)
        data = encoded(payload, is_packed=True)
        title = repr(view).removeprefix("Waterfall(").removesuffix(")").replace(", ", " · ")
        return Embedded("waterfall", data, view.height, title, view._picture, str(payload.meta["id"]))  # noqa: SLF001
    if isinstance(view, MapWidget):
        return Embedded("map", view.graph.encode("utf-8", "replace"), view.height, repr(view), view._picture)  # noqa: SLF001
    if isinstance(view, FlameWidget | HeatWidget):
        state = {name: getattr(view, name) for name in view.keys if name in _CANVAS_STATE}
        data = json.dumps(state, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
        return Embedded("canvas", data, view.height, repr(view), view._picture)  # noqa: SLF001
    return None


@cache
def plotly_script() -> str:
    """Return the plotly.js of the installed plotly."""
    return str(get_plotlyjs())


def _chart(figure: Any) -> Embedded:
    """Return the embedded form of a figure: its light colours, and their dark counterparts."""
    _check_offline(figure)
    light = repainted(json.loads(figure.to_json()), "light")
    painted = {colour: other for colour in sorted(_strings(light)) if (other := repainted(colour, "dark")) != colour}
    data = json.dumps({"figure": light, "dark": painted}, ensure_ascii=False, allow_nan=False)
    title = clean(html.unescape(figure.layout.title.text or "Chart"), limit=200)
    height = int(figure.layout.height or _TALL) + _BORDER
    has_still = isinstance(figure, Chart) and all(trace.type in KINDS for trace in figure.data)
    still = still_picture(Chart(light)) if has_still else None
    return Embedded("chart", data.encode("utf-8", "replace"), height, title, still)


def _check_offline(figure: Any) -> None:
    """Raise if plotly would load data from the network."""
    for trace in figure.data:
        if trace.type in _FETCHED:
            raise ValueError(
                f"expected a figure without network requests, found a {trace.type} trace: plotly loads its map "
                "from the network"
            )
    for image in figure.layout.images:
        if str(image.source or "").lower().startswith(("http:", "https:", "//")):
            raise ValueError(
                f"expected a figure without network requests, found an image from {image.source}: embed it as a "
                "data: URL"
            )


def _strings(part: Any) -> set[str]:
    """Return all strings in nested dictionaries and lists."""
    found, waiting = set(), [part]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            found.add(item)
        elif isinstance(item, dict | list):
            waiting += item.values() if isinstance(item, dict) else item
    return found


def _with_details(drawing: Drawing, redacted: Callable[[TraceSet], TraceSet] | None) -> Payload:
    """Return the payload with the attributes of all spans, which notebooks load on demand for large traces."""
    drawn = drawing.payload
    if not len(drawn.columns["start"]) or ("attrN" in drawn.columns and redacted is None):
        return drawn
    named = [
        (
            traces if redacted is None else redacted(traces),
            str(traces.trace_ids[traces.forest.trace[rows[rows >= 0][0]]]),
        )
        for traces, rows in zip(drawing.sets, drawing.rows, strict=True)
    ]
    again = trace_payload(*named[0]) if len(named) == 1 else compared_payload(*named[0], *named[1])[0]
    kept = {name: column for name, column in drawn.columns.items() if name not in again.columns}
    return Payload(
        again.columns | kept, again.strings, again.meta | {"note": drawn.meta["note"], "focus": drawn.meta["focus"]}
    )
