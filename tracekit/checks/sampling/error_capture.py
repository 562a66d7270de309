"""S04, were the failing requests captured."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from tracekit.checks.sampling.words import counted, number, percent, percents
from tracekit.checks.verdicts import finding, not_assessable
from tracekit.findings import Estimate
from tracekit.stats.proportions import share_interval
from tracekit.stats.thinned import thinned_count
from tracekit.stats.weighted_rates import weighted_total
from tracekit.weights.counts import BALANCER, log_columns
from tracekit.weights.log_strata import held_traces

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.findings import Finding, Status

CHECK = "capture.errors"
_SERVER_ERROR = "5xx"


def error_capture(case: Case) -> list[Finding]:
    """Return how many of the failing requests left a trace.

    M2a, failing over all traces, is what a dashboard shows; M2b, captured over all failing requests, is what counts.
    Log: joined by trace id, no interval for this window.  Counts: n over N of status 5xx, share interval.  Traces
    alone: k failing ones kept with probability p, all K in hand; the number that happened has the exact limits ``k +
    NB`` of a thinned count, never below K; with unequal probabilities the Horvitz-Thompson total.  Assumes the same
    meaning of error on both sides.  What a load balancer answers by itself (``HTTPCode_ELB_5XX``, a log without a
    ``target_status``) is no error of a service and counted apart; where it had passed the request on, a trace may exist
    all the same, and how many do is told.  Source: M2, F2.
    """
    held = int(case.failed.sum())
    if case.log is not None and {"trace_id"} <= set(case.log) and "status_class" in log_columns(case.log):
        return [_by_log(case)]
    if not case.counts_needed and case.counts is not None and "status_class" in case.counts.dimensions:
        return [_by_counts(case)]
    if case.weights_needed:
        missing = "request counts by status, a log, or " + case.weights_needed
        return [not_assessable(CHECK, "Share of the failing requests that was captured", missing)]
    base = case.base
    pi = case.probability[base]
    kept = int(case.failed[base].sum())
    if np.allclose(pi, pi[0], 1e-9, 0):
        low, high = thinned_count(kept, float(pi[0]), confidence=case.confidence)
        all_errors = kept / float(pi[0])
    else:
        total = weighted_total(pi, case.failed[base], confidence=case.confidence)
        all_errors, low, high = total.value, int(total.low), int(np.ceil(total.high))
    all_errors, low, high = max(all_errors, held), max(low, held), max(high, held)
    if not all_errors:
        seen = counted(len(case.traces), "trace")
        text = f"No failing request in {seen}; up to {number(high)} may have happened unseen."
        row = pd.DataFrame({"captured": [0], "errors": 0.0, "errors_low": low, "errors_high": high})
        return [finding(CHECK, "measured", text, row, assumptions=_ASSUMED, is_critical=False)]
    return [_say(case, held, all_errors, (held / high, held / low if low else 1.0), "an estimated ")]


_ASSUMED = ("the same meaning of error on both sides", "errors do not stop the exporter too")


def _by_log(case: Case) -> Finding:
    """Return the captured share of the failing requests of a log."""
    assert case.log is not None
    log, status = case.log, log_columns(case.log)["status_class"]
    is_held = held_traces(case.traces, log) >= 0
    failing, alone = (status == _SERVER_ERROR).to_numpy(), (status == BALANCER + _SERVER_ERROR).to_numpy()
    passed_on = alone & (log["is_dispatched"].to_numpy(bool) if "is_dispatched" in log else False)
    beside = _Beside(int(alone.sum()), int(passed_on.sum()), int((is_held & passed_on).sum()))
    if not failing.any():
        total = counted(len(log), "logged request")
        text = f"None of {total} failed{beside.in_a_service}: there was nothing to capture."
        row = pd.DataFrame({"captured": [0], "errors": 0, "balancer_errors": beside.errors})
        return finding(CHECK, "measured", text, row, is_critical=False)
    captured = int((is_held & failing).sum())
    share = captured / int(failing.sum())
    return _say(case, captured, int(failing.sum()), (share, share), "", beside)


class _Beside(NamedTuple):
    """Requests that the load balancer failed by itself; of those that it had passed on before, and of which a trace is.

    ``in_a_service`` and ``said`` put it in words.
    """

    errors: float = 0
    passed_on: int = 0
    held: int = 0

    @property
    def in_a_service(self) -> str:
        """Where nothing failed."""
        return f" in a service; the load balancer failed {number(self.errors)} by itself" if self.errors else ""

    @property
    def said(self) -> str:
        """What stands beside the errors of the services."""
        if not self.errors:
            return ""
        on = f"; {number(self.passed_on)} of them it had passed on, and {number(self.held)} of those left a trace"
        rest = on if self.passed_on else ", which no service can trace"
        return f"; the load balancer failed {number(self.errors)} more by itself{rest}"


def _by_counts(case: Case) -> Finding:
    """Return the captured share of the failing requests that were counted."""
    assert case.counts is not None
    table, beside = case.tally.frame, _Beside(case.counts.balancer_errors)
    failing = table[table["status_class"] == _SERVER_ERROR]
    errors, captured = float(failing["requests"].sum()), int(failing["traces"].sum())
    if captured > errors:
        text = f"{counted(captured, 'failing trace')}, but only {counted(errors, 'failing request')} were counted."
        remedy = "Count errors at the hop where the traces begin."
        return finding(CHECK, "failed", text, failing, assumptions=_ASSUMED, remedy=remedy, is_critical=False)
    if not errors:
        total = number(table["requests"].sum())
        text = f"None of the {total} counted requests failed{beside.in_a_service}: there was nothing to capture."
        return finding(CHECK, "measured", text, table, is_critical=False)
    low, high = share_interval(captured, errors, confidence=case.confidence)
    return _say(case, captured, errors, (float(low), float(high)), "", beside)


def _say(
    case: Case,
    captured: int,
    errors: float,
    limits: tuple[float, float],
    guess: str,
    beside: _Beside | None = None,
) -> Finding:
    """Return the sentence about the captured share."""
    share, target = captured / errors, case.expected.capture
    status: Status = "ok" if limits[0] >= target else "failed" if limits[1] < target else "inconclusive"
    ends = {
        "ok": ": enough for conclusions about causes.",
        "failed": f": conclusions about causes rest on one in {number(1 / share)}."
        if share
        else ": no cause can be found.",
        "inconclusive": f": more are needed to decide whether it is the {percent(target)} asked for.",
    }
    interval = percents(*limits) if limits[0] < limits[1] else "counted"
    failing = counted(errors, "failing request")
    text = f"{number(captured)} of {guess}{failing} left a trace ({percent(share)}, {interval})"
    beside = beside or _Beside()
    table = pd.DataFrame(
        {"captured": [captured], "errors": errors, "estimate": share, "estimate_low": limits[0], "estimate_high":
        limits[1],
         "failing_traces": int(case.failed.sum()), "trace_count": len(case.traces),
         "balancer_errors": beside.errors, "balancer_passed_on": beside.passed_on, "status": status}
    )  # fmt: skip
    exemplars = [case.traces.trace_ids[n] for n in np.flatnonzero(case.failed)[:5]]
    remedy = "Keep failing traces by a tail policy, or raise the rate." if status == "failed" else ""
    text = f"{text}{ends[status].removesuffix('.')}{beside.said}."
    return finding(
        CHECK, status, text, table, estimate=Estimate(share, "ratio", *limits, n=captured),
        assumptions=_ASSUMED, remedy=remedy, exemplars=exemplars,is_critical=False
    )  # fmt: skip
