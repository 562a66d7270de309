"""The map of a comparison: services and calls that were added, that are gone, and calls that became worse.

Red is what became worse: slower, failing more often, or asked more often by each request.  The words beside say which.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from tracekit.text import duration, ratio
from tracekit.views.service_graph.service_graph import FAILING, WORSE, map_payload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.service_graph.service_graph import ServiceGraph

FEW: Final = 20  # calls on either side below which nothing is said about times
GROWN: Final = 1.25  # times as long, or as often, from which it is said
_NODE: Final = ("service_name", "is_inferred")
_CALL: Final = ("caller_service", "callee_service", "is_inferred", "call_type")


def compared_payload(result: ServiceGraph, before: ServiceGraph, **scope: Any) -> dict[str, Any]:
    """Return the map of what changed, as the page draws it.

    Times are compared where both sides have 20 calls: from a quarter more on, in p50 or p95, a call is slower.  This
    is a picture of differences, not a test of them.
    """
    per_request = _requests(result) / max(_requests(before), 1e-9)
    services = _with_changes(result.services, before.services, _NODE, "request_count", per_request)
    calls = _with_changes(result.calls, before.calls, _CALL, "call_count", per_request)
    return map_payload(replace(result, services=services, calls=calls), **scope)


def _requests(graph: ServiceGraph) -> float:
    """Return how many requests came in from outside; at least one."""
    return max(1.0, float(graph.services["entry_count"].sum()))


def _with_changes(
    now: pd.DataFrame, before: pd.DataFrame, keys: Sequence[str], count: str, per_request: float
) -> pd.DataFrame:
    """Return the rows of both, those of now first, with ``mark`` and ``said``."""
    old = dict(zip(_keys(before, keys), _records(before), strict=True))
    known = set(_keys(now, keys))
    changes = [
        _change(row, old.get(key), count, per_request) for key, row in zip(_keys(now, keys), _records(now), strict=True)
    ]
    gone = before[[key not in known for key in _keys(before, keys)]]
    out = now.assign(mark=[mark for mark, _ in changes], said=[said for _, said in changes])
    return pd.concat([out, gone.assign(mark="removed", said="gone")], ignore_index=True) if len(gone) else out


def _change(now: dict[str, Any], before: dict[str, Any] | None, count: str, per_request: float) -> tuple[str, str]:
    """Return what changed, as a mark and in words; the gravest change is the mark."""
    if before is None:
        return "added", "new"
    found: dict[str, str] = {}
    if now["error_ratio"] - before["error_ratio"] >= FAILING:
        found["failing"] = f"failed {ratio(before['error_ratio'])}, now {ratio(now['error_ratio'])}"
    if min(now[count], before[count]) >= FEW:
        growths = [(name, _times(now[f"{name}_ns"], before[f"{name}_ns"])) for name in ("p95", "p50")]
        name, growth = max(growths, key=lambda item: abs(math.log(item[1])))
        if not 1 / GROWN < growth < GROWN:
            words = f"{name} {duration(before[f'{name}_ns'])}, now {duration(now[f'{name}_ns'])}"
            found["slower" if growth > 1 else "faster"] = words
        more = now[count] / before[count] / per_request
        if more >= GROWN:
            found["busier"] = f"{more:.1f} times as many"
    mark = next((mark for mark in (*WORSE, "faster") if mark in found), "")
    return mark, "; ".join(found.values())


def _times(now: float, before: float) -> float:
    """Return how many times as long; 1 where one of them is not known."""
    known = math.isfinite(now) and math.isfinite(before) and now > 0 and before > 0
    return now / before if known else 1.0


def _keys(frame: pd.DataFrame, keys: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return the keys of every row."""
    return list(zip(*(frame[key] for key in keys), strict=True))


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as dictionaries."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]
