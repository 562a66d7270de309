"""S09, does "one a second" distort what we see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.checks.sampling.bucket_spacing import beside_base, bucket_spacing, seen_bucket
from tracekit.checks.sampling.reservoir_seconds import Seconds, inferred, log_starts, quiet_ratio, seconds
from tracekit.checks.sampling.words import duration, number, percent, percents, times
from tracekit.checks.verdicts import finding, not_assessable
from tracekit.findings import Estimate
from tracekit.stats.minimum_effect import judge
from tracekit.stats.quantile_limits import quantile_limits
from tracekit.stats.quantiles import weighted_quantiles
from tracekit.stats.second_reservoir import phase_in_second
from tracekit.stats.weighted_rates import weighted_rate
from tracekit.weights.rules import HeadRule, Rules
from tracekit.weights.xray_reservoir import processes, rule_weights

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.checks.sampling.bucket_spacing import Spacing
    from tracekit.findings import Finding, Status
    from tracekit.schema import Array
    from tracekit.stats.second_reservoir import Quota

CHECK = "bias.reservoir"
_SUBJECT = "What a reservoir does to error rate and latency"
_SIGNATURE, _FEWEST = 0.001, 50
_ASSUMED = ("starts order as the decisions did", "process and rule are those that decided")


def reservoir_bias(case: Case) -> list[Finding]:
    """Return error rate and p95 with the reservoir's traces as they are, and with what they stand for.

    Classic SDKs: order weights, 1 for the first q of a process and second and 1 / p for the rest, because the reservoir
    takes the first requests of a second; OpenTelemetry SDKs: the traces whose id passes p, and that the others keep the
    distance of a token bucket is its signature (``bucket_spacing``).  Both unbiased; weights by
    counts of ten seconds are not, where requests depend on their place in the second.  The signature alone (Rayleigh
    and Kuiper tests of the start within the second) says that there is a reservoir, or that clients are locked to the
    second, which the starts of a log tell, and corrects nothing.  By the second, the reservoir is the largest c that
    99.5 % of the seconds reach (``infer_quota``): the rules must agree with it, or their order proves nothing.  Starts
    that contradict the rules within the second refuse them too (``stats.second_reservoir.order_agreement``).  Source:
    the SDKs' samplers; measured coverage 94 to 96 %.
    """
    found = seconds(case)
    seen = inferred(case, found) if found is not None else None
    rules = case.rules
    if rules is None and seen is not None and seen.quota and not np.isnan(seen.rate):
        rules = Rules((HeadRule("as the seconds show", seen.rate, quota=seen.quota),))
    if rules is None:
        return [_signature(case)]
    if not any(rule.quota for rule in rules.head):
        text = "The rules have no reservoir: no trace was kept for being the first of its second."
        return [finding(CHECK, "ok", text, pd.DataFrame({"quota": [0]}), is_critical=False)]
    if found is not None and seen is not None and rules.only is not None and seen.quota < rules.only.quota:
        missing = (
            f"starts that order as the decisions did: the rules keep {rules.only.quota} of every second, the"
            f" {len(found.requests):,} seconds with requests show {seen.quota}"
        )
        return [not_assessable(CHECK, _SUBJECT, missing)]
    shares = rule_weights(case.traces, rules)
    if shares.obstacles or np.isnan(shares.weight).any():
        why = "; ".join(f"{reason} ({n:,} traces)" for reason, n in shares.obstacles.items()) or "traces"
        return [not_assessable(CHECK, _SUBJECT, f"more about the decisions: {why}")]
    if not (shares.weight > 0).any():
        return [not_assessable(CHECK, _SUBJECT, "traces")]
    return [_corrected(case, shares.weight, found, seen)]


def _signature(case: Case) -> Finding:
    """Return what the starts alone tell, and the ids where they show a base sample."""
    if (bucket := seen_bucket(case)) is not None:
        return _bucket(case, bucket)
    start = case.start_ns
    if len(start) < _FEWEST or (start % 1_000_000 == 0).all():
        return not_assessable(CHECK, _SUBJECT, "sampling rules")
    phase = phase_in_second(start)
    row = pd.DataFrame({"strength": [phase.strength], "peak": phase.peak, "trace_count": len(start)})
    if min(phase.p_kuiper, phase.p_rayleigh) >= _SIGNATURE:
        return not_assessable(CHECK, _SUBJECT, "sampling rules")
    crowd = (
        f"Starts of {number(len(start))} traces crowd at {percent(phase.peak)} of the second (strength"
        f" {phase.strength:.2f} of 1)"
    )
    begun = log_starts(case)
    if begun is not None and len(begun) >= _FEWEST:
        asked = phase_in_second(begun)
        row["request_strength"], row["request_peak"] = asked.strength, asked.peak
        if min(asked.p_kuiper, asked.p_rayleigh) < _SIGNATURE and asked.strength > phase.strength / 2:
            text = (
                f"{crowd}, and so do all requests ({asked.strength:.2f}): clients locked to the second, no reservoir."
            )
            return finding(CHECK, "ok", text, row, is_critical=False)
        ends = f", those of all requests do not ({asked.strength:.2f}): a reservoir"
    else:
        ends = ": a reservoir, or clients locked to the second"
    text = f"{crowd}{ends}; the correction is not assessable: needs sampling rules."
    return finding(
        CHECK,
        "warning",
        text,
        row,
        remedy="Give rules=...; compare with the phases of a request log.",
        is_critical=False,
    )


def _bucket(case: Case, seen: Spacing) -> Finding:
    """Return the finding about traces that keep the distance of a token bucket."""
    beside = int(beside_base(case).sum())
    row = pd.DataFrame({"quota_seen": [seen.quota], "closer": seen.closer, "expected_closer": seen.expected})
    row["groups"] = seen.groups
    row["reservoir_share"], row["trace_count"] = beside / len(case.traces), len(case.traces)
    text = (
        f"{number(beside)} of {number(len(case.traces))} traces came beside the base sample that the ids show; in"
        f" {number(seen.closer)} of {number(seen.groups)} groups of neighbours {seen.quota + 1} of them come within"
        f" {duration(1e9 / seen.quota)}, where about {number(seen.expected)} would by chance: a token bucket of"
        f" {seen.quota} a second kept them."
    )
    remedy = "Read rates and latency off the base sample (its weights are known), or give rules=..."
    assumed = ("their rate changes slowly", "process is the one that decided")
    return finding(CHECK, "warning", text, row, assumptions=assumed, remedy=remedy, is_critical=False)


def _corrected(case: Case, weight: Array, by_second: Seconds | None, seen: Quota | None) -> Finding:
    """Return the finding about raw and corrected figures."""
    base = weight > 0
    pi, failed = 1 / weight[base], case.failed[base]
    rate = weighted_rate(pi, failed, confidence=case.confidence)
    timed = base & ~np.isnan(case.took_ns)
    every = case.took_ns[~np.isnan(case.took_ns)]
    p95 = quantile_limits(1 / weight[timed], case.took_ns[timed], (0.95,), confidence=case.confidence)[0]
    raw_p95 = float(weighted_quantiles(every, np.ones(len(every)), (0.95,))[0])
    rows = [
        ("error rate", "ratio", float(case.failed.mean()), rate.value, rate.low, rate.high),
        ("p95 latency", "ns", raw_p95, p95.value, p95.low, p95.high),
    ]
    table = pd.DataFrame(rows, columns=["measure", "unit", "raw", "estimate", "estimate_low", "estimate_high"])
    table["trace_count"], table["n_effective"] = rate.n, rate.n_effective
    reservoir = float(((weight == 0) | (weight == 1)).mean())
    table["reservoir_share"] = reservoir
    if seen is not None:
        table["quota_seen"], table["rate_seen"] = seen.quota, seen.rate
    windows = by_second if by_second is not None else _windows(case)
    table["quiet_ratio"] = np.nan if windows is None else quiet_ratio(windows)
    limits = table[["raw", "estimate_low", "estimate_high"]].to_numpy(np.float64)
    table["status"] = [_against(case, *row) for row in limits]
    return _say(case, table, reservoir, _crowded(case, weight))


def _windows(case: Case) -> Seconds | None:
    """Return traces and requests by the windows of the counts; None without counts by time."""
    if case.counts_needed or not len(case.tally.bins):
        return None
    table = case.tally.bins.groupby("start_ns")[["traces", "requests"]].sum()
    return Seconds(table["traces"].to_numpy(np.int64), table["requests"].to_numpy(np.int64))


def _against(case: Case, raw: float, low: float, high: float) -> Status:
    """Return the verdict about one raw figure."""
    ratio_low, ratio_high = (raw / high if high > 0 else 0.0), (raw / low if low > 0 else np.inf)
    known = (0.0 if np.isnan(ratio_low) else ratio_low, np.inf if np.isnan(ratio_high) else ratio_high)
    return judge(*known, case.margin)


def _say(case: Case, table: pd.DataFrame, reservoir: float, crowded: tuple[str, ...]) -> Finding:
    """Return the sentence about raw and corrected figures."""
    errors, p95 = table.iloc[0], table.iloc[1]
    counted = f"n = {number(p95['trace_count'])}, effective {number(p95['n_effective'])}"
    right = (
        f"p95 is {duration(p95['estimate'])} ({duration(p95['estimate_low'])} to {duration(p95['estimate_high'])}) and"
        f" the error rate {percent(errors['estimate'])} ({percents(errors['estimate_low'], errors['estimate_high'])};"
        f" {counted})"
    )
    first = f"{percent(reservoir)} of these traces are the first of their second"
    if (quiet := float(table["quiet_ratio"].iloc[0])) > 1 + case.margin:
        first += f" (quiet times are seen {times(quiet)} as often as they should be)"
    biased = [row for row in (errors, p95) if row["status"] == "failed"]
    if biased:
        row = max(biased, key=lambda one: abs(np.log(max(one["raw"], 1e-12) / max(one["estimate"], 1e-12))))
        by = times(row["raw"] / row["estimate"]) if row["estimate"] else "more than"
        text, status = f"{first}; they make {row['measure']} look {by} what it is. Corrected, {right}.", "failed"
    elif (table["status"] == "ok").all():
        text, status = f"{first}, and that changes nothing: corrected, {right}.", "ok"
    else:
        text, status = f"{first}; corrected, {right}, too wide to say whether they mislead.", "inconclusive"
    estimate = Estimate(
        p95["estimate"], "ns", p95["estimate_low"], p95["estimate_high"], int(p95["trace_count"]), p95["n_effective"]
    )
    verdict: Status = "failed" if status == "failed" else "ok" if status == "ok" else "inconclusive"
    return finding(
        CHECK, verdict, text, table, estimate=estimate, is_critical=True,
        assumptions=(*_ASSUMED, *_read_off(case, table), *crowded),
        remedy="Use traces.with_weights(rules) for every figure." if status == "failed" else "",
    )  # fmt: skip


def _crowded(case: Case, weight: Array) -> tuple[str, ...]:
    """Return how many traces beside the base sample come closer than the bucket of the only rule lets them."""
    rule, beside = case.rules.only if case.rules is not None else None, weight == 0
    if rule is None or not beside.any():
        return ()
    found = bucket_spacing(case.start_ns[beside], processes(case.traces).codes[beside], rule.quota)
    if found.is_kept:
        return ()
    close = f"{found.closer:,} of {found.groups:,} groups of traces beside the base sample come closer than a token"
    return (f"{close} bucket of {rule.quota} a second lets them through: something else kept them too",)


def _read_off(case: Case, table: pd.DataFrame) -> tuple[str, ...]:
    """Return that quota and rate were read off the seconds, where no rules say them."""
    if case.rules is not None:
        return ()
    row = table.iloc[0]
    return (
        f"no rules were given: the seconds show a reservoir of {row['quota_seen']} and {percent(row['rate_seen'])}",
    )
