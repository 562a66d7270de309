"""Self times of spans that do not depend on the clocks of other processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from tracekit.analysis.self_time import self_times
from tracekit.checks.names import KEYS as OPERATION
from tracekit.checks.patterns.paths import paths
from tracekit.checks.patterns.ranked import Valued, ranked
from tracekit.forest import visible_parents
from tracekit.stats.grouping import group_rows

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array

_GRAIN_NS: Final = 1000  # added before logarithms: shorter times are alike


def process_times(case: Case) -> Array:
    """Return the self time of every span in ns; 0 for those with a child in another process."""
    traces, spans = case.traces, case.traces.columns.spans
    up = visible_parents(traces.forest.parent_row, traces.is_inferred)
    service = traces.codes("service_name").codes
    row = np.flatnonzero(up >= 0)
    above = up[row]
    elsewhere = (spans.resource[row] != spans.resource[above]) | (service[row] != service[above])
    own = self_times(traces).copy()
    own[above[elsewhere]] = 0
    return own


def avoidable_ns(case: Case, row: Array, factor: Array) -> Array:
    """Return the part of self times on the critical path that is beyond a factor times shorter ones."""
    own = np.minimum(case.result(process_times)[row], case.result(paths).own_ns[row])
    return np.asarray(own * (1 - 1 / np.maximum(factor, 1)))


def timed_spans(case: Case) -> Array:
    """Return the spans with a self time and a service."""
    return np.flatnonzero((case.result(process_times) > 0) & (case.service.codes >= 0))


def _by_operation(case: Case) -> Valued:
    """Return the self times by operation."""
    row = case.result(timed_spans)
    operation, keys = group_rows({name: case.traces.codes(name).take(row) for name in OPERATION}, len(row))
    return Valued(keys, operation, case.result(process_times)[row])


USUAL_NS: Final = ranked(_by_operation, 0.5)
"""The median self time of each operation."""


class RelativeTimes(NamedTuple):
    """Spans with a self time, one entry each: the row, and the logarithm of that time in medians of its operation."""

    row: Array
    value: Array


def relative_times(case: Case) -> RelativeTimes:
    """Return self times compared with those of the same operation; asks for ``USUAL_NS``."""
    keys, operation, own = _by_operation(case)
    usual, _ = case.result(USUAL_NS).of(keys)
    return RelativeTimes(case.result(timed_spans), np.log((own + _GRAIN_NS) / (usual[operation] + _GRAIN_NS)))
