"""Errors: error rate by operation, with its confidence interval."""

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

_AXIS: Final[dict[str, Any]] = {**SHARE, "title": {"text": "error rate (95% CI)"}}


def plot_errors(result: Errors, *, operations: int = 15) -> Chart:
    """Draw the error rate of the operations with most error spans.

    Parameters
    ----------
    result
        Result of ``errors``.
    operations
        Number of operations, those with most error spans first.

    Returns
    -------
    Chart
        A plotly figure: one point per operation with its 95% CI; a note if there are no error spans.

    Examples
    --------
    >>> drawn = tk.plot(tk.errors(shop)).data[0]
    >>> drawn.y, [round(ratio, 2) for ratio in drawn.x]
    (('shop POST', 'ledger POST /charge', 'shop POST /pay'), [0.22, 0.4, 0.25])
    """
    failing = result.operations[result.operations["error_count"] > 0]
    shown = failing.head(operations).to_dict("records")
    left_out = f" (top {len(shown)} of {len(failing)})" if len(failing) > len(shown) else ""
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
    counts = [f"{count(row['error_count'])} of {count(row['weight_sum'])} spans" for row in shown]
    rows = [
        (f"{row['service_name']} {row['operation']}", words, ratio(row["error_ratio"]))
        for row, words in zip(shown, counts, strict=True)
    ]
    figure = interval_rows(
        f"Error rate by operation{left_out}",
        intervals,
        xaxis=_AXIS,
        colours=(ERROR,),
        texts=counts,
        table=table(("operation", "error spans", "error rate"), rows),
        nothing="No error spans.",
    )
    figure.update_traces(hovertemplate="%{y}: %{x:.2%}, %{text}<extra></extra>")
    return subtitled(figure, result.statement) if shown else figure
