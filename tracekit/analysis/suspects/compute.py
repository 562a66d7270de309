"""Suspects of a change, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from tracekit.analysis.suspects.breakdown import COLUMNS as BREAKDOWN
from tracekit.analysis.suspects.breakdown import Affected, affected, breakdown
from tracekit.analysis.suspects.evidence import COLUMNS as EVIDENCE
from tracekit.analysis.suspects.evidence import evidence, exemplar_ids
from tracekit.analysis.suspects.paths import COLUMNS as PATH
from tracekit.analysis.suspects.paths import Side, path_to
from tracekit.analysis.suspects.ranking import Ranking, rank
from tracekit.analysis.suspects.result import COLUMNS, Suspects
from tracekit.analysis.suspects.windows import Window, windows
from tracekit.weights.comparability import comparability

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

_WITH_EVIDENCE, _WITH_PATH = 5, 3  # suspects
_SHOWN: Final = ("service_version", "k8s_pod_name", "host_name", "service_instance_id")


def compute(baseline: TraceSet, current: TraceSet) -> Suspects:
    """Return the suspects of a change without sentences."""
    found = comparability(baseline, current)
    shared = len(set(baseline.trace_ids) & set(current.trace_ids))
    empty = [pd.DataFrame(columns=list(names)) for names in (COLUMNS, EVIDENCE, PATH, BREAKDOWN)]
    counts = len(baseline), len(current), shared
    if not found.is_comparable or not len(baseline) or not len(current):
        return Suspects(*empty, found, 0, *counts)
    before, now = windows(baseline, current)
    ranking = rank(before, now)
    near = [(int(service), affected(ranking, int(service), now)) for service in ranking.order[:_WITH_PATH]]
    near = [(service, calls) for service, calls in near if len(calls.span)]
    parts = _joined([breakdown(before, now, calls, service) for service, calls in near], near, ranking, now, empty[3])
    sides = Side.of(before), Side.of(now)
    paths = [path_to(sides, *_shown(calls)) for _, calls in near]
    return Suspects(
        _table(ranking, now, dict(near), parts),
        evidence(ranking, ranking.order[:_WITH_EVIDENCE], now),
        _joined(paths, near, ranking, now, empty[2], is_named=True),
        parts,
        found,
        ranking.tested_count,
        *counts,
    )


def _shown(calls: Affected) -> tuple[Array, Array]:
    """Return the components with evidence, and the excess of each: of deviating ones, 1."""
    if calls.is_deviating.any():
        return calls.component[calls.is_deviating], np.ones(int(calls.is_deviating.sum()))
    return calls.component, calls.excess_ns


def _joined(
    tables: list[pd.DataFrame],
    near: list[tuple[int, Affected]],
    ranking: Ranking,
    now: Window,
    empty: pd.DataFrame,
    *,
    is_named: bool = False,
) -> pd.DataFrame:
    """Return the tables of several suspects as one, with their ranks and, unless the rows have names, theirs."""
    place = {int(service): at + 1 for at, service in enumerate(ranking.order)}
    ready = []
    for (service, _), table in zip(near, tables, strict=True):
        columns: dict[str, Any] = {"rank": place[service]}
        ready.append(table.assign(**columns if is_named else {**columns, "service_name": now.names.service[service]}))
    ready = [table for table in ready if len(table)]
    return pd.concat(ready, ignore_index=True)[list(empty.columns)] if ready else empty


def _table(ranking: Ranking, now: Window, near: dict[int, Affected], parts: pd.DataFrame) -> pd.DataFrame:
    """Return one row per suspect."""
    order = ranking.order
    found = ranking.found
    total = max(float((found.growth_ns * found.call_sum)[found.weight > 0].sum()), 1.0)
    frame = pd.DataFrame(
        {
            "rank": np.arange(1, len(order) + 1),
            "service_name": np.array(now.names.service, object)[order],
            "verdict": [ranking.verdict(int(service)) for service in order],
            "kind": [ranking.kind(int(service)) for service in order],
            "operation": [_operation(parts, at + 1) for at in range(len(order))],
            "score": ranking.score[order],
            "excess_ns": ranking.excess.each_ns[order],
            "excess_ratio": ranking.excess.total_ns[order] / total,
            "affected_count": [ranking.affected_count(int(service), now) for service in order],
            "p_value": [ranking.p_value(int(service)) for service in order],
            "confined_to": [_confined(parts, at + 1) for at in range(len(order))],
            "not_separable_from": [_twin(ranking, int(service), now) for service in order],
        }
    )
    rows = [_exemplar(near[int(service)]) if int(service) in near else -1 for service in order]
    return frame.assign(**exemplar_ids(now, np.array(rows, np.int64)))[list(COLUMNS)]


def _operation(parts: pd.DataFrame, place: int) -> str | None:
    """Return the operation with the most excess."""
    mine = parts[(parts["rank"] == place) & (parts["attribute"] == "operation")]
    return None if mine.empty else str(mine["value"].iloc[0])


def _confined(parts: pd.DataFrame, place: int) -> str | None:
    """Return the first attribute and value to which the evidence is confined."""
    mine = parts[(parts["rank"] == place) & parts["attribute"].isin(_SHOWN) & parts["is_confined"].astype(bool)]
    return None if mine.empty else f"{mine['attribute'].iloc[0]} {mine['value'].iloc[0]}"


def _exemplar(calls: Affected) -> int:
    """Return the row of the span with the most evidence."""
    return int(calls.span[np.argmax(np.where(calls.is_deviating, np.inf, calls.excess_ns))])


def _twin(ranking: Ranking, service: int, now: Window) -> str | None:
    """Return another service whose hypothesis has the same elements; None without one."""
    best = ranking.best
    mine = np.sort(best.element[best.service == service])
    if not len(mine) or not ranking.latency[service] > 0:
        return None
    others = np.unique(best.service[np.isin(best.element, mine)])
    for other in others[others != service]:
        if np.array_equal(np.sort(best.element[best.service == other]), mine):
            return now.names.service[other]
    return None
