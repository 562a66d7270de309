"""Limits that truncate traces: which sizes of traces, segments and documents pile up or are too large, of all parts."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.attributes import Codes
from tracekit.checks.merged import Merged
from tracekit.schema import RecordKind
from tracekit.stats.grouping import group_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

_PILE, _PILE_FEWEST, _LONG = 5.0, 5, 50
_NEAR_BYTES = 62_259  # 95% of 64 kB
_STREAMING_LIMITS = (20, 30, 100)  # Go; Python; Java, Node and .NET
_FEWEST, _WIDTH = 5, 0.1


class Documents(NamedTuple):
    """Lines with segment documents, one entry each: source, record, its place in bytes, and number of segments."""

    source: Array
    record: Array
    offset: Array
    segment_count: Array


class Sizes(NamedTuple):
    """Sizes of traces, segments and documents.

    Parameters
    ----------
    traces
        Number of traces by their number of spans.
    segments
        Number of segments by service and number of subsegments.
    documents
        Where each document of X-Ray is: about 32 bytes for each; none from other sources.
    """

    traces: Counter[int]
    segments: Counter[tuple[str | None, int]]
    documents: list[Documents]

    def plus(self, other: Sizes) -> Sizes:
        """Return those of two parts."""
        return Sizes(self.traces + other.traces, self.segments + other.segments, self.documents + other.documents)


class Limits(NamedTuple):
    """What reached a limit.

    Parameters
    ----------
    span_count
        Largest number of spans of a trace, if traces pile up there; else None.
    subsegment_counts
        Services with the number of subsegments at which their segments pile up.
    large
        Source and record of the documents near the largest size.
    has_segments
        Whether there are segments.
    """

    span_count: int | None
    subsegment_counts: frozenset[tuple[str | None, int]]
    large: tuple[tuple[int, int], ...]
    has_segments: bool


def _sizes(case: Case) -> Sizes:
    """Return the sizes of a part."""
    traces = case.traces
    sizes = np.unique(np.diff(traces.forest.starts), return_counts=True)
    by_size = Counter(dict(zip(*(column.tolist() for column in sizes), strict=True)))
    segment = _segments(traces)
    if not len(segment):
        return Sizes(by_size, Counter(), [])
    many = _subsegments(traces)[segment]
    columns = {"service_name": case.service.take(segment), "count": Codes(many, range(int(many.max()) + 1))}  # type: ignore[arg-type]  # numbers as labels
    group, keys = group_rows(columns, len(segment))
    names = [None if pd.isna(name) else name for name in keys["service_name"]]
    pairs = zip(names, keys["count"].tolist(), strict=True)
    counted = Counter(dict(zip(pairs, np.bincount(group).tolist(), strict=True)))
    return Sizes(by_size, counted, _documents(traces, segment))


def _limits(case: Case, found: Sizes) -> Limits:
    """Return what reached a limit."""
    large = _large(case.source.sources, found.documents)
    return Limits(_piled(found.traces), _streaming(found.segments), large, bool(found.segments))


LIMITS: Final[Merged[Limits]] = Merged(_sizes, Sizes.plus, _limits)


def at_a_limit(case: Case) -> Array:
    """Return the traces with the largest number of spans, if they pile up there."""
    most = case.result(LIMITS).span_count
    return np.asarray(np.diff(case.traces.forest.starts) == (-1 if most is None else most))


def xray_signs(case: Case) -> dict[str, Array]:
    """Return the traces with each sign of X-Ray that is detectable in these data.

    ``LimitExceeded`` of the response; segment documents of at least 95% of 64 kB, the limit of X-Ray (only where every
    line is one document: otherwise their size is unknown); segments with exactly as many subsegments as an SDK keeps
    before it streams them separately (20, 30 or 100 by default), where at least five segments of a service have that
    many, none has more, and it is over five times as many as for each of the numbers up to 10% below.

    Assumes default streaming limits.  ``IsPartial`` occurs only in trace summaries, which contain no spans: see
    ``tracekit.aws``.

    Source: X-Ray quotas (64 kB a segment document); streaming defaults of the X-Ray SDKs.
    """
    traces, limits = case.traces, case.result(LIMITS)
    signs = {"X-Ray's limit exceeded": _limited(traces)}
    if not limits.has_segments:
        return signs
    segment = _segments(traces)
    for sign, rows in (
        ("a segment document near 64 kB", segment[_is_large(traces, segment, limits)]),
        ("as many subsegments as a streaming limit keeps", segment[_is_streamed(case, segment, limits)]),
    ):
        signs[sign] = np.zeros(len(traces), bool)
        signs[sign][traces.forest.trace[rows]] = True
    return signs


def _segments(traces: TraceSet) -> Array:
    """Return rows of the segments of X-Ray."""
    return np.flatnonzero(traces.columns.spans.record_kind == RecordKind.SEGMENT)


def _piled(sizes: Counter[int]) -> int | None:
    """Return the largest size, if traces pile up there."""
    most = max(sizes, default=0)
    near = sum(n for size, n in sizes.items() if 0.9 * most <= size < most)
    neighbours = near / max(most - np.ceil(0.9 * most), 1)
    piled = most >= _LONG and sizes[most] >= _PILE_FEWEST and sizes[most] > _PILE * neighbours
    return most if piled and len(sizes) > 1 else None


def _limited(traces: TraceSet) -> Array:
    """Return the traces to which X-Ray stopped adding segments."""
    facts, spans = traces.columns.facts, traces.columns.spans
    if not len(facts) or not facts.limit_exceeded.any():
        return np.zeros(len(traces), bool)
    first = traces.forest.starts[:-1]
    own = pd.MultiIndex.from_arrays([spans.trace_hi[first], spans.trace_lo[first]])
    limited = pd.MultiIndex.from_arrays([facts.trace_hi, facts.trace_lo])[np.asarray(facts.limit_exceeded, bool)]
    return np.asarray(own.isin(limited))


def _plain(sources: pd.DataFrame) -> Array:
    """Return the numbers of the sources whose lines are segment documents."""
    is_plain = sources["dialects"].map(lambda text: bool(re.fullmatch(r"segment_documents=\d+", text)))
    return np.flatnonzero(is_plain.to_numpy(bool))


def _documents(traces: TraceSet, segment: Array) -> list[Documents]:
    """Return the lines of the documents of a part."""
    spans, found = traces.columns.spans, []
    for source in _plain(traces.columns.sources).tolist():
        record, first = np.unique(np.where(spans.source == source, spans.record_number, -1), return_index=True)
        offset, known = spans.byte_offset[first], record >= 0
        record, offset = record[known], offset[known]
        own = spans.record_number[segment[spans.source[segment] == source]]
        many = np.bincount(np.searchsorted(record, own), minlength=len(record))
        found.append(Documents(np.full(len(record), source), record.astype(np.int64), offset.astype(np.int64), many))
    return found


def _large(sources: pd.DataFrame, documents: Sequence[Documents]) -> tuple[tuple[int, int], ...]:
    """Return source and record of the documents near the largest size: the next line begins where one ends."""
    found: list[tuple[int, int]] = []
    for source in _plain(sources).tolist():
        mine = [Documents(*(column[one.source == source] for column in one)) for one in documents]
        if not mine:
            continue
        every = Documents(*(np.concatenate(columns) for columns in zip(*mine, strict=True)))
        record, first, line = np.unique(every.record, return_index=True, return_inverse=True)
        offset, many = every.offset[first], np.bincount(line, every.segment_count, minlength=len(record))
        ends = np.append(offset[1:], sources["byte_count"].iloc[source])
        is_next = np.append(np.diff(record) == 1, record[-1:] == sources["record_count"].iloc[source])
        is_large = is_next[: len(record)] & (many == 1) & ((ends[: len(record)] - offset) >= _NEAR_BYTES)
        found += [(source, one) for one in record[is_large].tolist()]
    return tuple(found)


def _is_large(traces: TraceSet, segment: Array, limits: Limits) -> Array:
    """Return which segments are of a document near the largest size."""
    spans, found = traces.columns.spans, np.zeros(len(segment), bool)
    for source in {source for source, _ in limits.large}:
        records = [record for own, record in limits.large if own == source]
        found |= (spans.source[segment] == source) & np.isin(spans.record_number[segment], records)
    return found


def _streaming(segments: Counter[tuple[str | None, int]]) -> frozenset[tuple[str | None, int]]:
    """Return services with the number of subsegments of a streaming limit, if their segments pile up there."""
    found = set()
    for service in {service for service, count in segments if count in _STREAMING_LIMITS}:
        own = {count: n for (name, count), n in segments.items() if name == service}
        most = max(own)
        low = int(np.floor(most * (1 - _WIDTH)))
        below = sum(n for count, n in own.items() if low <= count < most) / (most - low)
        piled = most in _STREAMING_LIMITS and own[most] > max(_PILE * below, _FEWEST - 1)
        if piled and min(own) < most:
            found.add((service, most))
    return frozenset(found)


def _is_streamed(case: Case, segment: Array, limits: Limits) -> Array:
    """Return which segments have as many subsegments as a streaming limit of their service."""
    found, service = np.zeros(len(segment), bool), case.service.take(segment)
    if not limits.subsegment_counts or not len(segment):
        return found
    many = _subsegments(case.traces)[segment]
    number = {None: -1} | {name: code for code, name in enumerate(service.labels)}
    for name, most in limits.subsegment_counts:
        found |= (many == most) & (service.codes == number.get(name, -2))
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
