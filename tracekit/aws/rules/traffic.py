"""What traces and the statistics of X-Ray say about rules: who decided, who was never asked, who sees too little."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tracekit.aws.rules.written import Fault
from tracekit.schema import Quality
from tracekit.stats.thinned import absence_probability, requests_needed
from tracekit.weights.rules import Rules
from tracekit.weights.xray_reservoir import RULE_NAME, hashed_rules, is_otel, root_attribute, rule_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tracekit.aws.rules.rules import SamplingRules
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

_UNFIT = 0.01
_EMPTY = 0.05  # chance of an hour without a trace that is not told
_WINDOW_S = 10  # of a statistic: spec/sampling.md, fact 10
_HOUR_S, _DAY_S = 3600, 86_400
CLASSIC, OTEL = 0, 1


def against_traces(rules: SamplingRules, traces: TraceSet) -> Iterator[Fault]:
    """Yield what traces show that the rules do not say."""
    names = [rule.name for rule in rules.head]
    recorded, plain = _recorded(traces, rules), _without_records(traces, rules)
    both = (recorded >= 0) & (plain >= 0)
    if both.any():
        table = pd.DataFrame({"should": [names[i] for i in plain[both]], "did": [names[i] for i in recorded[both]]})
        counts = table.value_counts().rename("trace_count").reset_index()
        odd = counts[counts["should"] != counts["did"]]
        wrong = int(odd["trace_count"].sum())
        if wrong > _UNFIT * both.sum():
            what = (
                f"{wrong:,} of {int(both.sum()):,} traces were decided by another rule than the one that matches them."
            )
            remedy = "Look at which SDKs decide: classic ones ignore attributes, and take what is missing as a match."
            yield Fault("another_rule", "warning", what, remedy, (), counts)
    yield from _families(rules, is_otel(traces))
    yield from _changed(rules, traces)
    yield from too_little(rules, _traced_per_hour(rules, traces, np.where(recorded >= 0, recorded, plain)))


def _families(rules: SamplingRules, family: Array) -> Iterator[Fault]:
    """Yield what SDKs of one family do not know, and what those of two do differently."""
    classic, otel = (int((family == kind).sum()) for kind in (CLASSIC, OTEL))
    if classic and otel:
        what = (
            f"Classic X-Ray SDKs ({classic:,} traces) and OpenTelemetry ({otel:,}) decide side by side: a reservoir"
            " keeps the first requests of a second here, and those a token allows there; a rate is drawn by chance"
            " here, by the trace id there; and their counts of requests are not of the same thing."
        )
        yield Fault("sdk_families", "warning", what, "Let one family decide, or judge each by itself.", ())
    for told in rules.written:
        if told.body.get("SamplingRateBoost") and classic:
            what = f"Rule {told.name} has a boost, and classic X-Ray SDKs begin traces: they do not know boosts."
            yield Fault("boost", "warning", what, "Use an OpenTelemetry SDK with adaptive sampling.", (told.name,))


def _changed(rules: SamplingRules, traces: TraceSet) -> Iterator[Fault]:
    """Yield rules that were changed when the traces had begun: what these show comes from what was before."""
    begun = _begun(traces)
    for told in rules.written:
        at = None if told.modified_at is None else _second(told.modified_at)
        before = 0 if at is None else int((begun < at * 1_000_000_000).sum())
        if before:
            what = f"Rule {told.name} was changed at {told.modified_at}: {before:,} of {len(begun):,} traces are older."
            yield Fault("changed", "warning", what, "Judge it by traces from after the change.", (told.name,))


def _begun(traces: TraceSet) -> Array:
    """Return when the roots began, of those traces that tell."""
    spans, root = traces.columns.spans, traces.forest.root_row
    return np.asarray(spans.start_ns[root][(spans.quality[root] & Quality.NO_START) == 0])


def _traced_per_hour(rules: SamplingRules, traces: TraceSet, rule: Array) -> dict[str, float]:
    """Return how many requests an hour follow each rule, by the weights of its traces or else by its own rate."""
    begun = _begun(traces)
    hours = float(np.ptp(begun)) / 1e9 / _HOUR_S if len(begun) else 0.0
    if hours < 1:
        return {}
    found = {}
    for number, one in enumerate(rules.head):
        own = rule == number
        is_known = bool(traces.weights.known[own].all())
        if own.any() and (is_known or one.rate > 0):
            total = float(traces.weights.value[own].sum()) if is_known else own.sum() / one.rate
            found[one.name] = total / hours
    return found


def against_statistics(rules: SamplingRules, statistics: Sequence[Mapping[str, Any]]) -> Iterator[Fault]:
    """Yield rules that nobody asked for in a day, and rules without a reservoir that see too few requests."""
    times = [_second(one["Timestamp"]) for one in statistics if one.get("Timestamp") is not None]
    covered = max(times) - min(times) + _WINDOW_S if times else 0.0
    newest = max(times, default=0.0)
    late = [one for one in statistics if one.get("Timestamp") is None or _second(one["Timestamp"]) > newest - _DAY_S]
    seen = {str(one.get("RuleName")) for one in late if one.get("RequestCount")}
    is_day = covered >= _DAY_S
    period = "the last 24 hours" if is_day else f"the {_spelled(covered)} that the statistics cover"
    for told in rules.written:
        if told.name not in seen:
            what = f"Rule {told.name}: no client reported a request in {period}."
            remedy = "Is it needed?" if is_day else "Poll the statistics for 24 hours: X-Ray keeps recent ones only."
            yield Fault("unseen", "warning" if is_day else "notice", what, remedy, (told.name,))
    if covered >= _HOUR_S:
        asked: dict[str, float] = {}
        for one in statistics:
            asked[str(one.get("RuleName"))] = asked.get(str(one.get("RuleName")), 0.0) + (one.get("RequestCount") or 0)
        yield from too_little(rules, {name: count / covered * _HOUR_S for name, count in asked.items() if count})


def too_little(rules: SamplingRules, per_hour: Mapping[str, float]) -> Iterator[Fault]:
    """Yield rules without a reservoir whose few requests leave whole hours without a trace."""
    for rule in rules.head:
        count = per_hour.get(rule.name)
        if count is None or rule.quota or not 0 < rule.rate < 1:
            continue
        chance = absence_probability(count, rule.rate)
        if chance > _EMPTY:
            what = (
                f"Rule {rule.name} has no reservoir and sees about {count:,.3g} requests an hour: at"
                f" {100 * rule.rate:.3g} % an hour leaves no trace with a chance of {100 * chance:.0f} %."
            )
            needed = requests_needed(rule.rate, chance=_EMPTY)
            remedy = (
                f"Give it a reservoir of 1, which keeps the first; the rate alone needs {needed:,} requests an hour."
            )
            yield Fault("no_reservoir", "warning", what, remedy, (rule.name,))


def _second(at: Any) -> float:
    """Return a time as seconds since the epoch: boto3's, the command line's text, or a number."""
    stamp = pd.Timestamp(at, unit="s") if isinstance(at, (int, float)) else pd.Timestamp(at)
    return stamp.timestamp()


def _spelled(seconds: float) -> str:
    """Return a duration in words."""
    return f"{seconds / _HOUR_S:.3g} hours" if seconds >= _HOUR_S else f"{seconds / 60:.3g} minutes"


def _recorded(traces: TraceSet, rules: Rules) -> Array:
    """Return the number of the rule that every trace says has decided; -1 where it says nothing."""
    by_name = {rule.name: number for number, rule in enumerate(rules.head)}
    named = root_attribute(traces, *RULE_NAME)
    found = np.array([by_name.get(label, -1) for label in named.labels] + [-1])[named.codes]
    return np.where(found >= 0, found, hashed_rules(traces, [rule.name for rule in rules.head]).codes)


def _without_records(traces: TraceSet, rules: Rules) -> Array:
    """Return the number of the rule that should have decided about every trace: under names that no trace has."""
    renamed = tuple(replace(rule, name=f"\0{number}") for number, rule in enumerate(rules.head))
    return rule_of(traces, Rules(renamed))
