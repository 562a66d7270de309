"""Drawing of results: ``plot(result)`` selects the view by the type of the result."""

from __future__ import annotations

from importlib import import_module
from os import PathLike
from typing import Any, Final

import pandas as pd

from tracekit.text import clean
from tracekit.views.themes import THEMES

# type of a result -> the function of this package that draws it, imported on first use
VIEWS: Final = {
    "tracekit.analysis.bounds.result.Bounds": "bounds:plot_bounds",
    "tracekit.analysis.clock_skew.result.ClockSkew": "sampling.clocks:plot_clock_skew",
    "tracekit.analysis.compare.result.Comparison": "comparison:plot_compared",
    "tracekit.analysis.cost.result.Cost": "cost:plot_cost",
    "tracekit.checks.coverage.result.Coverage": "sampling.coverage:plot_coverage",
    "tracekit.analysis.errors.Errors": "errors:plot_errors",
    "tracekit.checks.logs.result.Logs": "logs:plot_logs",
    "tracekit.analysis.latency.Latency": "latency:plot_latency",
    "tracekit.analysis.critical_path.compare.PathComparison": "attribution.change:plot_comparison",
    "tracekit.analysis.critical_path.flame.Flame": "flame.widget:plot_flame",
    "tracekit.analysis.critical_path.result.CriticalPath": "attribution.bars:plot_critical_path",
    "tracekit.analysis.critical_path.shares.Bands": "attribution.bars:plot_bands",
    "tracekit.checks.sampling.collection_gaps.Collection": "sampling.collection:plot_collection",
    "tracekit.checks.sampling.latency_bias.LatencyBias": "sampling.latency:plot_latency_bias",
    "tracekit.checks.sampling.sample_mix.SampleMix": "sampling.mix:plot_sample_mix",
    "tracekit.checks.sampling.start_phases.StartPhases": "sampling.phase:plot_start_phases",
    "tracekit.analysis.paths.result.Paths": "paths:plot_paths",
    "tracekit.analysis.profile.result.Profile": "flame.profile:plot_profile",
    "tracekit.analysis.profile.result.ProfileComparison": "flame.profile:plot_profile_comparison",
    "tracekit.analysis.self_time.SelfTime": "self_time:plot_self_time",
    "tracekit.analysis.service_graph.build.ServiceGraph": "service_graph.widget:plot_service_graph",
    "tracekit.analysis.slo.result.Slo": "slo:plot_slo",
    "tracekit.analysis.suspects.result.Suspects": "suspects:plot_suspects",
    "tracekit.analysis.timeline.result.Timeline": "timeline:plot_timeline",
    "tracekit.analysis.critical_path.what_if.WhatIf": "attribution.what_if:plot_what_if",
    "tracekit.analysis.critical_path.what_if.WhatIfCurve": "attribution.what_if:plot_what_if_curve",
    "tracekit.findings.Finding": "finding:plot_finding",
    "tracekit.findings.Findings": "findings:plot_findings",
    "tracekit.analysis.what_differs.result.Differences": "what_differs:plot_differences",
    "tracekit.traces.TraceSet": "traces:plot_traces",
}


def plot(result: Any, *, theme: str = "page", **options: Any) -> Any:
    """Draw a result.

    Parameters
    ----------
    result
        Result of an analysis (``service_graph``, ``latency``, ``errors``, ...), a TraceSet, or Findings.
    theme
        Theme of charts: ``page`` is legible on light and dark pages, ``light`` and ``dark`` have their own background;
        widgets follow the page.
    options
        Options of the view; see the function of ``tracekit.views`` that draws this type.

    Returns
    -------
    plotly.graph_objects.Figure or anywidget.AnyWidget
        The view, shown when it is the last expression of a cell, also in the saved notebook without a kernel.  Python
        knows what is selected in a widget after ``.live()``.  Figures also have a static image (``.picture()``).

    Raises
    ------
    TypeError
        If there is no view for the type.
    ValueError
        If the theme or an option is invalid.

    Examples
    --------
    >>> plot(5)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    TypeError: expected a result with a view (...), found int
    """
    key = view_of(result)
    if key is None:
        known = ", ".join(sorted(name.rpartition(".")[2] for name in VIEWS))
        advice = _instead(result)
        raise TypeError(f"expected a result with a view ({known}), found {type(result).__name__}{advice}")
    module, _, function = VIEWS[key].partition(":")
    view = getattr(import_module(f"tracekit.views.{module}"), function)(result, **options)
    return _themed(_with_statement(view, getattr(result, "statement", "")), theme)


_OF_STORES: Final = {
    "StoredPaths": "what is made of its parts, as in tk.plot(path.bands('service_name')) and tk.plot(path.flame())",
    "StoredSelfTime": "tk.latency(store), or load some of its traces: tk.self_time(store.sample(1).load())",
    "TraceStore": "an analysis, as in tk.plot(tk.timeline(store))",
}


def _instead(value: Any) -> str:
    """Return what to write instead of a value without a view; empty for what is not one step from right."""
    if type(value).__name__ in _OF_STORES:
        return f"; of a store, plot {_OF_STORES[type(value).__name__]}"
    if isinstance(value, pd.DataFrame):
        return "; pass the result that the table is from, as in tk.plot(tk.latency(traces)), not its .table"
    if isinstance(value, tuple | list):
        return "; plot them one by one, as in tk.plot(tk.latency(during))"
    if isinstance(value, str | PathLike):
        return f"; read it first: tk.plot(tk.service_graph(tk.read({str(value)[:60]!r})))"
    return ""


def view_of(result: Any) -> str | None:
    """Return which entry of ``VIEWS`` draws a result.

    Parameters
    ----------
    result
        Anything.

    Returns
    -------
    str or None
        The name of its type or nearest base type with a view; None without one.

    Examples
    --------
    >>> view_of(tk.Findings())
    'tracekit.findings.Findings'
    """
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(result).__mro__)
    return next((name for name in names if name in VIEWS), None)


def _with_statement(view: Any, statement: str) -> Any:
    """Return the view with the sampling statement: as a subtitle of a figure, below a widget."""
    if hasattr(view, "about"):
        view.about = clean(statement)
    if not hasattr(view, "add_scatter") or not view.data or view.layout.title.subtitle.text:
        return view
    from tracekit.views.charts import subtitled  # noqa: PLC0415 - plotly loads slowly

    return subtitled(view, statement)


def _themed(view: Any, theme: str) -> Any:
    """Return a figure in a theme; a widget unchanged."""
    if theme not in THEMES:
        raise ValueError(f"expected a theme of {' or '.join(THEMES)}, found {theme!r}")
    if not hasattr(view, "add_scatter"):  # a widget: it follows the page
        return view
    from tracekit.views.figures import Chart  # noqa: PLC0415 - plotly loads slowly

    figure = view if isinstance(view, Chart) else Chart(view)
    return figure if theme == "page" else figure.themed(theme)
