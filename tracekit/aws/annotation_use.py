"""Annotations and metadata of traces: their number, length and distinct values, and what is large; parts add up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.attributes import Codes, text_hashes, texts_of
from tracekit.completeness import xray_facts
from tracekit.expressions.nodes import nodes_of
from tracekit.frames import hexes
from tracekit.schema import Origin, RecordKind, ValueType
from tracekit.stats.distinct_counts import DistinctCounts
from tracekit.stats.grouping import dense_codes, distinct_by, group_rows

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

LONGEST_VALUE: Final = 1_000  # characters that X-Ray indexes
MOST_ANNOTATIONS: Final = 50
LARGEST_SEGMENT_BYTES: Final = 64_000
LARGEST_TRACE_BYTES: Final = 500_000
NEAR: Final = 0.8
MOST_ROWS: Final = 1_000  # traces or segments of a store that are listed
_SCALARS: Final = (ValueType.STR, ValueType.BOOL, ValueType.INT, ValueType.DOUBLE)
_KEYS: Final = ["origin", "namespace", "key"]


class Largest(NamedTuple):
    """Traces or segments beyond a limit: their number, and a frame of them, the largest first."""

    number: int
    rows: pd.DataFrame

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Largest:
        """Return these rows, of which the last column is the size."""
        return cls(len(rows), _ordered(rows))

    def plus(self, other: Largest) -> Largest:
        """Return those of two parts."""
        rows = [one.rows for one in (self, other) if len(one.rows)] or [self.rows]
        return Largest(self.number + other.number, _ordered(pd.concat(rows)))

    def limited(self) -> Largest:
        """Return as many rows as are listed of a store."""
        return self._replace(rows=self.rows.head(MOST_ROWS))


@dataclass(frozen=True)
class Used:
    """The annotations and metadata of some traces.

    Parameters
    ----------
    trace_count, segment_count
        All of them.
    crowded
        Traces with more annotations than X-Ray indexes: ``trace_id``, ``annotation_count``.
    segments
        Segments near the limit: ``trace_id``, ``span_id``, ``service_name``, ``size_bytes``.
    large, cut
        Traces near the limit, and those that X-Ray truncated: ``trace_id``, ``size_bytes``.
    keys
        One row per ``origin``, ``namespace`` and ``key``: ``trace_count``, ``longest``, ``is_scalar``.
    distinct
        Distinct values by the same.
    """

    trace_count: int
    segment_count: int
    crowded: Largest
    segments: Largest
    large: Largest
    cut: Largest
    keys: pd.DataFrame
    distinct: DistinctCounts

    def plus(self, other: Used) -> Used:
        """Return those of two parts of a store, limited in size."""
        keys = pd.concat([self.keys, other.keys]).groupby(_KEYS, sort=True, as_index=False)
        return Used(
            self.trace_count + other.trace_count,
            self.segment_count + other.segment_count,
            self.crowded.plus(other.crowded),
            self.segments.plus(other.segments),
            self.large.plus(other.large),
            self.cut.plus(other.cut),
            keys.agg({"trace_count": "sum", "longest": "max", "is_scalar": "all"}),
            self.distinct.plus(other.distinct),
        ).limited()

    def limited(self) -> Used:
        """Return the same with a limited number of rows and values, for parts of a store."""
        return replace(
            self,
            crowded=self.crowded.limited(),
            segments=self.segments.limited(),
            large=self.large.limited(),
            cut=self.cut.limited(),
            distinct=self.distinct.limited(),
        )

    def by_key(self, origin: Origin) -> pd.DataFrame:
        """Return one row per key.

        ``namespace``, ``key``, ``trace_count``, ``value_count``, ``value_error_ratio`` (relative standard error of that
        count, 0 where it is exact), ``longest``, ``is_scalar``.
        """
        counts = {"value_count": self.distinct.count, "value_error_ratio": self.distinct.error}
        table = self.keys.merge(pd.DataFrame(self.distinct.keys).assign(**counts), on=_KEYS)
        names = ["namespace", "key", "trace_count", *counts, "longest", "is_scalar"]
        table = table.astype(dict.fromkeys(_KEYS, object))  # pandas makes them str where a part has none
        return table.loc[table["origin"] == origin.name, names].sort_values(_KEYS[1:], ignore_index=True)


def used_in(traces: TraceSet) -> Used:
    """Return what traces in memory use; only X-Ray spans count."""
    forest, columns = traces.forest, traces.columns
    row = columns.attributes.owners()
    is_xray = columns.spans.record_kind[row] != RecordKind.SPAN
    row, code = row[is_xray], columns.attributes.codes[is_xray]
    row_bytes = np.bincount(row, _value_bytes(traces)[code], len(columns.spans))
    size = np.bincount(forest.trace, row_bytes, len(traces)).astype(np.int64)
    _, cut = xray_facts(columns, forest)
    keys, distinct = _by_key(traces, forest.trace[row], code)
    segments, segment_count = _segments(traces, row_bytes)
    return Used(
        len(traces),
        segment_count,
        _of_traces(traces, "annotation_count", _annotation_counts(traces, forest.trace[row], code), MOST_ANNOTATIONS),
        segments,
        _of_traces(traces, "size_bytes", np.where(cut, 0, size), NEAR * LARGEST_TRACE_BYTES),
        _of_traces(traces, "size_bytes", np.where(cut, size, -1), -1),
        keys,
        distinct,
    )


def used_in_part(traces: TraceSet) -> Used:
    """Return what a part of a store uses, limited in size."""
    return used_in(traces).limited()


def _ordered(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with the largest sizes first, equal ones by their ids."""
    ids = [name for name in ("trace_id", "span_id") if name in rows]
    return rows.sort_values([rows.columns[-1], *ids], ascending=[False, *[True] * len(ids)], ignore_index=True)


