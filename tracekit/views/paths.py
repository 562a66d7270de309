"""Shapes of traces: a small flame graph of each, and how frequent it is, on both sides if there is a baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tracekit.text import clean, duration, interval, plural, points, ratio, with_interval
from tracekit.views.card import Card, Words
from tracekit.views.charts import SHARE, bar_rows, chart, empty_state, safe
from tracekit.views.colours import colours_for
from tracekit.views.flame.shape import shape_drawing
from tracekit.views.markup import table
from tracekit.views.share_rows import ShareRow, share_rows
from tracekit.views.svg import ACCENT
from tracekit.views.two_bars import COLOURS, Share, two_bars, unique

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd

    from tracekit.analysis.paths.result import Paths
    from tracekit.views.card import Row
    from tracekit.views.colours import Colours
    from tracekit.views.figures import Chart

KINDS: Final = ("shapes", "bars")
_LONG: Final = 70  # characters of a label
_LONGER: Final = 300  # characters of the operations that a shape has beside the usual ones


def plot_paths(result: Paths, *, kind: str = "shapes", shapes: int = 6, bars: int = 12) -> Card | Chart:
    """Draw the shapes of traces.

    Parameters
    ----------
    result
        Result of ``paths``.
    kind
        ``shapes``: a small flame graph of each beside its frequency and latency; frames are as wide as the mean time
        of their calls, calls that the usual shape lacks have an outline; ``bars``: a bar chart of the frequencies.
    shapes, bars
        Number of shapes, in the order of the table: with a baseline, new and vanished ones first.

    Returns
    -------
    Card or Chart
        The list of shapes, or a plotly figure; a note if there are no traces on a side.

    Raises
    ------
    ValueError
        If the kind is unknown.

    Examples
    --------
    >>> tk.plot(tk.paths(shop))
    Card('Shapes of traces (3 of 3)')
    >>> tk.plot(tk.paths(shop), kind="bars").data[0].x
    (0.6, 0.2, 0.2)
    """
    if kind not in KINDS:
        raise ValueError(f"expected a kind of {' or '.join(KINDS)}, found {kind!r}")
    if kind == "bars":
        return _bars(result, bars)
    shown = result.table.head(shapes)
    if shown.empty:
        return Card("Shapes of traces", ["No traces."])
    colours = colours_for(result)
    rows = [_row(result, row, colours) for row in shown.to_dict("records")]
    return Card(f"Shapes of traces ({len(shown)} of {len(result.table):,})", rows=rows)


def _row(result: Paths, row: dict[Hashable, Any], colours: Colours) -> Row:
    """Return the flame graph of a shape, and beside it its frequency and latency."""
    title = clean(row["endpoint"], limit=_LONG)
    note = " (added calls have an outline)" * ("+ " in row["differs_by"])
    differs = f"Compared with the usual shape{note}: {clean(row['differs_by'], limit=_LONGER)}."
    lines = [differs] if row["differs_by"] else []
    frequencies = [ShareRow("share of the traces", float(row["frequency_ratio"]), COLOURS[1])]
    if "verdict" in row:
        title += f": {row['verdict']}"
        frequencies.insert(0, ShareRow("share of the baseline", float(row["baseline_frequency_ratio"]), COLOURS[0]))
        frequencies[1] = frequencies[1]._replace(label="share of the current traces")
        limits = interval(row["change_low_ratio"], row["change_high_ratio"], points)
        lines.append(f"Change {points(row['change_ratio'])} ({limits}).")
    else:
        limits = interval(row["frequency_low_ratio"], row["frequency_high_ratio"], ratio)
        lines.append(f"{plural(row['trace_count'], 'trace')}, {limits}.")
    if row["p95_ns"] == row["p95_ns"]:
        failed = f"error rate {ratio(row['error_ratio'])}"
        lines.append(f"p50 {duration(row['p50_ns'])}, p95 {duration(row['p95_ns'])}, {failed}.")
    if isinstance(row["typical_trace_id"], str):
        lines.append(f"Typical trace: {row['typical_trace_id']}.")
    words = Words(title, lines, is_list=False)
    drawing = shape_drawing(result.tree(row["shape"]), colours, added=row["differs_by"])
    return [[drawing], [words, share_rows("", frequencies)]]


def _bars(result: Paths, bars: int) -> Chart:
    """Return the frequencies as a bar chart."""
    shown = result.table.head(bars)
    title = f"Shapes of traces (top {len(shown)} of {len(result.table):,})"
    if shown.empty:
        return empty_state(chart("Shapes of traces"), "No traces.")
    if "verdict" in shown:
        if shown[["frequency_ratio", "baseline_frequency_ratio"]].isna().any(axis=None):
            return empty_state(chart("Shapes of traces"), "One side has no traces.")
        shares = [_share(row) for _, row in shown.iterrows()]
        return two_bars(title, ("baseline", "current"), shares, heads=("shape", "change"))
    labels = unique(_label(row) for _, row in shown.iterrows())
    words = [
        with_interval(value, low, high, ratio)
        for value, low, high in shown[["frequency_ratio", "frequency_low_ratio", "frequency_high_ratio"]]
        .to_numpy(float)
        .tolist()
    ]
    figure = chart(
        title,
        table=table(("shape", "share of the traces"), list(zip(labels, words, strict=True))),
        **bar_rows(labels, {**SHARE, "title": {"text": "share of the traces"}}),
    )
    figure.add_bar(
        x=shown["frequency_ratio"].tolist(),
        y=labels,
        orientation="h",
        marker={"color": ACCENT},
        customdata=words,
        hovertemplate="%{y}: %{customdata}<extra></extra>",
    )
    return figure


def _label(row: pd.Series) -> str:
    """Return the endpoint of a shape and what it has beside the usual one."""
    return safe(f"{row['endpoint']} {row['differs_by']}".strip(), limit=_LONG)


def _share(row: pd.Series) -> Share:
    """Return one shape of both sides."""
    change = f"{points(row['change_ratio'])} ({interval(row['change_low_ratio'], row['change_high_ratio'], points)})"
    words = f"{row['verdict']}, {change}, {plural(row['call_path_count'], 'call path')}"
    return Share(_label(row), float(row["baseline_frequency_ratio"]), float(row["frequency_ratio"]), words)
