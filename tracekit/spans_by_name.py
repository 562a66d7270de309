"""The frame of spans for functions of the user, which finds attributes, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from tracekit.grouping import values

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.traces import TraceSet


class SpansByName(pd.DataFrame):
    """``spans``, whose columns are looked up by all names; what is derived from it is a plain DataFrame."""

    _metadata: ClassVar[list[str]] = ["source"]
    source: TraceSet

    @classmethod
    def of(cls, traces: TraceSet) -> SpansByName:
        """Return the spans of traces."""
        frame = cls(traces.spans)
        frame.source = traces
        return frame

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str) and key not in self.columns:
            return values(self.source, key)
        return super().__getitem__(key)

    @property
    def _constructor(self) -> Callable[..., pd.DataFrame]:
        return pd.DataFrame
