"""Attribute values that set traces apart: two bars a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracekit.text import interval, plural, points
from tracekit.views.charts import chart, empty_state, safe
from tracekit.views.two_bars import Share, two_bars

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.analysis.what_differs.result import Differences
    from tracekit.views.figures import Chart


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
    selection, baseline = (f"{safe(side.name)} ({plural(side.trace_count, 'trace')})" for side in result.source)
    title = f"What differs: {selection} and {baseline}"
    sure = result.table[result.table["is_significant"]]
    known = sure if len(sure) else result.table
    title += ": no significant difference" * (not len(sure))
    shown = known.head(bars)
    if shown.empty:
        return empty_state(chart(title), "No attribute value is on enough traces to be compared.")
    more = f" (top {len(shown)} of {plural(len(known), 'value')})" if len(known) > bars else ""
    shares = [_share(row) for _, row in shown.iterrows()]
    return two_bars(f"{title}{more}", (baseline, selection), shares, heads=("value", "difference"))


def _share(row: pd.Series) -> Share:
    """Return one fact."""
    also = f" and {row['also_count']} more" * bool(row["also_count"])
    limits = interval(row["difference_low_ratio"], row["difference_high_ratio"], points)
    words = f"{points(row['difference_ratio'])} ({limits})"
    label = safe(f"{row['key']} = {row['value']}") + also
    return Share(label, float(row["baseline_ratio"]), float(row["selection_ratio"]), words)
