"""Bounds of a figure: the recorded value, its interval, and how far each source of doubt can move it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracekit.text import NO_FIGURE, cell, count, interval, ratio
from tracekit.views.charts import SECONDS, SHARE, chart, empty_state, safe, subtitled
from tracekit.views.colours import LIGHT
from tracekit.views.markup import table
from tracekit.views.svg import INK, MUTE

if TYPE_CHECKING:
    from tracekit.analysis.bounds.result import Bounds
    from tracekit.views.figures import Chart

_ALL: Final = "all together"
_RECORDED: Final = "recorded requests"
_ROOM: Final = 1.15  # axis beyond the largest number, where a bound is infinite


class _Bar(NamedTuple):
    """One source of doubt, or all of them."""

    label: str
    requests: float
    low: float
    high: float
    part: float


def plot_bounds(result: Bounds) -> Chart:
    """Draw the recorded value with its 95% CI, the bounds by source of doubt, and those of all sources together.

    Parameters
    ----------
    result
        Result of ``bounds``.

    Returns
    -------
    Chart
        A plotly figure: one bar per source of doubt, from the lowest to the highest value if the requests of the other
        sources were like the recorded ones; a bar without an upper bound ends at the edge.  A line is the value that is
        claimed.  A note if the bounds are not estimable.

    Examples
    --------
    >>> tk.plot(tk.bounds(shop, "error rate", requests=pd.DataFrame({"count": [8]}))).data[0].y
    ('other requests without a trace', 'all together')
    """
    claim = result.claim
    title = f"Bounds: {safe(claim.subject)}"
    if not result.is_estimable:
        return subtitled(empty_state(chart(title), "Bounds not estimable."), result.needs)
    rows = [
        _Bar(*(row[name] for name in ("source", "request_count", "low", "high", "width_ratio")))
        for row in result.sources.to_dict("records")
    ]
    rows.append(_Bar(_ALL, sum(row.requests for row in rows), result.low, result.high, 1.0))
    scale = 1e9 if claim.is_time else 1.0
    known = [result.value, claim.value, *(end for row in rows for end in row[2:4])]
    edge = max(end for end in known if math.isfinite(end)) / scale * _ROOM
    labels = [_RECORDED, *(row.label for row in rows)]
    axis: dict[str, Any] = SECONDS if claim.is_time else SHARE
    figure = chart(
        title,
        table=table(("source of doubt", "requests", "bounds", "share of the width"), _cells(result, rows)),
        xaxis={**axis, "showgrid": True, "title": {"text": safe(claim.subject)}},
        yaxis={"type": "category", "categoryorder": "array", "categoryarray": labels[::-1]},
        height=150 + 30 * len(labels),
        showlegend=False,
        margin={"t": 44},
    )
    ends = [min(row.high / scale, edge) for row in rows]
    figure.add_bar(
        x=[end - row.low / scale for row, end in zip(rows, ends, strict=True)],
        y=[row.label for row in rows],
        base=[row.low / scale for row in rows],
        orientation="h",
        marker={"color": [LIGHT[0] if row.label != _ALL else LIGHT[1] for row in rows]},
        width=0.5,
        text=["" if math.isfinite(row.high) else "no upper bound" for row in rows],
        textposition="inside",
        insidetextanchor="end",
        customdata=[f"{claim.range_words(row.low, row.high)}, {count(row.requests)} requests" for row in rows],
        hovertemplate="%{y}: %{customdata}<extra></extra>",
    )
    _add_recorded(figure, result, scale)
    if claim.operator:
        figure.add_vline(x=claim.value / scale, line={"color": INK, "dash": "dot", "width": 1})
    verdict = f"{claim.condition}: {result.verdict}; " * bool(claim.operator)
    return subtitled(figure, f"{verdict}{result.statement}")


def _add_recorded(figure: Chart, result: Bounds, scale: float) -> None:
    """Add the recorded value, or the weighted one with its interval."""
    found = result.estimate
    value = found.value if math.isfinite(found.value) else result.value
    arms = [end if math.isfinite(end) else 0.0 for end in (found.high - value, value - found.low)]
    limits = interval(found.low, found.high, result.claim.words)
    figure.add_scatter(
        x=[value / scale],
        y=[_RECORDED],
        mode="markers",
        marker={"color": LIGHT[0], "size": 9},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [arms[0] / scale],
            "arrayminus": [arms[1] / scale],
            "color": MUTE,
            "thickness": 1.5,
        },
        customdata=[f"{result.claim.words(value)}, {limits}"],
        hovertemplate="%{y}: %{customdata}<extra></extra>",
    )


def _cells(result: Bounds, rows: list[_Bar]) -> list[tuple[str, ...]]:
    """Return the rows of the table."""
    words = result.claim.range_words
    first = (_RECORDED, count(result.request_count), result.claim.words(result.value), NO_FIGURE)
    return [first, *((row.label, count(row.requests), words(row.low, row.high), cell(ratio, row.part)) for row in rows)]
