"""S03, where do requests fall out between the user and the trace backend."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.checks.sampling.configured_rate import expected_share
from tracekit.checks.sampling.words import number, percent, percents
from tracekit.checks.verdicts import finding, not_assessable, worst_status
from tracekit.findings import Estimate
from tracekit.stats.minimum_effect import judge
from tracekit.stats.proportions import share_interval
from tracekit.stats.weighted_rates import weighted_total

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.findings import Finding
    from tracekit.stats.weighted_rates import Rate

CHECK = "coverage.funnel"
DELIVERED, TAIL = "delivered", "tail policies"
_WHOLE = 0.99
_SAYS = {
    "instrumented": "requests never reach instrumented code",
    "sampled": "the sampler leaves them out",
    "recorded": "traces are lost between the decision and the backend",
    "indexed": "the backend does not index them",
    DELIVERED: "traces are lost between the decision and the backend, beside what the tail policies drop",
    TAIL: "the tail policies drop them",
}


def funnel(case: Case) -> list[Finding]:
    """Return what share of the requests passes each stage, and which stage loses most.

    Stages: requests, forwarded (where a load balancer answered some by itself, which is no loss), instrumented,
    sampled, recorded (traces in hand), indexed.  Where the rules declare tail policies, the traces in hand are those
    that these kept, stage ``tail policies``, which is as it should be; before it stands ``delivered``, how many there
    would be without them, by the weights that the policies give; without such weights both losses are one.

    a_k = stage over the one before with Wilson's interval (of ``delivered`` that of the weighted total); M1 is their
    product, M7 sampled over instrumented.  The loss is shared out by log(a_k / expected) over its sum, where 1 is
    expected of all stages but sampling.  With a log and no counts beside it, recorded are the requests whose trace id
    is among the traces, so that the two ends are exact.  Assumes that the stages nest: not where SDK families count
    differently, or the trace summaries were themselves sampled.  Source: metrics M1, M7.
    """
    subject = "Where requests fall out on the way to a trace"
    if missing := case.join_needed:
        return [not_assessable(CHECK, subject, missing)]
    table = _stages(case)
    more = (table["count"].diff() > 0) & ~((table["stage"] == DELIVERED) & ~(table["estimate_low"] > 1))
    if more.any():
        at = table.index[more][0]
        row, before = table.loc[at], table.loc[at - 1]
        text = (
            f"Stage {row['stage']} counts {number(row['count'])}, more than the {number(before['count'])} of"
            f" {before['stage']} before it: the stages are not of the same requests."
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
    base = f"{percent(traces / requests)} ({percents(float(low), float(high))}; {number(traces)} of {number(requests)})"
    judged = table["status"].tolist()[1:]
    status = worst_status(judged)
    estimate = Estimate(traces / requests, "ratio", float(low), float(high), int(traces))
    return [
        finding(CHECK, status, f"{base} of requests have a trace{_cause(table, status)}", table,
              estimate=estimate, assumptions=("the stages nest", *case.join_caveats), remedy=_remedy(status),
              is_critical=False)
    ]  # fmt: skip


def _stages(case: Case) -> pd.DataFrame:
    """Return one row a stage that is known, in order."""
    tally, told = case.joined or case.tally, case.expected.stages
    requests, recorded = float(tally.frame["requests"].sum()), float(tally.frame["traces"].sum())
    assert case.counts is not None
    alone = float(case.counts.by_balancer["count"].sum()) if len(case.counts.by_balancer) else 0.0
    known: list[tuple[str, float]] = [("requests", requests + alone), ("forwarded", requests)][: 1 + (alone > 0)]
    known += [(name, float(told[name])) for name in ("instrumented", "sampled") if name in told]
    offered = _offered(case, recorded)
    known += [(DELIVERED, offered.value)] if offered is not None else []
    known += [(TAIL if _has_tail(case) else "recorded", recorded)]
    known += [("indexed", float(told["indexed"]))] if "indexed" in told else []
    table = pd.DataFrame(known, columns=["stage", "count"])
    before = table["count"].shift()
    low, high = share_interval(table["count"].to_numpy(), before.fillna(0).to_numpy(), confidence=case.confidence)
    table["estimate"], table["estimate_low"], table["estimate_high"] = table["count"] / before, low, high
    rate, kept = expected_share(case), math.nan
    if offered is not None:
        limits = np.array([offered.low, offered.high]) / float(before[table["stage"] == DELIVERED].iloc[0])
        table.loc[table["stage"] == DELIVERED, ["estimate_low", "estimate_high"]] = limits
        kept = recorded / max(offered.value, 1.0)
    chooses = "sampled" if "sampled" in told else DELIVERED if offered is not None else "recorded"
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
    """Return how many traces there would be without the tail policies; None without these or their weights."""
    if not _has_tail(case) or not recorded or case.weights_needed or not case.is_weighted_by_rules:
        return None
    whole = weighted_total(case.probability[case.base], np.ones(int(case.base.sum())), confidence=case.confidence)
    share = recorded / len(case.traces)  # of these, what the counts are of
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
    """Return what the stages say about the rest."""
    stages = table.iloc[1:]
    if status == "measured" and TAIL in set(stages["stage"]) and DELIVERED not in set(stages["stage"]):
        return ": the tail policies dropped the others, or they were lost; only the policies' weights tell these apart."
    if status == "measured" and DELIVERED in set(stages["stage"]):
        row = stages[stages["stage"] == DELIVERED].iloc[0]
        reached = f"{percent(row['estimate'])} ({percents(row['estimate_low'], row['estimate_high'])}) would have one"
        return f": without the tail policies {reached}."
    if status == "measured":
        return "; without sampling rules or the counts of the stages nobody can say which stage loses the others."
    if status == "ok":
        return ": sampling explains it, so raise the rate for more; nothing is broken."
    if status == "warning":
        return ": more than the sampling rules explain; another rule, an upstream decision or duplicates add traces."
    judged = stages[stages["status"] == status]
    row = judged.iloc[int(judged["loss_share"].fillna(0).to_numpy().argmax())]
    only = f"where only {percent(row['estimate'])} ({percents(row['estimate_low'], row['estimate_high'])}) arrive"
    if status == "failed":
        due = row["expected"]
        instead = f" instead of {percent(due)}" if due < 1 else ""
        return f": {_SAYS[row['stage']]}, {only}{instead}."
    return f": most of the unexplained loss, if any, is at stage {row['stage']}; too few requests to be sure."


def _remedy(status: str) -> str:
    """Return what to do."""
    return {
        "failed": "Mend that stage first; a higher sampling rate would not help.",
        "measured": "Give rules=... and expected={'stages': ...}.",
    }.get(status, "")
