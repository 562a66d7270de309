"""Attribute values that set traces apart: two bars a value."""

from __future__ import annotations

import html
from collections import Counter
from typing import TYPE_CHECKING

from tracekit.text import interval, plural, points, ratio
from tracekit.views.charts import SHARE, chart, empty_state, safe
from tracekit.views.colours import LIGHT
from tracekit.views.markup import table

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.analysis.what_differs.result import Differences
    from tracekit.views.figures import Chart

_SELECTION, _BASELINE = LIGHT[1], LIGHT[9]


def plot_differences(result: Differences, *, bars: int = 12) -> Chart:
    """Draw the values that set the selected traces apart.

    Parameters
    ----------
    result
        Result of ``what_differs``.
    bars
        Number of significant values, or of any if none is significant; pairs and thresholds are in the tables of the
        result.

    Returns
    -------
    Chart
        A plotly figure: for each value its share of the selected traces and of the baseline; a note if no value was
        compared.

    Examples
    --------
    >>> drawn = tk.plot(tk.what_differs(shop, "failed", min_traces=1))
    >>> [bar.name for bar in drawn.data]
    ['succeeded (4 traces)', 'failed (1 trace)']
    """
    names = [f"{safe(side.name)} ({plural(side.trace_count, 'trace')})" for side in result.source]
    title = f"What differs: {names[0]} and {names[1]}"
    sure = result.table[result.table["is_significant"]]
    known = sure if len(sure) else result.table
    title += ": no significant difference" * (not len(sure))
    shown = known.head(bars)
    if shown.empty:
        return empty_state(chart(title), "No attribute value is on enough traces to be compared.")
    labels = _labels(shown)
    limits = [_limits(*row) for row in zip(shown["difference_low_ratio"], shown["difference_high_ratio"], strict=True)]
    rows = [
        (html.unescape(label), ratio(first), ratio(second), f"{points(first - second)} ({words})")
        for label, first, second, words in zip(
            labels, shown["selection_ratio"], shown["baseline_ratio"], limits, strict=True
        )
    ]
    more = f" (top {len(shown)} of {plural(len(known), 'value')})" if len(known) > bars else ""
    figure = chart(
        f"{title}{more}",
        table=table(("value", *map(html.unescape, names), "difference"), rows),
        xaxis={**SHARE, "showgrid": True, "range": [0, 1], "title": {"text": "share of the traces"}},
        yaxis={"type": "category", "categoryorder": "array", "categoryarray": labels[::-1]},
        barmode="group",
        height=150 + 40 * len(shown),
        margin={"t": 72},
    )
    drawn = (names[1], "baseline_ratio", _BASELINE), (names[0], "selection_ratio", _SELECTION)  # from below
    for name, column, colour in drawn:
        figure.add_bar(
            x=shown[column].tolist(),
            y=labels,
            orientation="h",
            name=name,
            marker={"color": colour},
            customdata=[f"{ratio(value)}; difference {row[3]}" for value, row in zip(shown[column], rows, strict=True)],
            hovertemplate=f"%{{y}}: %{{customdata}}<extra>{name}</extra>",
        )
    return figure


def _labels(shown: pd.DataFrame) -> list[str]:
    """Return a safe label for each fact; equal ones are numbered."""
    seen: Counter[str] = Counter()
    labels = []
    for key, value, also in zip(shown["key"], shown["value"], shown["also"], strict=True):
        label = safe(f"{key} = {value}") + f" and {len(also)} more" * bool(also)
        seen[label] += 1
        labels.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return labels


def _limits(low: float, high: float) -> str:
    """Return the limits of a difference."""
    return interval(low, high, points)
