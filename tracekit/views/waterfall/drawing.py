"""A waterfall with the spans of its rows, as the notebook widget needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.analysis.critical_path.compute import critical_path
from tracekit.attributes import texts_of
from tracekit.views.tkw1 import Payload
from tracekit.views.waterfall.compare import compared_payload, other_trace
from tracekit.views.waterfall.path import longest_stretch, path_columns
from tracekit.views.waterfall.payload import trace_payload
from tracekit.views.waterfall.rows import TraceRows, trace_rows
from tracekit.weights.comparability import SIDES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.clock_skew.result import ClockSkew
    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

EMBEDDED_SPANS: Final = 20_000  # above this, a notebook loads attributes when a span is selected
_TREE: Final = ("depth", "parent", "subEnd")


@dataclass(frozen=True)
class Drawing:
    """One waterfall.

    Parameters
    ----------
    payload
        Columns of the view.
    sets
        The sets of its traces: one, or two in a comparison.
    rows
        Row of ``spans``, or -1, by set and row of the view.
    bases_ns
        Time 0 of each trace, in ns since the epoch.
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
        """Return the set, the row of ``spans`` and time 0 of a row of the view."""
        side = int(np.argmax(self.rows[:, index] >= 0))
        return self.sets[side], int(self.rows[side, index]), self.bases_ns[side]

    def span_id(self, index: int) -> str:
        """Return the id of the span in a row of the view."""
        traces, row, _ = self.source(index)
        return f"{traces.columns.spans.span_id[row]:016x}"

    def row_of(self, span_id: str) -> int:
        """Return the first row of the view with this span id, or -1."""
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
        """Return the rows of the view with a text in an attribute key or value."""
        wanted, hit = words.lower(), np.zeros(self.rows.shape[1], bool)
        for traces, rows in zip(self.sets, self.rows, strict=True):
            shown = np.flatnonzero(rows >= 0)
            attributes = traces.columns.attributes.take(rows[shown])
            kv = traces.columns.kv
            used, inverse = np.unique(attributes.codes, return_inverse=True)
            texts = texts_of(kv, used)
            is_found = [
                wanted in text.lower() or wanted in kv.keys[kv.key[code]].lower()
                for code, text in zip(used, texts, strict=True)
            ]
            owner = np.repeat(shown, np.diff(attributes.offsets))
            hit[owner[np.array(is_found, bool)[inverse]]] = True
        return np.flatnonzero(hit).astype(np.uint32)


def draw(
    traces: TraceSet,
    trace_id: str,
    *,
    path: CriticalPath | None = None,
    compare: str | TraceSet | tuple[TraceSet, str] | None = None,
    skew: ClockSkew | tuple[ClockSkew, ClockSkew] | None = None,
    names: tuple[str, str] = SIDES,
) -> Drawing:
    """Return the waterfall of a trace, or of two traces in a comparison."""
    if not len(traces):
        return _nothing(traces)
    shown = trace_rows(traces, trace_id)
    if compare is None:
        if isinstance(skew, tuple):
            raise ValueError("expected one clock skew without a comparison, found a pair: pass compare=... as well")
        is_small = len(shown.rows) <= EMBEDDED_SPANS
        payload = trace_payload(traces, shown.trace_id, with_details=is_small, path=path, skew=skew)
        if path is None:
            payload.meta["focus"] = _opening_row(critical_path(traces.trace(shown.trace_id)), traces, shown)
        return Drawing(payload, (traces,), shown.rows[None, :], (shown.base_ns,))
    other, other_id = other_trace(traces, shown.trace_id, compare)
    there = trace_rows(other, other_id)
    is_small = len(shown.rows) + len(there.rows) <= EMBEDDED_SPANS
    payload, rows = compared_payload(
        traces, shown.trace_id, other, there.trace_id, with_details=is_small, path=path, skew=skew, names=names
    )
    if path is None:
        focus = _opening_row(critical_path(traces.trace(shown.trace_id)), traces, shown)
        payload.meta["focus"] = int(np.flatnonzero(rows[0] == shown.rows[focus])[0]) if focus >= 0 else -1
    return Drawing(payload, (traces, other), rows, (shown.base_ns, there.base_ns))


def opening_rows(traces: TraceSet, ordinals: Sequence[int]) -> list[int]:
    """Return the rows where the waterfalls of some traces open, whose critical paths are computed together."""
    chosen = np.zeros(len(traces), bool)
    chosen[list(ordinals)] = True
    path = critical_path(traces.where(chosen[traces.forest.trace]))
    return [_opening_row(path, traces, trace_rows(traces, traces.trace_ids[at])) for at in ordinals]


def _opening_row(path: CriticalPath, traces: TraceSet, shown: TraceRows) -> int:
    """Return the row where a waterfall opens: that of the longest stretch of its critical path."""
    return longest_stretch(path_columns(path, traces, shown))


def _nothing(traces: TraceSet) -> Drawing:
    """Return the waterfall of an empty set: no rows and a note."""
    columns = {name: np.zeros(0, np.uint32) for name in ("start", "dur", *_TREE, "svc", "name", "kind", "flags")}
    meta = {"id": "", "services": [], "slots": [], "kinds": [], "sources": [], "note": "No traces in the data."}
    return Drawing(Payload(columns, [""], meta), (traces,), np.zeros((1, 0), np.int64), (0,))
