"""Self times of spans that do not depend on the clocks of other processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracekit.analysis.self_time import self_times
from tracekit.checks.patterns.paths import paths
from tracekit.forest import visible_parents

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array


def process_times(case: Case) -> Array:
    """Return the self time of every span in ns; 0 for those with a child in another process."""
    traces, spans = case.traces, case.traces.columns.spans
    up = visible_parents(traces.forest.parent_row, traces.is_inferred)
    service = traces.codes("service_name").codes
    elsewhere = (up >= 0) & ((spans.resource != spans.resource[up]) | (service != service[up]))
    own = self_times(traces)
    own[up[elsewhere]] = 0
    return own


def avoidable_ns(case: Case, row: Array, factor: Array) -> Array:
    """Return the part of self times on the critical path that is beyond a factor times shorter ones."""
    own = np.minimum(case.result(process_times)[row], case.result(paths).own_ns[row])
    return np.asarray(own * (1 - 1 / np.maximum(factor, 1)))


def timed_spans(case: Case) -> Array:
    """Return the spans with a self time and a service."""
    return np.flatnonzero((case.result(process_times) > 0) & (case.service.codes >= 0))
