"""S09: sampling bias of a reservoir ("one per second")."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from tracekit.checks.sampling.kept_traces import kept_traces
from tracekit.checks.sampling.token_bucket import bucket_spacing, detected_bucket
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.stats.minimum_effect import judge
from tracekit.stats.quantiles import quantile_limits, weighted_quantiles
from tracekit.stats.second_reservoir import SECOND_NS, infer_quota, phase_in_second
from tracekit.stats.weighted_rates import weighted_rate
from tracekit.text import count, duration, factor, interval, plural, ratio, ratio_range, round_duration, round_ratio
from tracekit.weights.rules import HeadRule, Rules
from tracekit.weights.xray_reservoir import weights_by_decision

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.checks.sampling.kept_traces import KeptTraces
    from tracekit.checks.sampling.token_bucket import Spacing
    from tracekit.findings import Finding, Status
    from tracekit.schema import Array
    from tracekit.stats.second_reservoir import Quota
    from tracekit.weights.xray_reservoir import Shares

CHECK = "bias.reservoir"
_SUBJECT = "Reservoir bias"
_SIGNATURE, _FEWEST = 0.001, 50
_ASSUMED = ("starts have the order of the decisions", "process and rule are those that decided")
_LONGEST_S = 1.0


def reservoir_bias(case: Case) -> list[Finding]:
    """Return error rate and p95 with unweighted and with weighted reservoir traces.

    Classic SDKs: order weights, 1 for the first q of a process and second and 1 / p for the rest, because the reservoir
    takes the first requests of a second; OpenTelemetry SDKs: weights of the traces that pass p by their ID, with the
    spacing of the others as signature of a token bucket (``token_bucket``).  Both are unbiased; weights by counts of
    ten seconds are not, if requests depend on their position in the second.  The signature alone (Rayleigh and Kuiper
    tests of the start within the second) indicates a reservoir or clients synchronised to the second, which the starts
    of a log distinguish, and allows no correction.  By second, the reservoir is the largest c that 99.5% of the seconds
    reach (``infer_quota``): the rules must agree with it, or the order is not usable.  Starts that contradict the rules
    within the second also prevent a correction (``stats.second_reservoir.order_agreement``).  Of a store, the parts
    give about 60 bytes a trace, which are sorted together; a rule that the seconds show is matched in a second pass.
    Source: the SDKs' samplers; measured coverage 94 to 96%.
    """
    kept = kept_traces(case, case.rules)
    found = seconds(case, kept)
    seen = inferred(case, kept, found) if found is not None else None
    rules = _inferred(seen) if case.rules is None else case.rules
    if rules is None:
        return [_signature(case, kept)]
    if not any(rule.quota for rule in rules.head):
        text = "No reservoir bias: the rules have no reservoir."
        return [finding(CHECK, "ok", text, pd.DataFrame({"quota": [0]}), is_critical=False)]
    if case.rules is None:
        kept = kept_traces(case, rules)
    shares = weights_by_decision(kept.decisions, rules)
    if missing := _unordered(found, seen, rules.only) or _unweighted(shares):
        return [not_assessable(CHECK, _SUBJECT, missing)]
    return [_corrected(case, kept, shares.weight, found, seen)]


def _inferred(seen: Quota | None) -> Rules | None:
    """Return the rule that the requests by second show; None without one."""
    if seen is None or not seen.quota or np.isnan(seen.rate):
        return None
    return Rules((HeadRule("inferred from seconds", seen.rate, quota=seen.quota),))


def _unordered(found: Seconds | None, seen: Quota | None, rule: HeadRule | None) -> str:
    """Return what is missing if the seconds show a smaller reservoir than the only rule has; else empty."""
    if found is None or seen is None or rule is None or seen.quota >= rule.quota:
        return ""
    return (
        f"starts in the order of the decisions: the rules keep {rule.quota} per second, the"
        f" {len(found.requests):,} seconds with requests show {seen.quota}"
    )


def _unweighted(shares: Shares) -> str:
    """Return what is missing for a weight of every trace; else empty."""
    if shares.obstacles or np.isnan(shares.weight).any():
        why = "; ".join(f"{reason} ({n:,} traces)" for reason, n in shares.obstacles.items()) or "traces"
        return f"more about the decisions: {why}"
    return "" if (shares.weight > 0).any() else "traces"


def _signature(case: Case, kept: KeptTraces) -> Finding:
    """Return the finding from the starts alone, and from the IDs if they show a probability sample."""
    start = kept.start_ns
    if (bucket := detected_bucket(start, kept.process, kept.is_beyond)) is not None:
        return _bucket(case, kept, bucket)
    if len(start) < _FEWEST or (start % 1_000_000 == 0).all():
        return not_assessable(CHECK, _SUBJECT, "sampling rules")
    phase = phase_in_second(start)
    row = pd.DataFrame({"strength": [phase.strength], "peak": phase.peak, "trace_count": len(start)})
    if min(phase.p_kuiper, phase.p_rayleigh) >= _SIGNATURE:
        return not_assessable(CHECK, _SUBJECT, "sampling rules")
    cluster = (
        f"the starts of {count(len(start))} traces cluster {round_duration(phase.peak * 1e9)} after the full second"
        f" (strength {phase.strength:.2f} of 1)"
    )
    begun = log_starts(case)
    if begun is not None and len(begun) >= _FEWEST:
        requested = phase_in_second(begun)
        row["request_strength"], row["request_peak"] = requested.strength, requested.peak
        if min(requested.p_kuiper, requested.p_rayleigh) < _SIGNATURE and requested.strength > phase.strength / 2:
            text = (
                f"No reservoir detected: {cluster}, and so do those of all requests ({requested.strength:.2f}): clients"
                " are synchronised to the second."
            )
            return finding(CHECK, "ok", text, row, is_critical=False)
        text = f"Reservoir detected: {cluster}, those of all requests do not ({requested.strength:.2f})"
    else:
        text = f"Reservoir, or clients synchronised to the second: {cluster}"
    text = f"{text}; correction not assessable: needs sampling rules."
    return finding(
        CHECK,
        "warning",
        text,
        row,
        remedy="Pass the sampling rules (rules=), or a request log (log=) to compare with the starts of all requests.",
        is_critical=False,
    )


def _bucket(case: Case, kept: KeptTraces, seen: Spacing) -> Finding:
    """Return the finding on traces with the spacing of a token bucket."""
    beyond = int(kept.is_beyond.sum())
    row = pd.DataFrame({"quota_seen": [seen.quota], "closer": seen.closer, "expected_closer": seen.expected})
    row["groups"] = seen.groups
    row["reservoir_share"], row["trace_count"] = beyond / len(kept), len(kept)
    text = (
        f"Reservoir (token bucket) of {plural(seen.quota, 'trace')} per second detected: it kept {count(beyond)} of"
        f" {count(len(kept))} traces, which were not sampled at random. Of {count(seen.groups)} groups of"
        f" {seen.quota + 2} consecutive traces among them, {count(seen.closer)} have {seen.quota + 1} starts within"
        f" {round_duration(1e9 / seen.quota)} (about {count(seen.expected)} expected at random)."
    )
    call = f" (traces.{case.weights_call})" * bool(case.weights_call)
    remedy = (
        f"Use weighted error rates and latency{call}, or pass the sampling rules: tk.sampling(traces, rules=rules)."
    )
    assumed = ("their rate changes slowly", "the process is the one that decided")
    return finding(CHECK, "warning", text, row, assumptions=assumed, remedy=remedy, is_critical=False)


def _corrected(case: Case, kept: KeptTraces, weight: Array, by_second: Seconds | None, seen: Quota | None) -> Finding:
    """Return the finding on raw and corrected figures."""
    failed, took = kept.failed, kept.took_ns
    base = weight > 0
    rate = weighted_rate(1 / weight[base], failed[base], confidence=case.confidence)
    timed = base & ~np.isnan(took)
    every = took[~np.isnan(took)]
    p95 = quantile_limits(1 / weight[timed], took[timed], (0.95,), confidence=case.confidence)[0]
    raw_p95 = float(weighted_quantiles(every, np.ones(len(every)), (0.95,))[0])
    rows = [
        ("error rate", "ratio", float(failed.mean()), rate.value, rate.low, rate.high),
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
    table["status"] = [_raw_status(case, *row) for row in limits]
    return _finding(case, table, reservoir, _spacing_caveat(case, kept, weight))


def _windows(case: Case) -> Seconds | None:
    """Return traces and requests by window of the counts; None without counts by time."""
    if case.counts_needed or not len(case.tally.bins):
        return None
    table = case.tally.bins.groupby("start_ns")[["traces", "requests"]].sum()
    return Seconds(table["traces"].to_numpy(np.int64), table["requests"].to_numpy(np.int64))


def _raw_status(case: Case, raw: float, low: float, high: float) -> Status:
    """Return the status of one raw figure."""
    ratio_low, ratio_high = (raw / high if high > 0 else 0.0), (raw / low if low > 0 else np.inf)
    known = (0.0 if np.isnan(ratio_low) else ratio_low, np.inf if np.isnan(ratio_high) else ratio_high)
    return judge(*known, case.margin)


def _finding(case: Case, table: pd.DataFrame, reservoir: float, caveats: tuple[str, ...]) -> Finding:
    """Return the finding on a table of raw and corrected figures."""
    errors, p95 = table.iloc[0], table.iloc[1]
    counted = f"n = {count(p95['trace_count'])}, effective sample size {count(p95['n_effective'])}"
    limits = interval(p95["estimate_low"], p95["estimate_high"], duration, confidence=case.ci)
    right = (
        f"Corrected: p95 {duration(p95['estimate'])} ({limits}), error rate {ratio(errors['estimate'])} ({case.ci}"
        f" {ratio_range(errors['estimate_low'], errors['estimate_high'])}; {counted})."
    )
    share = f"{ratio(reservoir)} of these traces are reservoir traces"
    if (quiet := float(table["quiet_ratio"].iloc[0])) > 1 + case.margin:
        share += f" (periods of low traffic are over-sampled {factor(quiet)})"
    biased = [row for row in (errors, p95) if row["status"] == "failed"]
    if biased:
        row = max(biased, key=lambda one: abs(np.log(max(one["raw"], 1e-12) / max(one["estimate"], 1e-12))))
        by = factor(row["raw"] / row["estimate"]) if row["estimate"] else "above"
        text = (
            f"Reservoir bias: the recorded {row['measure']} is {by} the estimated one. {share[0].upper()}{share[1:]}."
        )
        text, status = f"{text} {right}", "failed"
    elif (table["status"] == "ok").all():
        text, status = f"No reservoir bias above {round_ratio(case.margin)}, although {share}. {right}", "ok"
    else:
        text, status = f"Inconclusive: {share}, and the CIs are too wide to exclude bias. {right}", "inconclusive"
    estimate = Estimate(
        p95["estimate"], "ns", p95["estimate_low"], p95["estimate_high"], int(p95["trace_count"]), p95["n_effective"]
    )
    verdict: Status = "failed" if status == "failed" else "ok" if status == "ok" else "inconclusive"
    return finding(
        CHECK, verdict, text, table, estimate=estimate, is_critical=True,
        assumptions=(*_ASSUMED, *_inferred_rules(case, table), *caveats),
        remedy="Use weighted figures only: traces.with_weights(rules)." if status == "failed" else "",
    )  # fmt: skip


def _spacing_caveat(case: Case, kept: KeptTraces, weight: Array) -> tuple[str, ...]:
    """Return the number of traces outside the probability sample that are closer than the rule's bucket allows."""
    rule, beyond = case.rules.only if case.rules is not None else None, weight == 0
    if rule is None or not beyond.any():
        return ()
    found = bucket_spacing(kept.start_ns[beyond], kept.process[beyond], rule.quota)
    if found.is_kept:
        return ()
    close = f"{found.closer:,} of {found.groups:,} groups of traces outside the probability sample are closer than a"
    return (f"{close} token bucket of {rule.quota} per second allows: another sampler kept some of them",)


