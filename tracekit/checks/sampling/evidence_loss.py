"""S11: detection probability of an incident, and the sampling rate that detects it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from tracekit.checks.sampling.configured_rate import expected_share
from tracekit.checks.sampling.weights_used import WEIGHTS_USED, weights_needed
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.stats.thinned import capture_probability, required_rate, thinned_count
from tracekit.text import plural, ratio, round_ratio

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.findings import Finding, Status

CHECK = "evidence.loss"
_SIZES = (1, 5, 20, 100)
_EXAMPLE = 20
_ENOUGH = 0.95


def evidence_loss(case: Case) -> list[Finding]:
    """Return the probability that an incident of a declared size leaves enough traces.

    P(X >= k) = P(Binomial(M, p) >= k); the required rate is BetaInv(0.95; k, M - k + 1), exact; the limit of unrecorded
    occurrences is the thinned count of 0.  With unequal probabilities p is their mean over the traffic, n over the sum
    of the weights.  A reservoir without known weights: the share of the counted requests that the rules should keep, by
    window; an incident with more requests is sampled less.  Assumes independent decisions that do not depend on the
    incident: a policy that keeps failures detects more.  A retry storm in one trace is one occurrence.  Source:
    elementary; failure mode F2.
    """
    rate = _rate(case)
    if rate is None:
        missing = weights_needed(case) or "sampling rules"
        return [not_assessable(CHECK, "Detection probability of an incident", missing)]
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
    better = f"; {round_ratio(_ENOUGH)} needs {ratio(required_rate(size, enough, confidence=_ENOUGH))} sampling"
    text = (
        f"Detection probability of an incident of {plural(size, 'request')}: {ratio(chance)} (at least"
        f" {plural(enough, 'trace')} at {ratio(rate)} sampling{better * (chance < _ENOUGH)}). An incident without any"
        f" recorded trace may have up to {plural(unseen, 'request')}."
    )
    remedy = (
        "Raise the sampling rate of important routes, or add a tail-sampling policy that keeps failing traces."
        if status == "warning"
        else ""
    )
    return [
        finding(
            CHECK, status, text, table.assign(status=status), remedy=remedy,
            estimate=Estimate(chance, "ratio", chance, chance, case.result(WEIGHTS_USED).totals.trace_count),
            assumptions=("decisions are independent", "sampling does not depend on failures"), is_critical=False
        )
    ]  # fmt: skip


def _rate(case: Case) -> float | None:
    """Return the mean sampling probability of a request, from the rules or else from the weights."""
    if case.rules is not None and (rate := case.rules.base_rate) and not any(r.quota for r in case.rules.head):
        return rate
    if weights_needed(case):
        return None if case.counts is None or case.counts_needed else expected_share(case)
    used = case.result(WEIGHTS_USED)
    return min(1.0, used.base_count / used.represented)
