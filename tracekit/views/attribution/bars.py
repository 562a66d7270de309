"""Critical-path time by service or any other key, over all requests and by latency band."""

from __future__ import annotations

import html
import math
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.grouping import named
from tracekit.text import count, duration, plural, ratio
from tracekit.views.charts import SECONDS, bar_rows, chart, empty_state, legend_room, safe, subtitled
from tracekit.views.colours import LIGHT, NO_SERVICE, colours_for
from tracekit.views.markup import table
from tracekit.views.svg import ACCENT, MUTE
from tracekit.views.themes import faded

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.analysis.critical_path.shares import Bands
    from tracekit.columns import Array
    from tracekit.grouping import By
    from tracekit.views.colours import Colours
    from tracekit.views.figures import Chart

NS: Final = 1e-9
_OTHERS: Final = faded("#8695a6", 0.6)
_PALER: Final = 0.7  # opacity of each further operation of a service in a stack, compared with the one before


def plot_critical_path(result: CriticalPath, *, by: By = "service_name", bars: int = 15) -> Chart:
    """Draw mean critical-path time per request by service, or any other keys of ``CriticalPath.by``.

    Parameters
    ----------
    result
        Result of ``critical_path``.
    by
        As in ``CriticalPath.by``.
    bars
        Number of bars, the largest first.

    Returns
    -------
    Chart
        A plotly figure: one bar per group with its 95% CI; the bars sum to the mean latency; a note if there are none.

    Examples
    --------
    >>> drawn = tk.plot(tk.critical_path(shop)).data[0]
    >>> drawn.y, [round(value * 1e3) for value in drawn.x]
    (('ledger', 'shop', 'cart'), [94, 54, 4])
    """
    keys = list(named(by))
    title, whole = "Critical-path time per request", result.by(by)
    whole = whole[whole["path_time_ns"] > 0].sort_values("mean_ns", ascending=False, kind="stable")
    if whole.empty:
        return empty_state(chart(title), "All requests have a duration of 0.")
    shown = whole.head(bars)
    labels = labels_of(shown, keys)
    words = [
        f"{duration(mean)}, {ratio(share)}" for mean, share in zip(shown["mean_ns"], shown["share_ratio"], strict=True)
    ]
    figure = chart(
        title + (f" (top {len(shown)} of {plural(len(whole), 'group')})" if len(whole) > bars else ""),
        table=table(
            (" ".join(keys), "per request"), [(html.unescape(x), y) for x, y in zip(labels, words, strict=True)]
        ),
        **row_layout(labels),
    )
    subtitled(figure, result.statement)
    reach = [
        (_reach(high - mean), _reach(mean - low))
        for mean, low, high in zip(shown["mean_ns"], shown["mean_low_ns"], shown["mean_high_ns"], strict=True)
    ]
    figure.add_bar(
        x=(shown["mean_ns"] * NS).tolist(),
        y=labels,
        orientation="h",
        marker={"color": colours_of(shown, keys, colours_for(result))},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [up for up, _ in reach],
            "arrayminus": [down for _, down in reach],
            "color": MUTE,
            "thickness": 1.5,
        },
        text=words,
        textposition="none",
        customdata=[
            f"requests affected: {ratio(present)} ({count(n)})"
            for present, n in zip(shown["presence_ratio"], shown["trace_count"], strict=True)
        ],
        hovertemplate="%{y}: %{text}, %{customdata}<extra></extra>",
    )
    return figure


def plot_bands(result: Bands, *, groups: int = 8, excess: bool = False) -> Chart:
    """Draw critical-path time per request in each latency band.

    Parameters
    ----------
    result
        Result of ``CriticalPath.bands``.
    groups
        Number of groups with a colour, those with most time in any band first; the others are merged.
    excess
        Draw the excess over the first band instead.

    Returns
    -------
    Chart
        A plotly figure: one stacked bar per band, as high as its mean latency (or excess); a note if there are none.

    Examples
    --------
    >>> bands = tk.critical_path(shop).bands("service_name", [(0, 1)])
    >>> [drawn.name for drawn in tk.plot(bands).data]
    ['ledger', 'shop', 'cart']
    """
    value = "excess_ns" if excess else "mean_ns"
    keys = [str(name) for name in result.table.columns[1 : result.table.columns.get_loc("path_time_ns")]]
    about = result.bands[result.bands["trace_count"] > 0]
    known = result.table[result.table["band"].isin(about["band"]) & result.table[value].notna()]
    title = (
        f"Excess latency over {safe(about['band'].iloc[0])}"
        if excess and len(about)
        else "Critical-path time by latency band"
    )
    if not (known["path_time_ns"] > 0).any():
        return empty_state(chart(title), "All requests have a duration of 0.")
    group = known.groupby(keys, sort=False, dropna=False).ngroup().to_numpy()
    matrix = np.zeros((int(group.max()) + 1, len(about)))
    matrix[group, [list(about["band"]).index(band) for band in known["band"]]] = known[value]
    names = known[keys].iloc[np.unique(group, return_index=True)[1]]
    order = np.argsort(-np.abs(matrix).max(axis=1), kind="stable")
    names, matrix = names.iloc[order], matrix[order]
    colours = colours_of(names.head(groups), keys, colours_for(result), stacked=True)
    return _stacked(title, names, matrix, about, colours)


