"""S06: over- and under-sampled routes, methods, statuses and hours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.checks.sampling.observed_rate import by_window
from tracekit.checks.verdicts import worst_status
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.stats.anytime_mix import anytime_mix
from tracekit.stats.minimum_effect import compare_mix
from tracekit.text import count, factor, factor_range, quoted, ratio, rough_count, round_ratio

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.findings import Finding
    from tracekit.stats.minimum_effect import Mix

CHECK = "mix.head"
_HOUR_NS = 3600 * 10**9
_SUBJECT = "Sampling bias by stratum"


def traffic_mix(case: Case) -> list[Finding]:
    """Return the routes, methods, statuses or hours that are sampled at a different rate than the rest.

    ``stats.minimum_effect.compare_mix``: n_h ~ Binomial(n, N_h rho / (N_h rho + N - N_h)) at rho = 1 + margin and its
    inverse, Benjamini-Hochberg over the strata of one axis.  Strata without requests, or with more traces than requests
    (see ``rate.observed``), are excluded.  With counts by time ``chance_any_time`` of the evidence is valid under
    repeated testing during an incident (``stats.anytime_mix``).  Assumes aligned windows and identical definitions of
    strata.  A reservoir over-samples quiet strata by design (``bias.reservoir``).  Source: textbook tests; the
    minimum-effect form is our own.
    """
    if missing := case.counts_needed:
        return [not_assessable(CHECK, _SUBJECT, missing)]
    assert case.counts is not None
    keys = list(case.counts.dimensions)
    table = case.tally.frame
    if "service_name" in keys:
        table = table[table["service_name"].isin(case.held.root_services)]
    found = [_axis(case, table, keys, "strata")] if keys else []
    if len(case.tally.bins):
        hours = case.tally.bins.assign(hour=case.tally.bins["start_ns"] // _HOUR_NS)
        by_hour = hours.groupby("hour")[["requests", "traces"]].sum().reset_index()
        by_hour["hour"] = pd.to_datetime(by_hour["hour"] * _HOUR_NS).dt.strftime("%Y-%m-%d %H:00")
        found += [_axis(case, by_hour, ["hour"], "hours")] if len(by_hour) > 1 else []
    return found or [not_assessable(CHECK, _SUBJECT, "request counts by service, route, method, status or hour")]


def _axis(case: Case, table: pd.DataFrame, keys: list[str], axis: str) -> Finding:
    """Return the finding on the strata of one axis."""
    usable = table[(table["requests"] > 0) & (table["traces"] <= table["requests"])].reset_index(drop=True)
    if len(usable) < 2 or not usable["traces"].sum():  # noqa: PLR2004 - a mix needs two strata
        return not_assessable(CHECK, f"{_SUBJECT}, by {axis}", "two strata with requests and traces")
    mix = compare_mix(
        usable["traces"].to_numpy(),
        np.round(usable["requests"].to_numpy()),
        margin=case.margin,
        confidence=case.confidence,
    )
    scope = [" ".join(str(part) for part in row) for row in usable[keys].fillna("(none)").itertuples(index=False)]
    evidence = pd.DataFrame(
        {"scope": scope, "requests": usable["requests"], "traces": usable["traces"], "estimate": mix.ratio,
         "estimate_low": mix.low, "estimate_high": mix.high, "residual": mix.residual, "q_bh": mix.q, "status":
         mix.verdict, "requests_needed": mix.needed}
    )  # fmt: skip
    if keys != ["hour"] and len(case.tally.bins):
        events, trials = (part[1:].T for part in by_window(case.tally.bins, keys, usable))
        evidence["chance_any_time"] = float(anytime_mix(events, trials)[-1])
    evidence["request_share"] = evidence["requests"] / evidence["requests"].sum()
    evidence["trace_share"] = evidence["traces"] / evidence["traces"].sum()
    return _finding(case, evidence, mix, axis)


def _finding(case: Case, evidence: pd.DataFrame, mix: Mix, axis: str) -> Finding:
    """Return the finding on the ratios of one axis."""
    status = worst_status(evidence["status"].tolist())
    far = np.abs(np.log(evidence["estimate"].to_numpy(np.float64)))
    biased = (evidence["status"] == "failed").to_numpy()
    row = evidence.iloc[int(np.where(biased == (status == "failed"), far, -1).argmax())]
    stratum = (
        f"{quoted(row['scope'])} kept at {factor(row['estimate'])} the rate of other traffic"
        f" ({case.ci} {factor_range(row['estimate_low'], row['estimate_high'])};"
        f" {count(row['traces'])} of {count(row['requests'])} requests)"
    )
    others = int(biased.sum()) - 1
    more = f"; {others} more {axis} differ" * (others > 0)
    distance = f"sample and traffic differ by {ratio(mix.distance)}, noise alone yields {ratio(mix.noise)}"
    text = {
        "failed": f"Sampling bias: {stratum}{more}. Unweighted statistics {_effect(row['estimate'])} it.",
        "ok": f"No sampling bias: all {len(evidence)} {axis} are sampled at the same rate within"
        f" {round_ratio(case.margin)}; {distance}.",
        "inconclusive": f"Inconclusive: {stratum}, not significant; {distance}. About"
        f" {rough_count(evidence['requests_needed'].max())} requests are needed for all {axis}.",
    }[status]
    estimate = Estimate(
        float(row["estimate"]), "times", float(row["estimate_low"]), float(row["estimate_high"]), int(row["traces"])
    )
    remedy = "Weight by stratum: traces.with_weights(requests)." if status == "failed" else ""
    assumed = ["windows and strata of counts and traces match", "no reservoir favours quiet strata", *case.caveats]
    ever = float(evidence["chance_any_time"].iloc[0]) if "chance_any_time" in evidence else 1.0
    if ever < 1 - case.confidence:
        often = f"once in {rough_count(1 / ever)} such periods" if ever > 1e-9 else "practically never"  # noqa: PLR2004 - too small
        assumed.append(f"under repeated testing as traces arrive, chance alone would cause this {often}")
    return finding(
        CHECK, status, text, evidence, estimate=estimate, assumptions=assumed, remedy=remedy, is_critical=False
    )


def _effect(rate: float) -> str:
    """Return the effect of a sampling rate on counts."""
    return "under-count" if rate < 1 else "over-count"
