"""Share of the sample beside share of the traffic, a row a stratum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.text import count, plural, ratio
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
_WORDS: Final = {"failed": "sampled at another rate", "inconclusive": "too few to tell", "ok": "sampled alike"}
_TRAFFIC: Final = "share of the traffic"


def plot_sample_mix(result: SampleMix, *, kind: str = "shares", axis: str | None = None, rows: int = 20) -> Chart:
    """Draw what share of the traffic each stratum is, and what share of the sample.

    Parameters
    ----------
    result
        Of ``checks.sampling.sample_mix``.
    kind
        ``shares``: both shares of each stratum; ``ratios``: its sampling rate over that of the rest.
    axis
        ``strata`` or ``hours``; the first there is unless given.
    rows
        How many strata, those furthest off first; hours stay in their order.

    Returns
    -------
    Chart
        A plotly figure; what needs to be given, in words, where nothing can be compared.

    Raises
    ------
    ValueError
        Another kind or axis.

    Examples
    --------
    >>> import pandas as pd
    >>> from tracekit import TraceSet
    >>> from tracekit.checks.sampling.sample_mix import sample_mix
    >>> frame = pd.DataFrame({"trace_id": ["a1", "b2"], "span_id": ["1", "2"], "name": "x", "start_ns": 0, "end_ns": 5})
    >>> shop = TraceSet.from_spans(frame.assign(http_route=["/cart", "/pay"]))
    >>> mix = sample_mix(shop, requests=pd.DataFrame({"route": ["/cart", "/pay"], "count": [10, 30]}))
    >>> [float(share) for share in plot_sample_mix(mix).data[-1].x]
    [0.25, 0.75]
    """
    if kind not in KINDS:
        raise ValueError(f"expected a kind of {', '.join(KINDS)}, found {kind!r}")
    if axis is not None and axis not in AXES:
        raise ValueError(f"expected an axis of {', '.join(AXES)}, found {axis!r}")
    title = "Share of the sample and of the traffic"
    axes = list(dict.fromkeys(result.table["axis"]))
    chosen = axis if axis is not None else (axes or [AXES[0]])[0]
    whole = result.table[result.table["axis"] == chosen]
    if whole.empty:
        return empty_state(chart(title), safe(" ".join(result.headlines) or f"Nothing by {chosen}.", limit=200))
    far = np.abs(np.log(whole["ratio"].where(whole["ratio"] > 0, 1e-9).to_numpy(float)))
    shown = whole if chosen == "hours" else whole.iloc[np.argsort(-far, kind="stable")]
    return _drawn(shown.head(rows), whole, kind, chosen)


def _drawn(shown: pd.DataFrame, whole: pd.DataFrame, kind: str, axis: str) -> Chart:
    """Return the rows as points with whiskers, coloured by verdict."""
    labels = [safe(stratum) for stratum in shown["stratum"]]
    series = [_WORDS[verdict] for verdict in shown["verdict"]]
    columns = ("trace_share", "trace_share_low", "trace_share_high") if kind == "shares" else ("ratio", "low", "high")
    numbers = shown[list(columns)].to_numpy(float)
    intervals = [Interval(name, word, *row) for name, word, row in zip(labels, series, numbers, strict=True)]
    said = [_said(row) for row in shown.to_dict("records")]
    colours = {_WORDS[verdict]: colour for verdict, colour in _COLOURS.items()}
    value: dict[str, Any] = {"title": {"text": "sampling rate over that of the rest"}, "rangemode": "tozero"}
    figure = interval_rows(
        _title(whole, len(shown), axis),
        intervals,
        xaxis={**SHARE, "title": {"text": "share"}} if kind == "shares" else value,
        colours=[colours[word] for word in dict.fromkeys(series)],
        texts=said,
        table=table((axis, "of the traffic", "of the sample", "rate"), [_row(r) for r in shown.to_dict("records")]),
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
        text=said,
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    figure.update_layout(margin={"t": 72}, showlegend=True)
    return figure


def _title(whole: pd.DataFrame, shown: int, axis: str) -> str:
    """Return how many strata are off."""
    biased = int((whole["verdict"] == "failed").sum())
    some = f": the {shown} furthest off" if shown < len(whole) else ""
    thing = {"strata": ("stratum", "strata"), "hours": ("hour", "hours")}[axis]
    return f"{count(biased)} of {plural(len(whole), *thing)} sampled at another rate than the rest{some}"


def _said(row: dict[Any, Any]) -> str:
    """Return a stratum in words."""
    shares = f"{ratio(row['trace_share'])} of the sample, {ratio(row['request_share'])} of the traffic"
    return f"{shares}, {row['ratio']:.2f}x ({row['low']:.2f} to {row['high']:.2f})"


def _row(row: dict[Any, Any]) -> tuple[str, str, str, str]:
    """Return a stratum as a row of a table."""
    return str(row["stratum"]), ratio(row["request_share"]), ratio(row["trace_share"]), f"{row['ratio']:.2f}x"
