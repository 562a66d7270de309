"""Errors: share of failed spans by operation, with its limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tracekit.text import count, ratio
from tracekit.views.charts import SHARE, safe, subtitled
from tracekit.views.intervals import Interval, interval_rows
from tracekit.views.markup import table
from tracekit.views.svg import ERROR

if TYPE_CHECKING:
    from tracekit.analysis.errors import Errors
    from tracekit.views.figures import Chart

_AXIS: Final[dict[str, Any]] = {**SHARE, "title": {"text": "share of spans that failed, with 95 % limits"}}


def plot_errors(result: Errors, *, operations: int = 15) -> Chart:
    """Draw the share of failed spans of the operations that fail most.

    Parameters
    ----------
    result
        Of ``analysis.errors``.
    operations
        How many, those with most errors first.

    Returns
    -------
    Chart
        A plotly figure: a point an operation with its 95 % interval; a note in words if nothing failed.

    Examples
    --------
    >>> import pandas as pd
    >>> from tracekit import TraceSet
    >>> from tracekit.analysis.errors import errors
    >>> frame = pd.DataFrame({"trace_id": ["a1"], "span_id": ["1"], "name": "GET /", "start_ns": 0, "end_ns": 5000})
    >>> plot_errors(errors(TraceSet.from_spans(frame))).layout.annotations[0].text
    'No span failed.'
    """
    failing = result.operations[result.operations["error_count"] > 0]
    shown = failing.head(operations).to_dict("records")
    left_out = f": the {len(shown)} with most of {len(failing)}" if len(failing) > len(shown) else ""
    intervals = [
        Interval(
            safe(f"{row['service_name']} {row['operation']}"),
            "errors",
            row["error_ratio"],
            row["error_ratio_low"],
            row["error_ratio_high"],
        )
        for row in shown
    ]
    said = [f"{count(row['error_count'])} of {count(row['weight_sum'])} spans" for row in shown]
    rows = [
        (f"{row['service_name']} {row['operation']}", words, ratio(row["error_ratio"]))
        for row, words in zip(shown, said, strict=True)
    ]
    figure = interval_rows(
        f"Errors by operation{left_out}",
        intervals,
        xaxis=_AXIS,
        colours=(ERROR,),
        texts=said,
        table=table(("operation", "failed", "share"), rows),
        nothing="No span failed.",
    )
    figure.update_traces(hovertemplate="%{y}: %{x:.2%}, %{text}<extra></extra>")
    return subtitled(figure, result.statement) if shown else figure
