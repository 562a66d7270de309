"""The funnel from request to searchable trace, and the metrics of a tracing system beside their targets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from tracekit.text import count, ratio
from tracekit.views.charts import SHARE, chart, empty_state, safe
from tracekit.views.intervals import Interval, interval_rows
from tracekit.views.markup import table
from tracekit.views.svg import ACCENT, ERROR, INK, MUTE
from tracekit.views.themes import faded

if TYPE_CHECKING:
    from tracekit.checks.coverage.result import Coverage
    from tracekit.views.figures import Chart

KINDS: Final = ("funnel", "metrics")
_COLOURS: Final = {"failed": ERROR, "warning": "#c48700", "inconclusive": "#8695a6", "ok": ACCENT, "measured": ACCENT}
_COLOURS_OF_VERDICTS: Final = {"ok": ACCENT, "failed": ERROR, "inconclusive": "#8695a6", "measured": MUTE}


def plot_coverage(result: Coverage, *, kind: str | None = None) -> Chart:
    """Draw how many requests reach each stage on the way to a searchable trace.

    Parameters
    ----------
    result
        Of ``checks.coverage``.
    kind
        ``funnel``: a bar a stage; ``metrics``: those that are shares, with their intervals and targets.  The funnel
        where there is one unless given.

    Returns
    -------
    Chart
        A plotly figure; red where a stage or a metric misses what is expected of it.

    Raises
    ------
    ValueError
        Another kind.

    Examples
    --------
    >>> import pandas as pd
    >>> from tracekit import TraceSet
    >>> from tracekit.checks.coverage.coverage import coverage
    >>> frame = pd.DataFrame({"trace_id": ["a1"], "span_id": ["1"], "name": "GET /", "start_ns": 0, "end_ns": 5000})
    >>> seen = coverage(TraceSet.from_spans(frame), requests=pd.DataFrame({"count": [20]}))
    >>> plot_coverage(seen).data[0].x
    (20.0, 1.0)
    """
    if kind is not None and kind not in KINDS:
        raise ValueError(f"expected a kind of {', '.join(KINDS)}, found {kind!r}")
    if (kind or (KINDS[0] if len(result.funnel) else KINDS[1])) == "metrics":
        return _metrics(result)
    title = "From request to searchable trace"
    if result.funnel.empty:
        return empty_state(chart(title), "There are no request counts to compare with.")
    return _funnel(result)


def _funnel(result: Coverage) -> Chart:
    """Return a bar a stage, with what passed it in words."""
    stages = result.funnel.to_dict("records")
    whole = float(stages[0]["count"])
    labels = [safe(stage["stage"]) for stage in stages]
    said = [_stage(stage, whole) for stage in stages]
    figure = chart(
        safe(result.summary, limit=160),
        table=table(("stage", "passed"), list(zip((s["stage"] for s in stages), said, strict=True))),
        xaxis={"title": {"text": "requests"}, "rangemode": "tozero", "showgrid": True, "range": [0, 1.02 * whole]},
        yaxis={"type": "category", "categoryorder": "array", "categoryarray": labels[::-1]},
        height=130 + 44 * len(stages),
        showlegend=False,
        margin={"t": 44},
    )
    figure.add_bar(
        x=[float(stage["count"]) for stage in stages],
        y=labels,
        orientation="h",
        marker={"color": [faded(MUTE, 0.4), *(faded(_COLOURS.get(str(s["status"]), ACCENT), 0.5) for s in stages[1:])]},
        text=said,
        textposition="auto",
        insidetextanchor="start",
        insidetextfont={"color": INK},
        cliponaxis=False,
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    return figure


def _stage(stage: dict[Any, Any], whole: float) -> str:
    """Return a stage in words: how many, of what before, and what was expected."""
    held = f"{count(stage['count'])} requests"
    if not math.isfinite(stage["estimate"]):
        return held
    limits = f"{ratio(stage['estimate_low'])} to {ratio(stage['estimate_high'])}"
    due = f", expected {ratio(stage['expected'])}" if math.isfinite(stage["expected"]) else ""
    share = f"{count(stage['count'])}, {ratio(stage['count'] / whole)} of all"
    return f"{share}; {ratio(stage['estimate'])} ({limits}) of the stage before{due}"


def _metrics(result: Coverage) -> Chart:
    """Return the metrics that are shares, of the whole, with intervals and targets."""
    frame = result.metrics
    whole = frame[frame["service_name"].isna() & frame["http_route"].isna() & (frame["unit"] == "ratio")]
    rows = whole[whole["value"].notna()].to_dict("records")
    intervals = [
        Interval(safe(f"{row['metric']} {row['name']}"), str(row["verdict"]), row["value"], row["low"], row["high"])
        for row in rows
    ]
    said = [_metric(row) for row in rows]
    missed = sum(row["verdict"] == "failed" for row in rows)
    figure = interval_rows(
        f"Metrics that are shares: {missed} of {len(rows)} miss their target",
        intervals,
        xaxis={**SHARE, "title": {"text": "share, with 95 % limits"}},
        colours=[_COLOURS_OF_VERDICTS.get(verdict, MUTE) for verdict in dict.fromkeys(i.series for i in intervals)],
        texts=said,
        table=table(("metric", "value"), list(zip((r["name"] for r in rows), said, strict=True))),
        nothing="No metric that is a share can be assessed.",
    )
    figure.update_traces(hovertemplate="%{y}: %{text}<extra></extra>")
    aims = [(interval.label, row["target"]) for interval, row in zip(intervals, rows, strict=True)]
    aims = [(label, float(target)) for label, target in aims if target is not None and math.isfinite(target)]
    if aims:
        figure.add_scatter(
            x=[target for _, target in aims],
            y=[label for label, _ in aims],
            name="target",
            mode="markers",
            marker={"color": INK, "size": 13, "symbol": "line-ns-open"},
            hovertemplate="%{y}: target %{x:.1~%}<extra></extra>",
        )
        figure.update_layout(margin={"t": 72})
    return figure


def _metric(row: dict[Any, Any]) -> str:
    """Return a metric in words."""
    target = row["target"]
    aim = f", target {ratio(target)}" if target is not None and math.isfinite(target) else ""
    return f"{ratio(row['value'])} ({ratio(row['low'])} to {ratio(row['high'])}){aim}"