def _inferred_rules(case: Case, table: pd.DataFrame) -> tuple[str, ...]:
    """Return the quota and rate inferred from the seconds, if no rules were given."""
    if case.rules is not None:
        return ()
    row = table.iloc[0]
    return (
        f"no rules given; inferred from the seconds: reservoir of {row['quota_seen']} and {ratio(row['rate_seen'])}",
    )


class Seconds(NamedTuple):
    """Traces and requests of every second with requests."""

    traces: Array
    requests: Array


def seconds(case: Case, kept: KeptTraces) -> Seconds | None:
    """Return traces and requests by the second, from counts of single seconds or a log with times."""
    counts = case.counts
    if counts is not None and counts.window_s is not None and counts.window_s <= _LONGEST_S:
        if case.counts_needed:
            return None
        table = case.tally.bins.groupby("start_ns")[["traces", "requests"]].sum()
        table = table[table["requests"] > 0]
        return Seconds(*(table[name].to_numpy().astype(np.int64) for name in ("traces", "requests")))
    begun = log_starts(case)
    if begun is None:
        return None
    requested = pd.Series(begun // SECOND_NS).value_counts()
    found = pd.Series(kept.start_ns // SECOND_NS).value_counts().reindex(requested.index, fill_value=0)
    return Seconds(found.to_numpy(np.int64), requested.to_numpy(np.int64)) if found.any() else None


def log_starts(case: Case) -> Array | None:
    """Return the starts of logged requests in ns: their times minus durations (logs have response times), or None."""
    log = case.log
    if log is None or "time" not in log or not len(log):
        return None
    times = pd.to_datetime(
        log["time"], utc=True, errors="coerce", format="mixed" if log["time"].dtype == object else None
    )
    took = pd.to_numeric(log["duration_ns"], errors="coerce").fillna(0) if "duration_ns" in log else 0
    begun = (times.astype("datetime64[ns, UTC]").astype(np.int64) - took)[times.notna()]
    return begun.to_numpy(np.int64) if len(begun) else None


def inferred(case: Case, kept: KeptTraces, found: Seconds) -> Quota | None:
    """Return quota and rate inferred from the seconds; None unless one process of a classic SDK decided."""
    if not kept.is_of_one_process:
        return None
    return infer_quota(found.traces, found.requests, confidence=case.confidence)


def quiet_ratio(found: Seconds) -> float:
    """Return the over-sampling factor of quiet times: their share of the traces over their share of the requests."""
    quiet = 2 * found.requests * len(found.requests) < found.requests.sum()
    share = found.requests[quiet].sum() / max(found.requests.sum(), 1)
    return float(found.traces[quiet].sum() / found.traces.sum() / share) if share and found.traces.sum() else np.nan
