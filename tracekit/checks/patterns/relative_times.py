"""Self times compared with those of the same operation, of services whose instances can be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.checks.names import KEYS as OPERATION
from tracekit.checks.patterns.instances import NEW, SEVERAL
from tracekit.checks.patterns.process_times import process_times, timed_spans
from tracekit.checks.patterns.ranked import Valued, ranked
from tracekit.stats.grouping import group_rows

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array

_GRAIN_NS: Final = 1000  # added before logarithms: shorter times are alike


def _compared(case: Case) -> Array:
    """Return the spans with a self time of services with several instances, or with one that begins later."""
    names = {service for _, service in case.result(SEVERAL)} | {*case.result(NEW)["service_name"]}
    is_compared = np.array([name in names for name in case.service.labels] + [False])
    if not is_compared.any():  # many recordings: the rest is expensive
        return np.zeros(0, np.int64)
    row = case.result(timed_spans)
    return np.asarray(row[is_compared[case.service.codes[row]]])


def _valued(case: Case, row: Array) -> Valued:
    """Return the self times of some spans by operation."""
    if not len(row):
        return Valued(pd.DataFrame(columns=list(OPERATION), dtype=object), row, row)
    operation, keys = group_rows({name: case.traces.codes(name).take(row) for name in OPERATION}, len(row))
    return Valued(keys, operation, case.result(process_times)[row])


def _by_operation(case: Case) -> Valued:
    """Return the self times by operation."""
    return _valued(case, case.result(timed_spans))


def _compared_by_operation(case: Case) -> Valued:
    """Return the self times that are compared by operation."""
    return _valued(case, case.result(_compared))


USUAL_NS: Final = ranked(_by_operation, 0.5, of=_compared_by_operation, of_needs=(SEVERAL, NEW))
"""The median self time of each operation of services whose instances can be compared."""


class RelativeTimes(NamedTuple):
    """Spans with a self time, one entry each: the row, and the logarithm of that time in medians of its operation."""

    row: Array
    value: Array


def relative_times(case: Case) -> RelativeTimes:
    """Return the self times that are compared; asks for ``USUAL_NS``, ``SEVERAL`` and ``NEW``."""
    keys, operation, own = case.result(_compared_by_operation)
    usual, _ = case.result(USUAL_NS).of(keys)
    return RelativeTimes(case.result(_compared), np.log((own + _GRAIN_NS) / (usual[operation] + _GRAIN_NS)))