def _stacked(title: str, names: pd.DataFrame, matrix: Array, about: pd.DataFrame, colours: list[str]) -> Chart:
    """Return one stacked bar per band, the first groups coloured."""
    keys, groups = [str(name) for name in names.columns], len(colours)
    labels = labels_of(names.head(groups), keys)
    if len(matrix) > groups:
        labels.append(plural(len(matrix) - groups, "other group"))
        colours = [*colours, _OTHERS]
        matrix = np.vstack((matrix[:groups], matrix[groups:].sum(axis=0)))
    words = [[duration(value) for value in row] for row in matrix]
    figure = chart(
        title,
        table=table(
            (" ".join(keys), *about["band"]), [(html.unescape(x), *y) for x, y in zip(labels, words, strict=True)]
        ),
        barmode="relative",
        xaxis={"type": "category", "title": {"text": "latency band (number of requests)"}},
        yaxis={**SECONDS, "title": {"text": "time per request"}, "showgrid": True},
        height=386 + legend_room(labels),
        margin={"t": legend_room(labels)},
    )
    places = [f"{safe(band)} ({count(n)})" for band, n in zip(about["band"], about["trace_count"], strict=True)]
    for label, colour, row, texts in zip(labels, colours, matrix, words, strict=True):
        figure.add_bar(
            x=places,
            y=(row * NS).tolist(),
            name=label,
            marker={"color": colour},
            customdata=texts,
            hovertemplate=f"%{{x}}: %{{customdata}}<extra>{label}</extra>",
        )
    return figure


def row_layout(labels: Sequence[str]) -> dict[str, Any]:
    """Return the layout of horizontal bars along an axis of durations, the first at the top."""
    times = {**SECONDS, "rangemode": "tozero", "title": {"text": "time per request"}}
    return {**bar_rows(labels, times), "height": 130 + 26 * len(labels)}


def labels_of(rows: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    """Return a safe label for each row; equal ones, such as truncated names, are numbered."""
    seen: Counter[str] = Counter()
    labels = []
    for row in rows[list(keys)].itertuples(index=False):
        label = safe(_name(row, keys))
        seen[label] += 1
        labels.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return labels


def colours_of(rows: pd.DataFrame, keys: Sequence[str], palette: Colours, *, stacked: bool = False) -> list[str]:
    """Return the colour of each row: that of its service, paler for further stacked rows of it, else the next one."""
    if "service_name" in keys:
        colours = [LIGHT[palette.slot(str(service))] for service in rows["service_name"].fillna(NO_SERVICE)]
        if not stacked:
            return colours
        turns = rows.groupby("service_name", sort=False, dropna=False).cumcount()
        return [faded(colour, _PALER**turn) if turn else colour for colour, turn in zip(colours, turns, strict=True)]
    return [LIGHT[at % len(LIGHT)] if stacked else ACCENT for at in range(len(rows))]


def _name(row: Sequence[object], keys: Sequence[str]) -> str:
    """Return the label of a group; a missing callee is omitted."""
    words: list[str] = []
    for key, part in zip(keys, row, strict=True):
        is_none = part is None or part != part  # noqa: PLR0124 - NaN
        if key == "callee_service" and words:
            words += [] if is_none else ["\N{RIGHTWARDS ARROW}", str(part)]
        else:
            words.append("(none)" if is_none else str(part))
    return " ".join(words) or "all requests"


def _reach(width: float) -> float:
    """Return the length of a whisker in seconds; 0 without a limit."""
    return float(width) * NS if math.isfinite(width) else 0.0
