"""Cold starts: requests that wait until an instance of a function or service has started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.checks.merged import Merged
from tracekit.checks.names import KEYS as OPERATION
from tracekit.checks.names import name_of
from tracekit.checks.patterns.occurrences import Pattern
from tracekit.checks.patterns.paths import path_ns_of
from tracekit.checks.patterns.ranked import Valued, ranked
from tracekit.checks.patterns.sums import Occurrences
from tracekit.stats.grouping import group_rows
from tracekit.text import duration

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from tracekit.checks.case import Case
    from tracekit.columns import Array

_INITIALIZATION: Final = "Initialization"  # X-Ray's subsegment of a cold start


class _Cold(NamedTuple):
    """Initializations with the spans that wait for them, and cold spans without one; rows of ``spans``."""

    started: Array
    flagged: Array


def _cold(case: Case) -> _Cold:
    """Return the cold spans."""
    traces, spans = case.traces, case.traces.columns.spans
    names = traces.columns.names
    flagged = np.flatnonzero(traces.lookup.truth(("faas.coldstart",)) & traces.has_duration)
    if _INITIALIZATION not in names:
        return _Cold(flagged[:0], flagged)
    up = traces.forest.parent_row
    started = np.flatnonzero((spans.name == names.index(_INITIALIZATION)) & traces.has_duration & (up >= 0))
    return _Cold(started, flagged[~np.isin(flagged, up[started])])


def _cold_operations(case: Case) -> frozenset[tuple[str | None, ...]]:
    """Return the operations with cold spans that have no initialization."""
    row = case.result(_cold).flagged
    _, keys = group_rows({name: case.traces.codes(name).take(row) for name in OPERATION}, len(row))
    return frozenset(keys.itertuples(index=False, name=None))


_COLD: Final[Merged[frozenset[tuple[str | None, ...]]]] = Merged(_cold_operations, frozenset.union)


def _warm(case: Case) -> Valued:
    """Return the durations of warm spans of these operations."""
    traces, cold = case.traces, case.result(_cold).flagged
    if not (known := case.result(_COLD)):
        return Valued(pd.DataFrame(columns=list(OPERATION)), cold[:0], cold[:0])
    group, keys = group_rows({name: traces.codes(name) for name in OPERATION}, len(traces.has_duration))
    is_cold = np.array([key in known for key in keys.itertuples(index=False, name=None)], bool)
    warm = np.flatnonzero(traces.has_duration & is_cold[group])
    warm = warm[~np.isin(warm, cold)]
    return Valued(keys, group[warm], traces.duration_ns[warm])


_WARM_NS: Final = ranked(_warm, 0.5, (_COLD,))


def _detect(case: Case) -> Occurrences:
    """Return the cold spans; the cost is the initialization, or the time beyond the median of warm ones."""
    started, flagged = case.result(_cold)
    if not len(started) + len(flagged):  # most recordings: the rest is expensive
        return Occurrences(flagged, flagged, flagged, flagged)
    traces, up = case.traces, case.traces.forest.parent_row
    group, keys = group_rows({name: traces.codes(name).take(flagged) for name in OPERATION}, len(flagged))
    value, _ = case.result(_WARM_NS).of(keys)
    median = np.where(np.isnan(value), np.inf, value)[group]
    beyond = np.maximum(traces.duration_ns[flagged] - median, 0).astype(np.int64)
    row = np.concatenate([up[started], flagged]).astype(np.int64)
    took = np.concatenate([traces.duration_ns[started], beyond])
    return Occurrences(row, row, took, np.minimum(took, path_ns_of(case, row)))


def _say(row: Mapping[Hashable, Any]) -> str:
    """Return which operation starts cold, and how long that takes."""
    return f"Cold starts: {name_of(row)} waits {duration(row['size_p50'])} (median) for an instance to start"


COLD_STARTS: Final = Pattern(
    "patterns.cold_starts",
    _detect,
    _say,
    remedy="Keep instances warm (provisioned concurrency, a minimum of replicas), or shorten the initialization.",
    method="faas.coldstart, or X-Ray's Initialization; cost: the initialization, or the time beyond the warm median.",
    needs=(_COLD, _WARM_NS),
)
