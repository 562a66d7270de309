"""Self time: where the work is done, by service or operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracekit.views.charts import chart_layout, safe
from tracekit.views.colours import LIGHT, SHARED
from tracekit.views.text import duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.self_time import SelfTime


def plot_self_time(result: SelfTime, *, by: str | Sequence[str] = "service_name", bars: int = 15) -> Any:
    """Draw the self time by service, or any other keys of ``SelfTime.by``.

    Parameters
    ----------
    result
        Of ``analysis.self_time``.
    by
        Keys.
    bars
        How many, the largest first.

    Returns
    -------
    plotly.graph_objects.Figure
        One bar a group: its share of all self time.

    Examples
    --------
    >>> import pandas as pd
    >>> from tracekit import TraceSet
    >>> from tracekit.analysis.self_time import self_time
    >>> frame = pd.DataFrame({"trace_id": ["a1"], "span_id": ["1"], "name": "GET /", "start_ns": 0, "end_ns": 5000})
    >>> plot_self_time(self_time(TraceSet.from_spans(frame))).data[0].x.tolist()
    [1.0]
    """
    from plotly import graph_objects as go  # noqa: PLC0415 - plotly is for notebooks only

    keys = [by] if isinstance(by, str) else list(by)
    table = result.by(keys).head(bars).iloc[::-1]
    services = table["service_name"] if "service_name" in keys else [""] * len(table)
    figure = go.Figure(layout=chart_layout("Share of self time", xaxis={"tickformat": ".0%", "rangemode": "tozero"}))
    figure.add_bar(
        x=table["self_time_ratio"],
        y=[safe(" ".join(map(str, row))) for row in table[keys].itertuples(index=False)],
        orientation="h",
        marker={"color": [LIGHT[SHARED.slot(str(service))] for service in services]},
        text=[duration(value) for value in table["self_time_ns"]],
        hovertemplate="%{y}: %{x:.1%}, %{text} in all<extra></extra>",
    )
    figure.update_layout(height=120 + 26 * len(table), showlegend=False)
    return figure
