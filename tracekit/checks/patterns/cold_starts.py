"""Cold starts: requests that wait until an instance of a function or service has started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.checks.names import name_of
from tracekit.checks.patterns.occurrences import Occurrences, Pattern, path_ns
from tracekit.stats.grouping import group_rows
from tracekit.text import duration

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from tracekit.checks.case import Case
    from tracekit.columns import Array

_INITIALIZATION: Final = "Initialization"  # X-Ray's subsegment of a cold start


def _detect(case: Case) -> Occurrences:
    """Return the cold spans; the cost is the initialization, or the time beyond the median of warm ones."""
    traces, spans = case.traces, case.traces.columns.spans
    names, up = traces.columns.names, traces.forest.parent_row
    is_start = spans.name == names.index(_INITIALIZATION) if _INITIALIZATION in names else np.zeros(len(spans), bool)
    started = np.flatnonzero(is_start & traces.has_duration & (up >= 0))
    flagged = np.flatnonzero(traces.lookup.truth(("faas.coldstart",)) & traces.has_duration)
    flagged = flagged[~np.isin(flagged, up[started])]
    beyond = _beyond_warm_ns(case, flagged)
    row = np.concatenate([up[started], flagged]).astype(np.int64)
    took = np.concatenate([traces.duration_ns[started], beyond])
    return Occurrences(row, row, took, np.minimum(took, path_ns(case)[row]))


def _beyond_warm_ns(case: Case, cold: Array) -> Array:
    """Return the time of cold spans beyond the median of the warm ones of their operation; 0 without warm ones."""
    traces = case.traces
    columns = {name: traces.codes(name) for name in ("service_name", "operation")}
    group, keys = group_rows(columns, len(group_of := traces.has_duration))
    warm = np.flatnonzero(group_of)
    warm = warm[~np.isin(warm, cold) & np.isin(group[warm], group[cold])]
    median = np.full(len(keys), np.inf)
    for one in np.unique(group[cold]):
        mine = traces.duration_ns[warm[group[warm] == one]]
        median[one] = np.median(mine) if len(mine) else np.inf
    return np.asarray(np.maximum(traces.duration_ns[cold] - median[group[cold]], 0)).astype(np.int64)


def _say(row: Mapping[Hashable, Any]) -> str:
    """Return which operation starts cold, and how long that takes."""
    return f"Cold starts: {name_of(row)} waits {duration(row['size_p50'])} (median) for an instance to start"


COLD_STARTS: Final = Pattern(
    "patterns.cold_starts",
    _detect,
    _say,
    remedy="Keep instances warm (provisioned concurrency, a minimum of replicas), or shorten the initialization.",
    method="faas.coldstart, or X-Ray's Initialization; cost: the initialization, or the time beyond the warm median.",
)
