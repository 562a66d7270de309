"""Self time by service or operation."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from tracekit.grouping import named
from tracekit.text import duration, plural, ratio
from tracekit.views.attribution.bars import colours_of, labels_of
from tracekit.views.charts import SHARE, bar_rows, chart, empty_state
from tracekit.views.colours import colours_for
from tracekit.views.markup import table

if TYPE_CHECKING:
    from tracekit.analysis.self_time import SelfTime
    from tracekit.grouping import By
    from tracekit.views.figures import Chart


def plot_self_time(result: SelfTime, *, by: By = "service_name", bars: int = 15) -> Chart:
    """Draw the self time by service, or any other keys of ``SelfTime.by``.

    Parameters
    ----------
    result
        Result of ``self_time``.
    by
        As in ``SelfTime.by``.
    bars
        Number of bars, the largest first.

    Returns
    -------
    Chart
        A plotly figure: one bar per group with its share of the total self time; a note if there is none.

    Examples
    --------
    >>> drawn = tk.plot(tk.self_time(shop)).data[0]
    >>> drawn.y, drawn.x
    (('ledger', 'shop', 'cart'), (0.5875, 0.2875, 0.125))
    """
    keys = list(named(by))
    whole = result.by(by)
    known = whole[whole["self_time_ratio"].notna()]
    shown = known.head(bars)
    if shown.empty:
        return empty_state(chart("Share of self time"), "No spans with a duration.")
    labels, times = labels_of(shown, keys), [duration(value) for value in shown["self_time_ns"]]
    rows = [(html.unescape(n), w, ratio(r)) for n, w, r in zip(labels, times, shown["self_time_ratio"], strict=True)]
    figure = chart(
        "Share of self time" + (f" (top {len(shown)} of {plural(len(known), 'group')})" if len(known) > bars else ""),
        table=table((" ".join(keys), "self time", "share"), rows),
        **bar_rows(labels, SHARE),
    )
    figure.add_bar(
        x=shown["self_time_ratio"].tolist(),
        y=labels,
        orientation="h",
        marker={"color": colours_of(shown, keys, colours_for(result))},
        text=times,
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:.1%}, total %{text}<extra></extra>",
    )
    return figure
