"""Trace coverage: the funnel from request to searchable trace, and metrics with their targets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from tracekit.text import count, ratio, ratio_range
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
    """Draw how many requests reach each stage of the funnel to a searchable trace.

    Parameters
    ----------
    result
        Result of ``coverage``.
    kind
        ``funnel``: one bar per stage; ``metrics``: metrics that are ratios, with intervals and targets (default: the
        funnel if there is one).

    Returns
    -------
    Chart
        A plotly figure; stages and metrics below their target are red.

    Raises
    ------
    ValueError
        If the kind is unknown.

    Examples
    --------
    >>> seen = tk.coverage(shop, requests=pd.DataFrame({"count": [100]}))
    >>> tk.plot(seen).data[0].x
    (100.0, 5.0)
    """
    if kind is not None and kind not in KINDS:
        raise ValueError(f"expected a kind of {', '.join(KINDS)}, found {kind!r}")
    if (kind or (KINDS[0] if len(result.funnel) else KINDS[1])) == "metrics":
        return _metrics(result)
    title = "From request to searchable trace"
    if result.funnel.empty:
        return empty_state(chart(title), "No request counts: pass requests=.")
    return _funnel(result)


def _funnel(result: Coverage) -> Chart:
    """Return one bar per stage with its figures."""
    stages = result.funnel.to_dict("records")
    whole = float(stages[0]["count"])
    labels = [safe(stage["stage"]) for stage in stages]
    texts = [_stage(stage, whole) for stage in stages]
    figure = chart(
        safe(result.summary, limit=160),
        table=table(("stage", "passed"), list(zip((s["stage"] for s in stages), texts, strict=True))),
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
        text=texts,
        textposition="auto",
        insidetextanchor="start",
        insidetextfont={"color": INK},
        cliponaxis=False,
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    return figure


def _stage(stage: dict[Any, Any], whole: float) -> str:
    """Return a stage as text: count, ratio to the previous stage, and the expected ratio."""
    requests = f"{count(stage['count'])} requests"
    if not math.isfinite(stage["estimate"]):
        return requests
    limits = f"95% CI {ratio_range(stage['estimate_low'], stage['estimate_high'])}"
    expected = f", expected {ratio(stage['expected'])}" if math.isfinite(stage["expected"]) else ""
    share = f"{count(stage['count'])}, {ratio(stage['count'] / whole)} of all requests"
    return f"{share}; {ratio(stage['estimate'])} ({limits}) of the previous stage{expected}"


def _metrics(result: Coverage) -> Chart:
    """Return the overall metrics that are ratios, with intervals and targets."""
    frame = result.metrics
    whole = frame[frame["service_name"].isna() & frame["http_route"].isna() & (frame["unit"] == "ratio")]
    rows = whole[whole["value"].notna()].to_dict("records")
    intervals = [
        Interval(safe(f"{row['metric']} {row['name']}"), str(row["verdict"]), row["value"], row["low"], row["high"])
        for row in rows
    ]
    texts = [_metric(row) for row in rows]
    missed = sum(row["verdict"] == "failed" for row in rows)
    figure = interval_rows(
        f"Coverage metrics: {missed} of {len(rows)} below target",
        intervals,
        xaxis={**SHARE, "title": {"text": "ratio (95% CI)"}},
        colours=[_COLOURS_OF_VERDICTS.get(verdict, MUTE) for verdict in dict.fromkeys(i.series for i in intervals)],
        texts=texts,
        table=table(("metric", "value"), list(zip((r["name"] for r in rows), texts, strict=True))),
        nothing="No metric can be assessed.",
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
    """Return a metric as text."""
    target = row["target"]
    aim = f", target {ratio(target)}" if target is not None and math.isfinite(target) else ""
    return f"{ratio(row['value'])} (95% CI {ratio_range(row['low'], row['high'])}){aim}"
