"""Sampling bias by stratum: share of the sample compared with share of the traffic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.text import count, factor, factor_range, plural, ratio
from tracekit.views.charts import SHARE, chart, empty_state, safe
from tracekit.views.colours import LIGHT
from tracekit.views.intervals import Interval, interval_rows
from tracekit.views.markup import table
from tracekit.views.svg import ACCENT, MUTE

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.checks.sampling.sample_mix import SampleMix
    from tracekit.views.figures import Chart

KINDS: Final = ("shares", "ratios")
AXES: Final = ("strata", "hours")
_COLOURS: Final = {"failed": LIGHT[1], "inconclusive": MUTE, "ok": ACCENT}
_WORDS: Final = {"failed": "sampling bias", "inconclusive": "inconclusive", "ok": "no bias detected"}
_TRAFFIC: Final = "share of traffic"


def plot_sample_mix(result: SampleMix, *, kind: str = "shares", axis: str | None = None, rows: int = 20) -> Chart:
    """Draw the share of each stratum in the traffic and in the sample.

    Parameters
    ----------
    result
        Result of ``sample_mix``.
    kind
        ``shares``: both shares of each stratum; ``ratios``: its sampling rate relative to other traffic.
    axis
        ``strata`` or ``hours`` (default: the first that is available).
    rows
        Number of strata, the largest bias first; hours are in chronological order.

    Returns
    -------
    Chart
        A plotly figure; a note on the required inputs if nothing can be compared.

    Raises
    ------
    ValueError
        If the kind or the axis is unknown.

    Examples
    --------
    >>> mix = tk.sample_mix(shop, requests=pd.DataFrame({"route": ["/cart", "/pay"], "count": [10, 30]}))
    >>> [float(share) for share in tk.plot(mix).data[-1].x]
    [0.25, 0.75]
    """
    if kind not in KINDS:
        raise ValueError(f"expected a kind of {', '.join(KINDS)}, found {kind!r}")
    if axis is not None and axis not in AXES:
        raise ValueError(f"expected an axis of {', '.join(AXES)}, found {axis!r}")
    title = "Share of sample and of traffic"
    axes = list(dict.fromkeys(result.table["axis"]))
    chosen = axis if axis is not None else (axes or [AXES[0]])[0]
    whole = result.table[result.table["axis"] == chosen]
    if whole.empty:
        return empty_state(chart(title), safe(" ".join(result.headlines) or f"No data by {chosen}.", limit=200))
    far = np.abs(np.log(whole["ratio"].where(whole["ratio"] > 0, 1e-9).to_numpy(float)))
    shown = whole if chosen == "hours" else whole.iloc[np.argsort(-far, kind="stable")]
    return _drawn(shown.head(rows), whole, kind, chosen)


def _drawn(shown: pd.DataFrame, whole: pd.DataFrame, kind: str, axis: str) -> Chart:
    """Return the rows as points with intervals, coloured by verdict."""
    labels = [safe(stratum) for stratum in shown["stratum"]]
    series = [_WORDS[verdict] for verdict in shown["verdict"]]
    columns = ("trace_share", "trace_share_low", "trace_share_high") if kind == "shares" else ("ratio", "low", "high")
    numbers = shown[list(columns)].to_numpy(float)
    intervals = [Interval(name, word, *row) for name, word, row in zip(labels, series, numbers, strict=True)]
    texts = [_row_text(row) for row in shown.to_dict("records")]
    colours = {_WORDS[verdict]: colour for verdict, colour in _COLOURS.items()}
    value: dict[str, Any] = {"title": {"text": "sampling rate relative to other traffic"}, "rangemode": "tozero"}
    figure = interval_rows(
        _title(whole, len(shown), axis),
        intervals,
        xaxis={**SHARE, "title": {"text": "share"}} if kind == "shares" else value,
        colours=[colours[word] for word in dict.fromkeys(series)],
        texts=texts,
        table=table((axis, _TRAFFIC, "share of sample", "relative rate"), [_row(r) for r in shown.to_dict("records")]),
    )
    figure.update_traces(hovertemplate="%{y}: %{text}<extra></extra>")
    if kind == "ratios":
        figure.add_vline(x=1, line={"color": MUTE, "dash": "dot", "width": 1})
        return figure
    figure.add_scatter(
        x=shown["request_share"].tolist(),
        y=labels,
        name=_TRAFFIC,
        mode="markers",
        marker={"color": "#1c1e21", "size": 13, "symbol": "line-ns-open"},
        text=texts,
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    figure.update_layout(margin={"t": 72}, showlegend=True)
    return figure


def _title(whole: pd.DataFrame, shown: int, axis: str) -> str:
    """Return the number of biased strata as a title."""
    biased = int((whole["verdict"] == "failed").sum())
    some = f" (top {shown})" if shown < len(whole) else ""
    thing = {"strata": ("stratum", "strata"), "hours": ("hour", "hours")}[axis]
    return f"Sampling bias in {count(biased)} of {plural(len(whole), *thing)}{some}"


def _row_text(row: dict[Any, Any]) -> str:
    """Return a stratum as text."""
    shares = f"{ratio(row['trace_share'])} of sample, {ratio(row['request_share'])} of traffic"
    return f"{shares}, {factor(row['ratio'])} (95% CI {factor_range(row['low'], row['high'])})"


def _row(row: dict[Any, Any]) -> tuple[str, str, str, str]:
    """Return a stratum as a row of a table."""
    return str(row["stratum"]), ratio(row["request_share"]), ratio(row["trace_share"]), factor(row["ratio"])
