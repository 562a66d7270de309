"""S04: share of the failing requests with a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.checks.merged import Merged
from tracekit.checks.sampling.weights_used import WEIGHTS_USED, weights_needed
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.stats.proportions import share_interval
from tracekit.stats.thinned import thinned_count
from tracekit.stats.weighted_rates import weighted_total
from tracekit.text import count, plural, ratio, ratio_range, round_ratio
from tracekit.weights.counts import BALANCER, log_columns

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.findings import Finding, Status
    from tracekit.schema import Array
    from tracekit.weights.log_strata import LogJoin

CHECK, _SUBJECT = "capture.errors", "Error capture"
_SHOWN = 5
_SERVER_ERROR = "5xx"


def error_capture(case: Case) -> list[Finding]:
    """Return the number of failing requests with a trace (M2b).

    M2a, failing over all traces, is the error rate of a dashboard; M2b is captured over all failing requests.  Log:
    joined by trace ID, no interval for this window.  Counts: n over N of status 5xx, share interval.  Traces alone: k
    failing ones kept with probability p, K failing in total; the number of failing requests has the exact limits ``k +
    NB`` of a thinned count, never below K; with unequal probabilities the Horvitz-Thompson total.  Of a store, the
    parts give the distinct probabilities of failing traces (at most 16 bytes each).  Assumes the same definition of
    error on both sides.  Responses of the load balancer itself (``HTTPCode_ELB_5XX``, log entries without
    ``target_status``) are not errors of a service and are counted separately; requests that it had forwarded may
    still have a trace, and their number is reported.  Source: M2, F2.
    """
    failing = case.result(FAILING)
    recorded = failing.recorded
    if case.log is not None and case.log_join is not None and "status_class" in log_columns(case.log):
        return [_by_log(case, case.log, case.log_join)]
    if not case.counts_needed and case.counts is not None and "status_class" in case.counts.dimensions:
        return [_by_counts(case)]
    if weights_needed(case):
        missing = "request counts by status, a log, or " + weights_needed(case)
        return [not_assessable(CHECK, _SUBJECT, missing)]
    used, kept = case.result(WEIGHTS_USED), int(failing.often.sum())
    if np.isclose(used.least, used.most, 1e-9, 0):
        low, high = thinned_count(kept, used.least, confidence=case.confidence)
        all_errors = kept / used.least
    else:
        total = weighted_total(np.repeat(failing.probability, failing.often), np.ones(kept), confidence=case.confidence)
        all_errors, low, high = total.value, int(total.low), int(np.ceil(total.high))
    all_errors, low, high = max(all_errors, recorded), max(low, recorded), max(high, recorded)
    if not all_errors:
        seen = plural(used.totals.trace_count, "trace")
        text = f"{_SUBJECT}: no failing request in {seen}; up to {count(high)} may be unrecorded."
        row = pd.DataFrame({"captured": [0], "errors": 0.0, "errors_low": low, "errors_high": high})
        return [finding(CHECK, "measured", text, row, assumptions=_ASSUMED, is_critical=False)]
    return [_finding(case, recorded, all_errors, (recorded / high, recorded / low if low else 1.0), "an estimated ")]


class _Failing(NamedTuple):
    """Failing traces: number, distinct probabilities of those in the sample and how often each, and the first IDs."""

    recorded: int
    probability: Array
    often: Array
    examples: tuple[str, ...]

    def plus(self, other: _Failing) -> _Failing:
        """Return those of two parts."""
        distinct, at = np.unique(np.concatenate([self.probability, other.probability]), return_inverse=True)
        often = np.zeros(len(distinct), np.int64)
        np.add.at(often, at, np.concatenate([self.often, other.often]))
        examples = tuple(sorted(self.examples + other.examples)[:_SHOWN])
        return _Failing(self.recorded + other.recorded, distinct, often, examples)


def _failing(case: Case) -> _Failing:
    """Return the failing traces of a part."""
    distinct, often = np.unique(case.probability[case.base & case.failed], return_counts=True)
    first = tuple(case.traces.trace_ids[n] for n in np.flatnonzero(case.failed)[:_SHOWN])
    return _Failing(int(case.failed.sum()), distinct, often, first)


FAILING: Final[Merged[_Failing]] = Merged(_failing, _Failing.plus)
"""The failing traces: their number, their probabilities, and the ids of the first."""


_ASSUMED = ("the same definition of error on both sides", "errors do not stop the exporter")


def _by_log(case: Case, log: pd.DataFrame, join: LogJoin) -> Finding:
    """Return the captured share of the failing requests of a log."""
    status, is_held = log_columns(log)["status_class"], join.is_held
    failing, alone = (status == _SERVER_ERROR).to_numpy(), (status == BALANCER + _SERVER_ERROR).to_numpy()
    passed_on = alone & (log["is_dispatched"].to_numpy(bool) if "is_dispatched" in log else False)
    balancer = _BalancerErrors(int(alone.sum()), int(passed_on.sum()), int((is_held & passed_on).sum()))
    if not failing.any():
        total = plural(len(log), "logged request")
        text = f"{_SUBJECT}: none of {total} failed{balancer.besides_services}."
        row = pd.DataFrame({"captured": [0], "errors": 0, "balancer_errors": balancer.errors})
        return finding(CHECK, "measured", text, row, is_critical=False)
    captured = int((is_held & failing).sum())
    share = captured / int(failing.sum())
    return _finding(case, captured, int(failing.sum()), (share, share), "", balancer)


class _BalancerErrors(NamedTuple):
    """Requests failed by the load balancer itself; those of them forwarded before, and those with a trace."""

    errors: float = 0
    passed_on: int = 0
    recorded: int = 0

    @property
    def besides_services(self) -> str:
        """Clause if no request failed in a service."""
        return f" in a service; the load balancer failed {count(self.errors)} itself" if self.errors else ""

    @property
    def text(self) -> str:
        """Sentence in addition to the errors of the services."""
        if not self.errors:
            return ""
        forwarded = f"; {count(self.passed_on)} of them were forwarded, {count(self.recorded)} of those have a trace"
        rest = forwarded if self.passed_on else ", which no service can trace"
        return f" The load balancer failed {count(self.errors)} more itself{rest}."


def _by_counts(case: Case) -> Finding:
    """Return the captured share of the failing requests that were counted."""
    assert case.counts is not None
    table, balancer = case.tally.frame, _BalancerErrors(case.counts.balancer_errors)
    failing = table[table["status_class"] == _SERVER_ERROR]
    errors, captured = float(failing["requests"].sum()), int(failing["traces"].sum())
    if captured > errors:
        text = f"{_SUBJECT}: {plural(captured, 'failing trace')}, but only {plural(errors, 'failing request')} counted."
        remedy = "Count errors at the hop where traces start."
        return finding(CHECK, "failed", text, failing, assumptions=_ASSUMED, remedy=remedy, is_critical=False)
    if not errors:
        total = count(table["requests"].sum())
        text = f"{_SUBJECT}: none of the {total} counted requests failed{balancer.besides_services}."
        return finding(CHECK, "measured", text, table, is_critical=False)
    low, high = share_interval(captured, errors, confidence=case.confidence)
    return _finding(case, captured, errors, (float(low), float(high)), "", balancer)


def _finding(
    case: Case,
    captured: int,
    errors: float,
    limits: tuple[float, float],
    guess: str,
    balancer: _BalancerErrors | None = None,
) -> Finding:
    """Return the finding on the captured share."""
    share, target = captured / errors, case.expected.capture
    status: Status = "ok" if limits[0] >= target else "failed" if limits[1] < target else "inconclusive"
    ends = {
        "ok": "Enough failing traces to investigate causes.",
        "failed": "The others cannot be investigated." if share else "No failing request can be investigated.",
        "inconclusive": f"Too few to decide whether the target of {round_ratio(target)} is met.",
    }
    reliability = f"{case.ci} {ratio_range(*limits)}" if limits[0] < limits[1] else "counted"
    failing = plural(errors, "failing request")
    balancer = balancer or _BalancerErrors()
    text = (
        f"{_SUBJECT}: {count(captured)} of {guess}{failing} have a trace ({ratio(share)}, {reliability})."
        f" {ends[status]}{balancer.text}"
    )
    table = pd.DataFrame(
        {"captured": [captured], "errors": errors, "estimate": share, "estimate_low": limits[0], "estimate_high":
        limits[1],
         "failing_traces": case.result(FAILING).recorded,
         "trace_count": case.result(WEIGHTS_USED).totals.trace_count,
         "balancer_errors": balancer.errors, "balancer_passed_on": balancer.passed_on, "status": status}
    )  # fmt: skip
    exemplars = case.result(FAILING).examples
    remedy = (
        "Add a tail-sampling policy that keeps failing traces, or raise the sampling rate."
        if status == "failed"
        else ""
    )
    return finding(
        CHECK, status, text, table, estimate=Estimate(share, "ratio", *limits, n=captured),
        assumptions=_ASSUMED, remedy=remedy, exemplars=exemplars,is_critical=False
    )  # fmt: skip
