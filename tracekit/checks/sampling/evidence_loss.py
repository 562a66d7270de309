"""S11, could an incident have gone unseen, and which rate would have caught it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.checks.sampling.configured_rate import expected_share
from tracekit.checks.sampling.verdicts import needs, speak
from tracekit.checks.sampling.words import counted, number, percent
from tracekit.findings import Estimate
from tracekit.stats.thinned import capture_probability, required_rate, thinned_count

if TYPE_CHECKING:
    from tracekit.checks.sampling.inputs import Inputs
    from tracekit.checks.sampling.verdicts import Status
    from tracekit.findings import Finding

CHECK = "evidence.loss"
_SIZES = (1, 5, 20, 100)
_EXAMPLE = 20
_ENOUGH = 0.95


def evidence_loss(inputs: Inputs) -> list[Finding]:
    """Return with which chance an incident of a declared size leaves enough traces.

    P(X >= k) = P(Binomial(M, p) >= k); the rate needed is BetaInv(0.95; k, M - k + 1), exact; what may have happened
    unseen is the thinned count of 0.  With unequal probabilities p is their mean over the traffic, n over the sum of
    the weights: occurrences fall on requests as they come.  A reservoir without known weights: what the rules should
    keep of the counted requests, window by window; an incident that brings more requests is kept less often.  Assumes
    independent decisions, and an incident that the sampler does not look at: a policy that keeps failures catches more.
    A retry storm in one trace is one occurrence.  Source: elementary; failure mode F2.
    """
    rate = _rate(inputs)
    if rate is None:
        missing = inputs.weights_needed or "sampling rules"
        return [needs(CHECK, "Whether an incident could have gone unseen", missing, inputs)]
    declared = inputs.expected.incident
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
    status: Status = "measured" if declared is None else "ok" if chance >= _ENOUGH else "warn"
    unseen = thinned_count(0, rate, confidence=inputs.confidence)[1]
    better = f"; a rate of {percent(required_rate(size, enough, confidence=_ENOUGH))} would make it {percent(_ENOUGH)}"
    text = (
        f"At {percent(rate)} an incident of {counted(size, 'request')} leaves at least {counted(enough, 'trace')} with"
        f" {percent(chance)} probability{better * (chance < _ENOUGH)}; up to {number(unseen)} such requests may have"
        " happened unseen."
    )
    remedy = "Raise the rate for the routes that matter, or keep failures by a tail policy." if status == "warn" else ""
    return [
        speak(
            CHECK, status, text, inputs, table.assign(status=status), remedy=remedy,
            estimate=Estimate(chance, "ratio", chance, chance, len(inputs.traces)),
            assumptions=("decisions are independent", "the sampler does not look at what fails"),
        )
    ]  # fmt: skip


def _rate(inputs: Inputs) -> float | None:
    """Return the mean probability with which a request is kept, by the rules or else by the weights."""
    if inputs.rules is not None and (rate := inputs.rules.base_rate) and not any(r.quota for r in inputs.rules.head):
        return rate
    if inputs.weights_needed or not len(inputs.traces):
        return None if inputs.counts_needed else expected_share(inputs)
    return min(1.0, float(inputs.base.sum() / np.sum(1 / inputs.probability[inputs.base])))
