"""Latency charts for notebooks: histograms, cumulative distributions, and quantiles with confidence intervals."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tracekit.analysis.latency import Latency
from tracekit.text import duration, plural
from tracekit.views.charts import SHARE, chart, duration_axis, empty_state, legend_room, safe, subtitled
from tracekit.views.colours import LIGHT, NO_SERVICE, colours_for
from tracekit.views.intervals import Interval, interval_rows
from tracekit.views.latency_picture import binned, common_grid
from tracekit.views.markup import Markup, table
from tracekit.views.svg import ACCENT
from tracekit.views.themes import faded

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from tracekit.columns import Array
    from tracekit.views.figures import Chart

KINDS: Final = ("histogram", "ecdf", "limits")
_CELL: Final = ("bucket", "bucket_low_ns", "bucket_high_ns", "weight_sum")
_QUANTILES: Final = ("p50", "p95", "p99")
_DASHES: Final = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")  # of groups with one colour
_THIN, _PALER = 1.5, 0.6  # width and opacity of the lines of other results
_NS: Final = 1e-9


def plot_latency(
    result: Latency,
    *,
    kind: str = "histogram",
    groups: int = 5,
    against: Latency | Mapping[str, Latency] | None = None,
) -> Chart:
    """Draw the latency distribution of the groups with most spans.

    Parameters
    ----------
    result
        Result of ``latency``.
    kind
        ``histogram``; ``ecdf``: cumulative distribution; ``limits``: p50, p95 and p99 with their 95% CI.
    groups
        Number of groups, those with most spans first.
    against
        Baseline with the same keys, or several other results by name
        (``{"unweighted": tk.latency(traces.with_weights(1))}``): drawn over the histograms as thin, pale lines.

    Notes
    -----
    Every curve is the weighted share of its own spans, so results with different numbers of spans are comparable.
    Groups of one service have its colour and differ in their dashes.

    Returns
    -------
    Chart
        A plotly figure; durations in seconds on a logarithmic axis.

    Raises
    ------
    ValueError
        If the kind is unknown, or a result in ``against`` has other keys.

    Examples
    --------
    >>> [drawn.name for drawn in tk.plot(tk.latency(shop, roots=True)).data]
    ['shop POST /pay', 'shop GET /cart']
    >>> before = tk.latency(baseline, roots=True)
    >>> [drawn.name for drawn in tk.plot(tk.latency(shop, roots=True), against=before, groups=1).data]
    ['shop POST /pay, current', 'shop POST /pay, baseline']
    """
    if kind not in KINDS:
        raise ValueError(f"expected a kind of {', '.join(KINDS)}, found {kind!r}")
    if isinstance(against, Latency):
        return LatencyChart(result, {"baseline": against}, groups, name="current").draw(kind)
    return LatencyChart(result, dict(against or {}), groups).draw(kind)


class _Curve(NamedTuple):
    """One group of one result: its name in tooltips and, if listed, in the legend."""

    name: str
    entry: str
    is_listed: bool
    cells: pd.DataFrame
    line: dict[str, Any]

    def look(self) -> dict[str, Any]:
        """Return the plotly attributes that do not depend on the kind of chart."""
        return {"mode": "lines", "name": self.entry, "showlegend": self.is_listed, "line": self.line}


class LatencyChart:
    """The groups with most spans, compared with the same groups of other results.

    Parameters
    ----------
    result
        Result of ``latency``.
    against
        Other results by name.
    groups
        Number of groups.
    name
        Name of ``result`` in a comparison.

    Raises
    ------
    ValueError
        If another result has other keys.
    """

    def __init__(self, result: Latency, against: dict[str, Latency], groups: int, *, name: str = "") -> None:
        self.result, self.results = result, {name: result, **against}
        self.keys = [name for name in result.histogram.columns if name not in _CELL]
        for other_name, other in against.items():
            keys = [key for key in other.histogram.columns if key not in _CELL]
            if keys != self.keys:
                raise ValueError(f"expected latencies by {self.keys} in against, found {keys} in {other_name!r}")
        shown = result.table[result.table["p50_ns"].notna()].head(groups)
        self.rows: list[dict[str, Any]] = [{str(k): v for k, v in row.items()} for row in shown.to_dict("records")]
        self.left_out = len(result.table) - len(self.rows)

    def draw(self, kind: str) -> Chart:
        """Return the figure of this kind."""
        if not self.rows:
            return empty_state(chart("Latency"), "No spans with a duration.")
        figure = {"histogram": self._histogram, "ecdf": self._cumulated, "limits": self._limits}[kind]()
        return subtitled(figure, self.result.statement)

    def _name(self, row: dict[str, Any], other: str) -> str:
        """Return the name of a curve."""
        mine = safe(" ".join(str(row[key]) for key in self.keys) or "all spans")
        return f"{mine}, {safe(other)}" if other else mine

    def _colours(self) -> list[str]:
        """Return the colour of each group: that of its service, else the next one."""
        palette, services = colours_for(*self.results.values()), [row.get("service_name") for row in self.rows]
        if "service_name" in self.keys:
            return [LIGHT[palette.slot(str(name) if name == name else NO_SERVICE)] for name in services]  # noqa: PLR0124 - NaN
        return [LIGHT[at % len(LIGHT)] if len(services) > 1 else ACCENT for at in range(len(services))]

    def _title(self, what: str) -> str:
        """Return the title with the number of groups shown."""
        return (
            f"{what} (top {len(self.rows)} of {plural(len(self.rows) + self.left_out, 'group')})"
            if self.left_out
            else what
        )

    def _curves(self) -> list[_Curve]:
        """Return the curves with data; each other result has one legend entry for all groups."""
        out: list[_Curve] = []
        turns: Counter[str] = Counter()
        for row, colour in zip(self.rows, self._colours(), strict=True):
            dash = _DASHES[turns[colour] % len(_DASHES)]
            turns[colour] += 1
            for k, (other, result) in enumerate(self.results.items()):
                cells = _of(result.histogram, self.keys, row)
                if len(cells):
                    look = {"color": faded(colour, _PALER**k), "width": _THIN} if k else {"color": colour, "width": 2}
                    line = {**look, "dash": dash}
                    entry = self._name(row, other) if not k or len(self.rows) == 1 else f"{safe(other)} (all groups)"
                    is_first = not k or entry not in {curve.entry for curve in out}
                    out.append(_Curve(self._name(row, other), entry, is_first, cells, line))
        return out

    def _histogram(self) -> Chart:
        """Return histograms as outlines."""
        axis = {**SHARE, "title": {"text": "share of spans"}}
        figure = chart(self._title("Latency"), table=self._table(), xaxis=self._axis(), yaxis=axis)
        curves = self._curves()
        low, step = common_grid([curve.cells for curve in curves])
        figure.update_layout(margin={"t": legend_room([curve.entry for curve in curves if curve.is_listed])})
        for curve in curves:
            edges, share = binned(curve.cells, low, step)
            fill = {"fill": "tozeroy", "fillcolor": faded(curve.line["color"], 0.12)} if len(curves) == 1 else {}
            figure.add_scatter(
                x=(np.repeat(edges, 2)[1:-1] * _NS).tolist(),
                y=np.repeat(share, 2).tolist(),
                hovertemplate=f"%{{x:.3~s}}s: %{{y:.1%}}<extra>{curve.name}</extra>",
                **curve.look(),
                **fill,
            )
        return figure

    def _cumulated(self) -> Chart:
        """Return cumulative distributions."""
        axis = {"tickformat": ".0%", "range": [0, 1.02], "title": {"text": "cumulative share of spans"}}
        figure = chart(self._title("Cumulative latency"), table=self._table(), xaxis=self._axis(), yaxis=axis)
        curves = self._curves()
        figure.update_layout(margin={"t": legend_room([curve.entry for curve in curves if curve.is_listed])})
        for curve in curves:
            x, y = _ecdf(curve.cells)
            hover = f"%{{y:.1%}} within %{{x:.3~s}}s<extra>{curve.name}</extra>"
            figure.add_scatter(x=x, y=y, hovertemplate=hover, **curve.look())
        return figure

    def _limits(self) -> Chart:
        """Return quantiles with their 95% CI."""
        intervals = []
        for row in self.rows:
            for other, result in self.results.items():
                found = _of(result.table, self.keys, row)
                for mine in found.to_dict("records"):
                    name = self._name(row, other)
                    intervals += [
                        Interval(name, q, *(float(mine[f"{q}{side}_ns"]) * _NS for side in ("", "_low", "_high")))
                        for q in _QUANTILES
                    ]
        figure = interval_rows(self._title("Latency (95% CI)"), intervals, xaxis=self._axis(), table=self._table())
        figure.update_traces(hovertemplate="%{y}: %{x:.3~s}s, %{text}<extra></extra>")
        return figure

    def _axis(self) -> dict[str, Any]:
        """Return the axis of durations."""
        ends = [curve.cells[f"bucket_{side}_ns"] for curve in self._curves() for side in ("low", "high")]
        return duration_axis(float(value) * _NS for part in ends for value in (part.min(), part.max()))

    def _table(self) -> Markup:
        """Return a table of the quantiles."""
        rows = [
            (self._plain(row), *(duration(float(row[f"{q}_ns"])) for q in _QUANTILES), int(row["span_count"]))
            for row in self.rows
        ]
        return table(("group", *_QUANTILES, "spans"), rows)

    def _plain(self, row: dict[str, Any]) -> str:
        """Return the unescaped name of a group."""
        return " ".join(str(row[key]) for key in self.keys) or "all spans"


def _of(frame: pd.DataFrame, keys: list[str], row: dict[str, Any]) -> pd.DataFrame:
    """Return the rows of one group; missing keys are equal to each other."""
    for key in keys:
        value = row[key]
        frame = frame[frame[key].isna() if value is None or value != value else frame[key] == value]  # noqa: PLR0124 - NaN
    return frame


def _ecdf(cells: pd.DataFrame) -> tuple[list[float], list[float]]:
    """Return the cumulative distribution: upper bucket edges in seconds and the share below."""
    edge = cells["bucket_high_ns"].to_numpy(float) * _NS
    share: Array = np.cumsum(cells["weight_sum"].to_numpy(float))
    first = max(float(cells["bucket_low_ns"].iloc[0]) * _NS, edge[0] / 1.02)
    return [first, *edge.tolist()], [0.0, *(share / share[-1]).tolist()]
