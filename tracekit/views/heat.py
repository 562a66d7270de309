"""The heat map: number of requests by time and duration; a selected rectangle becomes a filter, as code.

The rectangle snaps to cells, so that its number of requests is that of the code.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import traitlets

from tracekit.stats.histograms import BASE
from tracekit.text import clean, count, duration, interval, moment, plural
from tracekit.views.charts import chart, duration_axis, empty_state, utc_texts
from tracekit.views.latency_picture import grid
from tracekit.views.markup import table
from tracekit.views.scales import Scale
from tracekit.views.themes import HEAT
from tracekit.views.widgets import Pictured

if TYPE_CHECKING:
    from tracekit.analysis.timeline.result import Timeline
    from tracekit.traces import TraceSet
    from tracekit.views.figures import Chart
    from tracekit.views.markup import Markup

_SIDE: Final = 4  # ends of a rectangle


def plot_heat(result: Timeline, marks: dict[str, int], *, height: int = 420) -> HeatWidget:
    """Return the heat map for a notebook."""
    payload, step, edges = _payload(result, marks)
    widget = HeatWidget(payload=json.dumps(payload, allow_nan=False), height=height)
    widget._step, widget._first, widget._edges = step, int(payload["first_ns"]), edges  # noqa: SLF001 - of this module
    widget._title = f"HeatMap({plural(sum(payload['traces']), 'request')})"  # noqa: SLF001 - likewise
    widget._picture, widget._table = heat_chart(result).picture(), _fullest(result)  # noqa: SLF001 - likewise
    return widget


class HeatWidget(Pictured):
    """Requests by time and duration; ``brush`` is the selected rectangle in cells, empty for none.

    ``brush`` is [from column, to column, from row, to row], ends excluded.  It can be set, and follows the view after
    ``live()``.
    """

    payload = traitlets.Unicode("").tag(sync=True)
    brush = traitlets.List(trait=traitlets.Int()).tag(sync=True)

    _input = "payload"
    _state = ("brush",)
    _first = 0
    _step = 1
    _edges: list[float]

    @traitlets.validate("brush")
    def _check_brush(self, proposal: dict[str, Any]) -> list[int]:
        """Check that the rectangle is valid and within the map."""
        brush = list(proposal["value"])
        map_ = json.loads(self.payload)
        if brush and not (
            len(brush) == _SIDE
            and 0 <= brush[0] < brush[1] <= map_["cols"]
            and 0 <= brush[2] < brush[3] <= map_["rows"]
        ):
            raise traitlets.TraitError(
                f"expected [from column, to column, from row, to row] within {map_['cols']} columns and"
                f" {map_['rows']} rows, or [], found {brush}"
            )
        return brush

    @property
    def selection(self) -> str:
        """The selected requests as code over ``traces``; ``"traces"`` without a selection."""
        if not self.brush:
            return "traces"
        start, end, low, high = self._limits()
        root = f'traces.summary["root_duration_ns"].between({low}, {high}, inclusive="left")'
        return f'traces.between("{pd.Timestamp(start)}Z", "{pd.Timestamp(end)}Z").where({root})'

    @property
    def condition(self) -> str:
        """The selected requests as code of a condition over ``traces``, for ``where`` and ``what_differs``.

        A Series of bool by trace ID: ``traces.where(condition)`` are the selected traces, ``traces.where(~condition)``
        the others, for ``tk.compare``; ``tk.what_differs(traces, condition)`` compares both.

        Examples
        --------
        >>> heat = tk.plot(tk.timeline(shop, step_s=1), kind="heat")
        >>> heat.brush = [2, 4, 0, 40]
        >>> condition = eval(heat.condition, {"traces": shop})
        >>> len(shop.where(condition)), len(shop.where(~condition))
        (2, 3)
        """
        return f"traces.summary.index.to_series().isin({self.selection}.trace_ids)"

    def select(self, traces: TraceSet) -> TraceSet:
        """Return the selected traces, like ``selection``.

        Parameters
        ----------
        traces
            The traces of the map, or others.

        Returns
        -------
        TraceSet
            Traces with a root start and duration within the rectangle; all without a selection.
        """
        if not self.brush:
            return traces
        start, end, low, high = self._limits()
        matches = traces.summary["root_duration_ns"].between(low, high, inclusive="left")
        return traces.between(pd.Timestamp(start, tz="UTC"), pd.Timestamp(end, tz="UTC")).where(matches)

    def _limits(self) -> tuple[int, int, int, int]:
        """Return start and end in ns since the epoch, and minimum and maximum duration in ns, ends excluded."""
        from_col, to_col, from_row, to_row = self.brush
        times = (self._first + col * self._step for col in (from_col, to_col))
        return *times, *(math.ceil(self._edges[row]) for row in (from_row, to_row))  # type: ignore[return-value]


def heat_chart(result: Timeline) -> Chart:
    """Return the heat map as a figure, for static images."""
    title = "Durations over time"
    if result.cells.empty:
        return empty_state(chart(title), "No requests with a start and a duration.")
    cells, rows, low, step = _rows(result)
    z = np.zeros((rows, len(result.table)))
    np.add.at(z, (cells["row"], cells["col"]), cells["weight_sum"])
    edges = BASE ** (low + np.arange(rows + 1.0) * step) * 1e-9
    starts = result.table["start_ns"].to_numpy(np.int64)
    period = utc_texts(np.array([starts[0], starts[-1] + result.step_ns]))
    figure = chart(
        title,
        table=_fullest(result),
        xaxis={"type": "date", "title": {"text": "start time, UTC"}, "range": period},
        yaxis=duration_axis(edges, showgrid=False, range=np.log10(edges[[0, -1]]).tolist()),
    )
    levels = [(k / (len(HEAT) - 1)) ** 2 for k in range(len(HEAT))]
    figure.add_heatmap(
        x=utc_texts(starts + result.step_ns // 2),
        y=np.sqrt(edges[1:] * edges[:-1]).tolist(),
        z=[[value or None for value in row] for row in z.tolist()],
        colorscale=[[level, colour] for level, colour in zip(levels, HEAT, strict=True)],
        zmin=0,
        zmax=float(z.max()),
        colorbar={"title": {"text": "requests"}, "thickness": 10, "outlinewidth": 0},
        hoverongaps=False,
        hovertemplate="%{x}, about %{y:.3~s}s: %{z:,} requests<extra></extra>",
    )
    return figure


def _rows(result: Timeline) -> tuple[pd.DataFrame, int, int, int]:
    """Return the cells with ``col`` and ``row``, the number of rows, the first bucket and the buckets per row."""
    low, step = grid(result.cells)
    first = int(result.table["start_ns"].iloc[0])
    bucket = np.maximum(result.cells["bucket"].to_numpy(np.int64) - low, 0)
    cells = result.cells.assign(row=bucket // step, col=(result.cells["start_ns"] - first) // result.step_ns)
    return cells, int(cells["row"].max()) + 1, low, step


def _payload(result: Timeline, marks: dict[str, int]) -> tuple[dict[str, Any], int, list[float]]:
    """Return the payload, the time step in ns and the edges of the rows in ns."""
    if result.cells.empty:
        words = "No requests with a start and a duration."
        empty: dict[str, Any] = {name: [] for name in ("marks", "ticks", "clock", "col", "row", "weight", "traces")}
        sizes = {"cols": 1, "rows": 1, "first_ns": "0", "times": ["", ""], "edges": [0, 1]}
        return {"view": "heat", "title": words, **sizes, **empty}, 1, [0.0, 1.0]
    cells, rows, low, step = _rows(result)
    totals = cells.groupby(["col", "row"], as_index=False)[["weight_sum", "trace_count"]].sum()
    edges = [0.0 if low == 0 else BASE**low, *(float(e) for e in BASE ** (low + np.arange(1.0, rows + 1) * step))]
    edges[0] = 0.0 if int(result.cells["bucket"].min()) < 0 else edges[0]
    starts = [int(start) for start in result.table["start_ns"]]
    cols, first = len(starts), starts[0]
    decimals = 0 if result.step_ns >= 10**9 else 3 if result.step_ns >= 10**6 else 9
    axis = Scale("log", max(1.0, edges[0]) * 1e-9, edges[-1] * 1e-9, 0, rows, form="~s")
    time_axis = Scale("date", first, first + cols * result.step_ns, 0, 700)
    payload = {
        "view": "heat",
        "title": f"Durations over time: {plural(float(cells['weight_sum'].sum()), 'request')}",
        "cols": cols,
        "rows": rows,
        "first_ns": str(first),
        "times": [moment(first + k * result.step_ns, decimals=decimals) for k in range(cols + 1)],
        "edges": [math.ceil(edge) for edge in edges],
        "ticks": [{"at": at, "words": words} for at, words in axis.ticks()],
        "clock": [{"at": at / 700 * cols, "words": words} for at, words in time_axis.ticks()],
        "marks": [
            {"at": (at - first) / result.step_ns, "name": clean(name, limit=30)}
            for name, at in sorted(marks.items(), key=lambda mark: mark[1])
            if 0 <= at - first <= cols * result.step_ns
        ],
        "col": totals["col"].tolist(),
        "row": totals["row"].tolist(),
        "weight": totals["weight_sum"].tolist(),
        "traces": totals["trace_count"].tolist(),
    }
    return payload, result.step_ns, edges


def _fullest(result: Timeline) -> Markup:
    """Return a table of the cells with most requests."""
    rows = (
        [
            (
                moment(row["start_ns"]),
                interval(row["bucket_low_ns"], row["bucket_high_ns"], duration, confidence=""),
                count(row["weight_sum"]),
            )
            for row in result.cells.nlargest(5, "weight_sum").to_dict("records")
        ]
        if len(result.cells)
        else []
    )
    return table(("start time, UTC", "duration", "requests"), rows)
