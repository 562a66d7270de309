"""The service map: who calls whom, laid out in layers, with rate, p95 and error share on every box."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from tracekit.views.colours import SHARED, Colours
from tracekit.views.layout import HEIGHT, WIDTH, Layout, layered
from tracekit.views.markup import Markup, element, table
from tracekit.views.svg import ERROR, INK, LINE, MUTE, PAPER, picture, service_fill, text
from tracekit.views.text import clean, count, duration, plural, ratio, short_count

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.analysis.service_graph import ServiceGraph

MOST_SERVICES: Final = 60  # beyond, no layout is legible: the busiest are shown, and it is said
FAILING: Final = 0.01  # share of errors from which a call or a service is drawn red
_THIN, _THICK = 1.2, 4.0
_NAME_ROOM: Final = 22
_MARGIN: Final = 14.0
_PEERS: Final = {"db": "database", "messaging": "queue", "aws": "AWS", "faas": "function", "http": "HTTP", "rpc": "RPC"}


def plot_service_graph(result: ServiceGraph, *, height: int = 460) -> Any:
    """Draw a service graph as a map for a notebook.

    Parameters
    ----------
    result
        Of ``analysis.service_graph``.
    height
        Of the view, in pixels.

    Returns
    -------
    anywidget.AnyWidget
        ``selected`` (traitlet) is the name of the service in focus, and can be set.

    Examples
    --------
    >>> import pandas as pd
    >>> from tracekit import TraceSet
    >>> from tracekit.analysis.service_graph import service_graph
    >>> frame = pd.DataFrame({"trace_id": ["a1"], "span_id": ["1"], "name": "GET /", "start_ns": 0, "end_ns": 5000})
    >>> plot_service_graph(service_graph(TraceSet.from_spans(frame.assign(service_name="shop"))))
    ServiceMap(1 service, 0 calls)
    """
    from tracekit.views.widgets import MapWidget  # noqa: PLC0415 - anywidget costs 0.1 s and is for notebooks only

    graph = map_payload(result)
    title = f"ServiceMap({plural(len(graph['nodes']), 'service')}, {plural(len(graph['edges']), 'call')})"
    return MapWidget.of(graph, map_picture(graph), _calls_table(graph), title, height=height)


def map_payload(result: ServiceGraph, *, colours: Colours | None = None) -> dict[str, Any]:
    """Return the map as the page draws it: boxes and lines with their places and words.

    Parameters
    ----------
    result
        Of ``analysis.service_graph``; the 60 services with most requests are shown.
    colours
        Slots of services; those of this process unless given.

    Returns
    -------
    dict
        ``size`` in pixels; ``nodes`` with ``name x y w h sub say slot inferred bad``; ``edges`` with ``a b`` (positions
        in ``nodes``), ``d w err back tip``; ``left_out``, the number of services that are not shown.

    Examples
    --------
    >>> import pandas as pd
    >>> from tracekit import TraceSet
    >>> from tracekit.analysis.service_graph import service_graph
    >>> frame = pd.DataFrame({"trace_id": ["a1"], "span_id": ["1"], "name": "GET /", "start_ns": 0, "end_ns": 5000})
    >>> graph = map_payload(service_graph(TraceSet.from_spans(frame.assign(service_name="shop"))))
    >>> graph["nodes"][0]["sub"]
    '1 · p95 5.00 µs'
    """
    palette = SHARED if colours is None else colours
    services = result.services.nlargest(MOST_SERVICES, "request_count")
    palette.assign(services.loc[~services["is_inferred"], "service_name"])
    place = {key: k for k, key in enumerate(zip(services["service_name"], services["is_inferred"], strict=True))}
    calls = [row for row in _records(result.calls) if _ends(row) <= place.keys()]
    pairs = [(str(place[row["caller_service"], False]), str(place[_callee(row)])) for row in calls]
    drawn = layered([str(k) for k in range(len(place))], pairs)
    most = max((row["call_count"] for row in calls), default=1.0)
    return {
        "size": drawn.size,
        "nodes": [_node(row, drawn.positions[str(k)], palette) for k, row in enumerate(_records(services))],
        "edges": [_edge(row, pair, drawn, most) for row, pair in zip(calls, pairs, strict=True) if pair[0] != pair[1]],
        "left_out": len(result.services) - len(services),
    }


def map_picture(graph: dict[str, Any], *, paper: bool = True) -> Markup:
    """Return the map as a still picture.

    Parameters
    ----------
    graph
        As ``map_payload`` makes it.
    paper
        Paint a white background; a page that restyles the picture does not want it.

    Returns
    -------
    Markup
        An ``svg`` element in natural size.

    Examples
    --------
    >>> map_picture({"size": (0, 0), "nodes": [], "edges": [], "left_out": 0})[:4]
    '<svg'
    """
    width, height = graph["size"]
    title = f"Service map: {plural(len(graph['nodes']), 'service')}, {plural(len(graph['edges']), 'call')}"
    lines = [_line(edge) for edge in graph["edges"]]
    boxes = [part for node in graph["nodes"] for part in _box(node)]
    inside = element("g", {"transform": f"translate({_MARGIN},{_MARGIN})"}, *lines, *boxes, Markup())
    heads = [_arrow("arrow", MUTE, "tk-mute"), _arrow("arrow-failed", ERROR, "tk-error")]
    return picture(width + 2 * _MARGIN, height + 2 * _MARGIN, title, [element("defs", {}, *heads), inside], paper=paper)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as dictionaries."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def _ends(row: dict[str, Any]) -> set[tuple[str, bool]]:
    """Return both ends of a call, as (name, is inferred)."""
    return {(row["caller_service"], False), _callee(row)}


def _callee(row: dict[str, Any]) -> tuple[str, bool]:
    """Return the callee of a call, as (name, is inferred)."""
    return row["callee_service"], bool(row["is_inferred"])


def _node(row: dict[str, Any], at: tuple[float, float], palette: Colours) -> dict[str, Any]:
    """Return one box."""
    inferred, failed = bool(row["is_inferred"]), _share(row["error_ratio"])
    figures = [short_count(row["request_count"]), f"p95 {duration(row['p95_ns'])}", ratio(failed) if failed else ""]
    peer = _PEERS.get(str(row["peer_type"]), str(row["peer_type"])) if inferred else ""
    said = [
        plural(row["request_count"], "request"),
        f"p50 {duration(row['p50_ns'])}",
        f"p95 {duration(row['p95_ns'])}",
        f"p99 {duration(row['p99_ns'])}",
        f"{ratio(failed)} failed",
        f"sent no spans of its own{f' ({peer})' if peer else ''}: as its callers saw it" if inferred else "",
    ]
    return {
        "name": _name(row["service_name"]),
        "x": round(at[0], 1),
        "y": round(at[1], 1),
        "w": WIDTH,
        "h": HEIGHT,
        "sub": " · ".join(filter(None, figures)),
        "say": ", ".join(filter(None, said)),
        "slot": 9 if inferred else palette.slot(row["service_name"]),
        "inferred": inferred,
        "bad": failed >= FAILING,
    }


def _edge(row: dict[str, Any], pair: tuple[str, str], drawn: Layout, most: float) -> dict[str, Any]:
    """Return one line; the more calls, the thicker."""
    failed, route = _share(row["error_ratio"]), drawn.routes[pair]
    kind = "message" if row["call_type"] == "message" else "call"
    tip = (
        f"{_name(row['caller_service'])} → {_name(row['callee_service'])}: {plural(row['call_count'], kind)}, "
        f"p50 {duration(row['p50_ns'])}, p95 {duration(row['p95_ns'])}, {ratio(failed)} failed"
    )
    return {
        "a": int(pair[0]),
        "b": int(pair[1]),
        "d": route.path,
        "w": round(_THIN + (_THICK - _THIN) * math.sqrt(row["call_count"] / most), 2),
        "err": failed >= FAILING,
        "back": route.is_back,
        "tip": tip,
    }


def _name(service: object) -> str:
    """Return the name of a service, cut where nobody reads on."""
    return clean(service, limit=100)


def _share(value: float) -> float:
    """Return a ratio; 0 where nothing was counted."""
    return 0.0 if math.isnan(value) else float(value)


def _arrow(name: str, fill: str, kind: str) -> Markup:
    """Return an arrow head that does not grow with its line."""
    shape = element("path", {"d": "M0,0.5L8,4L0,7.5z", "fill": fill, "class": kind})
    size = {"viewBox": "0 0 8 8", "refX": 7, "refY": 4, "markerWidth": 8, "markerHeight": 8, "orient": "auto"}
    return element("marker", {"id": f"tk-map-{name}", "markerUnits": "userSpaceOnUse", **size}, shape)


def _line(edge: dict[str, Any]) -> Markup:
    """Return the line of one call."""
    failed = edge["err"]
    attributes = {
        "d": edge["d"],
        "fill": "none",
        "stroke": ERROR if failed else MUTE,
        "class": "tk-edge-failed" if failed else "tk-edge",
        "stroke-opacity": 0.6,
        "stroke-width": edge["w"],
        "stroke-dasharray": "5 3" if edge["back"] else None,
        "marker-end": f"url(#tk-map-arrow{'-failed' if failed else ''})",
    }
    return element("path", attributes, element("title", {}, edge["tip"]))


def _box(node: dict[str, Any]) -> list[Markup]:
    """Return frame, stripe and words of one service."""
    x, y = node["x"] - node["w"] / 2, node["y"] - node["h"] / 2
    size = {"x": x, "y": y, "width": node["w"], "height": node["h"]}
    frame = {**size, "rx": 5, "fill": PAPER, "stroke": MUTE if node["inferred"] else LINE, "class": "tk-box"}
    dashes = {"stroke-dasharray": "4 3"} if node["inferred"] else {}
    name = node["name"] if len(node["name"]) <= _NAME_ROOM else node["name"][: _NAME_ROOM - 1] + "…"
    label = {"x": x + 13, "y": y + 15, "fill": INK, "class": "tk-ink", "font-size": 12, "font-weight": 600}
    return [
        element("rect", {**frame, **dashes}),
        element("rect", {**size, "width": 5, "rx": 2, **service_fill(node["slot"])}),
        element("text", label, name),
        text(x + 13, y + 28, node["sub"], kind="error" if node["bad"] else "mute", font_size=10),
    ]


def _calls_table(graph: dict[str, Any]) -> Markup:
    """Return the calls as a plain table: what stands where no picture is shown."""
    busiest = sorted(graph["edges"], key=lambda edge: -edge["w"])[:10]
    rows = [tuple(edge["tip"].partition(": ")[::2]) for edge in busiest]
    note = [(f"{count(graph['left_out'])} services with fewer requests", "not shown")] if graph["left_out"] else []
    return table(("call", "figures"), [*rows, *note])
