"""Shapes of traces: how frequent each is, on both sides if there is a baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracekit.text import interval, plural, points, ratio, with_interval
from tracekit.views.charts import SHARE, chart, empty_state, safe
from tracekit.views.markup import table
from tracekit.views.svg import ACCENT
from tracekit.views.two_bars import Share, two_bars, unique

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.analysis.paths.result import Paths
    from tracekit.views.figures import Chart

_LONG = 70  # characters of a label


def plot_paths(result: Paths, *, bars: int = 12) -> Chart:
    """Draw the shapes of traces.

    Parameters
    ----------
    result
        Result of ``paths``.
    bars
        Number of shapes, in the order of the table.

    Returns
    -------
    Chart
        A plotly figure: for each shape its share of the traces, and of the baseline if there is one; a note if there
        are no traces on a side.

    Examples
    --------
    >>> tk.plot(tk.paths(shop)).data[0].x
    (0.6, 0.2, 0.2)
    """
    shown = result.table.head(bars)
    title = f"Shapes of traces (top {len(shown)} of {len(result.table):,})"
    if shown.empty:
        return empty_state(chart("Shapes of traces"), "No traces.")
    if "verdict" in shown:
        if shown[["frequency_ratio", "baseline_frequency_ratio"]].isna().any(axis=None):
            return empty_state(chart("Shapes of traces"), "One side has no traces.")
        shares = [_share(row) for _, row in shown.iterrows()]
        return two_bars(title, ("baseline", "current"), shares, heads=("shape", "change"))
    labels = unique(_label(row) for _, row in shown.iterrows())
    words = [
        with_interval(value, low, high, ratio)
        for value, low, high in shown[["frequency_ratio", "frequency_low_ratio", "frequency_high_ratio"]]
        .to_numpy(float)
        .tolist()
    ]
    figure = chart(
        title,
        table=table(("shape", "share of the traces"), list(zip(labels, words, strict=True))),
        xaxis={**SHARE, "showgrid": True, "title": {"text": "share of the traces"}},
        yaxis={"type": "category", "categoryorder": "array", "categoryarray": labels[::-1]},
        height=110 + 26 * len(shown),
        showlegend=False,
        margin={"t": 44},
    )
    figure.add_bar(
        x=shown["frequency_ratio"].tolist(),
        y=labels,
        orientation="h",
        marker={"color": ACCENT},
        customdata=words,
        hovertemplate="%{y}: %{customdata}<extra></extra>",
    )
    return figure


def _label(row: pd.Series) -> str:
    """Return the endpoint of a shape and what it has beside the usual one."""
    return safe(f"{row['endpoint']} {row['differs_by']}".strip(), limit=_LONG)


def _share(row: pd.Series) -> Share:
    """Return one shape of both sides."""
    change = f"{points(row['change_ratio'])} ({interval(row['change_low_ratio'], row['change_high_ratio'], points)})"
    words = f"{row['verdict']}, {change}, {plural(row['call_path_count'], 'call path')}"
    return Share(_label(row), float(row["baseline_frequency_ratio"]), float(row["frequency_ratio"]), words)
