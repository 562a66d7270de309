"""Assumptions made on a critical path: counts, each with an exemplar trace."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.analysis.clock_skew.pairs import Evidence
from tracekit.analysis.waiting import Waiting
from tracekit.on_demand import pd
from tracekit.schema import ParentState, Quality

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.analysis.critical_path.tree import PathTree
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

_MESSAGES = {
    "UNFINISHED": "requests without a start or an end, or with a negative duration; no latency, so excluded",
    "PARENT_MISSING": "orphan spans; a (missing) node replaces the parent",
    "CYCLE_CUT": "spans that are their own ancestors; cut at the earliest",
    "NEGATIVE_DURATION": "spans with a negative duration; counted as 0",
    "OPEN_SPAN": "spans without a start or an end; they end with their last descendant",
    "ZERO_DURATION": "spans of zero duration with children; their descendants are not on a path",
    "FOLLOWS_FROM": "FOLLOWS_FROM spans excluded from the critical path (asynchronous)",
    "CONSUMER": "CONSUMER spans excluded from the critical path (asynchronous, triggered by a PRODUCER span)",
    "INFERRED": "spans inferred by a backend; excluded",
    "OTHER_ROOT": "additional root spans; not on the request's path",
    "OVERFLOW": "spans excluded from the critical path (asynchronous, end after their parent)",
    "OUTSIDE_PARENT": "child spans outside their parent's interval; clipped",
    "EMPTY_REQUEST": "requests of zero duration; their path is empty",
    "ORDER_CONTRADICTED": "spans assumed independent of the sibling before them, because a trace contradicts the order",
    "CLOCK_MOVED": "spans on skewed clocks; corrected for this result, see offsets",
    "CLOCK_DISPUTED": "spans on clocks whose calls contradict each other; see clock_skew(traces).pairs",
    "OVERLAP_CUT": "spans that overlap the next sibling by less than the clock uncertainty; cut",
}


class Assumption(NamedTuple):
    """An assumption made on paths.

    Parameters
    ----------
    code, message
        What was assumed.
    span_count, trace_count
        About how many spans (requests, where the message says so), in how many traces.
    exemplar_trace_id
        The smallest id of these traces.
    """

    code: str
    message: str
    span_count: int
    trace_count: int
    exemplar_trace_id: str

    def plus(self, other: Assumption) -> Assumption:
        """Return the same assumption about the spans of both, of which no two are in one trace."""
        return self._replace(
            span_count=self.span_count + other.span_count,
            trace_count=self.trace_count + other.trace_count,
            exemplar_trace_id=min(self.exemplar_trace_id, other.exemplar_trace_id),
        )


def assumptions_of(path: CriticalPath) -> list[Assumption]:
    """Return the assumptions made on the paths, one per code."""
    traces, tree = path.source, path.tree
    rows = []
    for code, nodes in (_found(traces, tree) | _about_clocks(path)).items():
        if not len(nodes):
            continue
        trace = tree.trace[nodes]
        counts = (len(nodes), int(np.count_nonzero(np.bincount(trace))), traces.trace_ids[trace.min()])
        rows.append(Assumption(code, _MESSAGES[code], *counts))
    return rows


def joined(parts: Iterable[list[Assumption]]) -> list[Assumption]:
    """Return the assumptions made on the paths of several parts, of which no two have the same trace."""
    found: dict[str, Assumption] = {}
    for each in chain.from_iterable(parts):
        found[each.code] = found[each.code].plus(each) if each.code in found else each
    return [found[code] for code in _MESSAGES if code in found]


def issues_frame(assumptions: list[Assumption]) -> pd.DataFrame:
    """Return one row per assumption."""
    return pd.DataFrame(assumptions, columns=list(Assumption._fields))


def _found(traces: TraceSet, tree: PathTree) -> dict[str, Array]:
    """Return the nodes of each issue code."""
    state, quality, count = traces.forest.state, traces.columns.spans.quality, tree.span_count
    start, end, parent = tree.start, tree.end, tree.parent
    has_child = np.zeros(len(tree), bool)
    has_child[parent[parent >= 0]] = True
    awaited = np.flatnonzero((tree.waiting == Waiting.AWAITED) & (parent >= 0))
    above = parent[awaited]
    open_edges = Quality.NO_START | Quality.NO_END | Quality.IN_PROGRESS
    found = {
        "UNFINISHED": np.flatnonzero(tree.waiting == Waiting.UNFINISHED),
        "PARENT_MISSING": np.flatnonzero(state == ParentState.MISSING),
        "CYCLE_CUT": np.flatnonzero((state == ParentState.CYCLE) | (state == ParentState.SELF)),
        "NEGATIVE_DURATION": np.flatnonzero((quality & Quality.DURATION_NEGATIVE) != 0),
        "OPEN_SPAN": np.flatnonzero((quality & open_edges) != 0),
        "ZERO_DURATION": np.flatnonzero(has_child[:count] & (end[:count] == start[:count])),
    }
    apart = (Waiting.FOLLOWS_FROM, Waiting.CONSUMER, Waiting.INFERRED, Waiting.OTHER_ROOT)
    found |= {code.name: np.flatnonzero(tree.waiting[:count] == code) for code in apart}
    return found | {
        "OVERFLOW": np.flatnonzero(tree.waiting == Waiting.OVERFLOW),
        "OUTSIDE_PARENT": awaited[(start[awaited] < start[above]) | (end[awaited] > end[above])],
        "EMPTY_REQUEST": tree.root[end[tree.root] == start[tree.root]],
        "ORDER_CONTRADICTED": np.flatnonzero(tree.excluded if tree.excluded is not None else []),
    }


def _about_clocks(path: CriticalPath) -> dict[str, Array]:
    """Return the nodes of each issue code about clocks."""
    if path.clocks is None:
        return {"OVERLAP_CUT": path.cut}
    clocks, trace = path.clocks, path.source.forest.trace
    disputed = (clocks.evidence == Evidence.DISPUTED).astype(np.int64)
    return {
        "CLOCK_MOVED": np.flatnonzero(clocks.of_spans(clocks.offset_ns, trace)),
        "CLOCK_DISPUTED": np.flatnonzero(clocks.of_spans(disputed, trace)),
        "OVERLAP_CUT": path.cut,
    }
