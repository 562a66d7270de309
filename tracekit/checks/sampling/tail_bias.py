"""S08: sampling bias of error rate and latency, with corrected values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from tracekit.analysis.trace_rows import Rows
from tracekit.checks.merged import Merged
from tracekit.checks.outcomes import OUTCOMES, rows_one_by_one
from tracekit.checks.sampling.error_capture import FAILING
from tracekit.checks.sampling.weights_used import WEIGHTS_USED, weights_needed
from tracekit.checks.verdicts import worst_status
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.stats.minimum_effect import judge
from tracekit.stats.partial_traces import Parts, any_parts, span_parts
from tracekit.stats.quantiles import quantile_limits, weighted_quantiles
from tracekit.stats.weighted_rates import weight_effect, weighted_rate
from tracekit.text import count, duration, interval, ratio, ratio_range
from tracekit.weights.known import STRATIFIED

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.findings import Finding
    from tracekit.schema import Array

CHECK = "bias.tail"
SHARES = (0.5, 0.95, 0.99)
_FEWEST = 10
_PARTIAL = ("probability", "events", "trials", "any_probability", "any_events", "any_trials")


def tail_bias(case: Case) -> list[Finding]:
    """Return the raw error rate and latency of the sample and the corrected ones.

    Rates: Hajek's ratio with MOVER limits over weight classes (``stats.weighted_rates``); spans clustered by trace, not
    assessable below ten traces with a failing span.  Quantiles: weighted, limits by test inversion
    (``stats.quantiles``).  Targets: ``window`` in the headlines, also ``process`` in the evidence.  Effect of the
    weights: correlation of y - r x with w, exact permutation variance.  "Every error was kept" is assumed only for a
    declared policy that the traces do not contradict.  A policy with probability 0 hides its class completely, which no
    weight corrects.  If the spans of a trace have individual thresholds, each span is weighted by its own, and a trace
    with a failed span by Ertl's estimator (``stats.partial_traces``).
    Source: Horvitz-Thompson, Hajek, Woodruff, Zou-Donner, DuMouchel-Duncan, Ertl 2021.
    """
    if missing := weights_needed(case):
        subject = "Error rate and latency of all requests"
        remedy = "Until then, use figures for the recorded traces only."
        return [not_assessable(CHECK, subject, missing, remedy=remedy)]
    return [_errors(case), _latency(case)]


def _errors(case: Case) -> Finding:
    """Return the finding on error rates."""
    every, certain = case.result(OUTCOMES), _keeps_errors(case)
    base = every[every["is_base"]]
    pi, failed = base["probability"].to_numpy(), base["failed"].to_numpy(np.float64)
    raw = float(every["failed"].mean())
    rows = [_rate_row(case, "error rate", pi, failed, np.ones(len(pi)), raw, certain=certain)]
    rows += [_rate_row(case, name, *part, of, certain=False) for name, part, of in _rates_of_spans(case)]
    table = pd.DataFrame(rows)
    row = table.iloc[0]
    limits = f"{case.ci} {ratio_range(row['estimate_low'], row['estimate_high'])}"
    right = f"Estimated error rate of all requests: {ratio(row['estimate'])} ({limits}; {_counted(case, row)})"
    raw_text = ratio(row["raw"])
    why = _why_errors(case, is_too_high=row["raw"] > row["estimate"])
    if case.result(WEIGHTS_USED).is_even:
        text = f"{right}. Every trace had the same sampling probability: no sampling bias."
    else:
        text = {
            "failed": f"{right}. The recorded error rate ({raw_text}) is biased: {why}.",
            "ok": f"{right}. The recorded error rate ({raw_text}) shows no sampling bias.",
            "inconclusive": f"{right}. The recorded error rate is {raw_text}; the CI is too wide to decide whether this"
            " is sampling bias.",
        }[row["status"]]
    estimate = Estimate(
        row["estimate"], "ratio", row["estimate_low"], row["estimate_high"], row["trace_count"], row["n_effective"]
    )
    return finding(
        CHECK, row["status"], text, table, estimate=estimate, assumptions=_assumed(case), is_critical=True,
        remedy=_remedy(case) if row["status"] == "failed" else "",
        exemplars=case.result(FAILING).examples,
    )  # fmt: skip


def _latency(case: Case) -> Finding:
    """Return the finding on latency."""
    timed = case.result(OUTCOMES).dropna(subset="took_ns")
    every, base = timed["took_ns"].to_numpy(), timed[timed["is_base"]]
    if not len(base):
        return not_assessable(CHECK, "Latency of all requests", "root spans with a duration")
    raw = weighted_quantiles(every, np.ones(len(every)), SHARES)
    pi, took = base["probability"].to_numpy(), base["took_ns"].to_numpy()
    window = quantile_limits(pi, took, SHARES, confidence=case.confidence)
    process = quantile_limits(pi, took, SHARES, target="process", confidence=case.confidence)
    table = pd.DataFrame(
        {
            "measure": [f"p{100 * share:g} latency" for share in SHARES],
            "unit": "ns",
            "raw": raw,
            "estimate": [one.value for one in window],
            "estimate_low": [one.low for one in window],
            "estimate_high": [one.high for one in window],
            "process_low": [one.low for one in process],
            "process_high": [one.high for one in process],
            "trace_count": len(pi),
            "n_effective": window[0].n_effective,
            "weights_source": case.weights_source,
        }
    )
    limits = table[["raw", "estimate_low", "estimate_high"]].to_numpy(np.float64)
    table["status"] = [_raw_status(case, *row) for row in limits]
    row = table.iloc[1]
    limits_text = interval(row["estimate_low"], row["estimate_high"], duration, confidence=case.ci)
    right = f"{duration(row['estimate'])} ({limits_text}; {_counted(case, row)})"
    status = worst_status(table["status"].tolist())
    text = f"Estimated p95 latency of all requests: {right}. The recorded p95 ({duration(row['raw'])})"
    often = _often(row["raw"] > row["estimate"])
    ends = {
        "failed": f" is biased: slow requests were sampled {often} than other requests.",
        "ok": " shows no sampling bias.",
        "inconclusive": " may be biased: the CI is too wide to decide.",
    }
    biased = table.loc[table["status"] == "failed", "measure"].str.removesuffix(" latency")
    if status == "failed" and row["status"] != "failed":
        shown = " and ".join(biased)
        ends["failed"] = f" shows no clear bias, but the recorded {shown} {'is' if len(biased) == 1 else 'are'} biased."
    estimate = Estimate(
        row["estimate"], "ns", row["estimate_low"], row["estimate_high"], int(row["trace_count"]), row["n_effective"]
    )
    return finding(
        CHECK, status, text + ends[status], table, estimate=estimate, assumptions=_assumed(case),
        is_critical=True, remedy=_remedy(case) if status == "failed" else "",
    )  # fmt: skip


def _counted(case: Case, row: pd.Series) -> str:
    """Return the traces that an estimate is based on, and the effective sample size where it differs."""
    used, total = count(row["trace_count"]), count(case.result(WEIGHTS_USED).totals.trace_count)
    used = f"n = {used}" if used == total else f"{used} of {total} traces"
    effective = f", effective sample size {count(row['n_effective'])}"
    return used + effective * (count(row["n_effective"]) != count(row["trace_count"]))


def _remedy(case: Case) -> str:
    """Return what to do about biased figures."""
    return f"Use weighted figures only{f': traces.{case.weights_call}' if case.weights_call else ''}."


def _assumed(case: Case) -> tuple[str, ...]:
    """Return the assumptions."""
    stratified = "requests of one stratum had equal sampling probability: a log or counts do not show other criteria"
    known = (f"sampling weights from {case.weights_source}", "no kind of request had sampling probability 0")
    return (*known, stratified) if STRATIFIED.intersection(case.weight_sources) else known


def _keeps_errors(case: Case) -> bool:
    """Return whether a declared policy keeps every failing trace, and the traces agree."""
    tail = case.rules.tail if case.rules is not None else ()
    declared = any(policy.kind == "status_code" and policy.probability == 1 for policy in tail)
    failed = case.result(OUTCOMES).query("failed and is_base")
    return declared and bool((failed["probability"] == 1).all())


def _span_counts(case: Case) -> Rows:
    """Return the number of failing and of all spans of each trace of a part, without inferred spans."""
    traces, own = case.traces, ~case.traces.is_inferred
    spans = np.bincount(traces.forest.trace[own], minlength=len(traces))
    errors = np.bincount(traces.forest.trace[own & traces.is_error], minlength=len(traces))
    return Rows.of({"probability": case.probability, "is_base": case.base, "errors": errors, "spans": spans})


_SPANS: Final[Merged[pd.DataFrame]] = Merged(_span_counts, Rows.plus, rows_one_by_one, limit=Rows.distinct)


def _partial_traces(case: Case) -> Rows:
    """Return probability, events and trials of both rates of the partially sampled traces of a part."""
    if not case.result(WEIGHTS_USED).has_unequal:
        return Rows.of(dict.fromkeys((*_PARTIAL, "span_count", "failed_count"), np.zeros(0)))
    traces, own = case.traces, np.flatnonzero(~case.traces.is_inferred & ~np.isnan(case.stated_probability))
    trace = np.unique(traces.forest.trace[own], return_inverse=True)[1]
    pi, failed = case.stated_probability[own], np.asarray(traces.is_error[own])
    columns = dict(zip(_PARTIAL, (*span_parts(trace, pi, failed), *any_parts(trace, pi, failed)), strict=True))
    counts = {"span_count": np.bincount(trace), "failed_count": np.bincount(trace, failed)}
    return Rows.of({name: each.astype(np.float64) for name, each in (columns | counts).items()})


_PARTLY: Final[Merged[pd.DataFrame]] = Merged(
    _partial_traces, Rows.plus, rows_one_by_one, needs=(WEIGHTS_USED,), limit=Rows.distinct
)
SPAN_RATES: Final = (_SPANS, _PARTLY)
"""What the rates of spans need of all parts."""


def _rates_of_spans(case: Case) -> list[tuple[str, Parts, float]]:
    """Return the rates of spans with the raw ones; of partially sampled traces, also that of traces with a failure."""
    if case.result(WEIGHTS_USED).has_unequal:
        rows = case.result(_PARTLY)
        parts = [Parts(*(rows[name].to_numpy() for name in names)) for names in (_PARTIAL[:3], _PARTIAL[3:])]
        raw = float(rows["failed_count"].sum() / rows["span_count"].sum())
        some = float((rows["failed_count"] > 0).mean())
        return [("span error rate", parts[0], raw), ("traces with a failed span", parts[1], some)]
    rows = case.result(_SPANS)
    base = rows[rows["is_base"]]
    pi, errors, spans = (base[name].to_numpy(np.float64) for name in ("probability", "errors", "spans"))
    return [("span error rate", Parts(pi, errors, spans), float(rows["errors"].sum() / max(rows["spans"].sum(), 1)))]


def _rate_row(case: Case, measure: str, pi: Array, y: Array, x: Array, raw: float, *, certain: bool) -> dict[str, Any]:
    """Return one rate as a row of evidence."""
    window = weighted_rate(pi, y, x, confidence=case.confidence, events_certain=certain)
    process = weighted_rate(pi, y, x, target="process", confidence=case.confidence)
    few = measure != "error rate" and window.n_events < _FEWEST
    effect = weight_effect(pi, y, x)
    return {
        "measure": measure,
        "unit": "ratio",
        "raw": raw,
        "estimate": window.value,
        "estimate_low": np.nan if few else window.low,
        "estimate_high": np.nan if few else window.high,
        "process_low": np.nan if few else process.low,
        "process_high": np.nan if few else process.high,
        "trace_count": window.n,
        "n_events": window.n_events,
        "n_effective": window.n_effective,
        "design_effect": window.design_effect,
        "weight_effect_z": effect.z,
        "weights_source": case.weights_source,
        "status": "not_assessable" if few else _raw_status(case, raw, window.low, window.high),
    }


def _raw_status(case: Case, raw: float, low: float, high: float) -> str:
    """Return the status of a raw value from the interval of the corrected one."""
    if case.result(WEIGHTS_USED).is_even:
        return "ok"
    if raw == 0 and low == 0:
        return "ok" if high == 0 else "inconclusive"
    ratio_low = raw / high if high > 0 else 0.0
    ratio_high = raw / low if low > 0 else np.inf
    return judge(0.0 if np.isnan(ratio_low) else ratio_low, np.inf if np.isnan(ratio_high) else ratio_high, case.margin)


def _why_errors(case: Case, *, is_too_high: bool) -> str:
    """Return the cause of the bias of the raw error rate."""
    base = case.result(OUTCOMES).query("is_base")
    failed, rest = (base.loc[base["failed"] == is_error, "probability"] for is_error in (True, False))
    if is_too_high and len(failed) and (failed == 1).all() and (rest < 1).any():
        return "every failing request was kept, but not every other request"
    return f"failing requests were sampled {_often(is_too_high)} than other requests"


def _often(is_too_high: bool) -> str:
    """Return the direction of a bias."""
    return "more often" if is_too_high else "less often"
