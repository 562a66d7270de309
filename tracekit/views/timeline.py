"""Requests over time: bands of percentiles above, the share of errors below, deployments marked; or a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from tracekit.text import count, duration, moment, ratio
from tracekit.views.charts import SECONDS, SHARE, VEIL, chart, empty_state, safe
from tracekit.views.markup import table
from tracekit.views.svg import ACCENT, ERROR, INK, MUTE
from tracekit.views.themes import faded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracekit.analysis.timeline import Timeline
    from tracekit.columns import Array
    from tracekit.views.figures import Chart
    from tracekit.views.markup import Markup

KINDS: Final = ("bands", "heat")
_BANDS: Final = (("p50", 0.0), ("p90", 0.34), ("p99", 0.14))  # upper edge, how much colour below it
_MOST_NOTES: Final = 6  # names of deployments that find room beside each other


def plot_timeline(result: Timeline, *, kind: str = "bands", deployments: Mapping[str, Any] | None = None) -> Any:
    """Draw requests over time.

    Parameters
    ----------
    result
        Of ``analysis.timeline``.
    kind
        ``bands``: p50, p90 and p99 of the durations, and the share of errors with its limits; ``heat``: how many
        requests took how long, when, with a rectangle to be drawn.
    deployments
        Moments to be marked, by name; those that the traces show unless given.

    Returns
    -------
    Chart or HeatWidget
        A plotly figure; or a widget whose ``selection`` is the drawn rectangle as code.

    Raises
    ------
    ValueError
        Another kind, or a moment that is none.

    Examples
    --------
    >>> from tracekit import TraceSet
    >>> from tracekit.analysis.timeline import timeline
    >>> frame = pd.DataFrame({"trace_id": ["a1"], "span_id": ["1"], "name": "GET /", "start_ns": 0, "end_ns": 5000})
    >>> [drawn.name for drawn in plot_timeline(timeline(TraceSet.from_spans(frame))).data]
    ['p50', 'p90', 'p99', None, '95 % limits', 'errors']
    """
    if kind not in KINDS:
        raise ValueError(f"expected a kind of {', '.join(KINDS)}, found {kind!r}")
    marks = _marks(result, deployments)
    if kind == "heat":
        from tracekit.views.heat import plot_heat  # noqa: PLC0415 - anywidget costs 0.1 s and is for notebooks only

        return plot_heat(result, marks)
    return _bands(result, marks)


def _marks(result: Timeline, deployments: Mapping[str, Any] | None) -> dict[str, int]:
    """Return the moments to be marked, by words."""
    if deployments is None:
        rows = zip(*(result.deployments[c] for c in ("service_name", "service_version", "first_ns")), strict=True)
        return {f"{service} {version}": int(first) for service, version, first in rows}
    out = {}
    for name, time in deployments.items():
        at = pd.Timestamp(time)
        if pd.isna(at):
            raise ValueError(f"expected a time for deployment {name!r}, found {time!r}")
        at = at.tz_localize("UTC") if at.tzinfo is None else at.tz_convert("UTC")
        out[name] = int(at.as_unit("ns").value)
    return out


def _bands(result: Timeline, marks: dict[str, int]) -> Chart:
    """Return percentiles above and errors below."""
    seen = result.table
    title = "Requests over time"
    if seen["trace_count"].sum() == 0:
        return empty_state(chart(title), "No trace has a start.")
    figure = chart(
        title,
        table=_worst(result),
        height=460,
        xaxis={"type": "date", "title": {"text": "begun at, UTC"}, "anchor": "y2"},
        yaxis={**SECONDS, "domain": [0.4, 1], "rangemode": "tozero", "title": {"text": "duration"}},
        yaxis2={**SHARE, "domain": [0, 0.28], "title": {"text": "failed"}},
    )
    times = _times(seen["start_ns"].to_numpy(np.int64) + result.step_ns // 2)
    for k, run in enumerate(_runs(seen["p50_ns"].notna().to_numpy(bool))):
        _add_percentiles(figure, seen.iloc[run], times[run], first=k == 0)
    for k, run in enumerate(_runs(seen["error_ratio"].notna().to_numpy(bool))):
        _add_errors(figure, seen.iloc[run], times[run], first=k == 0)
    _add_marks(figure, marks)
    return figure


def _add_percentiles(figure: Chart, seen: pd.DataFrame, times: list[str], *, first: bool) -> None:
    """Add the bands of one stretch without a gap."""
    said = [f"{count(n)} requests" for n in seen["weight_sum"]]
    for name, share in _BANDS:
        fill = {"fill": "tonexty", "fillcolor": faded(ACCENT, share)} if share else {}
        figure.add_scatter(
            x=times,
            y=(seen[f"{name}_ns"] * 1e-9).tolist(),
            name=name,
            legendgroup=name,
            showlegend=first,
            mode="lines" if len(times) > 1 else "lines+markers",
            marker={"size": 5, "color": ACCENT},
            line={"color": ACCENT if name == "p50" else faded(ACCENT, 0.45), "width": 2 if name == "p50" else 1},
            text=said,
            hovertemplate=f"%{{x}}: {name} %{{y:.3~s}}s of %{{text}}<extra></extra>",
            **fill,
        )


def _add_errors(figure: Chart, seen: pd.DataFrame, times: list[str], *, first: bool) -> None:
    """Add the share of errors of one stretch, within its limits."""
    common = {"yaxis": "y2", "mode": "lines", "showlegend": False}
    edge = {"width": 0, "color": ERROR}
    figure.add_scatter(x=times, y=seen["error_ratio_low"].tolist(), line=edge, hoverinfo="skip", **common)
    figure.add_scatter(
        x=times,
        y=seen["error_ratio_high"].tolist(),
        name="95 % limits",
        fill="tonexty",
        fillcolor=faded(ERROR, 0.14),
        line=edge,
        hoverinfo="skip",
        **common,
    )
    said = [f"{count(e)} of {count(n)}" for e, n in zip(seen["error_count"], seen["weight_sum"], strict=True)]
    figure.add_scatter(
        x=times,
        y=seen["error_ratio"].tolist(),
        name="errors",
        line={"color": ERROR, "width": 2},
        marker={"size": 5, "color": ERROR},
        text=said,
        hovertemplate="%{x}: %{y:.2%} failed, %{text}<extra></extra>",
        **{**common, "showlegend": first, "mode": "lines" if len(times) > 1 else "lines+markers"},
    )


def _add_marks(figure: Chart, marks: dict[str, int]) -> None:
    """Add a line for each deployment; names for the first few, all of them on hovering."""
    for k, (name, at) in enumerate(sorted(marks.items(), key=lambda item: item[1])):
        time = _times(np.array([at]))[0]
        line = {"color": INK, "width": 1, "dash": "dot"}
        figure.add_shape(type="line", x0=time, x1=time, y0=0, y1=1, xref="x", yref="paper", line=line)
        if k < _MOST_NOTES:
            place = {"x": time, "xref": "x", "y": 1, "yref": "paper", "yshift": -14 * k, "xanchor": "left", "xshift": 4}
            figure.add_annotation(
                text=safe(name, limit=30),
                hovertext=safe(name),
                showarrow=False,
                font={"size": 11, "color": MUTE},
                bgcolor=VEIL,
                **place,
            )
    if len(marks) > _MOST_NOTES:
        figure.update_layout(title={"text": f"{figure.layout.title.text} ({len(marks)} deployments marked)"})


def _worst(result: Timeline) -> Markup:
    """Return the slowest steps in words."""
    rows = [
        (
            moment(row["start_ns"]),
            count(row["weight_sum"]),
            duration(row["p50_ns"]),
            duration(row["p99_ns"]),
            ratio(row["error_ratio"]),
        )
        for row in result.table.nlargest(5, "p99_ns").to_dict("records")
    ]
    return table(("begun at, UTC", "requests", "p50", "p99", "failed"), rows)


def _times(ns: Array) -> list[str]:
    """Return moments as plotly reads them; it shows them as they stand, so: UTC."""
    return [str(text) for text in np.datetime_as_string(np.asarray(ns, "datetime64[ns]"), unit="ms")]


def _runs(known: Array) -> list[slice]:
    """Return the stretches without a gap."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], known, [False])).astype(np.int8)))
    return [slice(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
