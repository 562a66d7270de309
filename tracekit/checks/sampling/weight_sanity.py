"""S10, can the recorded weights be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.checks.sampling.verdicts import needs, speak, worst
from tracekit.checks.sampling.words import counted, factors, number, percent, percents, times
from tracekit.findings import Estimate
from tracekit.stats.minimum_effect import judge
from tracekit.stats.weighted_rates import clustered_rates, weighted_total
from tracekit.weights.known import BEYOND, NOT_SAMPLED, UNKNOWN
from tracekit.weights.trace_state import randomness, threshold

if TYPE_CHECKING:
    from tracekit.checks.sampling.inputs import Inputs
    from tracekit.findings import Finding
    from tracekit.schema import Array

CHECK = "weights.sanity"
_LOW56 = np.uint64((1 << 56) - 1)
_DOMINANT, _LEAST_EFFECTIVE = 0.05, 0.05


def weight_sanity(inputs: Inputs) -> list[Finding]:
    """Return whether weights are there, agree with the ids and with each other, and add up to the requests.

    A kept span has R >= T (R = ``rv``, else the low 56 bits of the id): one violation proves that somebody sampled
    without updating ``th``, provided nobody rewrote the ids.  Thresholds must not fall from parent to child.  No single
    weight above 5 % of their sum; effective n above 5 % of n; sum of the weights over counted requests within the
    margin; not all weights 1 where the rules keep less; one weight for
    all spans of a trace.  Missing thresholds are unknown and not wrong.  Source:
    OpenTelemetry's tracestate probability sampling.
    """
    thresholds = _thresholds(inputs)
    return [*([thresholds] if thresholds is not None else []), _used(inputs)]


def _thresholds(inputs: Inputs) -> Finding | None:
    """Return the finding about thresholds; None where no span carries one."""
    spans, texts = inputs.traces.columns.spans, inputs.traces.columns.texts
    codes = spans.trace_state
    used = np.unique(codes[codes >= 0])
    limit, random = np.zeros(len(texts) + 1, np.uint64), np.zeros(len(texts) + 1, np.uint64)
    has, tells = np.zeros(len(texts) + 1, bool), np.zeros(len(texts) + 1, bool)
    for code in used:
        t, r = threshold(texts[code]), randomness(texts[code])
        has[code], limit[code] = t is not None, np.uint64(t or 0)
        tells[code], random[code] = r is not None, np.uint64(r or 0)
    rows = np.flatnonzero(has[codes])
    if not len(rows):
        return None
    bits = np.where(tells[codes[rows]], random[codes[rows]], spans.trace_lo[rows] & _LOW56)
    violates = bits < limit[codes[rows]]
    parent = inputs.traces.forest.parent_row
    children = rows[(parent[rows] >= 0) & has[codes[np.maximum(parent[rows], 0)]]]
    falls = limit[codes[children]] < limit[codes[parent[children]]]
    return _say_thresholds(inputs, rows, violates, int(falls.sum()), len(children))


def _say_thresholds(inputs: Inputs, rows: Array, violates: Array, falls: int, pairs: int) -> Finding:
    """Return the sentence about thresholds."""
    trace = inputs.traces.forest.trace[rows]
    plain = np.ones(len(inputs.traces))
    ratio = clustered_rates(np.zeros(len(rows), np.int64), trace, violates, plain, 1, confidence=inputs.confidence)
    share, low, high = float(ratio.ratio[0]), float(ratio.low[0]), float(ratio.high[0])
    wrong = int(violates.sum())
    table = pd.DataFrame(
        {"spans": [len(rows)], "violations": wrong, "estimate": share, "estimate_low": low, "estimate_high": high,
         "trace_count": len(np.unique(trace)), "falling_thresholds": falls, "parent_child_pairs": pairs}
    )  # fmt: skip
    estimate = Estimate(share, "ratio", low, high, len(rows), float(ratio.n_effective[0]))
    if wrong:
        text = (
            f"{number(wrong)} of {counted(len(rows), 'span')} ({percent(share)}, {percents(low, high)}) carry a"
            " threshold that should have rejected them: something sampled again without updating it."
        )
        remedy = "Fix or upgrade the sampler that comes last; until then take these weights for unknown."
        shown = [inputs.traces.trace_ids[n] for n in np.unique(trace[violates])[:5]]
        return speak(
            CHECK, "fail", text, inputs, table, estimate=estimate, remedy=remedy, exemplars=shown, is_grave=True,
            assumptions=("nobody rewrote the ids",),
        )  # fmt: skip
    if falls:
        have = "has" if falls == 1 else "have"
        text = f"{number(falls)} of {counted(pairs, 'child span')} {have} a lower threshold than the parent."
        return speak(CHECK, "warn", text, inputs, table, remedy="A child cannot be kept more often than its parent.")
    text = f"All {number(len(rows))} thresholds agree with the ids that passed them."
    return speak(CHECK, "ok", text, inputs, table, estimate=estimate)


def _used(inputs: Inputs) -> Finding:
    """Return the finding about the weights as they are used."""
    weights = inputs.traces.weights
    sources = weights.sources
    unknown = sources.get(UNKNOWN, 0)
    if unknown == len(inputs.traces):
        return needs(CHECK, "Whether the weights can be trusted", inputs.weights_needed or "traces", inputs)
    n, total = len(weights.value), float(weights.value.sum())
    largest = float(weights.value.max()) / total if total else 0.0
    problems: list[tuple[str, str]] = []
    if unknown:
        problems.append(("warn", f"{number(unknown)} of {counted(n, 'trace')} have no known weight and are not 1"))
    kinds = [name.partition(",")[0] for name in sources if name not in {UNKNOWN, BEYOND, NOT_SAMPLED}]
    if len(named := list(dict.fromkeys(kinds))) > 1:
        problems.append(("warn", f"weights come from several sources ({', '.join(named)})"))
    if n > 1 / _DOMINANT and largest > _DOMINANT:
        problems.append(("warn", f"one trace carries {percent(largest)} of all weight"))
    if weights.n_effective < _LEAST_EFFECTIVE * n:
        problems.append(("warn", f"{counted(n, 'trace')} are as good as {number(weights.n_effective)}"))
    rate = inputs.rules.base_rate if inputs.rules is not None else None
    if rate is not None and rate < 1 and not inputs.rules_gave and inputs.is_even and float(inputs.probability[0]) == 1:
        problems.append(("warn", f"every weight is 1, though the rules keep {percent(rate)}"))
    if partial := _partial(inputs):
        problems.append(("warn", partial))
    summed = _sum_against_requests(inputs)
    problems += [summed] if summed is not None else []
    table = pd.DataFrame(
        {"source": list(sources), "trace_count": list(sources.values()), "n_effective": weights.n_effective,
         "largest_share": largest, "weight_sum": total}
    )  # fmt: skip
    bad = [text for status, text in problems if status != "ok"]
    good = "".join(f"; {text}" for status, text in problems if status == "ok")
    status = worst([status for status, _ in problems] or ["ok"])
    said = f"n = {number(n)}, effective {number(weights.n_effective)}"
    if bad:
        text = f"{'; '.join(bad)[:1].upper()}{'; '.join(bad)[1:]} ({said}): figures about all traffic rest on this."
    else:
        text = f"Weights of all {counted(n, 'trace')} are known, from {', '.join(sources)} ({said}){good}."
    return speak(CHECK, status, text, inputs, table.assign(status=status))


def _partial(inputs: Inputs) -> str:
    """Return how many traces are there only in part by design, in words; empty where none."""
    if inputs.span_probability is None:
        return ""
    trace, own = inputs.traces.forest.trace, inputs.span_probability
    known = ~np.isnan(own)
    least, most = np.full(len(inputs.traces), np.inf), np.zeros(len(inputs.traces))
    np.minimum.at(least, trace[known], own[known])
    np.maximum.at(most, trace[known], own[known])
    several, rootless = int((most > least).sum()), int((~inputs.base & ~np.isnan(inputs.probability)).sum())
    left = f", and {number(rootless)} lost the root and stand for no request" * (rootless > 0)
    return f"spans of {counted(several, 'trace')} have weights of their own{left}"


def _sum_against_requests(inputs: Inputs) -> tuple[str, str] | None:
    """Return whether the weights add up to the requests, in words; None without counts or with unknown weights."""
    if (
        inputs.counts is None
        or not inputs.counts.total
        or inputs.weights_needed
        or "service_name" in inputs.counts.dimensions
        or inputs.counts_needed
    ):
        return None
    total = weighted_total(
        inputs.probability[inputs.base], np.ones(int(inputs.base.sum())), confidence=inputs.confidence
    )
    asked = inputs.counts.total
    low, high = total.low / asked, total.high / asked
    verdict = judge(low, high, inputs.margin)
    times_asked = f"{times(total.value / asked)} ({factors(low, high)})"
    said = f"the weights add up to {times_asked} the {counted(asked, 'counted request')}"
    return {"ok": "ok", "biased": "warn", "inconclusive": "inconclusive"}[verdict], said
