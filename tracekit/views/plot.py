"""One verb that draws: ``plot(result)`` finds the view of the result's type."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

# type of a result -> the function that draws it; imported when it is first asked for
VIEWS: Final = {
    "tracekit.analysis.errors.Errors": "tracekit.views.errors:plot_errors",
    "tracekit.analysis.latency.Latency": "tracekit.views.latency:plot_latency",
    "tracekit.analysis.self_time.SelfTime": "tracekit.views.self_time:plot_self_time",
    "tracekit.analysis.service_graph.ServiceGraph": "tracekit.views.service_graph:plot_service_graph",
}


def plot(result: Any, **options: Any) -> Any:
    """Draw a result.

    Parameters
    ----------
    result
        Of an analysis: ``service_graph``, ``latency``, ``errors``, ``self_time``.
    options
        Of the view, see the function of ``tracekit.views`` that draws the type.

    Returns
    -------
    plotly.graph_objects.Figure or anywidget.AnyWidget
        To be the last line of a cell; nothing is shown by the call itself.

    Raises
    ------
    TypeError
        If there is no view for the type.

    Examples
    --------
    >>> plot(5)
    Traceback (most recent call last):
    ...
    TypeError: expected a result that has a view (Errors, Latency, SelfTime, ServiceGraph), found int
    """
    for kind in type(result).__mro__:
        target = VIEWS.get(f"{kind.__module__}.{kind.__qualname__}")
        if target:
            module, _, function = target.partition(":")
            return getattr(import_module(module), function)(result, **options)
    known = ", ".join(sorted(name.rpartition(".")[2] for name in VIEWS))
    raise TypeError(f"expected a result that has a view ({known}), found {type(result).__name__}")
