"""Sampling rules compared with traces and statistics: wrong rule applied, unused rules, too little traffic."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from tracekit.schema import Quality
from tracekit.stats.thinned import absence_probability, requests_needed
from tracekit.text import ratio, round_ratio
from tracekit.weights.rules import Rules
from tracekit.weights.xray_reservoir import RULE_NAME, hashed_rules, is_otel, root_attribute, rule_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tracekit.aws.rules.rule_set import SamplingRules
    from tracekit.columns import Array
    from tracekit.findings import Severity
    from tracekit.traces import TraceSet

_UNFIT = 0.01
_EMPTY = 0.05  # probability of an hour without a trace above which a rule is reported
_WINDOW_S = 10  # period of one statistic
_HOUR_S, _DAY_S = 3600, 86_400
CLASSIC, OTEL = 0, 1


class Fault(NamedTuple):
    """A problem with sampling rules: check, severity, headline, remedy, the rules concerned, and other evidence."""

    check: str
    severity: Severity
    headline: str
    remedy: str
    rules: tuple[str, ...]
    evidence: pd.DataFrame | None = None


def against_traces(rules: SamplingRules, traces: TraceSet) -> Iterator[Fault]:
    """Yield contradictions between traces and rules."""
    names = [rule.name for rule in rules.head]
    recorded, matching = _recorded(traces, rules), _without_records(traces, rules)
    both = (recorded >= 0) & (matching >= 0)
    if both.any():
        table = pd.DataFrame({"should": [names[i] for i in matching[both]], "did": [names[i] for i in recorded[both]]})
        counts = table.value_counts().rename("trace_count").reset_index()
        different = counts[counts["should"] != counts["did"]]
        wrong = int(different["trace_count"].sum())
        if wrong > _UNFIT * both.sum():
            what = f"{wrong:,} of {int(both.sum()):,} traces were sampled by a rule other than the matching one."
            remedy = "Check which SDKs decide: classic ones ignore attributes, and treat missing fields as a match."
            yield Fault("another_rule", "warning", what, remedy, (), counts)
    yield from _families(rules, is_otel(traces))
    yield from _changed(rules, traces)
    yield from too_little(rules, _traced_per_hour(rules, traces, np.where(recorded >= 0, recorded, matching)))


def _families(rules: SamplingRules, family: Array) -> Iterator[Fault]:
    """Yield differences between the SDK families that made the traces."""
    classic, otel = (int((family == kind).sum()) for kind in (CLASSIC, OTEL))
    if classic and otel:
        what = (
            f"Both classic X-Ray SDKs ({classic:,} traces) and OpenTelemetry ({otel:,}) decide. Reservoir: first"
            " requests of a second vs token bucket. Rate: random vs trace-ID ratio. Their request counts"
            " are not comparable."
        )
        yield Fault("sdk_families", "warning", what, "Use one SDK family, or analyze each separately.", ())
    for written in rules.written:
        if written.body.get("SamplingRateBoost") and classic:
            what = (
                f"Rule {written.name} has a boost, but traces start in classic X-Ray SDKs, which do not support boosts."
            )
            yield Fault("boost", "warning", what, "Use an OpenTelemetry SDK with adaptive sampling.", (written.name,))


def _changed(rules: SamplingRules, traces: TraceSet) -> Iterator[Fault]:
    """Yield rules that were changed after some of the traces started."""
    starts = _root_starts(traces)
    for written in rules.written:
        at = None if written.modified_at is None else _second(written.modified_at)
        before = 0 if at is None else int((starts < at * 1_000_000_000).sum())
        if before:
            share = f"{before:,} of {len(starts):,} traces are older"
            what = f"Rule {written.name} was changed at {written.modified_at}: {share}."
            yield Fault("changed", "warning", what, "Use traces from after the change.", (written.name,))


def _root_starts(traces: TraceSet) -> Array:
    """Return the known start times of the root spans, in nanoseconds."""
    spans, root = traces.columns.spans, traces.forest.root_row
    return np.asarray(spans.start_ns[root][(spans.quality[root] & Quality.NO_START) == 0])


def _traced_per_hour(rules: SamplingRules, traces: TraceSet, rule: Array) -> dict[str, float]:
    """Return the requests per hour of each rule, from the sampling weights of its traces or else its rate."""
    starts = _root_starts(traces)
    hours = float(np.ptp(starts)) / 1e9 / _HOUR_S if len(starts) else 0.0
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
    """Yield rules without traffic in a day, and rules without a reservoir that have too little."""
    times = [_second(one["Timestamp"]) for one in statistics if one.get("Timestamp") is not None]
    covered = max(times) - min(times) + _WINDOW_S if times else 0.0
    newest = max(times, default=0.0)
    late = [one for one in statistics if one.get("Timestamp") is None or _second(one["Timestamp"]) > newest - _DAY_S]
    yield from _unseen(rules, {str(one.get("RuleName")) for one in late if one.get("RequestCount")}, covered)
    if covered >= _HOUR_S:
        requests = Counter[str]()
        for one in statistics:
            requests[str(one.get("RuleName"))] += one.get("RequestCount") or 0
        yield from too_little(rules, {name: count / covered * _HOUR_S for name, count in requests.items() if count})


def _unseen(rules: SamplingRules, seen: set[str], covered: float) -> Iterator[Fault]:
    """Yield the rules for which no client reported a request; the statistics cover so many seconds."""
    is_day = covered >= _DAY_S
    period = "the last 24 hours" if is_day else f"the {_duration(covered)} that the statistics cover"
    for written in rules.written:
        if written.name not in seen:
            what = f"Rule {written.name}: no client reported a request in {period}."
            remedy = (
                "Remove the rule if it is not needed."
                if is_day
                else "Poll the statistics for 24 hours: X-Ray keeps recent ones only."
            )
            yield Fault("unseen", "warning" if is_day else "notice", what, remedy, (written.name,))


def too_little(rules: SamplingRules, per_hour: Mapping[str, float]) -> Iterator[Fault]:
    """Yield rules without a reservoir whose low traffic leaves hours without a trace."""
    for rule in rules.head:
        count = per_hour.get(rule.name)
        if count is None or rule.quota or not 0 < rule.rate < 1:
            continue
        chance = absence_probability(count, rule.rate)
        if chance > _EMPTY:
            what = (
                f"Rule {rule.name} has no reservoir and about {count:,.3g} requests per hour: at"
                f" {round_ratio(rule.rate)}, the probability of an hour without a trace is {ratio(chance)}."
            )
            needed = requests_needed(rule.rate, chance=_EMPTY)
            remedy = f"Set a reservoir of 1, which keeps the first; the rate alone needs {needed:,} requests per hour."
            yield Fault("no_reservoir", "warning", what, remedy, (rule.name,))


def _second(at: Any) -> float:
    """Return a time from boto3, the AWS CLI or a number as seconds since the epoch."""
    stamp = pd.Timestamp(at, unit="s") if isinstance(at, (int, float)) else pd.Timestamp(at)
    return stamp.timestamp()


def _duration(seconds: float) -> str:
    """Return a duration as text."""
    return f"{seconds / _HOUR_S:.3g} hours" if seconds >= _HOUR_S else f"{seconds / 60:.3g} minutes"


def _recorded(traces: TraceSet, rules: Rules) -> Array:
    """Return the index of the rule recorded in every trace; -1 if none is."""
    by_name = {rule.name: number for number, rule in enumerate(rules.head)}
    named = root_attribute(traces, *RULE_NAME)
    found = np.array([by_name.get(label, -1) for label in named.labels] + [-1])[named.codes]
    return np.where(found >= 0, found, hashed_rules(traces, [rule.name for rule in rules.head]).codes)


def _without_records(traces: TraceSet, rules: Rules) -> Array:
    """Return the index of the rule that matches every trace, ignoring recorded names."""
    renamed = tuple(replace(rule, name=f"\0{number}") for number, rule in enumerate(rules.head))
    return rule_of(traces, Rules(renamed))
