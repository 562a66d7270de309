"""S23: signs of truncated X-Ray traces: its flag, documents near the size limit, subsegments at a limit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.schema import RecordKind

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

_NEAR_BYTES = 62_259  # 95% of 64 kB
_STREAMING_LIMITS = (20, 30, 100)  # Go; Python; Java, Node and .NET
_FEWEST, _PILE, _WIDTH = 5, 5, 0.1


def xray_signs(traces: TraceSet) -> dict[str, Array]:
    """Return the traces with each sign of X-Ray that is detectable in these data.

    ``LimitExceeded`` of the response; segment documents of at least 95% of 64 kB, the limit of X-Ray (only where every
    line is one document: otherwise their size is unknown); segments with exactly as many subsegments as an SDK keeps
    before it streams them separately (20, 30 or 100 by default), where at least five segments of a service have that
    many, none has more, and it is over five times as many as for each of the numbers up to 10% below.

    Assumes default streaming limits.  ``IsPartial`` occurs only in trace summaries, which contain no spans: see
    ``tracekit.aws``.

    Source: X-Ray quotas (64 kB a segment document); streaming defaults of the X-Ray SDKs.
    """
    spans = traces.columns.spans
    segment = np.flatnonzero(spans.record_kind == RecordKind.SEGMENT)
    signs = {"X-Ray's limit exceeded": _limited(traces)}
    if not len(segment):
        return signs
    large = segment[_document_bytes(traces, segment) >= _NEAR_BYTES]
    streamed = segment[_at_streaming_limit(traces, segment)]
    for sign, rows in (
        ("a segment document near 64 kB", large),
        ("as many subsegments as a streaming limit keeps", streamed),
    ):
        signs[sign] = np.zeros(len(traces), bool)
        signs[sign][traces.forest.trace[rows]] = True
    return signs


def _limited(traces: TraceSet) -> Array:
    """Return the traces to which X-Ray stopped adding segments."""
    facts, spans = traces.columns.facts, traces.columns.spans
    if not len(facts) or not facts.limit_exceeded.any():
        return np.zeros(len(traces), bool)
    first = traces.forest.starts[:-1]
    own = pd.MultiIndex.from_arrays([spans.trace_hi[first], spans.trace_lo[first]])
    limited = pd.MultiIndex.from_arrays([facts.trace_hi, facts.trace_lo])[np.asarray(facts.limit_exceeded, bool)]
    return np.asarray(own.isin(limited))


def _document_bytes(traces: TraceSet, segment: Array) -> Array:
    """Return the size of each segment's document in bytes; 0 where it is unknown."""
    spans, sources = traces.columns.spans, traces.columns.sources
    plain = sources["dialects"].map(lambda text: bool(re.fullmatch(r"segment_documents=\d+", text))).to_numpy(bool)
    size = np.zeros(len(segment), np.int64)
    for source in np.flatnonzero(plain):
        record, first = np.unique(np.where(spans.source == source, spans.record_number, -1), return_index=True)
        offset, known = spans.byte_offset[first], record >= 0
        record, offset = record[known], offset[known]
        ends = np.append(offset[1:], sources["byte_count"].iloc[source])
        is_next = np.append(np.diff(record) == 1, record[-1:] == sources["record_count"].iloc[source])
        own = np.flatnonzero(spans.source[segment] == source)
        line = np.searchsorted(record, spans.record_number[segment[own]])
        alone = np.bincount(line, minlength=len(record)) == 1
        size[own] = np.where(is_next & alone, ends - offset, 0)[line]
    return size


def _at_streaming_limit(traces: TraceSet, segment: Array) -> Array:
    """Return which segments have as many subsegments as a streaming limit, if segments of a service pile up there."""
    count = _subsegments(traces)[segment]
    service = traces.codes("service_name").codes[segment]
    found = np.zeros(len(segment), bool)
    for code in np.unique(service[np.isin(count, _STREAMING_LIMITS)]):
        own = count[service == code]
        most = int(own.max())
        low = int(np.floor(most * (1 - _WIDTH)))
        below = ((own >= low) & (own < most)).sum() / (most - low)
        piled = most in _STREAMING_LIMITS and (own == most).sum() > max(_PILE * below, _FEWEST - 1)
        found |= (service == code) & (count == most) & (piled and own.min() < most)
    return found


def _subsegments(traces: TraceSet) -> Array:
    """Return the number of subsegments of each segment, at any depth."""
    kind, parent = traces.columns.spans.record_kind, traces.forest.parent_row
    below = np.flatnonzero((kind == RecordKind.SUBSEGMENT) & (parent >= 0))
    above = np.arange(len(kind))
    above[below] = parent[below]
    while not np.array_equal(further := above[above], above):  # doubles the distance with each pass
        above = further
    return np.bincount(above[below], minlength=len(kind))
