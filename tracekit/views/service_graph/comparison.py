"""Service map of a comparison: new and removed services and calls, and regressions.

Regressions are red: higher latency, higher error rate, or more calls per request; the label names which.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from tracekit.text import factor, from_to, ratio
from tracekit.views.colours import colours_for
from tracekit.views.service_graph.map import FAILING, WORSE, map_payload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.service_graph.build import ServiceGraph

FEW: Final = 20  # minimum calls on both sides to compare latency and number of calls
GROWN: Final = 1.25  # factor from which a change of latency or number of calls is shown
_NODE: Final = ("service_name", "is_inferred")
_CALL: Final = ("caller_service", "callee_service", "is_inferred", "call_type")


def compared_payload(result: ServiceGraph, before: ServiceGraph, **scope: Any) -> dict[str, Any]:
    """Return the payload of the map of a comparison.

    Latency is compared where both sides have 20 calls: a call is slower if its p50 or p95 grew by a quarter.  These
    are observed differences, not significance tests.
    """
    per_request = _requests(result) / max(_requests(before), 1e-9)
    services = _with_changes(result.services, before.services, _NODE, "request_count", per_request)
    calls = _with_changes(result.calls, before.calls, _CALL, "call_count", per_request)
    colours = colours_for(result, before)
    return map_payload(replace(result, services=services, calls=calls), colours=colours, **scope)


def _requests(graph: ServiceGraph) -> float:
    """Return the number of requests from outside, at least 1."""
    return max(1.0, float(graph.services["entry_count"].sum()))


def _with_changes(
    now: pd.DataFrame, before: pd.DataFrame, keys: Sequence[str], count: str, per_request: float
) -> pd.DataFrame:
    """Return the rows of both sides, current ones first, with ``mark`` and ``change``."""
    old = dict(zip(_keys(before, keys), _records(before), strict=True))
    known = set(_keys(now, keys))
    changes = [
        _change(row, old.get(key), count, per_request) for key, row in zip(_keys(now, keys), _records(now), strict=True)
    ]
    gone = before[[key not in known for key in _keys(before, keys)]]
    out = now.assign(mark=[mark for mark, _ in changes], change=[words for _, words in changes])
    return pd.concat([out, gone.assign(mark="removed", change="removed")], ignore_index=True) if len(gone) else out


def _change(now: dict[str, Any], before: dict[str, Any] | None, count: str, per_request: float) -> tuple[str, str]:
    """Return the mark of the most severe change, and all changes as text."""
    if before is None:
        return "added", "new"
    found: dict[str, str] = {}
    if now["error_ratio"] - before["error_ratio"] >= FAILING:
        found["failing"] = f"error rate {from_to(before['error_ratio'], now['error_ratio'], ratio)}"
    if min(now[count], before[count]) >= FEW:
        growths = [(name, _times(now[f"{name}_ns"], before[f"{name}_ns"])) for name in ("p95", "p50")]
        name, growth = max(growths, key=lambda item: abs(math.log(item[1])))
        if not 1 / GROWN < growth < GROWN:
            words = f"{name} {from_to(before[f'{name}_ns'], now[f'{name}_ns'])}"
            found["slower" if growth > 1 else "faster"] = words
        more = now[count] / before[count] / per_request
        if more >= GROWN:
            found["busier"] = f"{factor(more)} calls per request"
    mark = next((mark for mark in (*WORSE, "faster") if mark in found), "")
    return mark, "; ".join(found.values())


def _times(now: float, before: float) -> float:
    """Return the factor between two durations; 1 where one is unknown."""
    known = math.isfinite(now) and math.isfinite(before) and now > 0 and before > 0
    return now / before if known else 1.0


def _keys(frame: pd.DataFrame, keys: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return the keys of each row."""
    return list(zip(*(frame[key] for key in keys), strict=True))


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as dictionaries."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]
