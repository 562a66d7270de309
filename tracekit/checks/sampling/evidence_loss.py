"""S11, could an incident have gone unseen, and which rate would have caught it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.checks.sampling.configured_rate import expected_share
from tracekit.checks.sampling.words import counted, number, percent
from tracekit.checks.verdicts import finding, not_assessable
from tracekit.findings import Estimate
from tracekit.stats.thinned import capture_probability, required_rate, thinned_count

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.findings import Finding, Status

CHECK = "evidence.loss"
_SIZES = (1, 5, 20, 100)
_EXAMPLE = 20
_ENOUGH = 0.95


def evidence_loss(case: Case) -> list[Finding]:
    """Return with which chance an incident of a declared size leaves enough traces.

    P(X >= k) = P(Binomial(M, p) >= k); the rate needed is BetaInv(0.95; k, M - k + 1), exact; what may have happened
    unseen is the thinned count of 0.  With unequal probabilities p is their mean over the traffic, n over the sum of
    the weights: occurrences fall on requests as they come.  A reservoir without known weights: what the rules should
    keep of the counted requests, window by window; an incident that brings more requests is kept less often.  Assumes
    independent decisions, and an incident that the sampler does not look at: a policy that keeps failures catches more.
    A retry storm in one trace is one occurrence.  Source: elementary; failure mode F2.
    """
    rate = _rate(case)
    if rate is None:
        missing = case.weights_needed or "sampling rules"
        return [not_assessable(CHECK, "Whether an incident could have gone unseen", missing)]
    declared = case.expected.incident
    size, enough = declared or (_EXAMPLE, 1)
    sizes = sorted({*_SIZES, size})
    table = pd.DataFrame(
        {
            "occurrences": sizes,
            "traces_needed": enough,
            "rate": rate,
            "estimate": [capture_probability(m, rate, enough) for m in sizes],
            "rate_needed": [required_rate(m, enough, confidence=_ENOUGH) for m in sizes],
        }
    )
    chance = capture_probability(size, rate, enough)
    status: Status = "measured" if declared is None else "ok" if chance >= _ENOUGH else "warning"
    unseen = thinned_count(0, rate, confidence=case.confidence)[1]
    better = f"; a rate of {percent(required_rate(size, enough, confidence=_ENOUGH))} would make it {percent(_ENOUGH)}"
    text = (
        f"At {percent(rate)} an incident of {counted(size, 'request')} leaves at least {counted(enough, 'trace')} with"
        f" {percent(chance)} probability{better * (chance < _ENOUGH)}; up to {number(unseen)} such requests may have"
        " happened unseen."
    )
    remedy = (
        "Raise the rate for the routes that matter, or keep failures by a tail policy." if status == "warning" else ""
    )
    return [
        finding(
            CHECK, status, text, table.assign(status=status), remedy=remedy,
            estimate=Estimate(chance, "ratio", chance, chance, len(case.traces)),
            assumptions=("decisions are independent", "the sampler does not look at what fails"),is_critical=False
        )
    ]  # fmt: skip


def _rate(case: Case) -> float | None:
    """Return the mean probability with which a request is kept, by the rules or else by the weights."""
    if case.rules is not None and (rate := case.rules.base_rate) and not any(r.quota for r in case.rules.head):
        return rate
    if case.weights_needed or not len(case.traces):
        return None if case.counts_needed else expected_share(case)
    return min(1.0, float(case.base.sum() / np.sum(1 / case.probability[case.base])))
