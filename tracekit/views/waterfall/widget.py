"""The waterfall widget for notebooks: the Python side of the front end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from tracekit.text import duration, plural
from tracekit.views.tkw1 import Payload
from tracekit.views.waterfall.drawing import Drawing, draw
from tracekit.views.waterfall.payload import encoded, span_details
from tracekit.views.waterfall.picture import fitting_rows, slowest_spans, waterfall_picture
from tracekit.views.waterfall.rows import named_trace
from tracekit.views.widgets import Pictured
from tracekit.weights.comparability import SIDES

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.analysis.clock_skew.result import ClockSkew
    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.traces import TraceSet
    from tracekit.views.waterfall.rows import Named


class WaterfallWidget(Pictured):
    """Waterfall of one or two traces; ``selected`` is the id of the selected span, ``value`` the visible time range."""

    data = traitlets.Bytes(b"").tag(sync=True)
    row = traitlets.Int(-1).tag(sync=True)  # position of the selected span in the view
    brush = traitlets.List(traitlets.Float()).tag(sync=True)  # visible range: empty, or two times in ns from time 0
    selected = traitlets.Unicode("")
    value = traitlets.Tuple(traitlets.Int(), traitlets.Int(), allow_none=True, default_value=None)

    _input = "data"
    _state = ("row", "brush")
    _drawing: Drawing

    @classmethod
    def of(
        cls,
        traces: TraceSet,
        trace_id: Named,
        *,
        path: CriticalPath | None = None,
        compare: str | TraceSet | tuple[TraceSet, str] | None = None,
        skew: ClockSkew | tuple[ClockSkew, ClockSkew] | None = None,
        names: tuple[str, str] = SIDES,
        height: int,
    ) -> WaterfallWidget:
        """Return the widget of a trace.

        Parameters
        ----------
        traces, trace_id, path, compare, skew, names, height
            See ``waterfall``.

        Returns
        -------
        WaterfallWidget
            Attributes are embedded up to 20,000 spans; above, they are sent on selection.
        """
        name, span_id = named_trace(trace_id)
        drawing = draw(traces, name, path=path, compare=compare, skew=skew, names=names)
        payload = drawing.payload
        widget = cls(data=encoded(payload), height=height)
        widget._drawing = drawing
        end = float((payload.columns["start"] + np.maximum(payload.columns["dur"], 0)).max(initial=0))
        count = plural(int((drawing.rows[0] >= 0).sum()), "span")
        shown = f"trace {payload.meta['id']}, {count}, {duration(end)}" if payload.meta["id"] else "no trace"
        widget._title = f"Waterfall({shown})"
        widget._picture = waterfall_picture(payload, row_count=fitting_rows(height))
        widget._table = slowest_spans(payload)
        widget.on_msg(widget._answer)
        if span_id:
            widget.selected = span_id
        return widget

    @property
    def span(self) -> pd.Series | None:
        """The selected span as a row of ``traces.spans``; None without a selection."""
        if self.row < 0:
            return None
        traces, row, _ = self._drawing.source(self.row)
        return traces.spans.iloc[row]

    @traitlets.validate("row")
    def _check_row(self, proposal: dict[str, Any]) -> int:
        """Check that the position exists."""
        value = int(proposal["value"])
        known = self._drawing.rows.shape[1] if hasattr(self, "_drawing") else 0
        if not -1 <= value < max(known, 1):
            raise traitlets.TraitError(f"expected the position of one of {known} spans, or -1; found {value}")
        return value

    @traitlets.validate("selected")
    def _check_selected(self, proposal: dict[str, Any]) -> str:
        """Check that the span exists."""
        wanted = str(proposal["value"])
        if wanted and self._drawing.row_of(wanted) < 0:
            trace_id = self._drawing.payload.meta["id"]
            raise traitlets.TraitError(f"expected the id of a span of trace {trace_id}, or nothing; found {wanted!r}")
        return wanted

    @traitlets.observe("row")
    def _row_changed(self, change: dict[str, Any]) -> None:
        """Set ``selected`` from ``row``."""
        self.selected = "" if change["new"] < 0 else self._drawing.span_id(change["new"])

    @traitlets.observe("selected")
    def _selected_changed(self, change: dict[str, Any]) -> None:
        """Set ``row`` from ``selected``; a selected span keeps its row if several have the same id."""
        named = "" if self.row < 0 else self._drawing.span_id(self.row)
        if change["new"] != named:
            self.row = self._drawing.row_of(change["new"]) if change["new"] else -1

    @traitlets.observe("brush")
    def _brush_changed(self, change: dict[str, Any]) -> None:
        """Set ``value`` from ``brush``."""
        base = self._drawing.base_ns
        ends = [base + round(time) for time in change["new"]]
        if not (self.value and [time - base for time in self.value] == [round(time) for time in change["new"]]):
            self.value = tuple(ends) if ends else None  # type: ignore[assignment] # traitlets' stub has no None

    @traitlets.observe("value")
    def _value_changed(self, change: dict[str, Any]) -> None:
        """Set ``brush`` from ``value``."""
        base = self._drawing.base_ns
        wanted = [float(time - base) for time in change["new"]] if change["new"] else []
        if [round(time) for time in self.brush] != wanted:
            self.brush = wanted

    def _frame_data(self) -> bytes:
        """Return the buffer in the form that compresses best."""
        return encoded(self._drawing.payload, is_packed=True)

    def _answer(self, _: Any, content: Any, __: Any) -> None:
        """Reply to a request of the front end: the details of a span, or the rows with a text in their attributes."""
        if not isinstance(content, dict):
            return
        kind, row, words = content.get("kind"), content.get("row"), content.get("words")
        if kind == "details" and isinstance(row, int) and 0 <= row < self._drawing.rows.shape[1]:
            answer = span_details(*self._drawing.source(row))
        elif kind == "search" and isinstance(words, str):
            answer = Payload({"hit": self._drawing.search(words)}, [])
        else:
            return
        self.send({"number": content.get("number")}, [encoded(answer)])
