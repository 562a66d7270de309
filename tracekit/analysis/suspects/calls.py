"""Times of one side, call by call: self times of components, gaps of calls with a client span, and calls as such.

The self time of a component is its entry span minus the union of its outgoing calls, clipped to the component.  The gap
of a call is the duration of its client span minus that of the callee's entry span: no clocks of two hosts are compared.
Its two parts, the way there and the way back, do compare clocks; constant offsets cancel between two sides.
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

OWN, GAP, CALL = KINDS = range(3)
NO_SERVICE: Final = -1
_LOWEST: Final = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class Times:
    """One entry per component (``OWN``), then one per call with a client span (``GAP``), then one per call (``CALL``).

    Parameters
    ----------
    kind
        ``OWN``, ``GAP`` or ``CALL``.
    row
        The entry span of the component, or of the callee.
    client
        Row of the client span; -1 for self times.
    service
        Code of the service of the component, or of the caller.
    callee
        Code of the callee; ``NO_SERVICE`` for self times.
    operation
        Code of the operation of ``row``.
    time_ns
        float64: self time, gap, or duration of the callee's entry span.
    there_ns, back_ns
        float64: the two parts of a gap; 0 for others.
    """

    kind: Array
    row: Array
    client: Array
    service: Array
    callee: Array
    operation: Array
    time_ns: Array
    there_ns: Array
    back_ns: Array


def times(window: Window) -> Times:
    """Return self times and gaps."""
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
    gapped, client = callee[has_client], caller[has_client]
    gap = np.maximum(0, (end - start)[client] - (end - start)[gapped])
    sizes, rows = (len(own), len(gapped), len(callee)), np.concatenate([own, gapped, callee])
    return Times(
        kind=np.repeat(KINDS, sizes),
        row=rows,
        client=np.concatenate([np.full(len(own), -1), client, caller]),
        service=window.service[np.concatenate([own, client, caller])],
        callee=np.where(np.repeat(KINDS, sizes) == OWN, NO_SERVICE, window.service[rows]),
        operation=window.operation[rows],
        time_ns=np.concatenate([np.maximum(0, (end - start)[own] - covered[own]), gap, (end - start)[callee]]) * 1.0,
        there_ns=_only(sizes, (start[gapped] - start[client])),
        back_ns=_only(sizes, (end[client] - end[gapped])),
    )


def _only(sizes: tuple[int, int, int], gaps: Array) -> Array:
    """Return a number of the gaps, 0 for other times."""
    return np.concatenate([np.zeros(sizes[0]), gaps, np.zeros(sizes[2])])


def _union(group: Array, start: Array, end: Array, groups: int) -> Array:
    """Return the length of the union of the intervals of each group (ns)."""
    order = np.lexsort((start, group))
    group, start, end = group[order], start[order], end[order]
    reached = pd.Series(end).groupby(group).cummax().to_numpy()
    before = np.concatenate([[_LOWEST], reached[:-1]])[: len(group)]
    before[np.flatnonzero(np.diff(group, prepend=-1))] = _LOWEST
    return sum_by(group, np.maximum(0, end - np.maximum(start, before)).astype(np.float64), groups)
