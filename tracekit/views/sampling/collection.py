"""Collection over time: traces that arrived, those that were due, and the gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.text import count, moment, ratio
from tracekit.views.charts import chart, empty_state, safe
from tracekit.views.markup import table
from tracekit.views.svg import ACCENT, ERROR, INK
from tracekit.views.themes import faded

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.checks.sampling.collection_gaps import Collection
    from tracekit.columns import Array
    from tracekit.views.figures import Chart

_WORDS: Final = {"gap": "gap: fewer than due", "silence": "silence: none arrived"}


def plot_collection(result: Collection, *, scope: str = "all") -> Chart:
    """Draw how many traces arrived over time, and where too few did.

    Parameters
    ----------
    result
        Of ``checks.sampling.collection_gaps``.
    scope
        ``all``, or a service that is counted apart.

    Returns
    -------
    Chart
        A plotly figure: the traces of each window, those that its requests should have left, and a red ground where
        collection was interrupted.

    Raises
    ------
    ValueError
        A scope that there is not.

    Examples
    --------
    >>> import pandas as pd
    >>> from tracekit import TraceSet
    >>> from tracekit.checks.sampling.collection_gaps import collection_gaps
    >>> frame = pd.DataFrame({"trace_id": ["a1"], "span_id": ["1"], "name": "GET /", "start_ns": 0, "end_ns": 5000})
    >>> plot_collection(collection_gaps(TraceSet.from_spans(frame))).data[0].y
    (1, 1)
    """
    scopes = list(dict.fromkeys(result.table["scope"]))
    seen = result.table[result.table["scope"] == scope]
    if scopes and scope not in scopes:
        raise ValueError(f"expected a scope of {', '.join(scopes)}, found {scope!r}")
    if not seen["trace_count"].sum():
        return empty_state(chart("Traces collected over time"), "No trace has a start.")
    holes = result.gaps[result.gaps["scope"] == scope]
    title = _title(holes) + (f", {safe(scope)}" if scope != "all" else "")
    top = 1.05 * float(np.nanmax(seen[["trace_count", "expected_count"]].to_numpy(float)))
    axis = {"title": {"text": "traces in a window"}, "range": [0, top]}
    time = {"type": "date", "title": {"text": "begun at, UTC"}}
    figure = chart(title, table=_table(holes), xaxis=time, yaxis=axis)
    _add_gaps(figure, holes, top)
    _add_counts(figure, seen)
    return figure


def _add_gaps(figure: Chart, holes: pd.DataFrame, top: float) -> None:
    """Add a red ground for every gap, with its words on hovering."""
    named: set[str] = set()
    for row in holes.to_dict("records"):
        low, high = _times([row["start_time"], row["end_time"]])
        kind = str(row["kind"])
        figure.add_scatter(
            x=[low, low, high, high],
            y=[0, top, top, 0],
            name=_WORDS[kind],
            legendgroup=kind,
            showlegend=kind not in named,
            mode="lines",
            line={"width": 0, "color": ERROR},
            fill="tozeroy",
            fillcolor=faded(ERROR, 0.16),
            text=[_said(row)] * 4,
            hovertemplate="%{text}<extra></extra>",
        )
        named.add(kind)


def _add_counts(figure: Chart, seen: pd.DataFrame) -> None:
    """Add the traces of each window as steps, and the traces that were due."""
    last = seen.iloc[-1]
    times = _times([*seen["start_time"], last["end_time"]])
    common: dict[str, Any] = {"x": times, "mode": "lines"}
    held = [int(n) for n in (*seen["trace_count"], last["trace_count"])]
    ground = {"fill": "tozeroy", "fillcolor": faded(ACCENT, 0.25)}
    line = {"color": ACCENT, "width": 1.5, "shape": "hv"}
    figure.add_scatter(
        y=held, name="traces", line=line, hovertemplate="%{x}: %{y} traces<extra></extra>", **common, **ground
    )
    if seen["expected_count"].notna().any():
        due = [float(n) for n in (*seen["expected_count"], last["expected_count"])]
        line = {"color": INK, "width": 1.5, "shape": "hv", "dash": "dot"}
        figure.add_scatter(y=due, name="due", line=line, hovertemplate="%{x}: %{y:.1f} due<extra></extra>", **common)


def _title(holes: pd.DataFrame) -> str:
    """Return the largest gap in words."""
    if holes.empty:
        return "Traces collected over time: no gap beyond chance"
    lost = (holes["expected_count"] - holes["trace_count"]).to_numpy(float)
    worst = holes.iloc[int(lost.argmax())]
    start, end = worst["start_time"], worst["end_time"]
    when = f"{start:%Y-%m-%d %H:%M} to {end:{'%H:%M' if start.date() == end.date() else '%Y-%m-%d %H:%M'}} UTC"
    more = f", and {len(holes) - 1} more" if len(holes) > 1 else ""
    return f"Traces collected over time: about {count(lost.max())} missing from {when}{more}"


def _said(row: dict[Any, Any]) -> str:
    """Return a gap in words."""
    when = f"{_clock(row['start_time'])} to {_clock(row['end_time'])} UTC"
    held = f"{count(row['trace_count'])} of {count(round(row['expected_count']))} traces due"
    if not np.isfinite(row["low"]):
        return f"{when}: {held}; may be a lull"
    return f"{when}: {held}, {ratio(row['loss_ratio'])} ({ratio(row['low'])} to {ratio(row['high'])}) lost"


def _table(holes: pd.DataFrame) -> Any:
    """Return the gaps in words."""
    return table(("gap",), [(_said(row),) for row in holes.to_dict("records")[:8]] or [("none",)])


def _clock(time: pd.Timestamp) -> str:
    """Return a moment in words."""
    return moment(time.value)


def _times(times: list[pd.Timestamp]) -> list[str]:
    """Return moments as plotly reads them; it shows them as they stand, so: UTC."""
    ns: Array = np.array([time.value for time in times], "datetime64[ns]")
    return [str(text) for text in np.datetime_as_string(ns, unit="ms")]
