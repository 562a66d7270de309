"""What changed between two sets of requests: steps from one mean latency to the other."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.text import duration, plural
from tracekit.views.attribution.attribution import NS, labels_of, row_layout
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
_LONGER, _SHORTER, _WHOLE = LIGHT[1], LIGHT[2], LIGHT[9]
_CHANCE: Final = 0.4  # of the colour is left where a change may be chance
_ROOM: Final = 1.15  # for words beside the longest bar
_PARTS: Final = {
    "presence_change_ns": ("on the path of more requests", LIGHT[0]),
    "frequency_change_ns": ("more calls", LIGHT[1]),
    "duration_change_ns": ("slower calls", LIGHT[3]),
}


def plot_comparison(
    result: PathComparison, *, kind: str = "steps", groups: int = 8, names: Sequence[str] = ("baseline", "current")
) -> Chart:
    """Draw a difference of mean latency, step by step.

    Parameters
    ----------
    result
        Of ``CriticalPath.compare``.
    kind
        ``steps``: from the one mean to the other, a bar a group, pale where it may be chance; ``parts``: each change by
        whether it is on more paths, called more often, or slower; ``limits``: each change with its limits.
    groups
        How many, the largest changes first; the others are one step.
    names
        Of the two sides, such as ``("before", "after")``.

    Returns
    -------
    Chart
        A plotly figure; a note in words where nothing was waited for.

    Raises
    ------
    ValueError
        Another kind, or names that are not two.

    Examples
    --------
    >>> import pandas as pd
    >>> from tracekit import TraceSet
    >>> from tracekit.analysis.critical_path.critical_path import critical_path
    >>> frame = pd.DataFrame({"trace_id": ["a1"], "span_id": ["1"], "name": "GET /", "start_ns": 0})
    >>> quick, slow = (critical_path(TraceSet.from_spans(frame.assign(end_ns=end))) for end in (5000, 9000))
    >>> [round(step * 1e9) for step in plot_comparison(quick.compare(slow)).data[0].x]
    [5000, 4000, 9000]
    """
    if kind not in KINDS:
        raise ValueError(f"expected a kind of {', '.join(KINDS)}, found {kind!r}")
    if isinstance(names, str) or len(names) != 2:  # noqa: PLR2004 - two sides
        raise ValueError(f"expected the names of two sides, found {names!r}")
    this, other = (safe(name) for name in names)
    change = result.change.value
    title = f"Mean latency, {this} to {other}: {duration(abs(change))} {'less' if change < 0 else 'more'}"
    if not (result.sides["mean_latency_ns"] > 0).any():
        return empty_state(chart(f"Mean latency, {this} to {other}"), "No request took any time, on either side.")
    if kind == "limits":
        return _limits(title, result, groups)
    return _steps(title, result, groups, (this, other)) if kind == "steps" else _parts(title, result, groups)


def _keys(result: PathComparison) -> list[str]:
    """Return what a comparison is by."""
    return [str(name) for name in result.table.columns[: result.table.columns.get_loc("baseline_mean_ns")]]


def _steps(title: str, result: PathComparison, groups: int, names: tuple[str, str]) -> Chart:
    """Return the way from one mean to the other: every bar begins where the one before it ended."""
    shown, rest = result.table.head(groups), result.table["change_ns"].iloc[groups:]
    first, last = (float(mean) for mean in result.sides["mean_latency_ns"])
    changes = [float(change) for change in shown["change_ns"]]
    labels, said = labels_of(shown, _keys(result)), [_said(*row) for row in _with_limits(shown)]
    paints = [
        _paint(change, sure=sure) for change, sure in zip(changes, shown["is_significant"].to_numpy(bool), strict=True)
    ]
    if len(rest):
        labels.append(f"the other {plural(len(rest), 'group')}")
        changes.append(float(rest.sum()))
        said.append(f"{_signed(changes[-1])} together")
        paints.append(_paint(changes[-1], sure=False))
    ends = [_apart(name, labels) for name in names]
    labels = [ends[0], *labels, ends[1] if ends[1] != ends[0] else f"{ends[1]} (2)"]
    bases = [0.0, *(first + np.cumsum([0.0, *changes[:-1]])), 0.0] if changes else [0.0, 0.0]
    words = [duration(first), *said, duration(last)]
    figure = chart(
        title,
        table=table(("", "of a request"), [(html.unescape(x), y) for x, y in zip(labels, words, strict=True)]),
        **row_layout(labels),
    )
    figure.update_xaxes(range=[0, max(first, last, *(first + np.cumsum(changes))) * NS * _ROOM])
    figure.add_bar(
        x=[value * NS for value in (first, *changes, last)],
        base=[value * NS for value in bases],
        y=labels,
        orientation="h",
        marker={"color": [_WHOLE, *paints, _WHOLE]},
        text=[duration(first), *map(_signed, changes), duration(last)],
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
        (html.unescape(label), *map(_signed, row))
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
            customdata=[_signed(value) for value in shown[column]],
            hovertemplate=f"%{{y}}: %{{customdata}}<extra>{name}</extra>",
        )
    return figure


def _limits(title: str, result: PathComparison, groups: int) -> Chart:
    """Return the changes as points with their limits."""
    shown = result.table.head(groups)
    series = {True: "significant", False: "may be chance"}
    intervals = [
        Interval(label, series[bool(sure)], *(value * NS for value in row))
        for label, sure, row in zip(
            labels_of(shown, _keys(result)), shown["is_significant"], _with_limits(shown), strict=True
        )
    ]
    order = [_LONGER, _WHOLE] if shown["is_significant"].iloc[0] else [_WHOLE, _LONGER]
    axis = {**SIGNED_SECONDS, "title": {"text": "change of a request"}}
    return interval_rows(
        title, intervals, xaxis=axis, colours=order, zero=True, texts=[_said(*row) for row in _with_limits(shown)]
    )


def _with_limits(shown: pd.DataFrame) -> list[tuple[float, float, float]]:
    """Return every change with its limits."""
    return [
        (change, low, high)
        for change, low, high in shown[["change_ns", "change_low_ns", "change_high_ns"]].to_numpy(float)
    ]


def _paint(change: float, *, sure: bool) -> str:
    """Return the colour of a change."""
    colour = _LONGER if change > 0 else _SHORTER
    return colour if sure else faded(colour, _CHANCE)


def _signed(value: float) -> str:
    """Return a change in words."""
    return f"{'+' if value > 0 else ''}{duration(value)}"


def _said(change: float, low: float, high: float) -> str:
    """Return a change in words, with its limits where there are any."""
    if not np.isfinite([low, high]).all():
        return f"{_signed(change)}, too few traces for limits"
    return f"{_signed(change)} ({_signed(low)} to {_signed(high)})"


def _apart(name: str, labels: Sequence[str]) -> str:
    """Return the name of a side so that no group is called alike."""
    return name if name not in labels else f"{name} (all)"
