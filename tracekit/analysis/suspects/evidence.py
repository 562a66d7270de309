"""Evidence for and against each suspect: what changed at it, and what did not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from tracekit.analysis.suspects.calls import CALL, GAP, NO_SERVICE
from tracekit.analysis.suspects.deviations import HOW
from tracekit.frames import hexes

if TYPE_CHECKING:
    from tracekit.analysis.suspects.deviations import Deviations
    from tracekit.analysis.suspects.ranking import Ranking
    from tracekit.analysis.suspects.windows import Window
    from tracekit.columns import Array

_CHANGED: Final = 0.1  # weight of an element from which it is shown as changed
ELEMENTS: Final = ("self time", "gap of calls", "number of calls")  # by kind
COLUMNS: Final = (
    "rank",
    "service_name",
    "element",
    "caller_service",
    "callee_service",
    "operation",
    "baseline_ns",
    "current_ns",
    "excess_ns",
    "way_there_excess_ns",
    "way_back_excess_ns",
    "baseline_ratio",
    "current_ratio",
    "baseline_count",
    "current_count",
    "p_value",
    "is_changed",
    "exemplar_trace_id",
    "exemplar_span_id",
)


def evidence(ranking: Ranking, services: Array, now: Window) -> pd.DataFrame:
    """Return the elements at each of these services, changed or not, and the deviations that point to it."""
    parts = []
    for at, service in enumerate(services):
        rows = [_times(ranking, int(service), now)]
        rows += [_deviating(one, int(service), now) for one in (ranking.shapes, ranking.failing)]
        mine = pd.concat([part for part in rows if len(part)] or rows[:1], ignore_index=True)
        parts.append(mine.assign(rank=at + 1, service_name=now.names.service[service]))
    if not parts:
        return pd.DataFrame(columns=list(COLUMNS))
    return pd.concat(parts, ignore_index=True).reindex(columns=list(COLUMNS))


def exemplar_ids(now: Window, rows: Array) -> dict[str, list[Any]]:
    """Return trace and span ids of these rows; missing for -1."""
    spans, known = now.traces.columns.spans, rows >= 0
    safe = np.maximum(rows, 0)
    if not len(spans.span_id):
        return {"exemplar_trace_id": [None] * len(rows), "exemplar_span_id": [None] * len(rows)}
    trace = hexes(spans.trace_hi[safe], spans.trace_lo[safe])
    span = hexes(spans.span_id[safe])
    return {
        "exemplar_trace_id": [one if is_known else None for one, is_known in zip(trace, known, strict=True)],
        "exemplar_span_id": [one if is_known else None for one, is_known in zip(span, known, strict=True)],
    }


def _times(ranking: Ranking, service: int, now: Window) -> pd.DataFrame:
    """Return the self times of a service, the gaps of calls from and to it, and the numbers of its calls."""
    found = ranking.found
    is_mine = (found.service == service) | ((found.callee == service) & (found.kind == GAP))
    mine = np.flatnonzero(is_mine)
    mine = mine[np.lexsort((mine, -found.growth_ns[mine] * found.call_sum[mine], found.weight[mine] < _CHANGED))]
    gap, names = found.kind[mine] == GAP, np.array([*now.names.service, None], object)
    is_own = found.callee[mine] == NO_SERVICE
    frame = pd.DataFrame(
        {
            "element": np.array(ELEMENTS, object)[found.kind[mine]],
            "caller_service": names[np.where(is_own, NO_SERVICE, found.service[mine])],
            "callee_service": names[found.callee[mine]],
            "operation": np.array(now.names.operation, object)[found.operation[mine]],
            "baseline_ns": found.baseline_ns[mine],
            "current_ns": found.current_ns[mine],
            "excess_ns": found.growth_ns[mine],
            "way_there_excess_ns": np.where(gap, found.there_ns[mine], np.nan),
            "way_back_excess_ns": np.where(gap, found.back_ns[mine], np.nan),
            "baseline_count": found.baseline_count[mine],
            "current_count": found.current_count[mine],
            "p_value": found.p_value[mine],
            "is_changed": found.weight[mine] >= _CHANGED,
        }
    )
    return frame.assign(**exemplar_ids(now, slowest_rows(ranking)[mine]))


def slowest_rows(ranking: Ranking) -> Array:
    """Return by element the span of the current side with the largest value: the client span of gaps and calls."""
    values = ranking.found.values  # noqa: PD011 - not a frame
    rows = np.flatnonzero(values.is_current)
    rows = rows[np.argsort(values.time_ns[rows], kind="stable")]
    span = np.where(np.isin(ranking.found.kind[values.element], (GAP, CALL)), values.client, values.row)
    slowest = np.full(len(ranking.found), -1, np.int64)
    slowest[values.element[rows]] = span[rows]  # the last write is the largest
    return slowest


def _deviating(deviations: Deviations, service: int, now: Window) -> pd.DataFrame:
    """Return the deviations that point to a service, by operation of the deviating span."""
    mine = np.flatnonzero(deviations.service == service)
    row, names = deviations.row[mine], np.array([*now.names.service, None], object)
    is_own = now.service[row] == service
    frame = pd.DataFrame(
        {
            "element": np.array(HOW, object)[deviations.how[mine]],
            "caller_service": names[np.where(is_own, NO_SERVICE, now.service[row])],
            "callee_service": names[np.where(is_own, NO_SERVICE, service)],
            "operation": np.array(now.names.operation, object)[now.operation[row]],
            "baseline_ratio": deviations.baseline_share[mine],
            "current_ratio": deviations.current_share[mine],
            "baseline_count": deviations.baseline_count[mine].astype(np.int64),
            "current_count": deviations.current_count[mine].astype(np.int64),
            "p_value": deviations.p_value[mine],
            "is_changed": np.ones(len(mine), bool),
            **exemplar_ids(now, row),
        }
    )
    keys = ["element", "caller_service", "operation"]
    return frame.sort_values(["p_value", "current_ratio"], ascending=[True, False], kind="stable").drop_duplicates(keys)
