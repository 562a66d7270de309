"""One row per suspect: verdict, kind of evidence, excess, and where it is confined to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from tracekit.analysis.suspects.evidence import exemplar_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.suspects.affected import Affected
    from tracekit.analysis.suspects.ranking import Ranking
    from tracekit.analysis.suspects.windows import Window
    from tracekit.columns import Array

COLUMNS: Final = (
    "rank",
    "service_name",
    "verdict",
    "kind",
    "operation",
    "score",
    "excess_ns",
    "excess_ratio",
    "affected_count",
    "p_value",
    "confined_to",
    "not_separable_from",
    "exemplar_trace_id",
    "exemplar_span_id",
)


def table(ranking: Ranking, now: Window, calls: Sequence[Affected], parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return one row per service with evidence; of the first ones with calls and breakdown also where it is."""
    order = [int(service) for service in ranking.order]
    found = ranking.found
    total = max(float((found.growth_ns * found.call_sum)[found.weight > 0].sum()), 1.0)
    unknown = [None] * (len(order) - len(parts))
    rows = np.array([*(mine.exemplar for mine in calls), *(-1 for _ in unknown)], np.int64)
    return pd.DataFrame(
        {
            "rank": np.arange(1, len(order) + 1),
            "service_name": [now.names.service[service] for service in order],
            "verdict": [ranking.verdict(service) for service in order],
            "kind": [ranking.kind(service) for service in order],
            "operation": _objects([*map(_operation, parts), *unknown]),
            "score": ranking.score[order],
            "excess_ns": ranking.excess.each_ns[order],
            "excess_ratio": ranking.excess.total_ns[order] / total,
            "affected_count": [ranking.affected_count(service, now) for service in order],
            "p_value": [ranking.p_value(service) for service in order],
            "confined_to": _objects([*map(_confined, parts), *unknown]),
            "not_separable_from": _objects([_twin(ranking, service, now) for service in order]),
            **exemplar_ids(now, rows),
        },
        columns=list(COLUMNS),
    )


def _objects(values: list[Any]) -> pd.Series:
    """Return texts with None where missing."""
    return pd.Series(values, dtype=object)


def _operation(parts: pd.DataFrame) -> str | None:
    """Return the operation with the most excess."""
    mine = parts.loc[parts["attribute"] == "operation", "value"]
    return None if mine.empty else str(mine.iloc[0])


def _confined(parts: pd.DataFrame) -> str | None:
    """Return the first version, pod, host or instance to which the evidence is confined."""
    mine = parts[(parts["attribute"] != "operation") & parts["is_confined"].astype(bool)]
    return None if mine.empty else f"{mine['attribute'].iloc[0]} {mine['value'].iloc[0]}"


def _twin(ranking: Ranking, service: int, now: Window) -> str | None:
    """Return another service whose hypothesis has the same elements; None without one."""
    best, mine = ranking.best, _elements(ranking, service)
    if not len(mine) or not ranking.latency[service] > 0:
        return None
    others = np.unique(best.service[np.isin(best.element, mine)])
    same = [other for other in others if other != service and np.array_equal(_elements(ranking, other), mine)]
    return now.names.service[same[0]] if same else None


def _elements(ranking: Ranking, service: int) -> Array:
    """Return the elements of the best hypothesis about a service."""
    return np.sort(ranking.best.element[ranking.best.service == service])
