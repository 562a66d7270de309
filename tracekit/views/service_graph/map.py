"""The service map: calls between services, with requests, p95 and error rate of each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from tracekit.text import clean, duration, plural, ratio, short_count
from tracekit.views.colours import Colours, colours_for
from tracekit.views.markup import Markup, element
from tracekit.views.service_graph.layout import HEIGHT, WIDTH, Layout, layered
from tracekit.views.service_graph.scope import MOST_SERVICES, shown_services
from tracekit.views.svg import ACCENT, ERROR, INK, LINE, MUTE, PAPER, picture, service_fill, text

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.analysis.service_graph.build import ServiceGraph

WORSE: Final = ("failing", "slower", "busier")  # marks of regressions, drawn red
FAILING: Final = 0.01  # error rate from which a call or a service is red
_ALARMING: Final = 0.1  # error rate from which its line is fully opaque
_THIN, _THICK = 1.2, 4.0
_NAME_ROOM: Final = 22
_MARGIN: Final = 14.0
_PEERS: Final = {"db": "database", "messaging": "queue", "aws": "AWS", "faas": "function", "http": "HTTP", "rpc": "RPC"}


def map_payload(
    result: ServiceGraph,
    *,
    colours: Colours | None = None,
    around: str | None = None,
    hops: int = 1,
    most: int = MOST_SERVICES,
    period_s: float | None = None,
) -> dict[str, Any]:
    """Return the payload of the map: boxes and lines with positions and labels.

    Columns ``mark`` and ``change`` of the frames, if present, are changes from a baseline; see ``comparison``.
    """
    if period_s is not None and not period_s > 0:
        raise ValueError(f"expected a period of more than 0 seconds, found {period_s!r}")
    palette = colours_for(result) if colours is None else colours
    services = shown_services(result, around=around, hops=hops, most=most)
    palette.assign(services.loc[~services["is_inferred"], "service_name"])
    place = {key: k for k, key in enumerate(zip(services["service_name"], services["is_inferred"], strict=True))}
    calls = [row for row in _records(result.calls) if _ends(row) <= place.keys()]
    pairs = [(str(place[row["caller_service"], False]), str(place[_callee(row)])) for row in calls]
    drawn = layered([str(k) for k in range(len(place))], pairs, _entries(services))
    most_calls = max((row["call_count"] for row in calls), default=0.0) or 1.0
    boxes = enumerate(_records(services))
    return {
        "size": drawn.size,
        "nodes": [_node(row, drawn.positions[str(k)], palette, period_s) for k, row in boxes],
        "edges": [
            _edge(row, pair, drawn, most_calls) for row, pair in zip(calls, pairs, strict=True) if len({*pair}) > 1
        ],
        "left_out": len(result.services) - len(services),
    }


def _entries(services: pd.DataFrame) -> list[str]:
    """Return the positions of services with requests from outside, most requests first: the left side of the map."""
    if "entry_count" not in services:
        return []
    requests = services["entry_count"].fillna(0).to_numpy(float)
    return [str(k) for k in sorted(range(len(requests)), key=lambda k: -requests[k]) if requests[k] > 0]


def map_picture(graph: dict[str, Any], *, paper: bool = True) -> Markup:
    """Return the map as a static image."""
    width, height = graph["size"]
    title = f"Service map: {plural(len(graph['nodes']), 'service')}, {plural(len(graph['edges']), 'call')}"
    if not graph["nodes"]:
        return picture(320, 40, title, [text(12, 24, "No services in these traces.")], paper=paper)
    lines = [_line(edge) for edge in graph["edges"]]
    boxes = [part for node in graph["nodes"] for part in _box(node)]
    inside = element("g", {"transform": f"translate({_MARGIN},{_MARGIN})"}, *lines, *boxes, Markup())
    paints = {"": (MUTE, "tk-mute"), "-failed": (ERROR, "tk-error"), "-added": (ACCENT, "tk-accent")}
    heads = [_arrow(f"arrow{name}", *paint) for name, paint in paints.items()]
    parts, tall = [element("defs", {}, *heads), inside], height + 2 * _MARGIN
    if graph["left_out"]:
        tall += 22
        words = f"{plural(graph['left_out'], 'service')} not shown (fewer requests or more hops away)"
        parts.append(text(_MARGIN, tall - 10, words, kind="mute"))
    return picture(width + 2 * _MARGIN, tall, title, parts, paper=paper)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as dictionaries."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def _ends(row: dict[str, Any]) -> set[tuple[str, bool]]:
    """Return both ends of a call, as (name, is inferred)."""
    return {(row["caller_service"], False), _callee(row)}


def _callee(row: dict[str, Any]) -> tuple[str, bool]:
    """Return the callee of a call, as (name, is inferred)."""
    return row["callee_service"], bool(row["is_inferred"])


def _node(row: dict[str, Any], at: tuple[float, float], palette: Colours, period_s: float | None) -> dict[str, Any]:
    """Return one box."""
    inferred, failed = bool(row["is_inferred"]), _share(row["error_ratio"])
    volume = short_count(row["request_count"]) if period_s is None else _rate(row["request_count"] / period_s)
    figures = [volume, f"p95 {duration(row['p95_ns'])}", ratio(failed) if failed else ""]
    peer = _PEERS.get(str(row["peer_type"]), str(row["peer_type"])) if inferred else ""
    facts = [
        plural(row["request_count"], "request"),
        f"p50 {duration(row['p50_ns'])}",
        f"p95 {duration(row['p95_ns'])}",
        f"p99 {duration(row['p99_ns'])}",
        f"error rate {ratio(failed)}",
        f"inferred{f' {peer}' if peer else ''}, measured by its callers" if inferred else "",
        str(row.get("change", "")),
    ]
    return {
        "name": _name(row["service_name"]),
        "x": round(at[0], 1),
        "y": round(at[1], 1),
        "w": WIDTH,
        "h": HEIGHT,
        "sub": str(row.get("change", "")).partition("; ")[0] or " · ".join(filter(None, figures)),
        "say": ", ".join(filter(None, facts)),
        "slot": 9 if inferred else palette.slot(row["service_name"]),
        "inferred": inferred,
        "bad": row["mark"] in WORSE if "mark" in row else failed >= FAILING,
        "mark": row.get("mark", ""),
    }


def _rate(per_second: float) -> str:
    """Return a request rate per second, or per minute if it is low."""
    if 0 < per_second < 0.1:  # noqa: PLR2004 - six a minute
        return f"{per_second * 60:.2g}/min"
    return f"{short_count(per_second) if per_second >= 100 else f'{per_second:.3g}'}/s"  # noqa: PLR2004 - three digits


def _edge(row: dict[str, Any], pair: tuple[str, str], drawn: Layout, most: float) -> dict[str, Any]:
    """Return one line; its width grows with the number of calls."""
    failed, route = _share(row["error_ratio"]), drawn.routes[pair]
    kind = "message" if row["call_type"] == "message" else "call"
    tip = (
        f"{_name(row['caller_service'])} → {_name(row['callee_service'])}: {plural(row['call_count'], kind)}, "
        f"p50 {duration(row['p50_ns'])}, p95 {duration(row['p95_ns'])}, error rate {ratio(failed)}"
        f"{'; change: ' if row.get('change') else ''}{row.get('change', '')}"
    )
    return {
        "a": int(pair[0]),
        "b": int(pair[1]),
        "d": route.path,
        "w": round(_THIN + (_THICK - _THIN) * math.sqrt(row["call_count"] / most), 2),
        "err": row["mark"] in WORSE if "mark" in row else failed >= FAILING,
        "failed": round(failed, 4),
        "back": route.is_back or row.get("mark") == "removed",
        "mark": row.get("mark", ""),
        "tip": tip,
    }


def _name(service: object) -> str:
    """Return the name of a service, truncated."""
    return clean(service, limit=100)


def _share(value: float) -> float:
    """Return a ratio; 0 for NaN."""
    return 0.0 if math.isnan(value) else float(value)


def _arrow(name: str, fill: str, kind: str) -> Markup:
    """Return an arrow head of fixed size."""
    shape = element("path", {"d": "M0,0.5L8,4L0,7.5z", "fill": fill, "class": kind})
    size = {"viewBox": "0 0 8 8", "refX": 7, "refY": 4, "markerWidth": 8, "markerHeight": 8, "orient": "auto"}
    return element("marker", {"id": f"tk-map-{name}", "markerUnits": "userSpaceOnUse", **size}, shape)


def _line(edge: dict[str, Any]) -> Markup:
    """Return the line of one call."""
    kind = "-failed" if edge["err"] else "-added" if edge.get("mark") == "added" else ""
    attributes = {
        "d": edge["d"],
        "fill": "none",
        "stroke": {"-failed": ERROR, "-added": ACCENT}.get(kind, MUTE),
        "class": f"tk-edge{kind}",
        "stroke-opacity": 0.6
        if not edge["err"]
        else round(0.6 + 0.4 * min(1.0, edge.get("failed", 0.0) / _ALARMING), 2),
        "stroke-width": edge["w"],
        "stroke-dasharray": "5 3" if edge["back"] else None,
        "marker-end": f"url(#tk-map-arrow{kind})",
    }
    return element("path", attributes, element("title", {}, edge["tip"]))


def _box(node: dict[str, Any]) -> list[Markup]:
    """Return the frame, stripe and labels of one service."""
    x, y = node["x"] - node["w"] / 2, node["y"] - node["h"] / 2
    size = {"x": x, "y": y, "width": node["w"], "height": node["h"]}
    stroke = ACCENT if node.get("mark") == "added" else MUTE if node["inferred"] else LINE
    frame = {**size, "rx": 5, "fill": PAPER, "stroke": stroke, "class": "tk-box"}
    dashes = {"stroke-dasharray": "4 3"} if node["inferred"] or node.get("mark") == "removed" else {}
    name = node["name"] if len(node["name"]) <= _NAME_ROOM else node["name"][: _NAME_ROOM - 1] + "…"
    label = {"x": x + 13, "y": y + 15, "fill": INK, "class": "tk-ink", "font-size": 12, "font-weight": 600}
    return [
        element("rect", {**frame, **dashes}),
        element("rect", {**size, "width": 5, "rx": 2, **service_fill(node["slot"])}),
        element("text", label, name),
        text(x + 13, y + 28, node["sub"], kind="error" if node["bad"] else "mute", font_size=10),
    ]
