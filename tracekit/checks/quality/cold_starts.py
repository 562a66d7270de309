"""S32: over-sampling of cold starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.checks.merged import Merged
from tracekit.checks.shares import added, share_sums, shares_of
from tracekit.findings import Estimate, Status, finding, not_assessable
from tracekit.stats.intervals import normal_quantile, wilson
from tracekit.text import factor, factor_range, plural, ratio, ratio_range

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.findings import Finding
    from tracekit.stats.aggregates import Aggregate
    from tracekit.weights.known import WeightTotals

CHECK = "coldstart.bias"
_SUBJECT = "Share of cold starts"
_MARGIN = 0.10
_INITIALIZATION = "Initialization"


def cold_starts(case: Case) -> list[Finding]:
    """Return the share of cold starts among the traces, compared with that among the invocations.

    Cold starts follow idle periods, and a reservoir favours the first request of a second.  A trace has a cold start if
    it has ``faas.coldstart`` or X-Ray's ``Initialization`` subsegment; the reference are the REPORT lines of the log
    (column ``is_cold_start``).  Effect: the ratio of the shares with a log interval; biased if beyond 10%.  With
    weights the corrected share is added.  Assumes that log and traces cover the same functions and time.  Not valid
    with provisioned concurrency, where the start precedes the invocation.

    Source: ratio of two shares by the delta method.
    """
    starts, weights = case.result(COLD_STARTS)
    n, k = int(starts.sums["trial_count"].sum()), int(starts.sums["event_count"].sum())
    if not n:
        return [not_assessable(CHECK, _SUBJECT, "traces of functions (faas.coldstart, or X-Ray's Initialization)")]
    if case.log is None or "is_cold_start" not in case.log:
        return [
            not_assessable(
                CHECK, _SUBJECT, "REPORT lines of the functions", "Pass log= from tk.read_requests of their log."
            )
        ]
    truth = case.log["is_cold_start"].dropna().astype(bool)
    total, all_cold = len(truth), int(truth.sum())
    if not k or not all_cold:
        return [
            not_assessable(CHECK, _SUBJECT, f"cold starts on both sides (found {k} in traces, {all_cold} in the log)")
        ]
    seen, real = k / n, all_cold / total
    spread = normal_quantile(case.confidence) * np.sqrt(1 / k - 1 / n + 1 / all_cold - 1 / total)
    times, low, high = seen / real, seen / real * np.exp(-spread), seen / real * np.exp(spread)
    status: Status = "inconclusive"
    if low > 1 + _MARGIN or high < 1 / (1 + _MARGIN):
        status = "warning"
    elif low >= 1 / (1 + _MARGIN) and high <= 1 + _MARGIN:
        status = "ok"
    real_low, real_high = (float(limit) for limit in wilson(real, total, confidence=case.confidence))
    corrected = ""
    if not weights.unknown_count:
        weighted = shares_of(case, starts).ratio.ratio
        corrected = f"; {ratio(float(weighted[0]))} with weights"
    meaning = {
        "warning": "Latency of these traces describes a different mix than the traffic.",
        "ok": "The sample matches the traffic.",
        "inconclusive": "Too few traces to decide whether cold starts are over-sampled.",
    }[status]
    text = (
        f"Cold starts: {ratio(seen)} of {plural(n, 'trace')}, {ratio(real)} of {plural(total, 'invocation')} "
        f"({case.ci} {ratio_range(real_low, real_high)}); ratio {factor(float(times))} "
        f"({case.ci} {factor_range(float(low), float(high))}){corrected}. {meaning}"
    )
    evidence = pd.DataFrame(
        {"what": ["traces", "invocations"], "cold_count": [k, all_cold], "count": [n, total], "ratio": [seen, real]}
    )
    remedy = (
        "Weight the traces (traces.with_weights), or analyse warm and cold starts separately."
        if status == "warning"
        else ""
    )
    estimate = Estimate(float(times), "times", float(low), float(high), n)
    assumed = ("log and traces cover the same functions and time", "no provisioned concurrency")
    return [finding(CHECK, status, text, evidence, estimate=estimate, remedy=remedy, assumptions=assumed)]


class _Starts(NamedTuple):
    """Traces of functions, with cold starts as events, and what the sampling weights describe."""

    starts: Aggregate
    weights: WeightTotals

    def plus(self, other: _Starts) -> _Starts:
        """Return those of two parts."""
        return _Starts(added(self.starts, other.starts), self.weights + other.weights)


def _starts(case: Case) -> _Starts:
    """Return those of a part."""
    cold, is_function = _cold(case)
    sums = share_sums(case, np.flatnonzero(is_function), cold[is_function], {})
    return _Starts(sums, case.traces.weights.totals)


COLD_STARTS: Final[Merged[_Starts]] = Merged(_starts, _Starts.plus)


def _cold(case: Case) -> tuple[Array, Array]:
    """Return which traces contain a cold start, and which an invocation of a function."""
    traces, spans = case.traces, case.traces.columns.spans
    cold, functions = np.zeros(len(traces), bool), np.zeros(len(traces), bool)
    trace = traces.forest.trace
    flag = traces.lookup.by_key.codes_of(("faas.coldstart",), str.lower)
    yes = np.array([label in {"true", "1"} for label in flag.labels] + [False])
    cold[trace[yes[flag.codes]]] = True
    names = traces.columns.names
    if _INITIALIZATION in names:
        cold[trace[spans.name == names.index(_INITIALIZATION)]] = True
    named = traces.codes("faas_name").codes >= 0
    functions[trace[(flag.codes >= 0) | named]] = True
    return cold, functions | cold
