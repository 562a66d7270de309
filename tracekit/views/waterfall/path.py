"""Overlays of a waterfall: the critical path and the correction of clock skew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from tracekit.analysis.clock_skew.result import ClockSkew
    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.columns import Array
    from tracekit.parts import Parts
    from tracekit.views.waterfall.rows import TraceRows


def path_columns(path: CriticalPath, traces: TraceSet, shown: TraceRows) -> dict[str, Array]:
    """Return the segments of the critical path of one trace."""
    first = _first_row(path.source, traces, shown, "critical path")
    segments, tree = path.segments_of(path.source.find(shown.trace_id)), path.tree
    order = np.argsort(segments["start_ns"].to_numpy(), kind="stable")
    place = np.full(len(shown.rows), -1, np.int32)
    place[shown.rows - shown.rows.min()] = np.arange(len(shown.rows))
    node = segments["span_row"].to_numpy()[order]
    is_span = node < tree.span_count
    row = np.where(is_span, place[np.where(is_span, node - first, 0)], -1)
    start, end = (segments[name].to_numpy()[order] - shown.base_ns for name in ("start_ns", "end_ns"))
    if path.clocks is not None:  # times are drawn as recorded: undo the correction
        ahead = path.clocks.of_spans(path.clocks.offset_ns, path.source.forest.trace)
        correction = np.where(is_span, ahead[np.where(is_span, node, 0)], 0)
        start, end = start + correction, end + correction
    return {"critRow": row.astype(np.int32), "critS": start.astype(np.float64), "critE": end.astype(np.float64)}


def longest_stretch(columns: dict[str, Array]) -> int:
    """Return the row with the longest segment of the critical path, -1 without one."""
    row = columns["critRow"]
    took = np.where(row >= 0, columns["critE"] - columns["critS"], -1.0)
    return int(row[np.argmax(took)]) if len(row) else -1


def shift_columns(skew: ClockSkew | CriticalPath, traces: TraceSet, shown: TraceRows) -> dict[str, Array]:
    """Return the skew correction of each span of one trace, in ns, and its uncertainty."""
    first = _first_row(skew.source, traces, shown, "clock skew")
    rows = first + shown.rows - shown.rows.min()
    estimate = skew.clocks if hasattr(skew, "clocks") else skew.estimate
    if estimate is None:
        return {name: np.zeros(len(rows)) for name in ("shift", "doubt")}
    assert isinstance(skew.source, TraceSet)  # it has the trace
    of_trace = skew.source.forest.trace
    ahead, doubt = (
        estimate.of_spans(values, of_trace)[rows].astype(np.float64)
        for values in (estimate.offset_ns, estimate.residual_ns)
    )
    return {"shift": 0.0 - ahead, "doubt": doubt}


def is_among(source: TraceSet | Parts, traces: TraceSet, shown: TraceRows) -> bool:
    """Return whether an analysed set contains a trace with the same spans; a store has none in memory."""
    if not isinstance(source, TraceSet) or shown.trace_id not in source.trace_ids:
        return False
    first, count = int(source.forest.starts[source.find(shown.trace_id)]), len(shown.rows)
    there = source.columns.spans.span_id[first : first + count]
    mine = traces.columns.spans.span_id[shown.rows.min() :][:count]
    return bool(np.array_equal(there, mine))


def _first_row(source: TraceSet | Parts, traces: TraceSet, shown: TraceRows, what: str) -> int:
    """Return the first row of the trace in the analysed set."""
    if isinstance(source, TraceSet) and is_among(source, traces, shown):
        return int(source.forest.starts[source.find(shown.trace_id)])
    raise ValueError(
        f"expected the {what} of these traces, found that of others: trace {shown.trace_id} is missing or has "
        f"other spans there; pass {what.replace(' ', '_')}(traces)"
    )
