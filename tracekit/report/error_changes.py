"""What fails more often than in the baseline: requests, and the calls between services that they make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.analysis.service_graph.service_graph import service_graph
from tracekit.findings import Estimate, Finding
from tracekit.report.overview import ENOUGH, error_rate
from tracekit.stats.differences import Limited, difference_limits
from tracekit.text import clean, count, interval, plural, ratio

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.report.changes import Changes
    from tracekit.report.overview import Overview

SURE: Final = 0.01  # one-sided, for each of five questions: mean, operations, endpoints, calls, error rate
_EDGE: Final = ["caller_service", "callee_service", "call_type"]
_RATIO: Final = ("error_ratio", "error_ratio_low", "error_ratio_high")
_OFTEN: Final = 1.2  # calls per request grew by so much: worth saying


def family_level(count: int) -> float:
    """Return the confidence level at which so many comparisons together are wrong on one side as ``SURE`` says."""
    return 1 - 2 * SURE / max(count, 1)


def failing_requests(changes: Changes) -> Finding | None:
    """Return whether the error rate changed: only where the limits of the difference leave out 0."""
    before, now = changes.before.failed, changes.now.failed
    if np.isnan([before.value, now.value]).any():
        return None
    change, strict = (_error_change(changes, confidence) for confidence in (0.95, family_level(1)))
    counted = f"n = {count(before.n)} and {count(now.n)} requests"
    rates = f"{ratio(before.value)} → {ratio(now.value)}"
    if not (change.low > 0 or change.high < 0):
        is_known = np.isfinite(change.low) and np.isfinite(change.high)
        verdict = "no significant change" if is_known else "too few requests to compare"
        return Finding(
            "failing", "info", f"Error rate{changes.recorded} {rates}: {verdict} ({counted}).", now, code=_FAILED
        )
    verb = "rose" if change.value > 0 else "fell"
    points = f"{100 * change.low:+.2g} to {100 * change.high:+.2g} percentage points"
    said = f"Error rate{changes.recorded} {verb} {rates} (95% CI of the change {points}; {counted})."
    return Finding("failing", "warning" if strict.low > 0 else "notice", said, now, code=_FAILED)


def _error_change(changes: Changes, confidence: float) -> Limited:
    """Return the change of the error rate of requests, with limits."""
    sides = (error_rate(side.traces, confidence) for side in (changes.before, changes.now))
    return difference_limits(*(Limited(side.value, side.low, side.high) for side in sides))


_FAILED: Final = "errors(traces, by=(), roots=True)"


def failing_calls(changes: Changes) -> Finding | None:
    """Return the calls between services that fail more often; of calls that pass an error on, where it comes from."""
    edges = _edges(changes)
    worse = edges[edges["low"] > 0]
    origins = worse[~worse["callee_service"].isin(worse["caller_service"])]
    if worse.empty:
        return None
    row = (worse if origins.empty else origins).sort_values("change", ascending=False, kind="stable").iloc[0]
    ends = " → ".join(clean(row[end], limit=80) for end in ("caller_service", "callee_service"))
    shown = changes.now.graph.calls.merge(row[_EDGE].to_frame().T, on=_EDGE).iloc[0]  # limits for 95 %
    value, low, high = (float(shown[name]) for name in _RATIO)
    said = (
        f"Calls {ends} fail more often: error rate {ratio(row['error_ratio_before'])} → {ratio(value)} "
        f"({interval(low, high, ratio)}; {count(row['trace_count_now'])} traces with such calls)."
    )
    often = [row[f"per_request_{side}"] for side in ("before", "now")]
    if often[1] >= _OFTEN * often[0]:
        said += f" Calls per request {often[0]:.2f} → {often[1]:.2f}, as with retries."
    if len(worse) > 1:
        said += f" Worse as well: {plural(len(worse) - 1, 'other edge')} of the service graph."
    now = Estimate(value, "ratio", low, high, int(row["trace_count_now"]))
    return Finding("calls", "warning", said, now, worse.head(10), code="service_graph(traces).calls")


def _edges(changes: Changes) -> pd.DataFrame:
    """Return the edges that enough traces of both sides have, with the change of their error rate and its limits."""
    counts = [side.graph.calls[[*_EDGE, "trace_count"]] for side in (changes.before, changes.now)]
    tried = _beside(*counts)
    strict = _beside(*(_calls(side, family_level(len(tried))) for side in (changes.before, changes.now)))
    sides = (Limited(*(strict[f"{name}_{side}"].to_numpy(float) for name in _RATIO)) for side in ("before", "now"))
    change = difference_limits(*sides)
    return strict.assign(change=change.value, low=change.low, high=change.high)


def _calls(side: Overview, confidence: float) -> pd.DataFrame:
    """Return the edges of the service graph with limits of this level, and their calls per request."""
    calls, requests = service_graph(side.traces, confidence=confidence).calls, side.traces.weights.value.sum()
    return calls[[*_EDGE, *_RATIO, "trace_count"]].assign(per_request=calls["call_count"] / requests)


def _beside(before: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Return the edges that at least ``ENOUGH`` traces of both sides have, as ``_before`` and ``_now``."""
    both = before.merge(now, on=_EDGE, suffixes=("_before", "_now"))
    return both[(both["trace_count_before"] >= ENOUGH) & (both["trace_count_now"] >= ENOUGH)]
