"""S09, does "one a second" distort what we see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.checks.sampling.bucket_spacing import beside_base, bucket_spacing, seen_bucket
from tracekit.checks.sampling.reservoir_seconds import Seconds, inferred, log_starts, quiet_ratio, seconds
from tracekit.checks.sampling.verdicts import needs, speak
from tracekit.checks.sampling.words import duration, number, percent, percents, times
from tracekit.findings import Estimate
from tracekit.stats.minimum_effect import judge
from tracekit.stats.quantile_limits import quantile_limits
from tracekit.stats.quantiles import weighted_quantiles
from tracekit.stats.second_reservoir import phase_in_second
from tracekit.stats.weighted_rates import weighted_rate
from tracekit.weights.rules import HeadRule, Rules
from tracekit.weights.xray_reservoir import processes, rule_weights

if TYPE_CHECKING:
    from tracekit.checks.sampling.bucket_spacing import Spacing
    from tracekit.checks.sampling.inputs import Inputs
    from tracekit.checks.sampling.verdicts import Status
    from tracekit.findings import Finding
    from tracekit.schema import Array
    from tracekit.stats.second_reservoir import Quota

CHECK = "bias.reservoir"
_SUBJECT = "What a reservoir does to error rate and latency"
_SIGNATURE, _FEWEST = 0.001, 50
_ASSUMED = ("starts order as the decisions did", "process and rule are those that decided")


def reservoir_bias(inputs: Inputs) -> list[Finding]:
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
    found = seconds(inputs)
    seen = inferred(inputs, found) if found is not None else None
    rules = inputs.rules
    if rules is None and seen is not None and seen.quota and not np.isnan(seen.rate):
        rules = Rules((HeadRule("as the seconds show", seen.rate, quota=seen.quota),))
    if rules is None:
        return [_signature(inputs)]
    if not any(rule.quota for rule in rules.head):
        text = "The rules have no reservoir: no trace was kept for being the first of its second."
        return [speak(CHECK, "ok", text, inputs, pd.DataFrame({"quota": [0]}))]
    if found is not None and seen is not None and rules.only is not None and seen.quota < rules.only.quota:
        missing = (
            f"starts that order as the decisions did: the rules keep {rules.only.quota} of every second, the"
            f" {len(found.requests):,} seconds with requests show {seen.quota}"
        )
        return [needs(CHECK, _SUBJECT, missing, inputs)]
    shares = rule_weights(inputs.traces, rules)
    if shares.obstacles or np.isnan(shares.weight).any():
        why = "; ".join(f"{reason} ({n:,} traces)" for reason, n in shares.obstacles.items()) or "traces"
        return [needs(CHECK, _SUBJECT, f"more about the decisions: {why}", inputs)]
    if not (shares.weight > 0).any():
        return [needs(CHECK, _SUBJECT, "traces", inputs)]
    return [_corrected(inputs, shares.weight, found, seen)]


def _signature(inputs: Inputs) -> Finding:
    """Return what the starts alone tell, and the ids where they show a base sample."""
    if (bucket := seen_bucket(inputs)) is not None:
        return _bucket(inputs, bucket)
    start = inputs.start_ns
    if len(start) < _FEWEST or (start % 1_000_000 == 0).all():
        return needs(CHECK, _SUBJECT, "sampling rules", inputs)
    phase = phase_in_second(start)
    row = pd.DataFrame({"strength": [phase.strength], "peak": phase.peak, "trace_count": len(start)})
    if min(phase.p_kuiper, phase.p_rayleigh) >= _SIGNATURE:
        return needs(CHECK, _SUBJECT, "sampling rules", inputs)
    crowd = (
        f"Starts of {number(len(start))} traces crowd at {percent(phase.peak)} of the second (strength"
        f" {phase.strength:.2f} of 1)"
    )
    begun = log_starts(inputs)
    if begun is not None and len(begun) >= _FEWEST:
        asked = phase_in_second(begun)
        row["request_strength"], row["request_peak"] = asked.strength, asked.peak
        if min(asked.p_kuiper, asked.p_rayleigh) < _SIGNATURE and asked.strength > phase.strength / 2:
            text = (
                f"{crowd}, and so do all requests ({asked.strength:.2f}): clients locked to the second, no reservoir."
            )
            return speak(CHECK, "ok", text, inputs, row)
        ends = f", those of all requests do not ({asked.strength:.2f}): a reservoir"
    else:
        ends = ": a reservoir, or clients locked to the second"
    text = f"{crowd}{ends}; the correction is not assessable: needs sampling rules."
    return speak(CHECK, "warn", text, inputs, row, remedy="Give rules=...; compare with the phases of a request log.")


def _bucket(inputs: Inputs, seen: Spacing) -> Finding:
    """Return the finding about traces that keep the distance of a token bucket."""
    beside = int(beside_base(inputs).sum())
    row = pd.DataFrame({"quota_seen": [seen.quota], "closer": seen.closer, "expected_closer": seen.expected})
    row["groups"] = seen.groups
    row["reservoir_share"], row["trace_count"] = beside / len(inputs.traces), len(inputs.traces)
    text = (
        f"{number(beside)} of {number(len(inputs.traces))} traces came beside the base sample that the ids show; in"
        f" {number(seen.closer)} of {number(seen.groups)} groups of neighbours {seen.quota + 1} of them come within"
        f" {duration(1e9 / seen.quota)}, where about {number(seen.expected)} would by chance: a token bucket of"
        f" {seen.quota} a second kept them."
    )
    remedy = "Read rates and latency off the base sample (its weights are known), or give rules=..."
    assumed = ("their rate changes slowly", "process is the one that decided")
    return speak(CHECK, "warn", text, inputs, row, assumptions=assumed, remedy=remedy)


def _corrected(inputs: Inputs, weight: Array, by_second: Seconds | None, seen: Quota | None) -> Finding:
    """Return the finding about raw and corrected figures."""
    base = weight > 0
    pi, failed = 1 / weight[base], inputs.failed[base]
    rate = weighted_rate(pi, failed, confidence=inputs.confidence)
    timed = base & ~np.isnan(inputs.took_ns)
    every = inputs.took_ns[~np.isnan(inputs.took_ns)]
    p95 = quantile_limits(1 / weight[timed], inputs.took_ns[timed], (0.95,), confidence=inputs.confidence)[0]
    raw_p95 = float(weighted_quantiles(every, np.ones(len(every)), (0.95,))[0])
    rows = [
        ("error rate", "ratio", float(inputs.failed.mean()), rate.value, rate.low, rate.high),
        ("p95 latency", "ns", raw_p95, p95.value, p95.low, p95.high),
    ]
    table = pd.DataFrame(rows, columns=["measure", "unit", "raw", "estimate", "estimate_low", "estimate_high"])
    table["trace_count"], table["n_effective"] = rate.n, rate.n_effective
    reservoir = float(((weight == 0) | (weight == 1)).mean())
    table["reservoir_share"] = reservoir
    if seen is not None:
        table["quota_seen"], table["rate_seen"] = seen.quota, seen.rate
    windows = by_second if by_second is not None else _windows(inputs)
    table["quiet_ratio"] = np.nan if windows is None else quiet_ratio(windows)
    limits = table[["raw", "estimate_low", "estimate_high"]].to_numpy(np.float64)
    table["status"] = [_against(inputs, *row) for row in limits]
    return _say(inputs, table, reservoir, _crowded(inputs, weight))


def _windows(inputs: Inputs) -> Seconds | None:
    """Return traces and requests by the windows of the counts; None without counts by time."""
    if inputs.counts_needed or not len(inputs.tally.bins):
        return None
    table = inputs.tally.bins.groupby("start_ns")[["traces", "requests"]].sum()
    return Seconds(table["traces"].to_numpy(np.int64), table["requests"].to_numpy(np.int64))


def _against(inputs: Inputs, raw: float, low: float, high: float) -> Status:
    """Return the verdict about one raw figure."""
    ratio_low, ratio_high = (raw / high if high > 0 else 0.0), (raw / low if low > 0 else np.inf)
    known = (0.0 if np.isnan(ratio_low) else ratio_low, np.inf if np.isnan(ratio_high) else ratio_high)
    return judge(*known, inputs.margin)


def _say(inputs: Inputs, table: pd.DataFrame, reservoir: float, crowded: tuple[str, ...]) -> Finding:
    """Return the sentence about raw and corrected figures."""
    errors, p95 = table.iloc[0], table.iloc[1]
    counted = f"n = {number(p95['trace_count'])}, effective {number(p95['n_effective'])}"
    right = (
        f"p95 is {duration(p95['estimate'])} ({duration(p95['estimate_low'])} to {duration(p95['estimate_high'])}) and"
        f" the error rate {percent(errors['estimate'])} ({percents(errors['estimate_low'], errors['estimate_high'])};"
        f" {counted})"
    )
    first = f"{percent(reservoir)} of these traces are the first of their second"
    if (quiet := float(table["quiet_ratio"].iloc[0])) > 1 + inputs.margin:
        first += f" (quiet times are seen {times(quiet)} as often as they should be)"
    biased = [row for row in (errors, p95) if row["status"] == "biased"]
    if biased:
        row = max(biased, key=lambda one: abs(np.log(max(one["raw"], 1e-12) / max(one["estimate"], 1e-12))))
        by = times(row["raw"] / row["estimate"]) if row["estimate"] else "more than"
        text, status = f"{first}; they make {row['measure']} look {by} what it is. Corrected, {right}.", "biased"
    elif (table["status"] == "ok").all():
        text, status = f"{first}, and that changes nothing: corrected, {right}.", "ok"
    else:
        text, status = f"{first}; corrected, {right}, too wide to say whether they mislead.", "inconclusive"
    estimate = Estimate(
        p95["estimate"], "ns", p95["estimate_low"], p95["estimate_high"], int(p95["trace_count"]), p95["n_effective"]
    )
    verdict: Status = "biased" if status == "biased" else "ok" if status == "ok" else "inconclusive"
    return speak(
        CHECK, verdict, text, inputs, table, estimate=estimate, is_grave=True,
        assumptions=(*_ASSUMED, *_read_off(inputs, table), *crowded),
        remedy="Use traces.with_weights(rules) for every figure." if status == "biased" else "",
    )  # fmt: skip


def _crowded(inputs: Inputs, weight: Array) -> tuple[str, ...]:
    """Return how many traces beside the base sample come closer than the bucket of the only rule lets them."""
    rule, beside = inputs.rules.only if inputs.rules is not None else None, weight == 0
    if rule is None or not beside.any():
        return ()
    found = bucket_spacing(inputs.start_ns[beside], processes(inputs.traces).codes[beside], rule.quota)
    if found.is_kept:
        return ()
    close = f"{found.closer:,} of {found.groups:,} groups of traces beside the base sample come closer than a token"
    return (f"{close} bucket of {rule.quota} a second lets them through: something else kept them too",)


def _read_off(inputs: Inputs, table: pd.DataFrame) -> tuple[str, ...]:
    """Return that quota and rate were read off the seconds, where no rules say them."""
    if inputs.rules is not None:
        return ()
    row = table.iloc[0]
    return (
        f"no rules were given: the seconds show a reservoir of {row['quota_seen']} and {percent(row['rate_seen'])}",
    )
