"""Cost: US dollars per request by endpoint, with its confidence interval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tracekit.text import count, ratio
from tracekit.views.charts import safe, subtitled
from tracekit.views.intervals import Interval, interval_rows
from tracekit.views.markup import table

if TYPE_CHECKING:
    from tracekit.analysis.cost.result import Cost
    from tracekit.views.figures import Chart

_AXIS: Final[dict[str, Any]] = {"title": {"text": "USD per 1,000 requests (95% CI)"}, "rangemode": "tozero"}
_REQUESTS: Final = 1_000  # one request costs fractions of a cent


def plot_cost(result: Cost, *, groups: int = 15) -> Chart:
    """Draw the cost per request of the groups that cost most in total.

    Parameters
    ----------
    result
        Result of ``cost``.
    groups
        Number of groups.

    Returns
    -------
    Chart
        A plotly figure: one point per group with its 95% CI, in USD per 1,000 requests; a note if nothing costs
        anything.

    Examples
    --------
    >>> prices = [tk.Price("charges", "operation == 'POST /charge'", usd_per_million=900)]
    >>> drawn = tk.plot(tk.cost(shop, prices)).data[0]
    >>> drawn.y, drawn.x
    (('shop POST /pay',), (1.125,))
    """
    keys = [str(name) for name in result.table.columns[: list(result.table.columns).index("request_count")]]
    spent = result.table[result.table["usd"] > 0]
    shown = spent.head(groups).to_dict("records")
    left_out = f" (top {len(shown)} of {len(spent)})" if len(spent) > len(shown) else ""
    names = [" ".join(str(row[key]) for key in keys) or "all requests" for row in shown]
    figures = ("usd_per_request", "usd_per_request_low", "usd_per_request_high")
    intervals = [
        Interval(safe(name), "cost", *(_REQUESTS * row[figure] for figure in figures))
        for name, row in zip(names, shown, strict=True)
    ]
    shares = [f"{ratio(row['usd_ratio'])} of all costs" for row in shown]
    rows = [
        (name, count(row["request_count"]), f"{_REQUESTS * row['usd_per_request']:.3g} USD", share)
        for name, row, share in zip(names, shown, shares, strict=True)
    ]
    figure = interval_rows(
        f"Cost of requests{left_out}",
        intervals,
        xaxis=_AXIS,
        texts=shares,
        table=table(("group", "requests", "per 1,000 requests", "share"), rows),
        nothing="Nothing costs anything: no span matches a price.",
    )
    figure.update_traces(hovertemplate="%{y}: %{x:.4g} USD per 1,000 requests, %{text}<extra></extra>")
    return subtitled(figure, result.statement) if shown else figure
