"""Calls between services that fail more often than in the baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracekit.checks.comparison import Changes, comparable_changes, family_level, side_by_side
from tracekit.checks.overview import ENOUGH
from tracekit.findings import Estimate, Finding
from tracekit.stats.differences import Limited, difference_limits
from tracekit.text import clean, from_to, interval, mean_count, plural, ratio
from tracekit.weights.comparability import SIDES

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.checks.case import Case
    from tracekit.checks.overview import Overview

_EDGE: Final = ["caller_service", "callee_service", "call_type"]
_RATIO: Final = ("error_ratio", "error_ratio_low", "error_ratio_high")
_OFTEN: Final = 1.2  # calls per request grew by so much: worth saying


def calls(case: Case) -> list[Finding]:
    """Return the calls between services that fail more often; of calls that pass an error on, the origin."""
    changes = comparable_changes(case)
    found = None if changes is None else _failing(changes)
    return [] if found is None else [found]


def _failing(changes: Changes) -> Finding | None:
    """Return the calls between services that fail more often; of calls that pass an error on, where it comes from."""
    edges = _edges(changes)
    worse = edges[edges["low"] > 0]
    origins = worse[~worse["callee_service"].isin(worse["caller_service"])]
    if worse.empty:
        return None
    row = (worse if origins.empty else origins).sort_values("change", ascending=False, kind="stable").iloc[0]
    ends = " to ".join(clean(row[end], limit=80) for end in ("caller_service", "callee_service"))
    shown = changes.now.graph.calls.merge(row[_EDGE].to_frame().T, on=_EDGE).iloc[0]  # limits for 95%
    value, low, high = (float(shown[name]) for name in _RATIO)
    text = (
        f"Error rate of calls from {ends} rose {from_to(row['baseline_error_ratio'], value, ratio)} "
        f"(current {interval(low, high, ratio)}; {plural(row['current_trace_count'], 'trace')} with such calls)."
    )
    often = [row[f"{side}_per_request"] for side in SIDES]
    if often[1] >= _OFTEN * often[0]:
        text += f" Calls per request rose {from_to(often[0], often[1], mean_count)}, as with retries."
    if len(worse) > 1:
        text += f" The error rate of {plural(len(worse) - 1, 'other edge')} of the service map rose as well."
    now = Estimate(value, "ratio", low, high, int(row["current_trace_count"]))
    values = {**now.values, **{name: str(row[name]) for name in _EDGE}}  # noqa: PD011 - not a frame
    return Finding("calls", "warning", text, now, worse.head(10), values=values, code="tk.service_graph(traces).calls")


def _edges(changes: Changes) -> pd.DataFrame:
    """Return the edges that enough traces of both sides have, with the change of their error rate and its limits."""
    counts = [side.graph.calls[[*_EDGE, "trace_count"]] for side in (changes.before, changes.now)]
    tried = _joined(*counts)
    strict = _joined(*(_limits(side, family_level(len(tried))) for side in (changes.before, changes.now)))
    sides = (Limited(*(strict[f"{side}_{name}"].to_numpy(float) for name in _RATIO)) for side in SIDES)
    change = difference_limits(*sides)
    return strict.assign(change=change.value, low=change.low, high=change.high)


def _limits(side: Overview, confidence: float) -> pd.DataFrame:
    """Return the edges of the service graph with limits of this level, and their calls per request."""
    calls, requests = side.graph_at(confidence).calls, side.weights.weight_sum
    return calls[[*_EDGE, *_RATIO, "trace_count"]].assign(per_request=calls["call_count"] / requests)


def _joined(before: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Return the edges that at least ``ENOUGH`` traces of both sides have, as ``baseline_`` and ``current_``."""
    both = side_by_side(before, now, _EDGE, how="inner")
    return both[(both["baseline_trace_count"] >= ENOUGH) & (both["current_trace_count"] >= ENOUGH)]
