"""Selection of services for a map: those with most requests, or those within n hops of one."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.analysis.service_graph.build import ServiceGraph

MOST_SERVICES: Final = 60  # a layout with more is illegible

Key = tuple[str, bool]


def shown_services(
    result: ServiceGraph, *, around: str | None = None, hops: int = 1, most: int = MOST_SERVICES
) -> pd.DataFrame:
    """Return the services to show."""
    if most < 1 or hops < 0:
        raise ValueError(f"expected most of at least 1 and hops of at least 0, found {most} and {hops}")
    services = result.services
    if around is None:
        return services.nlargest(most, "request_count")
    away = _distances(result, around, hops)
    keys = zip(services["service_name"], services["is_inferred"], strict=True)
    near = services.assign(away=[away.get((name, bool(inferred)), -1) for name, inferred in keys])
    near = near[near["away"] >= 0].sort_values(["away", "request_count"], ascending=[True, False], kind="stable")
    return near.head(most).drop(columns="away").sort_index()


def _distances(result: ServiceGraph, around: str, hops: int) -> dict[Key, int]:
    """Return the number of hops to each service within so many hops."""
    services, calls = result.services, result.calls
    starts = services.loc[services["service_name"] == around, "is_inferred"]
    if starts.empty:
        near = difflib.get_close_matches(around, services["service_name"], 4) or sorted(services["service_name"])[:4]
        raise ValueError(f"expected the name of a service, found {around!r}; nearest: {', '.join(near) or 'none'}")
    adjacent: dict[Key, set[Key]] = {}
    rows = zip(calls["caller_service"], calls["callee_service"], calls["is_inferred"], strict=True)
    for caller, callee, inferred in rows:
        ends = (caller, False), (callee, bool(inferred))
        adjacent.setdefault(ends[0], set()).add(ends[1])
        adjacent.setdefault(ends[1], set()).add(ends[0])
    away: dict[Key, int] = {(around, bool(inferred)): 0 for inferred in starts}
    edge = set(away)
    for hop in range(1, hops + 1):
        edge = {other for key in edge for other in adjacent.get(key, ())} - away.keys()
        away |= dict.fromkeys(edge, hop)
    return away
