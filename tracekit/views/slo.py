"""Service level objectives: what spent the error budget, by endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tracekit.text import count, factor, ratio
from tracekit.views.charts import SHARE, safe, subtitled
from tracekit.views.intervals import Interval, interval_rows
from tracekit.views.markup import table
from tracekit.views.svg import ERROR

if TYPE_CHECKING:
    from tracekit.analysis.slo.result import Slo
    from tracekit.grouping import By
    from tracekit.views.figures import Chart

_AXIS: Final[dict[str, Any]] = {**SHARE, "title": {"text": "bad requests (95% CI)"}}


def plot_slo(result: Slo, *, by: By = ("service_name", "operation"), groups: int = 15) -> Chart:
    """Draw the share of bad requests by endpoint, those that spent most of the error budget first.

    Parameters
    ----------
    result
        Result of ``slo``.
    by
        What to group requests by, as in ``Slo.spent``.
    groups
        Number of groups.

    Returns
    -------
    Chart
        A plotly figure: one point per group with its 95% CI; a note if no request is bad, or if the indicator cannot be
        known.

    Examples
    --------
    >>> tk.plot(tk.slo(shop.with_weights(1), objective=0.9)).data[0].y
    ('shop POST /pay',)
    """
    spent = result.spent(by)
    keys = [str(name) for name in spent.columns[: list(spent.columns).index("request_count")]]
    shown = spent[spent["bad_count"] > 0].head(groups).to_dict("records")
    names = [" ".join(str(row[key]) for key in keys) or "all requests" for row in shown]
    limits = ("bad_ratio", "bad_ratio_low", "bad_ratio_high")
    intervals = [
        Interval(safe(name), "bad", *(row[limit] for limit in limits)) for name, row in zip(names, shown, strict=True)
    ]
    counts = [f"{count(row['bad_count'])} of {count(row['request_count'])} requests" for row in shown]
    rows = [
        (name, words, ratio(row["bad_ratio"]), ratio(row["budget_ratio"]), factor(row["burn_rate"]))
        for name, words, row in zip(names, counts, shown, strict=True)
    ]
    figure = interval_rows(
        "What spent the error budget",
        intervals,
        xaxis=_AXIS,
        colours=(ERROR,),
        texts=counts,
        table=table(("group", "bad requests", "bad ratio", "of the budget spent", "burn rate"), rows),
        nothing="No bad requests." if result.is_assessable else "Not assessable without sampling weights.",
    )
    figure.update_traces(hovertemplate="%{y}: %{x:.2%}, %{text}<extra></extra>")
    return subtitled(figure, result.statement)
