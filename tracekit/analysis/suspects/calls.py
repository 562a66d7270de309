"""Times of one side, call by call: the own time of every component, and the gap of every call with a client span.

The own time of a component is its entry span minus the union of its outgoing calls, clipped to the component.  The gap
of a call is its client span minus the overlap with the entry span of the callee: the way there and the way back.
Constant clock offsets cancel if gaps of two sides are compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from tracekit.stats.grouping import sum_by

if TYPE_CHECKING:
    from tracekit.analysis.suspects.windows import Window
    from tracekit.columns import Array

NO_SERVICE: Final = -1
_LOWEST: Final = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class Times:
    """One entry per component, then one per call with a client span.

    Parameters
    ----------
    row
        The entry span of the component, or of the callee.
    client
        Row of the client span; -1 for own times.
    service
        Code of the service of the component, or of the caller.
    callee
        Code of the callee; ``NO_SERVICE`` for own times.
    operation
        Code of the operation of ``row``.
    time_ns
        float64: own time, or gap.
    there_ns, back_ns
        float64: the two parts of a gap; 0 for own times.
    """

    row: Array
    client: Array
    service: Array
    callee: Array
    operation: Array
    time_ns: Array
    there_ns: Array
    back_ns: Array


def times(window: Window) -> Times:
    """Return own times and gaps."""
    spans, known = window.traces.columns.spans, window.traces.has_duration
    start, end = spans.start_ns, spans.end_ns
    callee = np.flatnonzero(window.is_entry & (window.parent >= 0) & known)
    caller = window.parent[callee]
    component = window.component[caller]
    has_client = window.is_client[caller] & (caller != component) & known[caller]
    low, high = (np.where(has_client, side[caller], side[callee]) for side in (start, end))
    low = np.maximum(low, start[component])
    covered = _union(component, low, np.maximum(low, np.minimum(high, end[component])), len(start))
    own = np.flatnonzero(window.is_entry & known)
    callee, caller = callee[has_client], caller[has_client]
    shared = np.minimum(end[callee], end[caller]) - np.maximum(start[callee], start[caller])
    gap = np.maximum(0, end[caller] - start[caller] - np.maximum(0, shared))
    nothing = np.zeros(len(own))
    return Times(
        row=np.concatenate([own, callee]),
        client=np.concatenate([np.full(len(own), -1), caller]),
        service=window.service[np.concatenate([own, caller])],
        callee=np.concatenate([np.full(len(own), NO_SERVICE), window.service[callee]]),
        operation=window.operation[np.concatenate([own, callee])],
        time_ns=np.concatenate([np.maximum(0, end[own] - start[own] - covered[own]), gap]).astype(np.float64),
        there_ns=np.concatenate([nothing, start[callee] - start[caller]]),
        back_ns=np.concatenate([nothing, end[caller] - end[callee]]),
    )


def _union(group: Array, start: Array, end: Array, groups: int) -> Array:
    """Return the length of the union of the intervals of each group (ns)."""
    order = np.lexsort((start, group))
    group, start, end = group[order], start[order], end[order]
    reached = pd.Series(end).groupby(group).cummax().to_numpy()
    before = np.concatenate([[_LOWEST], reached[:-1]])[: len(group)]
    before[np.flatnonzero(np.diff(group, prepend=-1))] = _LOWEST
    return sum_by(group, np.maximum(0, end - np.maximum(start, before)).astype(np.float64), groups)
