"""Change of mean latency between two sets of traces by operation, with what changed in each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracekit.text import cell, from_to, mean_count, plural, ratio, signed_duration
from tracekit.views.attribution.change import plot_comparison
from tracekit.views.charts import chart, empty_state, safe
from tracekit.views.markup import table

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.analysis.compare.result import Comparison
    from tracekit.views.figures import Chart
    from tracekit.views.markup import Markup

_HEADS = ("", "verdict", "contribution", "calls per request", "error rate", "p95")


def plot_compared(result: Comparison, *, kind: str = "steps", groups: int = 8) -> Chart:
    """Draw what contributes to the change of the mean latency, with the verdict of each group in the table.

    Parameters
    ----------
    result
        Result of ``compare``.
    kind
        ``steps``, ``parts`` or ``limits``, as for ``CriticalPath.compare``.
    groups
        Number of groups, the largest contributions first; the others are one step.

    Returns
    -------
    Chart
        A plotly figure; a note if one side has no finished request.

    Raises
    ------
    ValueError
        If the kind is unknown.

    Examples
    --------
    >>> [round(step * 1e3) for step in tk.plot(tk.compare(baseline, shop)).data[0].x]
    [88, 56, 6, 2, 0, 0, 0, 0, 152]
    """
    if result.path is None:
        title = f"{safe(result.names[0])} and {safe(result.names[1])}"
        return empty_state(chart(title), "One side has no finished request, so latencies are not compared.")
    figure = plot_comparison(result.path, kind=kind, groups=groups)
    figure._table = _table(result.table.head(groups), len(result.table))  # noqa: SLF001 - as in charts.chart
    return figure


def _table(shown: pd.DataFrame, count: int) -> Markup:
    """Return the rows that are drawn, with their metrics on both sides."""
    keys = list(shown.columns[: shown.columns.get_loc("verdict")])
    rows = [
        (
            " ".join(str(row[key]) for key in keys if isinstance(row[key], str)),
            row["verdict"],
            cell(signed_duration, row["contribution_ns"]),
            from_to(row["baseline_calls_per_request"], row["current_calls_per_request"], mean_count),
            from_to(row["baseline_error_ratio"], row["current_error_ratio"], ratio),
            from_to(row["baseline_p95_ns"], row["current_p95_ns"]),
        )
        for _, row in shown.iterrows()
    ]
    heads = (plural(count, "group"), *_HEADS[1:])
    return table(heads, rows)
