"""Collection over time: received and expected traces, and collection gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.text import count, period, ratio, ratio_range
from tracekit.views.charts import chart, empty_state, safe, utc_texts
from tracekit.views.markup import table
from tracekit.views.svg import ACCENT, ERROR, INK
from tracekit.views.themes import faded

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.checks.sampling.collection_gaps import Collection
    from tracekit.views.figures import Chart

_WORDS: Final = {"gap": "gap: fewer than expected", "silence": "gap: none received"}


def plot_collection(result: Collection, *, scope: str = "all") -> Chart:
    """Draw received traces over time, and collection gaps.

    Parameters
    ----------
    result
        Result of ``collection_gaps``.
    scope
        ``all``, or a service that is counted separately.

    Returns
    -------
    Chart
        A plotly figure: received and expected traces per window, with a red background for collection gaps.

    Raises
    ------
    ValueError
        If the scope is unknown.

    Examples
    --------
    >>> chart = tk.plot(tk.collection_gaps(shop))
    >>> len(chart.data[0].y), sum(chart.data[0].y)
    (42, 6)
    """
    scopes = list(dict.fromkeys(result.table["scope"]))
    seen = result.table[result.table["scope"] == scope]
    if scopes and scope not in scopes:
        raise ValueError(f"expected a scope of {', '.join(scopes)}, found {scope!r}")
    if not seen["trace_count"].sum():
        return empty_state(chart("Traces received over time"), "No traces with a start.")
    gaps = result.gaps[result.gaps["scope"] == scope]
    title = _title(gaps) + (f", {safe(scope)}" if scope != "all" else "")
    top = 1.05 * float(np.nanmax(seen[["trace_count", "expected_count"]].to_numpy(float)))
    axis = {"title": {"text": "traces per window"}, "range": [0, top]}
    time = {"type": "date", "title": {"text": "start time, UTC"}}
    figure = chart(title, table=_table(gaps), xaxis=time, yaxis=axis)
    _add_gaps(figure, gaps, top)
    _add_counts(figure, seen)
    return figure


def _add_gaps(figure: Chart, gaps: pd.DataFrame, top: float) -> None:
    """Add a red background for each gap, with a tooltip."""
    named: set[str] = set()
    for row in gaps.to_dict("records"):
        low, high = utc_texts([row["start_time"].value, row["end_time"].value])
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
            text=[_gap_text(row)] * 4,
            hovertemplate="%{text}<extra></extra>",
        )
        named.add(kind)


def _add_counts(figure: Chart, seen: pd.DataFrame) -> None:
    """Add received and expected traces per window as steps."""
    last = seen.iloc[-1]
    times = utc_texts([time.value for time in (*seen["start_time"], last["end_time"])])
    common: dict[str, Any] = {"x": times, "mode": "lines"}
    received = [int(n) for n in (*seen["trace_count"], last["trace_count"])]
    ground = {"fill": "tozeroy", "fillcolor": faded(ACCENT, 0.25)}
    line = {"color": ACCENT, "width": 1.5, "shape": "hv"}
    figure.add_scatter(
        y=received, name="received", line=line, hovertemplate="%{x}: %{y} received<extra></extra>", **common, **ground
    )
    if seen["expected_count"].notna().any():
        expected = [float(n) for n in (*seen["expected_count"], last["expected_count"])]
        line = {"color": INK, "width": 1.5, "shape": "hv", "dash": "dot"}
        figure.add_scatter(
            y=expected, name="expected", line=line, hovertemplate="%{x}: %{y:.1f} expected<extra></extra>", **common
        )


def _title(gaps: pd.DataFrame) -> str:
    """Return a title with the largest gap."""
    if gaps.empty:
        return "Traces received over time: no significant gap"
    lost = (gaps["expected_count"] - gaps["trace_count"]).to_numpy(float)
    worst = gaps.iloc[int(lost.argmax())]
    when = period(worst["start_time"].value, worst["end_time"].value)
    more = f", and {len(gaps) - 1} more" if len(gaps) > 1 else ""
    return f"Traces received over time: about {count(lost.max())} missing from {when}{more}"


def _gap_text(row: dict[Any, Any]) -> str:
    """Return a gap as text."""
    when = period(row["start_time"].value, row["end_time"].value)
    received = f"{count(row['trace_count'])} of {count(round(row['expected_count']))} expected traces"
    if not np.isfinite(row["low"]):
        return f"{when}: {received}; possibly less traffic"
    return f"{when}: {received}, {ratio(row['loss_ratio'])} lost (95% CI {ratio_range(row['low'], row['high'])})"


def _table(gaps: pd.DataFrame) -> Any:
    """Return a table of the gaps."""
    return table(("gap",), [(_gap_text(row),) for row in gaps.to_dict("records")[:8]] or [("none",)])
