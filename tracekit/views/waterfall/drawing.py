"""A waterfall with the spans behind its rows: what a notebook needs to answer the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.attributes import texts_of
from tracekit.views.tkw1 import Payload
from tracekit.views.waterfall.compare import compared_payload, other_trace
from tracekit.views.waterfall.rows import trace_rows
from tracekit.views.waterfall.waterfall import trace_payload

if TYPE_CHECKING:
    from tracekit.analysis.clock_skew.result import ClockSkew
    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

EMBEDDED_SPANS: Final = 20_000  # above this a notebook asks for a span's attributes when it is selected
_TREE: Final = ("depth", "parent", "subEnd")


@dataclass(frozen=True)
class Drawing:
    """One waterfall.

    Parameters
    ----------
    payload
        What the page draws.
    sets
        The sets that its traces belong to: one, or two.
    rows
        For each of these sets, and each row of the view, the row of ``spans``, or -1.
    bases_ns
        Time 0 of each trace.
    """

    payload: Payload
    sets: tuple[TraceSet, ...]
    rows: Array
    bases_ns: tuple[int, ...]

    @property
    def base_ns(self) -> int:
        """Time 0 of the view."""
        return self.bases_ns[0]

    def source(self, index: int) -> tuple[TraceSet, int, int]:
        """Return where a row of the view comes from."""
        side = int(np.argmax(self.rows[:, index] >= 0))
        return self.sets[side], int(self.rows[side, index]), self.bases_ns[side]

    def span_id(self, index: int) -> str:
        """Return the id of the span in a row of the view."""
        traces, row, _ = self.source(index)
        return f"{traces.columns.spans.span_id[row]:016x}"

    def row_of(self, span_id: str) -> int:
        """Return the first row of the view with this span."""
        try:
            wanted = np.uint64(int(span_id, 16))
        except (ValueError, OverflowError):
            return -1
        same = [
            (rows >= 0) & (traces.columns.spans.span_id[rows] == wanted)
            for traces, rows in zip(self.sets, self.rows, strict=True)
        ]
        hits = np.flatnonzero(np.logical_or.reduce(same))
        return int(hits[0]) if len(hits) else -1

    def search(self, words: str) -> Array:
        """Return the rows of the view that have an attribute whose key or value holds a text."""
        wanted, hit = words.lower(), np.zeros(self.rows.shape[1], bool)
        for traces, rows in zip(self.sets, self.rows, strict=True):
            shown = np.flatnonzero(rows >= 0)
            held = traces.columns.attributes.take(rows[shown])
            kv = traces.columns.kv
            used, inverse = np.unique(held.codes, return_inverse=True)
            texts = texts_of(kv, used)
            is_found = [
                wanted in text.lower() or wanted in kv.keys[kv.key[code]].lower()
                for code, text in zip(used, texts, strict=True)
            ]
            owner = np.repeat(shown, np.diff(held.offsets))
            hit[owner[np.array(is_found, bool)[inverse]]] = True
        return np.flatnonzero(hit).astype(np.uint32)


def draw(
    traces: TraceSet,
    trace_id: str,
    *,
    path: CriticalPath | None = None,
    compare: str | TraceSet | tuple[TraceSet, str] | None = None,
    skew: ClockSkew | tuple[ClockSkew, ClockSkew] | None = None,
) -> Drawing:
    """Return the waterfall of a trace, or of two."""
    if not len(traces):
        return _nothing(traces)
    shown = trace_rows(traces, trace_id)
    if compare is None:
        if isinstance(skew, tuple):
            raise ValueError(
                "expected one clock skew where nothing is compared, found a pair: give compare=... as well"
            )
        is_small = len(shown.rows) <= EMBEDDED_SPANS
        payload = trace_payload(traces, shown.trace_id, with_details=is_small, path=path, skew=skew)
        return Drawing(payload, (traces,), shown.rows[None, :], (shown.base_ns,))
    other, other_id = other_trace(traces, shown.trace_id, compare)
    there = trace_rows(other, other_id)
    is_small = len(shown.rows) + len(there.rows) <= EMBEDDED_SPANS
    payload, rows = compared_payload(
        traces, shown.trace_id, other, there.trace_id, with_details=is_small, path=path, skew=skew
    )
    return Drawing(payload, (traces, other), rows, (shown.base_ns, there.base_ns))


def _nothing(traces: TraceSet) -> Drawing:
    """Return the waterfall of an empty set: no row, and words that say so."""
    columns = {name: np.zeros(0, np.uint32) for name in ("start", "dur", *_TREE, "svc", "name", "kind", "flags")}
    meta = {"id": "", "services": [], "slots": [], "kinds": [], "sources": [], "note": "There is no trace in the data."}
    return Drawing(Payload(columns, [""], meta), (traces,), np.zeros((1, 0), np.int64), (0,))
