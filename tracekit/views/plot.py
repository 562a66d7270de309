"""One verb that draws: ``plot(result)`` finds the view of the result's type."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from tracekit.views.charts import THEMES

# type of a result -> the function that draws it; imported when it is first asked for
VIEWS: Final = {
    "tracekit.analysis.clock_skew_result.ClockSkew": "tracekit.views.sampling_clocks:plot_clock_skew",
    "tracekit.analysis.coverage_result.Coverage": "tracekit.views.sampling_coverage:plot_coverage",
    "tracekit.analysis.errors.Errors": "tracekit.views.errors:plot_errors",
    "tracekit.analysis.latency.Latency": "tracekit.views.latency:plot_latency",
    "tracekit.analysis.path_compare.PathComparison": "tracekit.views.attribution_change:plot_comparison",
    "tracekit.analysis.path_flame.Flame": "tracekit.views.flame:plot_flame",
    "tracekit.analysis.path_result.CriticalPath": "tracekit.views.attribution:plot_critical_path",
    "tracekit.analysis.path_shares.Bands": "tracekit.views.attribution:plot_bands",
    "tracekit.analysis.sampling_collection.Collection": "tracekit.views.sampling_collection:plot_collection",
    "tracekit.analysis.sampling_latency.LatencyBias": "tracekit.views.sampling_latency:plot_latency_bias",
    "tracekit.analysis.sampling_mix.SampleMix": "tracekit.views.sampling_mix:plot_sample_mix",
    "tracekit.analysis.sampling_phase.StartPhases": "tracekit.views.sampling_phase:plot_start_phases",
    "tracekit.analysis.self_time.SelfTime": "tracekit.views.self_time:plot_self_time",
    "tracekit.analysis.service_graph.ServiceGraph": "tracekit.views.service_graph:plot_service_graph",
    "tracekit.analysis.timeline.Timeline": "tracekit.views.timeline:plot_timeline",
    "tracekit.analysis.what_if.WhatIf": "tracekit.views.attribution_what_if:plot_what_if",
    "tracekit.analysis.what_if_curve.WhatIfCurve": "tracekit.views.attribution_what_if:plot_what_if_curve",
    "tracekit.findings.Finding": "tracekit.views.finding:plot_finding",
    "tracekit.findings.Findings": "tracekit.views.findings:plot_findings",
    "tracekit.traces.TraceSet": "tracekit.views.traces:plot_traces",
}


def plot(result: Any, *, theme: str = "light", **options: Any) -> Any:
    """Draw a result.

    Parameters
    ----------
    result
        Of an analysis: ``service_graph``, ``latency``, ``errors``, ``self_time``, ``timeline``, ...; a TraceSet;
        Findings.
    theme
        ``light`` or ``dark``, for charts; widgets follow the page.
    options
        Of the view, see the function of ``tracekit.views`` that draws the type.

    Returns
    -------
    plotly.graph_objects.Figure or anywidget.AnyWidget
        To be the last line of a cell; nothing is shown by the call itself.  Figures have a still picture of themselves
        (``.picture()``) for where no script runs.

    Raises
    ------
    TypeError
        If there is no view for the type.
    ValueError
        Another theme, or an option that the view does not take.

    Examples
    --------
    >>> plot(5)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    TypeError: expected a result that has a view (...), found int
    """
    key = view_of(result)
    if key is None:
        known = ", ".join(sorted(name.rpartition(".")[2] for name in VIEWS))
        raise TypeError(f"expected a result that has a view ({known}), found {type(result).__name__}")
    module, _, function = VIEWS[key].partition(":")
    return _themed(getattr(import_module(module), function)(result, **options), theme)


def view_of(result: Any) -> str | None:
    """Return which entry of ``VIEWS`` draws a result.

    Parameters
    ----------
    result
        Anything.

    Returns
    -------
    str or None
        The name of its type, or of the nearest type that it is made from; None without a view.

    Examples
    --------
    >>> from tracekit import Findings
    >>> view_of(Findings())
    'tracekit.findings.Findings'
    """
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(result).__mro__)
    return next((name for name in names if name in VIEWS), None)


def _themed(view: Any, theme: str) -> Any:
    """Return a figure in a theme, with its still picture; a widget as it is."""
    if theme not in THEMES:
        raise ValueError(f"expected a theme of {' or '.join(THEMES)}, found {theme!r}")
    if not hasattr(view, "add_scatter"):  # a widget: it follows the page
        return view
    from tracekit.views.figures import Chart  # noqa: PLC0415 - plotly is for notebooks only

    figure = view if isinstance(view, Chart) else Chart(view)
    return figure.themed(theme) if theme == "dark" else figure
