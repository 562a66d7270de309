"""Requests over time: percentiles, error rate and deployments; or a heat map of durations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.change_points import FORMS, NAMES, ONSET, PATH_TIME, RATE, RECOVERY
from tracekit.text import count, duration, from_to, moment, ratio
from tracekit.views.charts import SECONDS, SHARE, VEIL, chart, empty_state, safe, utc_texts
from tracekit.views.markup import element, table
from tracekit.views.svg import ACCENT, ERROR, INK, MUTE
from tracekit.views.themes import faded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracekit.analysis.timeline.result import Timeline
    from tracekit.columns import Array
    from tracekit.views.figures import Chart
    from tracekit.views.markup import Markup

KINDS: Final = ("bands", "heat")
_BANDS: Final = (("p50", 0.0), ("p90", 0.34), ("p99", 0.14))  # upper edge, opacity below it
_MOST_NOTES: Final = 6  # maximum number of labelled deployments
_HALVES: Final = 0.4, 0.28  # edges of the two panels, as parts of the height
_LABEL: Final = 13  # pixels per line of labels
_MOST_SERVICES: Final = 3  # labelled services


def plot_timeline(
    result: Timeline,
    *,
    kind: str = "bands",
    deployments: Mapping[str, Any] | None = None,
    onset: tuple[int, int] | None = None,
    is_one_recording: bool = True,
) -> Any:
    """Draw requests over time.

    Parameters
    ----------
    result
        Result of ``timeline``.
    kind
        ``bands``: p50, p90 and p99 of the durations, and the error rate with its 95% CI, with the period between onset
        and recovery (``cohorts().during``) and the onset and recovery of the request rate, the error rate and the
        latency, or of services if nothing else changed, each with a band for its interval; ``heat``: number of requests
        by time and duration, with selection of a rectangle.
    deployments
        Times to mark, by name (default: deployments detected in the traces).
    onset
        Two times in ns since the epoch between which the change began, where that is known from a comparison: drawn by
        ``bands`` as the onset; onsets found in the timeline alone then are drawn only where they are between them.
    is_one_recording
        False if the traces are of several recordings with time between them, which is no change of the request rate:
        ``bands`` then draws none.

    Returns
    -------
    Chart or HeatWidget
        A plotly figure, or a widget with the selected rectangle as code in ``selection`` (traces) and ``condition``.

    Raises
    ------
    ValueError
        If the kind is unknown, a time is invalid, or the timeline has several groups.

    Examples
    --------
    >>> chart = tk.plot(tk.timeline(shop, step_s=1))
    >>> chart.data[0].name, [round(value * 1e3) for value in chart.data[0].y]
    ('p50', [40, 100, 400, 160, 60])
    """
    if kind not in KINDS:
        raise ValueError(f"expected a kind of {', '.join(KINDS)}, found {kind!r}")
    if result.keys:
        name = result.keys[0]
        message = f"expected a timeline of one group to draw, found groups by {', '.join(result.keys)}"
        raise ValueError(f"{message}; draw one: tk.plot(tk.timeline(traces.where(traces.attribute({name!r}) == ...)))")
    marks = _marks(result, deployments)
    if kind == "heat":
        from tracekit.views.heat import plot_heat  # noqa: PLC0415 - anywidget costs 0.1 s and is for notebooks only

        return plot_heat(result, marks | {step.label: step.time_ns for step in _steps(result)})
    return _bands(result, marks, onset, is_one_recording=is_one_recording)


def _marks(result: Timeline, deployments: Mapping[str, Any] | None) -> dict[str, int]:
    """Return the times to mark in ns since the epoch, by name."""
    if deployments is None:
        return dict(zip(result.deployment_names, result.deployments["first_ns"].tolist(), strict=True))
    out = {}
    for name, time in deployments.items():
        at = pd.Timestamp(time)
        if pd.isna(at):
            raise ValueError(f"expected a time for deployment {name!r}, found {time!r}")
        at = at.tz_localize("UTC") if at.tzinfo is None else at.tz_convert("UTC")
        out[name] = int(at.as_unit("ns").value)
    return out


def _bands(result: Timeline, marks: dict[str, int], onset: tuple[int, int] | None, *, is_one_recording: bool) -> Chart:
    """Return percentiles above and the error rate below."""
    seen = result.table
    title = "Requests over time"
    if seen["trace_count"].sum() == 0:
        return empty_state(chart(title), "No traces with a start.")
    figure = chart(
        title,
        table=_tables(result),
        height=460,
        xaxis={"type": "date", "title": {"text": "start time, UTC"}, "anchor": "y2"},
        yaxis={**SECONDS, "domain": [_HALVES[0], 1], "rangemode": "tozero", "title": {"text": "duration"}},
        yaxis2={**SHARE, "domain": [0, _HALVES[1]], "title": {"text": "error rate"}},
    )
    times = utc_texts(seen["start_ns"].to_numpy(np.int64) + result.step_ns // 2)
    for k, run in enumerate(_runs(seen["p50_ns"].notna().to_numpy(bool))):
        _add_percentiles(figure, seen.iloc[run], times[run], first=k == 0)
    for k, run in enumerate(_runs(seen["error_ratio"].notna().to_numpy(bool))):
        _add_errors(figure, seen.iloc[run], times[run], first=k == 0)
    steps = [step for step in _steps(result) if is_one_recording or step.name != NAMES[RATE]]
    _add_changes(figure, result, steps, onset)
    _add_marks(figure, marks)
    return figure


def _add_percentiles(figure: Chart, seen: pd.DataFrame, times: list[str], *, first: bool) -> None:
    """Add the percentiles of one period without a gap."""
    texts = [f"{count(n)} requests" for n in seen["weight_sum"]]
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
            text=texts,
            hovertemplate=f"%{{x}}: {name} %{{y:.3~s}}s (n = %{{text}})<extra></extra>",
            **fill,
        )


def _add_errors(figure: Chart, seen: pd.DataFrame, times: list[str], *, first: bool) -> None:
    """Add the error rate of one period with its 95% CI."""
    common = {"yaxis": "y2", "mode": "lines", "showlegend": False}
    edge = {"width": 0, "color": ERROR}
    figure.add_scatter(x=times, y=seen["error_ratio_low"].tolist(), line=edge, hoverinfo="skip", **common)
    figure.add_scatter(
        x=times,
        y=seen["error_ratio_high"].tolist(),
        name="95% CI",
        fill="tonexty",
        fillcolor=faded(ERROR, 0.14),
        line=edge,
        hoverinfo="skip",
        **common,
    )
    texts = [f"{count(e)} of {count(n)}" for e, n in zip(seen["error_count"], seen["weight_sum"], strict=True)]
    figure.add_scatter(
        x=times,
        y=seen["error_ratio"].tolist(),
        name="error rate",
        line={"color": ERROR, "width": 2},
        marker={"size": 5, "color": ERROR},
        text=texts,
        hovertemplate="%{x}: error rate %{y:.2%} (%{text})<extra></extra>",
        **{**common, "showlegend": first, "mode": "lines" if len(times) > 1 else "lines+markers"},
    )


def _add_marks(figure: Chart, marks: dict[str, int]) -> None:
    """Add a line for each deployment, with labels for the first few."""
    for k, (name, at) in enumerate(sorted(marks.items(), key=lambda item: item[1])):
        time = utc_texts(np.array([at]))[0]
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


class _Step(NamedTuple):
    """An onset or a recovery: what changed, the kind, and the time with its interval in ns."""

    name: str
    kind: str
    time_ns: int
    low_ns: int
    high_ns: int

    @property
    def label(self) -> str:
        """What changed, and how."""
        return f"{self.name}: {self.kind}"


def _steps(result: Timeline) -> list[_Step]:
    """Return onsets and recoveries of whole requests; those of a few services if only services changed."""
    steps = result.changes[result.changes["kind"].isin([ONSET, RECOVERY])]
    of_service = (steps["metric"] == PATH_TIME).to_numpy()
    if of_service.all():
        shown = steps["service_name"].isin(steps["service_name"].drop_duplicates().head(_MOST_SERVICES))
        steps = steps[shown].assign(name=steps["service_name"])
    else:
        steps = steps[~of_service].assign(name=steps["metric"].map(NAMES))
    names = ("name", "kind", "time_ns", "low_ns", "high_ns")
    return [_Step(*row) for row in zip(*(steps[name].tolist() for name in names), strict=True)]


def _add_changes(figure: Chart, result: Timeline, steps: list[_Step], onset: tuple[int, int] | None) -> None:
    """Add the period of the change, and onsets and recoveries with bands for their intervals."""
    if onset is not None:
        steps = _agreeing(steps, onset)
        _add_band(figure, onset, faded(INK, 0.14))
        _add_label(figure, (ONSET, onset[1], *onset), 0, anchor="right")
    if steps:
        first, last = result.during_ns
        _add_band(figure, (first if onset is None else onset[0], last), faded(ACCENT, 0.07))
    names = list(dict.fromkeys(step.name for step in steps))
    for step in steps:
        time = utc_texts(np.array([step.time_ns], np.int64))[0]
        _add_band(figure, (step.low_ns, step.high_ns), faded(INK, 0.14))
        line = {"color": INK, "width": 1, "dash": "dash"}
        figure.add_shape(type="line", x0=time, x1=time, y0=0, y1=1, xref="x", yref="paper", line=line)
        place = (step.label, step.time_ns, step.low_ns, step.high_ns)
        at = names.index(step.name) + (onset is not None)
        _add_label(figure, place, at, anchor="right" if step.kind == ONSET else "left")


def _agreeing(steps: list[_Step], onset: tuple[int, int]) -> list[_Step]:
    """Return the steps of what began to change between two times, and those of the request rate."""
    names = {step.name for step in steps if step.kind == ONSET and onset[0] <= step.time_ns <= onset[1]} | {NAMES[RATE]}
    return [step for step in steps if step.name in names]


def _add_label(figure: Chart, place: tuple[str, int, int, int], at: int, *, anchor: str) -> None:
    """Add a label at a time, in one of the lines of labels, with an interval that is shown on demand."""
    text, *times = place
    time, low, high = utc_texts(np.array(times, np.int64))
    figure.add_annotation(
        text=safe(text, limit=40),
        hovertext=f"{time} (95% CI {low} to {high})".replace("T", " "),
        showarrow=False,
        font={"size": 11, "color": MUTE},
        bgcolor=VEIL,
        yshift=-_LABEL * (at + 0.5),
        xanchor=anchor,
        x=time,
        xref="x",
        y=_HALVES[0],
        yref="paper",
    )


def _add_band(figure: Chart, period: tuple[int, int], colour: str) -> None:
    """Add a band over the whole height."""
    start, end = utc_texts(np.array(period, np.int64))
    figure.add_shape(
        type="rect",
        x0=start,
        x1=end,
        y0=0,
        y1=1,
        xref="x",
        yref="paper",
        fillcolor=colour,
        line={"width": 0},
        layer="below",
    )


def _tables(result: Timeline) -> Markup:
    """Return tables of the changes, of the services in the order of their onsets, and of the slowest steps."""
    changes, affected = result.changes, result.affected
    parts = [_changed(changes)] if len(changes) else []
    if len(affected) > 1:
        parts.append(_order(affected))
    return element("div", {}, *parts, _worst(result)) if parts else _worst(result)


def _changed(changes: pd.DataFrame) -> Markup:
    """Return a table of the changes."""
    rows = [
        (
            row["kind"],
            f"{NAMES[row['metric']]}{'' if pd.isna(row['service_name']) else ' of ' + row['service_name']}",
            moment(row["time_ns"]),
            f"{moment(row['low_ns'])} to {moment(row['high_ns'])[11:]}",
            from_to(row["before_value"], row["after_value"], FORMS[row["metric"]]),
            row["deployment"],
        )
        for row in changes.sort_values(["metric", "service_name", "time_ns"]).to_dict("records")
    ]
    return table(("change", "of", "time, UTC", "95% CI", "before and after", "coincides with (no proof)"), rows)


def _order(affected: pd.DataFrame) -> Markup:
    """Return a table of the services in the order of their onsets, as far as the intervals allow one."""
    rows = [
        (
            row["service_name"],
            f"{moment(row['low_ns'])} to {moment(row['high_ns'])[11:]}",
            _places(row["first_position"], row["last_position"]),
            ", ".join(row["overlaps"]),
        )
        for row in affected.to_dict("records")
    ]
    return table(("affected service", "onset, 95% CI, UTC", "position", "order not known against"), rows)


def _places(first: int, last: int) -> str:
    """Return a position in an order, or the positions that are possible."""
    return str(first) if first == last else f"{first} to {last}"


def _worst(result: Timeline) -> Markup:
    """Return a table of the slowest intervals."""
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
    return table(("start time, UTC", "requests", "p50", "p99", "error rate"), rows)


def _runs(known: Array) -> list[slice]:
    """Return the runs without a gap."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], known, [False])).astype(np.int8)))
    return [slice(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
