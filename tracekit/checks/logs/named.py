"""The spans that log lines belong to, of traces in memory or of a store: what their rows are in the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracekit.analysis.logs.match import found_in
from tracekit.loading.building.pool import mix
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
        alone = np.unique(span_id[~has_trace])
        return cls(both[:, 0], both[:, 1], np.unique(span_id[span_id != 0]), alone[alone != 0])

    @property
    def sketch(self) -> MaybeNamed:
        """What chooses these spans of a part, and a few others."""
        short = self.low[self.high == 0]
        return MaybeNamed(np.unique(_hash(self.high, self.low)), short, np.unique(_hash(self.span_id)), self.alone)

    def __call__(self, traces: TraceSet) -> TraceSet:
        """Return those of some traces."""
        spans, first = traces.columns.spans, traces.forest.starts[:-1]
        high, low = spans.trace_hi[first], spans.trace_lo[first]
        is_named = (found_in((self.high, self.low), (high, low)) >= 0) | np.isin(low, self.low[self.high == 0])
        return _with_parents(traces, is_named, self.alone, np.isin(spans.span_id, self.span_id))


@dataclass(frozen=True, eq=False)
class MaybeNamed:
    """Returns the spans that ``NamedSpans`` returns, and others whose ids have the same hashes: 4 bytes of each id.

    Of a million ids, one in 4,000 others has the hash of one.

    Parameters
    ----------
    trace, span
        Hashes of the ids of traces and spans, ascending.
    short
        Trace ids of 64 bits, which are the lower half of an id.
    alone
        Ids of spans that are named without a trace.
    """

    trace: Array
    short: Array
    span: Array
    alone: Array

    def __call__(self, traces: TraceSet) -> TraceSet:
        """Return those of a part."""
        spans, first = traces.columns.spans, traces.forest.starts[:-1]
        high, low = spans.trace_hi[first], spans.trace_lo[first]
        is_named = _are_in(_hash(high, low), self.trace) | np.isin(low, self.short)
        return _with_parents(traces, is_named, self.alone, _are_in(_hash(spans.span_id), self.span))


def named_spans(traces: TraceSet | Parts, lines: LogLines, on: On = None, only: Only | None = None) -> TraceSet:
    """Return traces in memory as they are; of a store the spans that log lines name, or are matched with by time."""
    if isinstance(traces, TraceSet):
        return traces
    named = NamedSpans.by(lines, only)
    return named(traces.placed(on).chosen(named.sketch))


def _hash(*ids: Array) -> Array:
    """Return 4 bytes for each id."""
    return (mix(ids) >> np.uint64(32)).astype(np.uint32)


def _are_in(values: Array, known: Array) -> Array:
    """Return which values are among known ones, which are in ascending order."""
    if not len(known):
        return np.zeros(len(values), bool)
    return np.asarray(known[np.minimum(np.searchsorted(known, values), len(known) - 1)] == values)


def _with_parents(traces: TraceSet, is_named: Array, alone: Array, is_span: Array) -> TraceSet:
    """Return chosen spans of named traces, and of those with a span named alone, with the spans above and the roots."""
    spans, forest = traces.columns.spans, traces.forest
    is_named = is_named.copy()
    is_named[forest.trace[np.isin(spans.span_id, alone)]] = True
    kept = is_named[forest.trace] & is_span
    kept[forest.root_row[is_named]] = True
    above = np.flatnonzero(kept)
    while len(above):
        parent = forest.parent_row[above]
        above = np.unique(parent[parent >= 0])
        above = above[~kept[above]]
        kept[above] = True
    rows = np.flatnonzero(kept)
    return TraceSet(traces.columns.take(rows), weights=traces.weights.take(is_named), steps=traces.steps)
