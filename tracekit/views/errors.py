"""Errors: share of failed spans by operation, with its limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracekit.views.charts import chart_layout, safe
from tracekit.views.svg import ERROR, MUTE
from tracekit.views.text import count

if TYPE_CHECKING:
    from tracekit.analysis.errors import Errors


def plot_errors(result: Errors, *, operations: int = 15) -> Any:
    """Draw the share of failed spans of the operations that fail most.

    Parameters
    ----------
    result
        Of ``analysis.errors``.
    operations
        How many, those with most errors first.

    Returns
    -------
    plotly.graph_objects.Figure
        A point an operation with its 95 % interval; a note in words if nothing failed.

    Examples
    --------
    >>> import pandas as pd
    >>> from tracekit import TraceSet
    >>> from tracekit.analysis.errors import errors
    >>> frame = pd.DataFrame({"trace_id": ["a1"], "span_id": ["1"], "name": "GET /", "start_ns": 0, "end_ns": 5000})
    >>> plot_errors(errors(TraceSet.from_spans(frame))).layout.annotations[0].text
    'No span failed.'
    """
    from plotly import graph_objects as go  # noqa: PLC0415 - plotly is for notebooks only

    failing = result.operations[result.operations["error_count"] > 0].head(operations).iloc[::-1]
    figure = go.Figure(layout=chart_layout("Errors by operation", xaxis={"tickformat": ".1~%", "rangemode": "tozero"}))
    if failing.empty:
        figure.add_annotation(text="No span failed.", showarrow=False, font={"size": 14})
        return figure
    share = failing["error_ratio"]
    names = [safe(f"{s} {o}") for s, o in zip(failing["service_name"], failing["operation"], strict=True)]
    words = [
        f"{count(e)} of {count(n)} spans" for e, n in zip(failing["error_count"], failing["weight_sum"], strict=True)
    ]
    figure.add_scatter(
        x=share,
        y=names,
        mode="markers",
        marker={"color": ERROR, "size": 9},
        error_x={
            "array": failing["high"] - share,
            "arrayminus": share - failing["low"],
            "color": MUTE,
            "thickness": 1.5,
        },
        text=words,
        hovertemplate="%{y}: %{x:.2%}, %{text}<extra></extra>",
    )
    figure.update_layout(height=120 + 26 * len(failing), showlegend=False)
    return figure
