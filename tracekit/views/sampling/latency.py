"""Latency bias: latency in the sample compared with that of all requests."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from tracekit.text import duration, with_interval
from tracekit.views.charts import chart, duration_axis, empty_state, remark
from tracekit.views.colours import LIGHT
from tracekit.views.intervals import Interval, interval_rows
from tracekit.views.markup import table
from tracekit.views.svg import ACCENT, INK
from tracekit.views.themes import faded

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.checks.sampling.latency_bias import LatencyBias
    from tracekit.views.figures import Chart
    from tracekit.views.markup import Markup

KINDS: Final = ("curves", "limits")
_RAW, _RIGHT, _LOGGED = LIGHT[1], ACCENT, INK
_NS: Final = 1e-9
_POINTS: Final = (0.5, 0.9, 0.95, 0.99)
_SERIES: Final = (
    ("in the sample", ("raw_ns", "raw_low_ns", "raw_high_ns"), _RAW),
    ("of all requests", ("estimate_ns", "low_ns", "high_ns"), _RIGHT),
    ("logged", ("logged_ns", "logged_ns", "logged_ns"), _LOGGED),
)


def plot_latency_bias(result: LatencyBias, *, kind: str = "curves") -> Chart:
    """Draw the latency distribution of the sample and of all requests, with confidence bands.

    Parameters
    ----------
    result
        Result of ``latency_bias``.
    kind
        ``curves``: cumulative distributions with 95% confidence bands; ``limits``: p50, p90, p95 and p99 with their
        95% CI.

    Returns
    -------
    Chart
        A plotly figure; durations in seconds on a logarithmic axis.  A band ends where a limit is not estimable.

    Raises
    ------
    ValueError
        If the kind is unknown.

    Examples
    --------
    >>> tk.plot(tk.latency_bias(shop.with_weights(20))).layout.title.text
    'p95 latency: 400 ms in the sample, 400 ms of all requests'
    """
    if kind not in KINDS:
        raise ValueError(f"expected a kind of {', '.join(KINDS)}, found {kind!r}")
    if result.curve.empty:
        return empty_state(chart("Latency in the sample and of all requests"), "No root spans with a duration.")
    figure = _curves(result) if kind == "curves" else _limits(result)
    return remark(figure, f"Correction requires {result.missing}.", height=0.05) if result.missing else figure


def _curves(result: LatencyBias) -> Chart:
    """Return the cumulative distributions with their confidence bands."""
    curve = result.curve
    reach = [value * _NS for _, columns, _ in _SERIES for value in curve[list(columns)].to_numpy(float).ravel()]
    axis = {"tickformat": ".0%", "range": [0, 1.02], "title": {"text": "cumulative share of requests"}}
    figure = chart(
        _title(result),
        table=_table(curve),
        xaxis=duration_axis(reach, title={"text": "duration (95% CI)"}),
        yaxis=axis,
    )
    for name, (value, low, high), colour in _SERIES:
        if curve[value].isna().all():
            continue
        if value != low:
            _add_band(figure, curve, (low, high), colour, name)
        dash = {"dash": "dot"} if name == "logged" else {}
        figure.add_scatter(
            x=(curve[value] * _NS).tolist(),
            y=curve["quantile"].tolist(),
            name=name,
            mode="lines",
            line={"color": colour, "width": 2, **dash},
            text=[_with_interval(*row) for row in curve[[value, low, high]].to_numpy(float)],
            hovertemplate=f"%{{y:.1%}} within %{{text}}<extra>{name}</extra>",
        )
    return figure


def _add_band(figure: Chart, curve: pd.DataFrame, limits: tuple[str, str], colour: str, name: str) -> None:
    """Add the band between two limits where both are known."""
    known = curve[curve[list(limits)].notna().all(axis=1)]
    edge: dict[str, Any] = {"mode": "lines", "line": {"width": 0, "color": colour}, "hoverinfo": "skip"}
    shares = known["quantile"].tolist()
    figure.add_scatter(x=(known[limits[0]] * _NS).tolist(), y=shares, showlegend=False, **edge)
    figure.add_scatter(
        x=(known[limits[1]] * _NS).tolist(),
        y=shares,
        name=f"95% CI {name}",
        showlegend=False,
        fill="tonexty",
        fillcolor=faded(colour, 0.2),
        **edge,
    )


def _limits(result: LatencyBias) -> Chart:
    """Return selected quantiles as points with their 95% CI."""
    rows = result.curve[result.curve["quantile"].isin(_POINTS)]
    intervals, texts = [], []
    for row in rows.to_dict("records"):
        for name, (value, low, high), _ in _SERIES:
            intervals.append(Interval(_quantile(row["quantile"]), name, *(row[c] * _NS for c in (value, low, high))))
            texts.append(_with_interval(*(row[c] for c in (value, low, high))))
    drawn = {interval.series for interval in intervals if math.isfinite(interval.value)}
    axis = duration_axis(v for i in intervals for v in (i.value, i.low, i.high) if math.isfinite(v))
    figure = interval_rows(
        _title(result),
        intervals,
        xaxis=axis,
        colours=[colour for name, _, colour in _SERIES if name in drawn],
        texts=texts,
        table=_table(result.curve),
    )
    figure.update_traces(hovertemplate="%{y} %{text}<extra></extra>")
    return figure


def _title(result: LatencyBias) -> str:
    """Return a title with p95 in the sample and of all requests."""
    row = result.curve[result.curve["quantile"] == 0.95].iloc[0]  # noqa: PLR2004 - p95
    raw = f"p95 latency: {duration(row['raw_ns'])} in the sample"
    if result.missing:
        return f"{raw}, unknown of all requests"
    return f"{raw}, {duration(row['estimate_ns'])} of all requests"


def _table(curve: pd.DataFrame) -> Markup:
    """Return a table of selected quantiles."""
    shown = curve[curve["quantile"].isin(_POINTS)]
    rows = [
        (_quantile(row["quantile"]), *(_with_interval(*(row[c] for c in columns)) for _, columns, _ in _SERIES))
        for row in shown.to_dict("records")
    ]
    return table(("", *(name for name, _, _ in _SERIES)), rows)


def _quantile(share: float) -> str:
    """Return the name of a quantile."""
    return f"p{100 * share:g}"


def _with_interval(value: float, low: float, high: float) -> str:
    """Return a latency with its interval as text."""
    if not math.isfinite(value):
        return "unknown"
    if low == value == high:
        return duration(value)
    return with_interval(value, low, high, duration)