def _of_traces(traces: TraceSet, name: str, size: Array, limit: float) -> Largest:
    """Return the traces of which a size is above a limit."""
    over = np.flatnonzero(size > limit)
    return Largest.of(pd.DataFrame({"trace_id": _trace_ids(traces, over), name: size[over]}))


def _trace_ids(traces: TraceSet, trace: Array) -> Array:
    """Return the ids of some traces."""
    spans, first = traces.columns.spans, traces.forest.starts[trace]
    return hexes(spans.trace_hi[first], spans.trace_lo[first])


def _segments(traces: TraceSet, row_bytes: Array) -> tuple[Largest, int]:
    """Return the segments near the limit, and the number of all."""
    nodes = nodes_of(traces)
    size = np.bincount(nodes.owner, row_bytes, len(nodes.row)).astype(np.int64)
    over = np.flatnonzero(size > NEAR * LARGEST_SEGMENT_BYTES)
    row = nodes.row[over]
    found = {
        "trace_id": _trace_ids(traces, traces.forest.trace[row]),
        "span_id": hexes(traces.columns.spans.span_id[row]),
        "service_name": nodes.name.take(over).series().astype(object),
        "size_bytes": size[over],
    }
    return Largest.of(pd.DataFrame(found)), len(nodes.row)


def _is_annotation(traces: TraceSet) -> Array:
    """Return which distinct attributes are annotations that X-Ray indexes."""
    kv = traces.columns.kv
    return np.asarray((kv.origin == Origin.ANNOTATION) & kv.is_indexed)


def _annotation_counts(traces: TraceSet, trace: Array, code: Array) -> Array:
    """Return the number of different annotations of each trace."""
    chosen = _is_annotation(traces)[code]
    return distinct_by(trace[chosen].astype(np.int64), code[chosen], len(traces))


def _by_key(traces: TraceSet, trace: Array, code: Array) -> tuple[pd.DataFrame, DistinctCounts]:
    """Return the annotations and metadata by key, and their distinct values."""
    kv = traces.columns.kv
    chosen = (_is_annotation(traces) | (kv.origin == Origin.METADATA))[code]
    value, codes = dense_codes(code[chosen].astype(np.int64), max(len(kv), 1))
    columns = {
        "origin": (kv.origin[codes], [origin.name for origin in Origin]),
        "namespace": (np.where(kv.namespace[codes] < 0, len(kv.namespaces), kv.namespace[codes]), [*kv.namespaces, ""]),
        "key": (kv.key[codes], kv.keys),
    }
    group, keys = group_rows(columns, len(codes))
    longest, others = np.zeros((2, len(keys)), np.int64)
    np.maximum.at(longest, group, _value_lengths(traces, codes))
    np.add.at(others, group, ~np.isin(kv.type[codes], _SCALARS))
    count = distinct_by(group[value], trace[chosen], len(keys))
    texts = [f"{kind} {text}" for kind, text in zip(kv.type[codes].tolist(), texts_of(kv, codes), strict=True)]
    hashes = text_hashes(Codes(np.arange(len(texts)), texts))
    uses = np.bincount(value, minlength=len(codes))
    table = keys.assign(trace_count=count, longest=longest, is_scalar=others == 0)
    return table, DistinctCounts.of({name: keys[name].to_numpy(object) for name in _KEYS}, group, hashes, uses)


def _text_bytes(traces: TraceSet) -> Array:
    """Return the length of each distinct attribute as text in bytes; 8 for numbers."""
    text = traces.columns.kv.text
    ends = np.frombuffer(text.buffers()[1], np.int64)[text.offset : text.offset + len(text) + 1]
    return np.where(text.is_null().to_numpy(zero_copy_only=False), 8, np.diff(ends))


def _value_lengths(traces: TraceSet, codes: Array) -> Array:
    """Return the length of some distinct attributes in characters, or in bytes if below the limit."""
    length = _text_bytes(traces)[codes]
    long = np.flatnonzero(length > LONGEST_VALUE)
    length[long] = [len(part) for part in traces.columns.kv.text.take(codes[long]).to_pylist()]
    return length


def _value_bytes(traces: TraceSet) -> Array:
    """Return the size of each distinct attribute with its key in bytes, as compact JSON."""
    kv = traces.columns.kv
    key = np.array([len(text.encode()) for text in kv.keys] + [0])[kv.key]
    return np.asarray(_text_bytes(traces) + key + len('"":"",'))
