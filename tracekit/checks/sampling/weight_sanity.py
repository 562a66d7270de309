"""S10: consistency of the sampling weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.checks.merged import Merged
from tracekit.checks.sampling.weights_used import WEIGHTS_USED, weights_needed
from tracekit.checks.shares import added, first_of, first_traces
from tracekit.checks.verdicts import worst_status
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.histograms import Histogram
from tracekit.stats.intervals import cluster_sums
from tracekit.stats.minimum_effect import judge
from tracekit.stats.weighted_rates import rates, total_count
from tracekit.text import count, factor, factor_range, plural, ratio, ratio_range, round_ratio
from tracekit.weights.known import BEYOND, NOT_SAMPLED, UNKNOWN
from tracekit.weights.trace_state import randomness, threshold

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.checks.sampling.weights_used import WeightsUsed
    from tracekit.findings import Finding
    from tracekit.weights.known import WeightTotals

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


class _Thresholds(NamedTuple):
    """Sampling thresholds of spans: those that should have rejected them, and those lower than in the parent.

    Parameters
    ----------
    sums
        Spans with a threshold, and those it should have rejected, over the traces.
    wrong
        Number of the latter.
    falls, pairs
        Child spans with a lower threshold than their parent, and all with a threshold in both.
    examples
        Ids of traces with a wrong one.
    """

    sums: Aggregate
    wrong: int
    falls: int
    pairs: int
    examples: tuple[str, ...]

    def plus(self, other: _Thresholds) -> _Thresholds:
        """Return those of two parts."""
        return _Thresholds(
            added(self.sums, other.sums),
            self.wrong + other.wrong,
            self.falls + other.falls,
            self.pairs + other.pairs,
            first_of(self.examples, other.examples),
        )


def _thresholds_of(case: Case) -> _Thresholds:
    """Return the thresholds of a part."""
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
    bits = np.where(has_random[codes[rows]], random[codes[rows]], spans.trace_lo[rows] & _LOW56)
    violates = bits < limit[codes[rows]]
    parent = case.traces.forest.parent_row
    children = rows[(parent[rows] >= 0) & has[codes[np.maximum(parent[rows], 0)]]]
    falls = limit[codes[children]] < limit[codes[parent[children]]]
    trace = case.traces.forest.trace[rows]
    sums = cluster_sums(np.zeros(len(rows), np.int64), trace, violates, np.ones(len(case.traces)), 1)
    examples = first_traces(case, trace[violates])
    table = Aggregate({}, sums, Histogram.empty())
    return _Thresholds(table, int(violates.sum()), int(falls.sum()), len(children), examples)


THRESHOLDS: Final[Merged[_Thresholds]] = Merged(_thresholds_of, _Thresholds.plus)


def _thresholds(case: Case) -> Finding | None:
    """Return the finding on violated and decreasing thresholds; None if no span has one."""
    seen = case.result(THRESHOLDS)
    sums, wrong, falls, pairs, examples = seen
    total = int(sums.sums["trial_count"][0])
    if not total:
        return None
    found = rates(sums.sums, np.zeros(1, np.int64), 1, confidence=case.confidence)
    share, low, high = float(found.ratio[0]), float(found.low[0]), float(found.high[0])
    table = pd.DataFrame(
        {"spans": [total], "violations": wrong, "estimate": share, "estimate_low": low, "estimate_high": high,
         "trace_count": int(sums.sums["cluster_count"][0]), "falling_thresholds": falls, "parent_child_pairs": pairs}
    )  # fmt: skip
    estimate = Estimate(share, "ratio", low, high, total, float(found.n_effective[0]))
    if wrong:
        text = (
            f"Wrong sampling thresholds: {count(wrong)} of {plural(total, 'span')} ({ratio(share)}, {case.ci}"
            f" {ratio_range(low, high)}) have a threshold that should have rejected them: a second sampler did not"
            " update it. Their weights are unknown."
        )
        remedy = "Fix or upgrade the last sampler."
        return finding(
            CHECK, "failed", text, table, estimate=estimate, remedy=remedy, exemplars=examples, is_critical=True,
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
    text = f"All {count(total)} sampling thresholds are consistent with the IDs."
    return finding(CHECK, "ok", text, table, estimate=estimate, is_critical=False)


def _used(case: Case) -> Finding:
    """Return the finding on the weights in use."""
    used = case.result(WEIGHTS_USED)
    weights = used.totals
    sources, n, total = weights.sources, weights.trace_count, weights.weight_sum
    if weights.unknown_count == n:
        return not_assessable(CHECK, "Consistency of sampling weights", weights_needed(case) or "traces")
    largest = used.largest / total if total else 0.0
    problems = [*_weaknesses(weights, largest), *filter(None, [_ignored_rate(case, used), _partial(used)])]
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


def _weaknesses(weights: WeightTotals, largest: float) -> list[str]:
    """Return what is missing, mixed or unbalanced in the weights; ``largest`` is the largest share of their sum."""
    n, unknown = weights.trace_count, weights.unknown_count
    methods = dict.fromkeys(name.partition(",")[0] for name in weights.sources if name not in _NOT_METHODS)
    found = {
        f"{count(unknown)} of {plural(n, 'trace')} have an unknown weight": unknown > 0,
        f"several sources ({', '.join(methods)})": len(methods) > 1,
        f"one trace has {ratio(largest)} of the total weight": n * _DOMINANT > 1 and largest > _DOMINANT,
        f"effective sample size only {count(weights.n_effective)}": weights.n_effective < _LEAST_EFFECTIVE * n,
    }
    return [text for text, holds in found.items() if holds]


def _ignored_rate(case: Case, used: WeightsUsed) -> str:
    """Return the sampling rate of the rules as text if all weights are 1 in spite of it; else empty."""
    rate = case.rules.base_rate if case.rules is not None else None
    if rate is None or rate >= 1 or case.is_weighted_by_rules:
        return ""
    is_one = used.is_even and used.least == 1
    return f"all weights are 1, although the rules keep {round_ratio(rate)}" * is_one


def _partial(used: WeightsUsed) -> str:
    """Return the number of partially sampled traces as text; empty without any."""
    if not used.has_unequal:
        return ""
    rootless = used.rootless_count
    left = f", and {count(rootless)} without a root represent no request" * (rootless > 0)
    return f"spans of {plural(used.unequal_count, 'trace')} have different weights{left}"


def _sum_against_requests(case: Case) -> tuple[str, str]:
    """Return status and text on the sum of the weights; ok and no text without counts or with unknown weights."""
    if (
        case.counts is None
        or not case.counts.total
        or weights_needed(case)
        or "service_name" in case.counts.dimensions
        or case.counts_needed
    ):
        return "ok", ""
    used = case.result(WEIGHTS_USED)
    total = total_count(used.base_count, used.represented, used.squares, confidence=case.confidence)
    requested = case.counts.total
    low, high = total.low / requested, total.high / requested
    verdict = judge(low, high, case.margin)
    times_asked = f"{factor(total.value / requested)} ({case.ci} {factor_range(low, high)})"
    text = f"their sum is {times_asked} of the {plural(requested, 'counted request')}"
    return {"ok": "ok", "failed": "warning", "inconclusive": "inconclusive"}[verdict], text
