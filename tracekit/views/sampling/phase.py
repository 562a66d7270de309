"""Start times within the second, and reservoir traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tracekit.text import count, plural, ratio
from tracekit.views.charts import chart, empty_state, subtitled
from tracekit.views.colours import LIGHT
from tracekit.views.markup import table
from tracekit.views.svg import ACCENT, INK

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.checks.sampling.start_phases import StartPhases
    from tracekit.views.figures import Chart

_MS: Final = 1e-3


def plot_start_phases(result: StartPhases) -> Chart:
    """Draw the number of traces by start time within the second.

    Parameters
    ----------
    result
        Result of ``start_phases``.

    Returns
    -------
    Chart
        A plotly figure: traces per part of the second, reservoir traces separately if the sampling rules are known;
        dotted lines bound what uniform start times would show; a line for all requests if they were logged.

    Examples
    --------
    >>> tk.plot(tk.start_phases(shop, parts=2)).data[0].y
    (5.0, 0.0)
    """
    seen = result.table
    whole = int(seen["trace_count"].sum())
    if not whole:
        return empty_state(chart("Start times within the second"), "No traces with a start.")
    figure = chart(
        _title(result, whole),
        table=_table(seen),
        barmode="stack",
        bargap=0.1,
        xaxis={"title": {"text": "milliseconds into the second"}, "range": [0, 1000]},
        yaxis={"title": {"text": "traces"}, "rangemode": "tozero"},
    )
    places = ((seen["start_ms"] + seen["end_ms"]) / 2).tolist()
    steps = [*seen["start_ms"], float(seen["end_ms"].iloc[-1])]
    kept = seen["reservoir_count"].fillna(0)
    if kept.any():
        figure.add_bar(x=places, y=kept.tolist(), name="reservoir", **_bars(LIGHT[1], seen))
    rest = "sampling rate" if kept.any() else "traces"
    figure.add_bar(x=places, y=(seen["trace_count"] - kept).tolist(), name=rest, **_bars(ACCENT, seen))
    for column, name in (("even_high", "limits for uniform starts"), ("even_low", None)):
        _add_steps(figure, steps, seen[column].tolist(), name, {"color": INK, "width": 1, "dash": "dot"})
    requests = float(seen["request_count"].sum())
    if requests:
        expected = (seen["request_count"] * whole / requests).tolist()
        _add_steps(figure, steps, expected, "all requests (scaled)", {"color": INK, "width": 2})
    return subtitled(figure, result.missing and f"Identifying reservoir traces requires {result.missing}.")


def _bars(colour: str, seen: pd.DataFrame) -> dict[str, Any]:
    """Return the style and tooltips of bars."""
    parts = [_part(row) for row in seen.to_dict("records")]
    return {
        "marker": {"color": colour},
        "customdata": parts,
        "hovertemplate": "%{customdata}: %{y:,}<extra>%{fullData.name}</extra>",
    }


def _add_steps(figure: Chart, steps: list[float], values: list[float], name: str | None, line: dict[str, Any]) -> None:
    """Add a step line over the parts of the second."""
    drawn = {"mode": "lines", "line": {**line, "shape": "hv"}, "name": name, "showlegend": name is not None}
    figure.add_scatter(x=steps, y=[*values, values[-1]], hovertemplate="%{y:.1f}<extra></extra>", **drawn)


def _title(result: StartPhases, whole: int) -> str:
    """Return a title with the largest peak and the share of reservoir traces."""
    if result.is_even:
        text = f"Start times of {plural(whole, 'trace')} are uniform within the second"
    else:
        most = result.table.iloc[int(result.table["trace_count"].to_numpy().argmax())]
        share, uniform = ratio(most["trace_count"] / whole), ratio(most["even_count"] / whole)
        text = f"{share} of {plural(whole, 'trace')} start {_part(most)} into the second (uniform: {uniform})"
    return text if result.missing else f"{text}; reservoir: {ratio(result.reservoir_ratio)}"


def _part(row: Any) -> str:
    """Return a part of the second as text."""
    return f"{row['start_ms']:g} to {row['end_ms']:g} ms"


def _table(seen: pd.DataFrame) -> Any:
    """Return a table of the parts with most traces."""
    rows = [
        (_part(row), count(row["trace_count"]), count(round(row["even_count"], 1)))
        for row in seen.nlargest(5, "trace_count").to_dict("records")
    ]
    return table(("part of the second", "traces", "if uniform"), rows)
