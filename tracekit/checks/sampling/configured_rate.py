"""S02: observed sampling rates compared with the sampling rules."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import numpy as np
import pandas as pd
import scipy

from tracekit.checks.merged import Merged
from tracekit.checks.sampling.covered_windows import covered_windows
from tracekit.checks.verdicts import worst_status
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.stats.intervals import normal_quantile
from tracekit.stats.minimum_effect import judge, n_needed
from tracekit.stats.proportions import share_interval
from tracekit.stats.second_reservoir import expected_kept
from tracekit.stats.tests import false_discovery
from tracekit.text import count, factor, factor_range, plural, ratio, ratio_range, rough_count, round_ratio
from tracekit.weights.xray_reservoir import is_otel, processes

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.findings import Finding, Status
    from tracekit.schema import Array
    from tracekit.weights.rules import HeadRule

CHECK = "rate.configured"
_SUBJECT = "Sampling rate compared with the rule"
_LONGEST_S = 60.0


def configured_rate(case: Case) -> list[Finding]:
    """Return the ratio of observed to configured sampling, by rule.

    Fixed rate: N p with variance N p (1 - p).  Reservoir: ``stats.second_reservoir.expected_kept`` for each window,
    assuming equal processes and even arrivals within a window; bursts make the expectation too high.  The first and the
    last window count by the share that the traces cover (``covered_windows``).  OpenTelemetry samplers use a token
    bucket instead (``stats.token_bucket``).  A central reservoir is assumed to be divided evenly, which X-Ray does not
    guarantee.  A rule with a boost is assessed by the windows outside its boosts, and also fails if a
    boost keeps more than its ``MaxRate``.  Source: the SDKs' samplers; measured size 2 to 5%.
    """
    rules = case.rules
    if rules is None or not rules.head:
        return [not_assessable(CHECK, _SUBJECT, "sampling rules")]
    if missing := case.counts_needed:
        return [not_assessable(CHECK, _SUBJECT, missing)]
    if rules.tail:
        return [not_assessable(CHECK, _SUBJECT, "counts before the tail sampler, which drops traces after the rule")]
    table, chosen = _by_rule(case)
    found = [_one(case, rule, table[chosen == n]) for n, rule in enumerate(rules.head) if (chosen == n).any()]
    if (chosen < 0).any():
        left = count(table.loc[chosen < 0, "requests"].sum())
        found.append(
            not_assessable(CHECK, f"{_SUBJECT}, for {left} requests", "counts by the dimensions that the rules match")
        )
    return found


def _by_rule(case: Case) -> tuple[pd.DataFrame, Array]:
    """Return requests and traces by window and stratum, and the rule that applies to each row (-1: unknown)."""
    tally = case.tally
    table = tally.bins if len(tally.bins) else tally.frame
    rules = case.rules
    assert rules is not None
    number_of = {id(rule): n for n, rule in enumerate(rules.head)}
    known: dict[tuple[Any, ...], int] = {}
    chosen = np.zeros(len(table), np.int64)
    names = ["service_name", "http_request_method", "http_route", "sampling_rule"]
    by_name = {rule.name: n for n, rule in enumerate(rules.head)}
    columns = [table[name] if name in table else pd.Series([None] * len(table), index=table.index) for name in names]
    for at, key in enumerate(zip(*columns, strict=True)):
        if key not in known:
            request = dict(zip(["service_name", "http_request_method", "path"], key[:3], strict=True))
            rule = rules.match({name: text if isinstance(text, str) else None for name, text in request.items()})
            named = by_name.get(key[3], -1)
            known[key] = named if isinstance(key[3], str) else -1 if rule is None else number_of[id(rule)]
        chosen[at] = known[key]
    return table, chosen


def expected_share(case: Case) -> float | None:
    """Return the share of the counted requests that the head rules should keep; None where unknown."""
    rules = case.rules
    if rules is None or not rules.head or rules.tail:
        return None
    table, chosen = _by_rule(case)
    requested = float(table["requests"].sum())
    if (chosen < 0).any() or not requested:
        return None
    dues = [_due(case, rule, table[chosen == n]) for n, rule in enumerate(rules.head) if (chosen == n).any()]
    known = [due for due in dues if due]
    return sum(known) / requested if known and len(known) == len(dues) else None


def _due(case: Case, rule: HeadRule, table: pd.DataFrame) -> float | None:
    """Return the expected number of traces of a rule; None where unknown."""
    found = _windows(case, rule, table)
    return None if isinstance(found, str) or rule.is_boosted else float(found["mean"].sum())


def _windows(case: Case, rule: HeadRule, table: pd.DataFrame) -> pd.DataFrame | str:
    """Return requests, traces, and expected traces with variance by window, or the missing input."""
    assert case.counts is not None
    window = case.counts.window_s
    if math.isnan(rule.rate):
        return "a rule with a fixed rate"
    if (rule.quota or rule.is_boosted) and (window is None or window > _LONGEST_S):
        what = "reservoir" if rule.quota else "boost"
        return f"request counts by time, in windows of 60 s or shorter, for a rule with a {what}"
    found = _covered(case, table, max(round(window or 1), 1)).assign(mean=0.0, variance=0.0)
    kind, parties = _reservoirs(case, rule)
    for seconds in found["covered_s"].unique():
        some = found["covered_s"] == seconds
        found.loc[some, "mean"], found.loc[some, "variance"] = expected_kept(
            np.round(found.loc[some, "requests"].to_numpy()),
            rule.quota,
            rule.rate,
            seconds=int(seconds),
            processes=parties,
            kind=kind,
        )
    return found


def _covered(case: Case, table: pd.DataFrame, window_s: int) -> pd.DataFrame:
    """Return requests and traces by window, the requests for the seconds (``covered_s``) that the traces cover."""
    if "start_ns" not in table:
        return table[["requests", "traces"]].reset_index(drop=True).assign(covered_s=window_s)
    found = table.groupby("start_ns")[["requests", "traces"]].sum().reset_index()
    covered = covered_windows(case).reindex(found["start_ns"]).fillna(1.0)
    found["requests"] *= covered["request_ratio"].to_numpy()
    seconds = np.round(window_s * covered["covered_ratio"].to_numpy())
    return found.assign(covered_s=np.maximum(seconds, 1).astype(np.int64))


def _reservoirs(case: Case, rule: HeadRule) -> tuple[Literal["bucket", "epoch"], int]:
    """Return the kind of the reservoirs of a rule and their number, one for each process unless they share it."""
    if not (rule.quota or rule.is_boosted):
        return "epoch", 1
    deciding = case.result(_DECIDING)
    running = case.expected.processes or max(len(deciding.processes), 1)
    return "bucket" if 2 * deciding.otel_count > deciding.trace_count else "epoch", 1 if rule.is_shared else running


class _Deciding(NamedTuple):
    """Traces, those of OpenTelemetry SDKs, and the processes that started them."""

    trace_count: int
    otel_count: int
    processes: frozenset[str]

    def plus(self, other: _Deciding) -> _Deciding:
        """Return those of two parts."""
        counts = self.trace_count + other.trace_count, self.otel_count + other.otel_count
        return _Deciding(*counts, self.processes | other.processes)


def _deciding(case: Case) -> _Deciding:
    """Return those of a part."""
    otel, process = is_otel(case.traces), processes(case.traces)
    names = frozenset(process.labels[code] for code in np.unique(process.codes[process.codes >= 0]))
    return _Deciding(len(otel), int((otel == 1).sum()), names)


_DECIDING: Final[Merged[_Deciding]] = Merged(_deciding, _Deciding.plus)


def _one(case: Case, rule: HeadRule, table: pd.DataFrame) -> Finding:
    """Return the finding on one rule."""
    found = _windows(case, rule, table)
    if not isinstance(found, str) and not found["mean"].sum():
        found = "a rule that keeps anything"
    if isinstance(found, str):
        return not_assessable(CHECK, f"{_SUBJECT} ({rule.name})", found)
    raised = boosted_windows(found, confidence=case.confidence) if rule.is_boosted else np.zeros(len(found), bool)
    calm = found[~with_adjacent(raised)]
    if not calm["mean"].sum():
        return not_assessable(CHECK, f"{_SUBJECT} ({rule.name})", "windows without a boost")
    due, kept = float(calm["mean"].sum()), float(calm["traces"].sum())
    half = normal_quantile(case.confidence) * math.sqrt(float(calm["variance"].sum())) / due
    boosts = boosts_of(found, raised, rule, confidence=case.confidence) if rule.is_boosted else None
    return _finding(case, rule, calm, (kept / due, kept / due - half, kept / due + half), boosts)


def _finding(
    case: Case,
    rule: HeadRule,
    table: pd.DataFrame,
    ratio: tuple[float, float, float],
    boosts: pd.DataFrame | None,
) -> Finding:
    """Return the finding on a ratio of observed to expected traces with its limits."""
    value, low, high = ratio
    kept, requested = int(table["traces"].sum()), float(table["requests"].sum())
    verdict = judge(low, high, case.margin)
    beyond = boosts is not None and (boosts["status"] == "failed").any()
    status: Status = worst_status(["failed" if verdict == "failed" else verdict, "failed" if beyond else "ok"])
    what = f"reservoir {rule.quota} + {round_ratio(rule.rate)}" if rule.quota else round_ratio(rule.rate)
    apart = "" if boosts is None else boost_clause(boosts, rule, confidence=case.confidence)
    base = (
        f"Rule {rule.name}: {factor(value)} the expected traces ({case.ci} {factor_range(max(low, 0), high)}; {what};"
        f" {count(kept)} traces of {count(requested)} requests){apart}."
    )
    needed = n_needed(requested, max(low, 1e-9), high, case.margin)
    ends = {
        "ok": " OK (matches sampling rule).",
        "inconclusive": f" Inconclusive: about {rough_count(needed)} requests are needed.",
        "failed": " Traces are lost after the sampling decision."
        if value < 1
        else " Another rule, an upstream decision, a boost or duplicate export adds traces.",
    }
    if beyond and verdict != "failed":
        ends["failed"] = " That is more than the boost allows."
    evidence = pd.DataFrame(
        {"rule": [rule.name], "requests": requested, "traces": kept, "expected": float(table["mean"].sum()),
         "estimate": value, "estimate_low": low, "estimate_high": high, "status": status}
    )  # fmt: skip
    evidence = evidence if boosts is None or not len(boosts) else pd.concat([evidence, boosts], ignore_index=True)
    remedy = {"failed": "Trace the loss from exporter to backend before changing the rule."}.get(status, "")
    assumed = ["requests arrive evenly within a window", "processes share the traffic evenly", *case.caveats]
    if "start_ns" in table and len(part := table[table["covered_s"] < table["covered_s"].max()]):
        seconds = " and ".join(f"{covered} s" for covered in part["covered_s"])
        assumed.append(f"the recording covers {seconds} of its first or last window of {table['covered_s'].max()} s")
    estimate = Estimate(value, "times", low, high, kept)
    return finding(
        CHECK,
        status,
        base + ends[status],
        evidence,
        estimate=estimate,
        assumptions=assumed,
        remedy=remedy,
        is_critical=False,
    )


def boosted_windows(windows: pd.DataFrame, *, confidence: float = 0.95) -> Array:
    """Return the windows with significantly more traces than the fixed rate explains.

    Probability of as many traces, Poisson with the mean (wider than the sampler's distribution), after
    Benjamini-Hochberg.  A boost lasts a minute at most, so windows should be no longer.
    """
    chance = scipy.stats.poisson.sf(windows["traces"].to_numpy() - 1, np.maximum(windows["mean"].to_numpy(), 1e-12))
    return np.asarray(false_discovery(chance) < 1 - confidence)


def with_adjacent(raised: Array) -> Array:
    """Return the boosted and the adjacent windows, which a boost may extend into."""
    wider = raised.copy()
    wider[1:] |= raised[:-1]
    wider[:-1] |= raised[1:]
    return wider


def boosts_of(windows: pd.DataFrame, raised: Array, rule: HeadRule, *, confidence: float = 0.95) -> pd.DataFrame:
    """Return one row per boost: a run of boosted windows."""
    run = np.cumsum(np.diff(np.concatenate(([0], raised.astype(np.int64)))) == 1)
    runs = windows[raised].assign(run=run[raised]).groupby("run")
    table = runs.agg(
        start_ns=("start_ns", "min"), requests=("requests", "sum"), traces=("traces", "sum"), mean=("mean", "sum")
    )
    reservoir = ((table["mean"] / table["requests"] - rule.rate) / (1 - rule.rate)).clip(0, 1) if rule.rate < 1 else 0
    low, high = share_interval(table["traces"].to_numpy(), table["requests"].to_numpy(), confidence=confidence)
    beyond = (low > reservoir + (1 - reservoir) * rule.max_rate) | (table["traces"] > table["requests"])
    return pd.DataFrame(
        {"rule": rule.name, "start_time": pd.to_datetime(table["start_ns"], utc=True), "requests": table["requests"],
         "traces": table["traces"], "estimate": table["traces"] / table["requests"], "estimate_low": low,
         "estimate_high": high, "status": np.where(beyond, "failed", "measured")}
    ).reset_index(drop=True)  # fmt: skip


def boost_clause(boosts: pd.DataFrame, rule: HeadRule, *, confidence: float = 0.95) -> str:
    """Return the requests that the boosts kept, as the middle of a sentence."""
    if not len(boosts):
        return ", without a boost"
    kept, requested = float(boosts["traces"].sum()), float(boosts["requests"].sum())
    low, high = share_interval(kept, requested, confidence=confidence)
    return (
        f" outside {plural(len(boosts), 'boost')}, which kept {ratio(kept / requested)}"
        f" ({ratio_range(float(low), float(high))}) of {count(requested)} requests; {round_ratio(rule.max_rate)} are"
        " allowed"
    )
