"""What to see in the service map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tracekit.checks.overview import ENOUGH
from tracekit.findings import Finding
from tracekit.text import clean, count, duration, plural, ratio

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.checks.overview import Overview

_COLUMNS: Final = [
    "caller_service", "callee_service", "call_type", "call_count", "error_ratio", "p50_ns", "p95_ns", "p99_ns",
]  # fmt: skip
_NAME: Final = 80


def calls_figure(seen: Overview) -> Finding | None:
    """Return the most frequent, the slowest and the most failing calls; None without a service."""
    services, calls = seen.graph.services, seen.graph.calls
    if services.empty:
        return None
    inferred = int(services["is_inferred"].sum())
    text = plural(len(services) - inferred, "service")
    text += f" and {plural(inferred, 'inferred service')}" * bool(inferred)
    values: dict[str, Any] = {"service_count": len(services) - inferred, "inferred_count": inferred,
                              "edge_count": len(calls)}  # fmt: skip
    if calls.empty:
        return _finding(calls, f"{text}; no calls between services.", values)
    most = calls.nlargest(1, "call_count").iloc[0]
    text += f", {plural(len(calls), 'edge')}. Most calls: {_edge(most)} ({count(most['call_count'])})."
    usable = calls[(calls["call_count"] >= ENOUGH) & calls["p95_ns"].notna()]
    if len(usable):
        slow = usable.nlargest(1, "p95_ns").iloc[0]
        text += f" Highest p95: {_edge(slow)}, {duration(slow['p95_ns'])} (n = {count(slow['call_count'])})."
        values["p95_high_ns"] = float(slow["p95_ns"])
    failing = calls[(calls["call_count"] >= ENOUGH) & (calls["error_ratio"] > 0)]
    if len(failing):
        worst = failing.nlargest(1, "error_ratio").iloc[0]
        text += (
            f" Highest error rate: {_edge(worst)}, {ratio(worst['error_ratio'])} (n = {count(worst['call_count'])})."
        )
        values["error_high_ratio"] = float(worst["error_ratio"])
    method = f"p95 and error rate: of edges with at least {ENOUGH} calls." * bool(len(usable) or len(failing))
    return _finding(calls, text, values, method)


def _edge(row: pd.Series) -> str:
    """Return an edge in words."""
    return " → ".join(clean(row[name], limit=_NAME) for name in ("caller_service", "callee_service"))


def _finding(calls: pd.DataFrame, text: str, values: dict[str, Any], method: str = "") -> Finding:
    """Return the sentence with the edges."""
    rows = calls[_COLUMNS].rename(columns={"caller_service": "caller", "callee_service": "callee"})
    return Finding("figure.map", "info", text, evidence=rows, values=values, method=method,
                   code="tk.service_graph(traces).calls")  # fmt: skip
