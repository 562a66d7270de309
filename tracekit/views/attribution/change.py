"""Change of mean latency between two sets of requests, by operation."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.text import duration, plural, signed_duration, with_interval
from tracekit.views.attribution.bars import NS, labels_of, row_layout
from tracekit.views.charts import SIGNED_SECONDS, chart, empty_state, safe
from tracekit.views.colours import LIGHT
from tracekit.views.intervals import Interval, interval_rows
from tracekit.views.markup import table
from tracekit.views.themes import faded

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from tracekit.analysis.critical_path.compare import PathComparison
    from tracekit.views.figures import Chart

KINDS: Final = ("steps", "parts", "limits")
_SLOWER, _FASTER, _WHOLE = LIGHT[1], LIGHT[2], LIGHT[9]
_FADED: Final = 0.4  # opacity of changes that are not significant
_ROOM: Final = 1.15  # factor of the axis for labels beside the longest bar
_PARTS: Final = {
    "presence_change_ns": ("more requests affected", LIGHT[0]),
    "frequency_change_ns": ("more calls per request", LIGHT[1]),
    "duration_change_ns": ("slower calls", LIGHT[3]),
}


def plot_comparison(result: PathComparison, *, kind: str = "steps", groups: int = 8) -> Chart:
    """Draw the change of mean latency by group.

    Parameters
    ----------
    result
        Result of ``CriticalPath.compare``; the two sides have its ``names``.
    kind
        ``steps``: a waterfall chart from the baseline to the current mean, pale where not significant; ``parts``: each
        change split into more requests affected, more calls per request and slower calls; ``limits``: each change with
        its 95% CI.
    groups
        Number of groups, the largest changes first; the others are one step.

    Returns
    -------
    Chart
        A plotly figure; a note if all requests have a duration of 0.

    Raises
    ------
    ValueError
        If the kind is unknown.

    Examples
    --------
    >>> change = tk.critical_path(baseline).compare(tk.critical_path(shop))
    >>> [round(step * 1e3) for step in tk.plot(change).data[0].x]
    [88, 56, 6, 2, 0, 0, 0, 0, 152]
    """
    if kind not in KINDS:
        raise ValueError(f"expected a kind of {', '.join(KINDS)}, found {kind!r}")
    this, other = (safe(name) for name in result.names)
    change = result.change.value
    title = f"Mean latency, {this} to {other}: {signed_duration(change)}"
    if not (result.sides["mean_latency_ns"] > 0).any():
        return empty_state(chart(f"Mean latency, {this} to {other}"), "All requests have a duration of 0.")
    if kind == "limits":
        return _limits(title, result, groups)
    return _steps(title, result, groups, (this, other)) if kind == "steps" else _parts(title, result, groups)


def _keys(result: PathComparison) -> list[str]:
    """Return the grouping keys of a comparison."""
    return [str(name) for name in result.table.columns[: result.table.columns.get_loc("baseline_mean_ns")]]


def _steps(title: str, result: PathComparison, groups: int, names: tuple[str, str]) -> Chart:
    """Return a waterfall chart: each bar starts where the previous one ends."""
    shown, rest = result.table.head(groups), result.table["change_ns"].iloc[groups:]
    first, last = (float(mean) for mean in result.sides["mean_latency_ns"])
    changes = [float(change) for change in shown["change_ns"]]
    labels, texts = labels_of(shown, _keys(result)), [_with_interval(*row) for row in _with_limits(shown)]
    paints = [
        _paint(change, is_significant=is_significant)
        for change, is_significant in zip(changes, shown["is_significant"].to_numpy(bool), strict=True)
    ]
    if len(rest):
        labels.append(plural(len(rest), "other group"))
        changes.append(float(rest.sum()))
        texts.append(f"{signed_duration(changes[-1])} together")
        paints.append(_paint(changes[-1], is_significant=False))
    ends = [_unique(name, labels) for name in names]
    labels = [ends[0], *labels, ends[1] if ends[1] != ends[0] else f"{ends[1]} (2)"]
    bases = [0.0, *(first + np.cumsum([0.0, *changes[:-1]])), 0.0] if changes else [0.0, 0.0]
    words = [duration(first), *texts, duration(last)]
    figure = chart(
        title,
        table=table(("", "per request"), [(html.unescape(x), y) for x, y in zip(labels, words, strict=True)]),
        **row_layout(labels),
    )
    figure.update_xaxes(range=[0, max(first, last, *(first + np.cumsum(changes))) * NS * _ROOM])
    figure.add_bar(
        x=[value * NS for value in (first, *changes, last)],
        base=[value * NS for value in bases],
        y=labels,
        orientation="h",
        marker={"color": [_WHOLE, *paints, _WHOLE]},
        text=[duration(first), *map(signed_duration, changes), duration(last)],
        textposition="outside",
        cliponaxis=False,
        customdata=words,
        hovertemplate="%{y}: %{customdata}<extra></extra>",
    )
    return figure


def _parts(title: str, result: PathComparison, groups: int) -> Chart:
    """Return the changes by their parts, stacked on both sides of 0."""
    shown = result.table.head(groups)
    labels = labels_of(shown, _keys(result))
    rows = [
        (html.unescape(label), *map(signed_duration, row))
        for label, row in zip(labels, shown[list(_PARTS)].to_numpy(), strict=True)
    ]
    heads = ("", *(name for name, _ in _PARTS.values()))
    figure = chart(
        title,
        table=table(heads, rows),
        **{**row_layout(labels), "barmode": "relative", "showlegend": True, "margin": {"t": 72}},
    )
    for column, (name, colour) in _PARTS.items():
        figure.add_bar(
            x=(shown[column] * NS).tolist(),
            y=labels,
            orientation="h",
            name=name,
            marker={"color": colour},
            customdata=[signed_duration(value) for value in shown[column]],
            hovertemplate=f"%{{y}}: %{{customdata}}<extra>{name}</extra>",
        )
    return figure


def _limits(title: str, result: PathComparison, groups: int) -> Chart:
    """Return the changes as points with their 95% CI."""
    shown = result.table.head(groups)
    series = {True: "significant", False: "not significant"}
    intervals = [
        Interval(label, series[bool(is_significant)], *(value * NS for value in row))
        for label, is_significant, row in zip(
            labels_of(shown, _keys(result)), shown["is_significant"], _with_limits(shown), strict=True
        )
    ]
    order = [_SLOWER, _WHOLE] if shown["is_significant"].iloc[0] else [_WHOLE, _SLOWER]
    axis = {**SIGNED_SECONDS, "title": {"text": f"change per request, {' to '.join(map(safe, result.names))}"}}
    return interval_rows(
        title,
        intervals,
        xaxis=axis,
        colours=order,
        zero=True,
        texts=[_with_interval(*row) for row in _with_limits(shown)],
    )


def _with_limits(shown: pd.DataFrame) -> list[tuple[float, float, float]]:
    """Return each change with its limits, in ns."""
    return [
        (change, low, high)
        for change, low, high in shown[["change_ns", "change_low_ns", "change_high_ns"]].to_numpy(float)
    ]


def _paint(change: float, *, is_significant: bool) -> str:
    """Return the colour of a change."""
    colour = _SLOWER if change > 0 else _FASTER
    return colour if is_significant else faded(colour, _FADED)


def _with_interval(change: float, low: float, high: float) -> str:
    """Return a change with its interval as text."""
    if not np.isfinite([low, high]).all():
        return f"{signed_duration(change)}, interval not estimable"
    return with_interval(change, low, high, signed_duration)


def _unique(name: str, labels: Sequence[str]) -> str:
    """Return the name of a side, different from all groups."""
    return name if name not in labels else f"{name} (all)"
