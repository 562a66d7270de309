"""Critical paths that patterns cost: of traces in memory, or of a part with the clock offsets of all parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracekit.analysis.critical_path.compute import critical_path
from tracekit.analysis.critical_path.result import CriticalPath
from tracekit.checks.merged import known_to
from tracekit.checks.overview import overview

if TYPE_CHECKING:
    from tracekit.analysis.clock_skew.parts import OffsetsById
    from tracekit.checks.case import Case
    from tracekit.columns import Array


def clock_offsets(case: Case) -> OffsetsById | str:
    """Return ``skew`` of the critical paths of each part: the clock offsets that all traces prove."""
    if case.known is not None:
        found: OffsetsById | str = known_to(case, clock_offsets)
        return found
    whole = case.result(overview).paths
    return "auto" if isinstance(whole, CriticalPath) else whole.offsets or "off"


def paths(case: Case) -> CriticalPath:
    """Return the critical paths of the traces of a case, or of a part with the clock offsets of all parts."""
    if case.known is None:
        return case.result(overview).path
    return critical_path(case.traces, skew=clock_offsets(case))


def path_ns(case: Case) -> Array:
    """Return the critical-path time of every span with all spans below it, in ns; 0 for spans not on the path."""
    path = case.result(paths)
    return np.asarray(path.total_ns[: path.tree.span_count])


def path_ns_of(case: Case, row: Array) -> Array:
    """Return the same of some spans; without any, no path is worked out."""
    return path_ns(case)[row] if len(row) else np.zeros(0, np.int64)
