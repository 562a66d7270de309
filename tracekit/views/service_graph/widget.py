"""The service-map widget for notebooks, alone or compared with a baseline."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import traitlets

from tracekit.text import plural
from tracekit.views.markup import Markup, table
from tracekit.views.service_graph.comparison import compared_payload
from tracekit.views.service_graph.map import map_payload, map_picture
from tracekit.views.service_graph.scope import MOST_SERVICES
from tracekit.views.widgets import Pictured

if TYPE_CHECKING:
    from tracekit.analysis.service_graph.build import ServiceGraph


def plot_service_graph(
    result: ServiceGraph,
    *,
    against: ServiceGraph | None = None,
    around: str | None = None,
    hops: int = 1,
    most: int = MOST_SERVICES,
    period_s: float | None = None,
    height: int = 460,
) -> Any:
    """Draw a service graph as a map for a notebook.

    Parameters
    ----------
    result
        Result of ``service_graph``.
    against
        Baseline: the map then shows new and removed services and calls, and regressions.
    around
        Show only this service and those within ``hops`` calls of it.
    hops
        Number of calls, in either direction.
    most
        Maximum number of services; those with most requests, or nearest.
    period_s
        Length of the recording in seconds: boxes then show requests per second.
    height
        Height of the view in pixels.

    Returns
    -------
    anywidget.AnyWidget
        ``selected`` (traitlet) is the name of the selected service.  It can be set, and follows the view after
        ``live()``.

    Raises
    ------
    ValueError
        If the service does not exist, or a number is out of range.

    Examples
    --------
    >>> tk.plot(tk.service_graph(shop))
    ServiceMap(4 services, 3 calls)
    """
    scope: dict[str, Any] = {"around": around, "hops": hops, "most": most, "period_s": period_s}
    graph = map_payload(result, **scope) if against is None else compared_payload(result, against, **scope)
    title = f"ServiceMap({plural(len(graph['nodes']), 'service')}, {plural(len(graph['edges']), 'call')})"
    return MapWidget.of(graph, map_picture(graph), _calls_table(graph), title, height=height)


class MapWidget(Pictured):
    """A service map; ``selected`` is the name of the selected service, empty for none."""

    graph = traitlets.Unicode("").tag(sync=True)
    selected = traitlets.Unicode("").tag(sync=True)

    _input = "graph"
    _state = ("selected",)

    @classmethod
    def of(cls, graph: dict[str, Any], picture: Markup, table: Markup, title: str, *, height: int) -> MapWidget:
        """Return the widget of a map.

        Parameters
        ----------
        graph
            Return value of ``map_payload``.
        picture, table
            Static image and table of the map.
        title
            Plain-text title.
        height
            Height in pixels.

        Returns
        -------
        MapWidget
            The widget.
        """
        widget = cls(graph=json.dumps(graph, ensure_ascii=False, allow_nan=False), height=height)
        widget._picture, widget._table, widget._title = picture, table, title
        return widget


def _calls_table(graph: dict[str, Any]) -> Markup:
    """Return the calls as a table, for front ends without images."""
    busiest = sorted(graph["edges"], key=lambda edge: -edge["w"])[:10]
    rows = [tuple(edge["tip"].partition(": ")[::2]) for edge in busiest]
    note = [(plural(graph["left_out"], "other service"), "not shown")] if graph["left_out"] else []
    return table(("call", "figures"), [*rows, *note])
