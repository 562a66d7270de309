"""S03: losses by stage between the request and the trace backend."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.checks.sampling.configured_rate import expected_share
from tracekit.checks.sampling.weights_used import weights_needed
from tracekit.checks.verdicts import worst_status
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.stats.minimum_effect import judge
from tracekit.stats.proportions import share_interval
from tracekit.stats.weighted_rates import weighted_total
from tracekit.text import count, ratio, ratio_range

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.findings import Finding
    from tracekit.stats.weighted_rates import Rate

CHECK = "coverage.funnel"
DELIVERED, TAIL = "delivered", "tail policies"
_WHOLE = 0.99
_LOSSES = {
    "instrumented": "Requests do not reach instrumented code",
    "sampled": "The sampler drops them",
    "recorded": "Sampled traces are dropped before storage",
    "indexed": "The backend does not index them",
    DELIVERED: "Sampled traces are dropped before storage, in addition to those that the tail policies drop",
    TAIL: "The tail policies drop them",
}


def funnel(case: Case) -> list[Finding]:
    """Return the share of the requests that passes each stage, and the stage with the largest loss.

    Stages: requests, forwarded (without those that a load balancer answered itself, which is no loss), instrumented,
    sampled, recorded (these traces), indexed.  If the rules declare tail policies, these traces are those that the
    policies kept (stage ``tail policies``, an intended reduction); the stage before it is ``delivered``, the number
    without them, estimated by the policies' weights; without such weights both losses are one.

    a_k = stage over the previous one with Wilson's interval (for ``delivered`` that of the weighted total); M1 is their
    product, M7 sampled over instrumented.  The loss is attributed by log(a_k / expected) over its sum, with 1 expected
    for all stages but sampling.  With a log and without counts, recorded requests are those with a trace ID among the
    traces, so that both ends are exact.  Assumes nested stages: not valid if SDK families count differently, or the
    trace summaries were sampled themselves.  Source: metrics M1, M7.
    """
    subject = "Trace coverage by stage"
    if missing := case.join_needed:
        return [not_assessable(CHECK, subject, missing)]
    table = _stages(case)
    more = (table["count"].diff() > 0) & ~((table["stage"] == DELIVERED) & ~(table["estimate_low"] > 1))
    if more.any():
        at = table.index[more][0]
        row, before = table.loc[at], table.loc[at - 1]
        text = (
            f"Inconsistent stages: {count(row['count'])} {row['stage']}, more than the {count(before['count'])}"
            f" {before['stage']} before: the stages do not count the same requests."
        )
        return [
            finding(
                CHECK,
                "failed",
                text,
                table.assign(status="failed"),
                remedy="Align windows and hops.",
                is_critical=False,
            )
        ]
    requests = float(table["count"].iloc[0])
    traces = float(table.loc[table["stage"].isin(["recorded", TAIL]), "count"].iloc[0])
    low, high = share_interval(traces, requests, confidence=case.confidence)
    base = (
        f"Trace coverage: {ratio(traces / requests)} ({case.ci} {ratio_range(float(low), float(high))};"
        f" {count(traces)} of {count(requests)} requests)"
    )
    judged = table["status"].tolist()[1:]
    status = worst_status(judged)
    estimate = Estimate(traces / requests, "ratio", float(low), float(high), int(traces))
    return [
        finding(CHECK, status, f"{base}. {_cause(table, status)}", table,
              estimate=estimate, assumptions=("the stages nest", *case.join_caveats), remedy=_remedy(status),
              is_critical=False)
    ]  # fmt: skip


def _stages(case: Case) -> pd.DataFrame:
    """Return one row per known stage, in order."""
    tally, stages = case.joined or case.tally, case.expected.stages
    requests, recorded = float(tally.frame["requests"].sum()), float(tally.frame["traces"].sum())
    assert case.counts is not None
    alone = float(case.counts.by_balancer["count"].sum())
    known: list[tuple[str, float]] = [("requests", requests + alone), ("forwarded", requests)][: 1 + (alone > 0)]
    known += [(name, float(stages[name])) for name in ("instrumented", "sampled") if name in stages]
    offered = _offered(case, recorded)
    known += [(DELIVERED, offered.value)] if offered is not None else []
    known += [(TAIL if _has_tail(case) else "recorded", recorded)]
    known += [("indexed", float(stages["indexed"]))] if "indexed" in stages else []
    table = pd.DataFrame(known, columns=["stage", "count"])
    before = table["count"].shift()
    low, high = share_interval(table["count"].to_numpy(), before.fillna(0).to_numpy(), confidence=case.confidence)
    table["estimate"], table["estimate_low"], table["estimate_high"] = table["count"] / before, low, high
    rate, kept = expected_share(case), math.nan
    if offered is not None:
        limits = np.array([offered.low, offered.high]) / float(before[table["stage"] == DELIVERED].iloc[0])
        table.loc[table["stage"] == DELIVERED, ["estimate_low", "estimate_high"]] = limits
        kept = recorded / max(offered.value, 1.0)
    chooses = "sampled" if "sampled" in stages else DELIVERED if offered is not None else "recorded"
    due = {TAIL: kept, chooses: rate or math.nan, "forwarded": requests / max(requests + alone, 1.0)}
    table["expected"] = [math.nan] + [due.get(stage, 1.0) for stage in table["stage"][1:]]
    table["status"] = ["measured"] + [
        _status(row, chooses, case.margin) for row in table.iloc[1:].itertuples(index=False)
    ]
    loss = np.log((table["estimate"] / table["expected"]).clip(1e-12, 1).to_numpy(np.float64))
    total = float(np.nansum(loss))
    table["loss_share"] = loss / total if total < 0 else 0.0
    return table


def _has_tail(case: Case) -> bool:
    """Return whether the rules declare tail policies."""
    return case.rules is not None and bool(case.rules.tail)


def _offered(case: Case, recorded: float) -> Rate | None:
    """Return the estimated number of traces without the tail policies; None without these or their weights."""
    if not _has_tail(case) or not recorded or weights_needed(case) or not case.is_weighted_by_rules:
        return None
    whole = weighted_total(case.probability[case.base], np.ones(int(case.base.sum())), confidence=case.confidence)
    share = recorded / len(case.traces)  # share of the traces in the counted strata
    return whole._replace(value=whole.value * share, low=whole.low * share, high=whole.high * share)


def _status(row: tuple[object, ...], chooses: str, margin: float) -> str:
    """Return the verdict about one stage."""
    stage, _, _, low, high, due = row[:6]
    assert isinstance(low, float)
    assert isinstance(high, float)
    assert isinstance(due, float)
    if math.isnan(due):
        return "ok" if stage == DELIVERED and judge(low, high, margin) == "ok" else "measured"
    if stage in {"forwarded", TAIL}:
        return "ok"
    if stage == chooses:
        verdict = judge(low / due, high / due, margin)
        return verdict if verdict != "failed" else "failed" if high < due else "warning"
    return "ok" if low >= _WHOLE else "failed" if high < _WHOLE else "inconclusive"


def _cause(table: pd.DataFrame, status: str) -> str:
    """Return the sentence about the requests without a trace."""
    stages = table.iloc[1:]
    if status == "measured" and TAIL in set(stages["stage"]) and DELIVERED not in set(stages["stage"]):
        return "The others were dropped by the tail policies or lost; only the policies' weights distinguish the two."
    if status == "measured" and DELIVERED in set(stages["stage"]):
        row = stages[stages["stage"] == DELIVERED].iloc[0]
        reached = f"{ratio(row['estimate'])} ({ratio_range(row['estimate_low'], row['estimate_high'])})"
        return f"Without the tail policies it would be {reached}."
    if status == "measured":
        return "The stage that loses the others is unknown without sampling rules or counts of the stages."
    if status == "ok":
        return "Sampling explains it; no unexpected loss."
    if status == "warning":
        return "More than the sampling rules explain: another rule, an upstream decision or duplicates add traces."
    judged = stages[stages["status"] == status]
    row = judged.iloc[int(judged["loss_share"].fillna(0).to_numpy().argmax())]
    if status == "failed":
        due = row["expected"]
        expected = f", {ratio(due)} expected" if due < 1 else ""
        arrived = (
            f"{ratio(row['estimate'])} ({ratio_range(row['estimate_low'], row['estimate_high'])}) arrive{expected}"
        )
        return f"{_LOSSES[row['stage']]}: {arrived}."
    return f"Inconclusive: any unexplained loss is mostly at stage {row['stage']}; too few requests."


def _remedy(status: str) -> str:
    """Return the remedy."""
    return {
        "failed": "Fix that stage first; a higher sampling rate would not help.",
        "measured": "Pass the sampling rules (rules=) and the counts of the stages (expected={'stages': ...}).",
        "ok": "Raise the sampling rate for more traces.",
    }.get(status, "")
