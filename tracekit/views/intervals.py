"""Forest plots: estimates with their confidence intervals, one per row."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from tracekit.views.charts import chart, empty_state
from tracekit.views.colours import LIGHT
from tracekit.views.svg import MUTE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.views.figures import Chart
    from tracekit.views.markup import Markup


class Interval(NamedTuple):
    """An estimate in a row; NaN for a missing limit.

    ``label`` is the escaped row label, ``series`` the group that determines the colour.
    """

    label: str
    series: str
    value: float
    low: float
    high: float


def interval_rows(
    title: str,
    intervals: Sequence[Interval],
    *,
    xaxis: dict[str, Any],
    colours: Sequence[str] = LIGHT,
    texts: Sequence[str] | None = None,
    zero: bool = False,
    table: Markup | None = None,
    nothing: str = "No estimates.",
) -> Chart:
    """Return a chart of intervals as points with whiskers, the first at the top."""
    labelled = texts if texts is not None else [_limits(interval) for interval in intervals]
    known = [(i, w) for i, w in zip(intervals, labelled, strict=True) if math.isfinite(i.value)]
    if not known:
        return empty_state(chart(title), nothing)
    labels, groups = (list(dict.fromkeys(names)) for names in zip(*(i[:2] for i, _ in known), strict=True))
    order = {"type": "category", "categoryorder": "array", "categoryarray": labels[::-1]}
    figure = chart(title, table=table, xaxis={**xaxis, "showgrid": True}, yaxis=order, height=120 + 26 * len(labels))
    if len(groups) == 1:
        figure.update_layout(margin={"t": 44})
    for k, series in enumerate(groups):
        own, words = zip(*[one for one in known if one[0].series == series], strict=True)
        figure.add_scatter(
            x=[interval.value for interval in own],
            y=[interval.label for interval in own],
            name=series,
            mode="markers",
            cliponaxis=False,
            marker={"color": colours[k % len(colours)], "size": 9},
            error_x=_whiskers(own),
            text=list(words),
            hovertemplate="%{y}: %{x}, %{text}<extra></extra>",
        )
    if zero:
        figure.add_vline(x=0, line={"color": MUTE, "dash": "dot", "width": 1})
    return figure


def _whiskers(intervals: Sequence[Interval]) -> dict[str, Any]:
    """Return the error bars of a series."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [_reach(interval.high - interval.value) for interval in intervals],
        "arrayminus": [_reach(interval.value - interval.low) for interval in intervals],
        "color": MUTE,
        "thickness": 1.5,
    }


def _reach(width: float) -> float:
    """Return the length of a whisker; 0 without a limit."""
    return float(width) if math.isfinite(width) else 0.0


def _limits(interval: Interval) -> str:
    """Return which limits of an interval are estimable."""
    open_below, open_above = (not math.isfinite(end) for end in (interval.low, interval.high))
    if open_below and open_above:
        return "95% CI not estimable"
    if open_below or open_above:
        return f"{'lower' if open_below else 'upper'} limit not estimable"
    return "95% CI"
