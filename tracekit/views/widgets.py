"""The widgets: Python's side of ``static/tracekit.js``.  Imported only when a notebook asks for one (0.1 s).

A widget carries its picture: saved notebooks, converters and front ends that run no scripts show an ``<img>`` with a
short table, and ``text/plain`` never holds a memory address.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anywidget
import numpy as np
import traitlets

from tracekit.views.svg import image
from tracekit.views.text import duration, plural
from tracekit.views.tkw1 import encode
from tracekit.views.waterfall import EMBEDDED_SPANS, TraceRows, span_details, trace_payload, trace_rows
from tracekit.views.waterfall_picture import slowest_spans, waterfall_picture

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.traces import TraceSet
    from tracekit.views.markup import Markup

MODULE: Final = Path(__file__).parent / "static" / "tracekit.js"


class _Pictured(anywidget.AnyWidget):
    """A widget with a still picture of itself."""

    _esm = MODULE
    height = traitlets.Int(480).tag(sync=True)

    _title = ""
    _picture: Markup
    _table: Markup

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the live view and what stands in for it."""
        bundle = super()._repr_mimebundle_(**options)
        data, meta = bundle if isinstance(bundle, tuple) else (bundle, {})
        still = {
            "text/html": f"{image(self._picture, self._title)}{self._table}",
            "image/svg+xml": str(self._picture),
            "text/plain": repr(self),
        }
        return {**(data or {}), **still}, dict(meta or {})

    def __repr__(self) -> str:
        return self._title


class WaterfallWidget(_Pictured):
    """One trace; ``selected`` is the position of the selected span in preorder, -1 for none."""

    data = traitlets.Bytes(b"").tag(sync=True)
    selected = traitlets.Int(-1).tag(sync=True)

    _traces: TraceSet
    _shown: TraceRows

    @classmethod
    def of(cls, traces: TraceSet, trace_id: str, *, height: int) -> WaterfallWidget:
        """Return the widget of a trace.

        Parameters
        ----------
        traces
            The set that holds it.
        trace_id
            Its id, or a beginning that no other trace has.
        height
            In pixels.

        Returns
        -------
        WaterfallWidget
            With attributes embedded up to 20,000 spans; above, they are asked for on selection.
        """
        shown = trace_rows(traces, trace_id)
        payload = trace_payload(traces, shown.trace_id, with_details=len(shown.rows) <= EMBEDDED_SPANS)
        widget = cls(data=encode(payload), height=height)
        widget._traces, widget._shown = traces, shown
        columns = payload.columns
        end = float((columns["start"] + np.maximum(columns["dur"], 0)).max(initial=0))
        widget._title = f"Waterfall(trace {shown.trace_id}, {plural(len(shown.rows), 'span')}, {duration(end)})"
        widget._picture, widget._table = waterfall_picture(payload), slowest_spans(payload)
        widget.on_msg(widget._answer)
        return widget

    @property
    def span(self) -> pd.Series | None:
        """The selected span as a row of ``traces.spans``; None without a selection."""
        if self.selected < 0:
            return None
        return self._traces.spans.iloc[int(self._shown.rows[self.selected])]

    @traitlets.validate("selected")
    def _check_selected(self, proposal: dict[str, Any]) -> int:
        """Refuse positions that are not there."""
        value, known = int(proposal["value"]), len(getattr(self, "_shown", TraceRows("", np.zeros(0), 0)).rows)
        if not -1 <= value < max(known, 1):
            raise traitlets.TraitError(f"expected the position of one of {known} spans, or -1; found {value}")
        return value

    def _answer(self, _: Any, content: Any, __: Any) -> None:
        """Send the details of the span that the page asks for."""
        row = content.get("row") if isinstance(content, dict) and content.get("kind") == "details" else None
        if isinstance(row, int) and 0 <= row < len(self._shown.rows):
            self.send({"kind": "details", "row": row}, [encode(span_details(self._traces, self._shown, row))])


class MapWidget(_Pictured):
    """A service map; ``selected`` is the name of the service in focus, empty for none."""

    graph = traitlets.Unicode("").tag(sync=True)
    selected = traitlets.Unicode("").tag(sync=True)

    @classmethod
    def of(cls, graph: dict[str, Any], picture: Markup, table: Markup, title: str, *, height: int) -> MapWidget:
        """Return the widget of a map.

        Parameters
        ----------
        graph
            As ``service_graph.map_payload`` makes it.
        picture, table
            What stands in for it.
        title
            Plain text that says what it is.
        height
            In pixels.

        Returns
        -------
        MapWidget
            Ready to show.
        """
        widget = cls(graph=json.dumps(graph, ensure_ascii=False, allow_nan=False), height=height)
        widget._picture, widget._table, widget._title = picture, table, title
        return widget
