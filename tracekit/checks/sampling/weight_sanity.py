"""S10: consistency of the sampling weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.checks.verdicts import worst_status
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.stats.minimum_effect import judge
from tracekit.stats.weighted_rates import clustered_rates, weighted_total
from tracekit.text import count, factor, factor_range, plural, ratio, ratio_range, round_ratio
from tracekit.weights.known import BEYOND, NOT_SAMPLED, UNKNOWN
from tracekit.weights.trace_state import randomness, threshold

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.findings import Finding
    from tracekit.schema import Array

CHECK = "weights.sanity"
_LOW56 = np.uint64((1 << 56) - 1)
_DOMINANT, _LEAST_EFFECTIVE = 0.05, 0.05
_NOT_METHODS = {UNKNOWN, BEYOND, NOT_SAMPLED}


def weight_sanity(case: Case) -> list[Finding]:
    """Return whether weights are known, consistent with IDs and each other, and sum to the requests.

    A kept span has R >= T (R = ``rv``, else the low 56 bits of the ID): one violation proves sampling without updating
    ``th``, provided the IDs were not rewritten.  Thresholds must not decrease from parent to child.  No single weight
    above 5% of their sum; effective n above 5% of n; sum of the weights over counted requests within the margin; not
    all weights 1 if the rules keep less; one weight for all spans of a trace.  Missing thresholds are unknown, not
    wrong.  Source: OpenTelemetry's tracestate probability sampling.
    """
    thresholds = _thresholds(case)
    return [*([thresholds] if thresholds is not None else []), _used(case)]


def _thresholds(case: Case) -> Finding | None:
    """Return the finding on thresholds; None if no span has one."""
    spans, texts = case.traces.columns.spans, case.traces.columns.texts
    codes = spans.trace_state
    used = np.unique(codes[codes >= 0])
    limit, random = np.zeros(len(texts) + 1, np.uint64), np.zeros(len(texts) + 1, np.uint64)
    has, has_random = np.zeros(len(texts) + 1, bool), np.zeros(len(texts) + 1, bool)
    for code in used:
        t, r = threshold(texts[code]), randomness(texts[code])
        has[code], limit[code] = t is not None, np.uint64(t or 0)
        has_random[code], random[code] = r is not None, np.uint64(r or 0)
    rows = np.flatnonzero(has[codes])
    if not len(rows):
        return None
    bits = np.where(has_random[codes[rows]], random[codes[rows]], spans.trace_lo[rows] & _LOW56)
    violates = bits < limit[codes[rows]]
    parent = case.traces.forest.parent_row
    children = rows[(parent[rows] >= 0) & has[codes[np.maximum(parent[rows], 0)]]]
    falls = limit[codes[children]] < limit[codes[parent[children]]]
    return _threshold_finding(case, rows, violates, int(falls.sum()), len(children))


def _threshold_finding(case: Case, rows: Array, violates: Array, falls: int, pairs: int) -> Finding:
    """Return the finding on violated and decreasing thresholds."""
    trace = case.traces.forest.trace[rows]
    plain = np.ones(len(case.traces))
    found = clustered_rates(np.zeros(len(rows), np.int64), trace, violates, plain, 1, confidence=case.confidence)
    share, low, high = float(found.ratio[0]), float(found.low[0]), float(found.high[0])
    wrong = int(violates.sum())
    table = pd.DataFrame(
        {"spans": [len(rows)], "violations": wrong, "estimate": share, "estimate_low": low, "estimate_high": high,
         "trace_count": len(np.unique(trace)), "falling_thresholds": falls, "parent_child_pairs": pairs}
    )  # fmt: skip
    estimate = Estimate(share, "ratio", low, high, len(rows), float(found.n_effective[0]))
    if wrong:
        text = (
            f"Wrong sampling thresholds: {count(wrong)} of {plural(len(rows), 'span')} ({ratio(share)}, {case.ci}"
            f" {ratio_range(low, high)}) have a threshold that should have rejected them: a second sampler did not"
            " update it. Their weights are unknown."
        )
        remedy = "Fix or upgrade the last sampler."
        shown = [case.traces.trace_ids[n] for n in np.unique(trace[violates])[:5]]
        return finding(
            CHECK, "failed", text, table, estimate=estimate, remedy=remedy, exemplars=shown, is_critical=True,
            assumptions=("IDs were not rewritten",),
        )  # fmt: skip
    if falls:
        have = "has" if falls == 1 else "have"
        text = (
            f"Wrong sampling thresholds: {count(falls)} of {plural(pairs, 'child span')} {have} a lower threshold"
            " than the parent, but a child cannot be kept more often than its parent."
        )
        return finding(
            CHECK,
            "warning",
            text,
            table,
            remedy="Fix or upgrade the sampler of the child spans.",
            is_critical=False,
        )
    text = f"All {count(len(rows))} sampling thresholds are consistent with the IDs."
    return finding(CHECK, "ok", text, table, estimate=estimate, is_critical=False)


def _used(case: Case) -> Finding:
    """Return the finding on the weights in use."""
    weights = case.traces.weights
    sources = weights.sources
    if sources.get(UNKNOWN, 0) == len(case.traces):
        return not_assessable(CHECK, "Consistency of sampling weights", case.weights_needed or "traces")
    n, total = len(weights.value), float(weights.value.sum())
    largest = float(weights.value.max()) / total if total else 0.0
    problems = [*_weaknesses(case, largest), *filter(None, [_ignored_rate(case), _partial(case)])]
    sum_status, sum_text = _sum_against_requests(case)
    good = f"; {sum_text}" if sum_text and sum_status == "ok" else ""
    bad = problems if sum_status == "ok" else [*problems, sum_text]
    status = worst_status([sum_status, "warning" if problems else "ok"])
    table = pd.DataFrame(
        {"source": list(sources), "trace_count": list(sources.values()), "n_effective": weights.n_effective,
         "largest_share": largest, "weight_sum": total}
    )  # fmt: skip
    sizes = f"n = {count(n)}, effective sample size {count(weights.n_effective)}"
    if bad:
        text = f"Sampling weights: {'; '.join(bad)} ({sizes}). Estimates for all traffic depend on them."
    else:
        named = [name for name in sources if name not in _NOT_METHODS] or list(sources)
        text = f"Sampling weights of all {plural(n, 'trace')} are known, from {', '.join(named)} ({sizes}){good}."
    return finding(CHECK, status, text, table.assign(status=status), is_critical=False)


def _weaknesses(case: Case, largest: float) -> list[str]:
    """Return what is missing, mixed or unbalanced in the weights; ``largest`` is the largest share of their sum."""
    weights, n = case.traces.weights, len(case.traces)
    unknown = weights.sources.get(UNKNOWN, 0)
    methods = dict.fromkeys(name.partition(",")[0] for name in weights.sources if name not in _NOT_METHODS)
    found = {
        f"{count(unknown)} of {plural(n, 'trace')} have an unknown weight": unknown > 0,
        f"several sources ({', '.join(methods)})": len(methods) > 1,
        f"one trace has {ratio(largest)} of the total weight": n * _DOMINANT > 1 and largest > _DOMINANT,
        f"effective sample size only {count(weights.n_effective)}": weights.n_effective < _LEAST_EFFECTIVE * n,
    }
    return [text for text, holds in found.items() if holds]


def _ignored_rate(case: Case) -> str:
    """Return the sampling rate of the rules as text if all weights are 1 in spite of it; else empty."""
    rate = case.rules.base_rate if case.rules is not None else None
    if rate is None or rate >= 1 or case.is_weighted_by_rules:
        return ""
    is_one = case.is_even and float(case.probability[0]) == 1
    return f"all weights are 1, although the rules keep {round_ratio(rate)}" * is_one


def _partial(case: Case) -> str:
    """Return the number of partially sampled traces as text; empty without any."""
    if case.span_probability is None:
        return ""
    trace, own = case.traces.forest.trace, case.span_probability
    known = ~np.isnan(own)
    least, most = np.full(len(case.traces), np.inf), np.zeros(len(case.traces))
    np.minimum.at(least, trace[known], own[known])
    np.maximum.at(most, trace[known], own[known])
    several, rootless = int((most > least).sum()), int((~case.base & ~np.isnan(case.probability)).sum())
    left = f", and {count(rootless)} without a root represent no request" * (rootless > 0)
    return f"spans of {plural(several, 'trace')} have different weights{left}"


def _sum_against_requests(case: Case) -> tuple[str, str]:
    """Return status and text on the sum of the weights; ok and no text without counts or with unknown weights."""
    if (
        case.counts is None
        or not case.counts.total
        or case.weights_needed
        or "service_name" in case.counts.dimensions
        or case.counts_needed
    ):
        return "ok", ""
    total = weighted_total(case.probability[case.base], np.ones(int(case.base.sum())), confidence=case.confidence)
    requested = case.counts.total
    low, high = total.low / requested, total.high / requested
    verdict = judge(low, high, case.margin)
    times_asked = f"{factor(total.value / requested)} ({case.ci} {factor_range(low, high)})"
    text = f"their sum is {times_asked} of the {plural(requested, 'counted request')}"
    return {"ok": "ok", "failed": "warning", "inconclusive": "inconclusive"}[verdict], text
