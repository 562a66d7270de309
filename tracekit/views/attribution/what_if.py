"""What-if: actual and predicted latency, for one factor and over a range of factors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.text import duration, from_to, plural
from tracekit.views.attribution.bars import NS
from tracekit.views.charts import SECONDS, chart, empty_state
from tracekit.views.colours import LIGHT
from tracekit.views.intervals import Interval, interval_rows
from tracekit.views.markup import table
from tracekit.views.svg import MUTE
from tracekit.views.themes import faded

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from tracekit.analysis.critical_path.what_if import WhatIf, WhatIfCurve
    from tracekit.views.figures import Chart
    from tracekit.views.markup import Markup

_NOTHING: Final = "No requests."


def plot_what_if(result: WhatIf) -> Chart:
    """Draw actual and predicted mean and quantiles of the latency.

    Parameters
    ----------
    result
        Result of ``CriticalPath.what_if``.

    Returns
    -------
    Chart
        A plotly figure: one row per statistic, predictions with their 95% CI; a note if there are no requests.

    Examples
    --------
    >>> half = tk.critical_path(shop).what_if({"name == 'SELECT entries'": 0.5})
    >>> [round(drawn.x[0] * 1e3) for drawn in tk.plot(half).data]
    [152, 116]
    """
    intervals, words = [], []
    for name, row in result.table.iterrows():
        now, new, low, high = (float(row[column]) * NS for column in _COLUMNS)
        intervals += [Interval(str(name), "actual", now, now, now), Interval(str(name), "what if", new, low, high)]
        words += [duration(row["latency_ns"]), duration(row["new_latency_ns"])]
    return interval_rows(
        _title(result),
        intervals,
        xaxis={**SECONDS, "rangemode": "tozero", "title": {"text": "latency"}},
        colours=(MUTE, LIGHT[0]),
        texts=words,
        table=table(("", "actual", "what if"), zip(result.table.index, words[::2], words[1::2], strict=True)),
        nothing=_NOTHING,
    )


def _title(result: WhatIf) -> str:
    """Return the change of the mean, and the number of changed spans."""
    changed = f"{plural(result.changed_count, 'span')} changed"
    mean = result.table.loc[result.table.index == "mean"]
    if mean["new_latency_ns"].notna().sum() == 0:
        return f"What if: {changed}"
    now, new = (float(mean[column].iloc[0]) for column in ("latency_ns", "new_latency_ns"))
    return f"What if: mean latency {from_to(now, new)}, {changed}"


def plot_what_if_curve(result: WhatIfCurve, *, statistics: Sequence[str] = ("mean", "p50", "p95", "p99")) -> Chart:
    """Draw latency as a function of a factor on the self time of some spans.

    Parameters
    ----------
    result
        Result of ``CriticalPath.what_if_curve``.
    statistics
        Statistics to draw.

    Returns
    -------
    Chart
        A plotly figure: one line per statistic with its 95% CI as a band; dotted, the prediction for the mean from
        critical-path time alone; a mark at factor 1.

    Raises
    ------
    ValueError
        If a statistic is unknown.

    Examples
    --------
    >>> curve = tk.critical_path(shop).what_if_curve("name == 'SELECT entries'", factors=[0, 1])
    >>> [round(value * 1e3) for value in plot_what_if_curve(curve, statistics=["p50"]).data[0].y]
    [80, 100]
    """
    known = list(dict.fromkeys(result.table["statistic"]))
    for name in statistics:
        if name not in known:
            raise ValueError(f"expected statistics of {', '.join(known)}, found {name!r}")
    title = f"What if {plural(result.changed_count, 'span')} were slower or faster"
    lines = {name: _points(result.table, name) for name in statistics}
    if all(line.empty for line in lines.values()):
        return empty_state(chart(title), _NOTHING)
    figure = chart(
        title,
        table=_table(lines),
        xaxis={"title": {"text": "factor on the self time of these spans"}, "rangemode": "tozero"},
        yaxis={**SECONDS, "rangemode": "tozero", "title": {"text": "latency"}, "showgrid": True},
        legend={"traceorder": "normal"},
    )
    for at, (name, line) in enumerate(lines.items()):
        _draw(figure, name, line, LIGHT[at % len(LIGHT)])
    if "mean" in lines:
        naive = lines["mean"]["latency_ns"] - lines["mean"]["naive_saved_ns"]
        figure.add_scatter(
            x=lines["mean"]["factor"].tolist(),
            y=(naive * NS).tolist(),
            mode="lines",
            name="mean, from critical-path time alone",
            line={"color": MUTE, "width": 1.5, "dash": "dot"},
            hovertemplate="%{x:.3~g}\N{MULTIPLICATION SIGN}: %{y:.3~s}s<extra>from critical-path time alone</extra>",
        )
    figure.add_vline(x=1, line={"color": MUTE, "dash": "dot", "width": 1})
    return figure


_COLUMNS: Final = ("latency_ns", "new_latency_ns", "new_low_ns", "new_high_ns")


def _points(whole: pd.DataFrame, statistic: str) -> pd.DataFrame:
    """Return the known points of one statistic, sorted by factor."""
    mine = whole[(whole["statistic"] == statistic) & whole["new_latency_ns"].notna()]
    return mine.sort_values("factor", kind="stable")


def _draw(figure: Chart, name: str, line: pd.DataFrame, colour: str) -> None:
    """Draw one statistic with its 95% CI."""
    known = line[np.isfinite(line["new_low_ns"]) & np.isfinite(line["new_high_ns"])]
    figure.add_scatter(
        x=line["factor"].tolist(),
        y=(line["new_latency_ns"] * NS).tolist(),
        mode="lines",
        name=name,
        line={"color": colour, "width": 2},
        hovertemplate=f"%{{x:.3~g}}\N{MULTIPLICATION SIGN}: %{{y:.3~s}}s<extra>{name}</extra>",
    )
    for column, fill in (("new_low_ns", None), ("new_high_ns", "tonexty")):
        figure.add_scatter(
            x=known["factor"].tolist(),
            y=(known[column] * NS).tolist(),
            mode="lines",
            line={"width": 0, "color": colour},
            fill=fill,
            fillcolor=faded(colour, 0.12),
            showlegend=False,
            hoverinfo="skip",
        )


def _table(lines: dict[str, pd.DataFrame]) -> Markup:
    """Return each statistic at the smallest factor, at 1 and at the largest factor."""
    factors = sorted(
        {factor for line in lines.values() for factor in (line["factor"].min(), 1.0, line["factor"].max())}
    )
    rows = []
    for name, line in lines.items():
        at = line.set_index("factor")["new_latency_ns"]
        rows.append((name, *(duration(at[factor]) if factor in at.index else "" for factor in factors)))
    return table(("factor", *(f"{factor:g}" for factor in factors)), rows)
