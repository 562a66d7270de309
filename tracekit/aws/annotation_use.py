"""Annotations and metadata of traces: count, length and cardinality per key."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.schema import Origin, RecordKind, ValueType

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

LONGEST_VALUE = 1_000  # characters that X-Ray indexes
_SCALARS = (ValueType.STR, ValueType.BOOL, ValueType.INT, ValueType.DOUBLE)


@dataclass(frozen=True)
class Used:
    """The annotations and metadata of a set.

    Parameters
    ----------
    traces
        The traces; only X-Ray spans count.
    """

    traces: TraceSet

    @cached_property
    def is_xray(self) -> Array:
        """Whether each span is from X-Ray."""
        return np.asarray(self.traces.columns.spans.record_kind != RecordKind.SPAN)

    @cached_property
    def _all(self) -> tuple[Array, Array]:
        """Span row and attribute code of all attributes of X-Ray spans."""
        attributes = self.traces.columns.attributes
        row = attributes.owners()
        keep = self.is_xray[row]
        return row[keep], attributes.codes[keep]

    @cached_property
    def _text_bytes(self) -> Array:
        """Text length of each distinct attribute in bytes; 8 for numbers."""
        text = self.traces.columns.kv.text
        ends = np.frombuffer(text.buffers()[1], np.int64)[text.offset : text.offset + len(text) + 1]
        return np.where(text.is_null().to_numpy(zero_copy_only=False), 8, np.diff(ends))

    @cached_property
    def value_length(self) -> Array:
        """Length of each distinct attribute in characters, or in bytes if below the limit."""
        text, length = self.traces.columns.kv.text, self._text_bytes.copy()
        long = np.flatnonzero(length > LONGEST_VALUE)
        length[long] = [len(part) for part in text.take(long).to_pylist()]
        return length

    @cached_property
    def row_bytes(self) -> Array:
        """Size of the attributes of each span in bytes, as compact JSON."""
        kv = self.traces.columns.kv
        key = np.array([len(text.encode()) for text in kv.keys] + [0])[kv.key]
        row, code = self._all
        total = self._text_bytes + key + len('"":"",')
        return np.bincount(row, weights=total[code], minlength=len(self.is_xray))

    def frame(self, origin: Origin) -> pd.DataFrame:
        """Return one row per attribute of an origin: ``trace``, ``code``, ``key``."""
        kv = self.traces.columns.kv
        row, code = self._all
        wanted = (kv.origin[code] == origin) & (kv.is_indexed[code] | (origin != Origin.ANNOTATION))
        code = code[wanted]
        trace = self.traces.forest.trace[row[wanted]]
        return pd.DataFrame({"trace": trace, "code": code, "key": kv.key[code], "namespace": kv.namespace[code]})

    @cached_property
    def annotations(self) -> pd.DataFrame:
        """One row per annotation."""
        return self.frame(Origin.ANNOTATION)

    def by_key(self, origin: Origin) -> pd.DataFrame:
        """Return one row per key: ``key``, ``trace_count``, ``value_count``, ``longest``, ``is_scalar``."""
        kv = self.traces.columns.kv
        frame = self.annotations if origin == Origin.ANNOTATION else self.frame(origin)
        frame = frame.assign(length=self.value_length[frame["code"]], scalar=np.isin(kv.type[frame["code"]], _SCALARS))
        groups = frame.groupby(["namespace", "key"])
        table = groups.agg(
            trace_count=("trace", "nunique"),
            value_count=("code", "nunique"),
            longest=("length", "max"),
            is_scalar=("scalar", "all"),
        ).reset_index()
        return table.assign(key=[kv.keys[key] for key in table["key"]])
