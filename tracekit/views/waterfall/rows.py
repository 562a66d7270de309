"""Rows of a waterfall: its spans in order and the start of its time axis; and how users identify a trace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
import pandas as pd

from tracekit.arguments import is_store
from tracekit.findings import Finding
from tracekit.schema import Quality

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.loading.store.trace_store import TraceStore
    from tracekit.traces import TraceSet

    Named: TypeAlias = str | pd.Series | Mapping[str, Any] | Finding


@dataclass(frozen=True)
class TraceRows:
    """The spans of a waterfall and the start of its time axis.

    Parameters
    ----------
    trace_id
        Hex text.
    rows
        Rows of ``traces.spans``, in preorder.
    base_ns
        Earliest known time, in ns since the epoch: 0 on the axis.
    """

    trace_id: str
    rows: Array
    base_ns: int


def trace_rows(traces: TraceSet, trace_id: str) -> TraceRows:
    """Return the spans of one trace in drawing order."""
    at = traces.find(trace_id)
    forest, spans = traces.forest, traces.columns.spans
    rows = forest.preorder_of(at)
    no_start, no_end = missing_times(traces, rows)
    known = np.concatenate((spans.start_ns[rows][~no_start], spans.end_ns[rows][no_start & ~no_end]))
    return TraceRows(traces.trace_ids[at], rows, int(known.min(initial=np.iinfo(np.int64).max)) if len(known) else 0)


def in_hand(traces: TraceSet | TraceStore, *trace_ids: str) -> TraceSet:
    """Return traces in memory as they are, of a store only those with these ids or unique prefixes of them."""
    if not is_store(traces):
        return cast("TraceSet", traces)
    store = cast("TraceStore", traces)
    found = [store.trace(each) for each in trace_ids]
    return found[0] if len(found) == 1 else store.traces(each.trace_ids[0] for each in found)


def missing_times(traces: TraceSet, rows: Array) -> tuple[Array, Array]:
    """Return which rows have no start, and which have no end."""
    quality = traces.columns.spans.quality[rows]
    return (quality & Quality.NO_START) != 0, (quality & Quality.NO_END) != 0


def named_trace(name: Named) -> tuple[str, str]:
    """Return the trace id, and the span id if there is one, from an id, a row of a result or a finding."""
    if isinstance(name, str):
        return name, ""
    if isinstance(name, Finding) and name.exemplars:
        return str(name.exemplars[0]), ""
    if isinstance(name, pd.Series | Mapping):
        keys = [key for key in name.keys() if str(key).endswith("trace_id")]  # noqa: SIM118 - of a Series too
        wanted = "trace_id" if "trace_id" in keys else next(iter(keys), None)
        if wanted is not None and isinstance(name[wanted], str):
            return name[wanted], str(name.get("span_id", "") or "")
        if isinstance(name, pd.Series) and isinstance(name.name, str):
            return name.name, ""
    found = type(name).__name__
    raise TypeError(f"expected a trace id, or a row of a result or a finding with a trace id, found {found}")
