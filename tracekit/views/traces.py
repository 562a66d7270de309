"""A TraceSet: traces by start time and outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracekit.schema import Quality
from tracekit.text import count, moment
from tracekit.views.charts import chart, empty_state, utc_texts
from tracekit.views.markup import table
from tracekit.views.scales import time_step
from tracekit.views.svg import ACCENT, ERROR

if TYPE_CHECKING:
    from tracekit.traces import TraceSet
    from tracekit.views.figures import Chart


def plot_traces(traces: TraceSet) -> Chart:
    """Draw traces over time, failed ones in red.

    Parameters
    ----------
    traces
        Any traces.

    Returns
    -------
    Chart
        A plotly figure: weighted number of traces per interval; ``tk.timeline`` also shows durations.

    Examples
    --------
    >>> tk.plot(shop).data[0].y
    (1.0, 1.0, 1.0, 1.0, 0.0)
    """
    root = traces.forest.root_row
    dated = (traces.columns.spans.quality[root] & Quality.NO_START) == 0
    title = "Traces over time"
    if not dated.any():
        return empty_state(chart(title), "No traces with a start.")
    start = traces.columns.spans.start_ns[root[dated]]
    weight, failed = traces.weights.value[dated], traces.is_error[root[dated]]
    step = time_step(int(start.min()), int(start.max()))
    first = int(start.min()) // step * step
    bar = (start - first) // step
    totals = np.bincount(bar, weight)
    bad = np.bincount(bar, weight * failed, len(totals))
    used = np.flatnonzero(totals)
    starts = first + used * step
    times = utc_texts(starts + step // 2)
    fullest = used[np.argsort(-totals[used], kind="stable")][:5]
    rows = [(moment(first + int(k) * step), count(totals[k]), count(bad[k])) for k in fullest]
    figure = chart(
        title,
        table=table(("start time, UTC", "traces", "failed"), rows),
        height=240,
        barmode="stack",
        bargap=0.08,
        xaxis={
            "type": "date",
            "title": {"text": "start time, UTC"},
            "range": utc_texts([first, first + len(totals) * step]),
        },
        yaxis={"rangemode": "tozero", "title": {"text": "traces"}},
    )
    hover = "%{x}: %{y:,} %{fullData.name}<extra></extra>"
    width = step / 1e6 * 0.92
    good = (totals - bad)[used].tolist()
    figure.add_bar(x=times, y=good, name="succeeded", marker={"color": ACCENT}, width=width, hovertemplate=hover)
    if bad.any():
        there = np.flatnonzero(bad[used])
        figure.add_bar(
            x=[times[k] for k in there],
            y=bad[used][there].tolist(),
            name="failed",
            marker={"color": ERROR},
            width=width,
            hovertemplate=hover,
        )
    return figure
