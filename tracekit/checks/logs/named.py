"""The spans that log lines belong to, of traces in memory or of a store: what their rows are in the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracekit.analysis.logs.match import found_in
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from tracekit.analysis.logs.open_requests import Only
    from tracekit.columns import Array
    from tracekit.loading.logs.table import LogLines
    from tracekit.parts import On, Parts


@dataclass(frozen=True, eq=False)
class NamedSpans:
    """Returns the spans that log lines name, with the spans above them, and the roots of the traces that they name.

    Parameters
    ----------
    high, low
        The halves of the trace ids, each once; those of 64 bits are the lower half of an id.
    span_id
        Ids of spans.
    alone
        Those of them that are named without a trace.
    """

    high: Array
    low: Array
    span_id: Array
    alone: Array

    @classmethod
    def by(cls, lines: LogLines, only: Only | None = None) -> NamedSpans:
        """Return what chooses the spans of these lines; ``only``: those that lines are matched with by time."""
        names = ("trace_hi", "trace_lo", "span_id")
        given = [lines.frame[name].to_numpy(np.uint64) for name in names]
        high, low, span_id = given if only is None else map(np.append, given, (getattr(only, name) for name in names))
        has_trace = (high != 0) | (low != 0)
        both = np.unique(np.stack([high, low], axis=1)[has_trace], axis=0)
        return cls(both[:, 0], both[:, 1], np.unique(span_id[span_id != 0]), np.unique(span_id[~has_trace]))

    def __call__(self, traces: TraceSet) -> TraceSet:
        """Return those of some traces."""
        spans, forest = traces.columns.spans, traces.forest
        high, low = (each[forest.starts[:-1]] for each in (spans.trace_hi, spans.trace_lo))
        is_named = found_in((self.high, self.low), (high, low)) >= 0
        is_named |= np.isin(low, self.low[self.high == 0])
        is_named[forest.trace[np.isin(spans.span_id, self.alone[self.alone != 0])]] = True
        kept = is_named[forest.trace] & np.isin(spans.span_id, self.span_id)
        kept[forest.root_row[is_named]] = True
        above = np.flatnonzero(kept)
        while len(above):
            parent = forest.parent_row[above]
            above = np.unique(parent[parent >= 0])
            above = above[~kept[above]]
            kept[above] = True
        return TraceSet(traces.columns.take(np.flatnonzero(kept)), weights=traces.weights.take(is_named))


def named_spans(traces: TraceSet | Parts, lines: LogLines, on: On = None, only: Only | None = None) -> TraceSet:
    """Return traces in memory as they are; of a store the spans that log lines name, or are matched with by time."""
    return traces if isinstance(traces, TraceSet) else traces.placed(on).chosen(NamedSpans.by(lines, only))
