"""What sampling rules cannot do: files that SDKs reject, rules that never match, and rules that others hide."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from tracekit.aws.rules_patterns import covers, meet
from tracekit.findings import Finding, Findings, Severity
from tracekit.weights.rules import FIELDS, HeadRule, Rules
from tracekit.weights.trace_state import member, rule_hash
from tracekit.weights.xray_reservoir import RULE_NAME, is_otel, root_attribute, rule_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tracekit.aws.rules import SamplingRules
    from tracekit.traces import TraceSet

_CENTRAL = {
    "RuleName",
    "RuleARN",
    "ResourceARN",
    "Priority",
    "FixedRate",
    "ReservoirSize",
    "ServiceName",
    "ServiceType",
    "Host",
    "HTTPMethod",
    "URLPath",
    "Version",
    "Attributes",
    "SamplingRateBoost",
}
_LOCAL = {"description", "host", "http_method", "url_path", "fixed_target", "rate"}
_MATCHERS = ("host", "http_method", "url_path")
_LATE = ("status", "response", "error", "fault", "duration", "latency", "exception")  # known when a request is over
_LAST_PRIORITY, _DEFAULT_PRIORITY, _MOST_ATTRIBUTES = 9999, 10_000, 5
_UNFIT = 0.01


class Written(NamedTuple):
    """A rule as somebody wrote it.

    Examples
    --------
    >>> Written("refund", {"FixedRate": 1.0}).is_default
    False
    """

    name: str
    body: dict[str, Any]
    modified_at: str | None = None
    is_default: bool = False
    manifest: Mapping[str, Any] = {}


class _Fault(NamedTuple):
    """A fault: which check, how grave, what it says, what to do, and the rules it is about."""

    check: str
    severity: Severity
    headline: str
    remedy: str
    rules: tuple[str, ...]
    evidence: pd.DataFrame | None = None


def is_late(key: str) -> bool:
    """Return whether an attribute is not known yet when a trace begins.

    Parameters
    ----------
    key
        Of a request or an answer.

    Returns
    -------
    bool
        True for status codes, response times, errors.

    Examples
    --------
    >>> is_late("http.status_code"), is_late("response_time"), is_late("tenant")
    (True, True, False)
    """
    return any(word in key.lower() for word in _LATE)


def check(
    rules: SamplingRules, traces: TraceSet | None = None, statistics: Sequence[Mapping[str, Any]] | None = None
) -> Findings:
    """Return what is wrong with rules.

    Parameters
    ----------
    rules
        Of either form.
    traces
        Whose recorded rules are compared with those that should have decided.
    statistics
        Of X-Ray.

    Returns
    -------
    Findings
        With the rules as evidence.

    Notes
    -----
    Source: ``spec/sampling.md`` S29; ``aws-xray-sdk-python`` (``sampling_rule.py``), OpenTelemetry's
    ``SamplingRuleApplier``.
    """
    faults = [*_rejected(rules), *_keys(rules), *_late(rules), *_order(rules), *_values(rules)]
    if traces is not None:
        faults += _against_traces(rules, traces)
    if statistics is not None:
        seen = {str(one.get("RuleName")) for one in statistics if one.get("RequestCount")}
        faults += [
            _Fault(
                "unseen", "warning", f"Rule {told.name}: no client reported a request.", "Is it needed?", (told.name,)
            )
            for told in rules.written
            if told.name not in seen
        ]
    if not faults:
        headline = f"{len(rules.head)} rules of {rules.source}: nothing was found that they cannot do."
        faults = [_Fault("fine", "info", headline, "", tuple(rule.name for rule in rules.head))]
    table = rules.table
    return Findings(
        [
            Finding(
                f"rules.{fault.check}",
                fault.severity,
                fault.headline,
                evidence=table[table["rule"].isin(fault.rules)] if fault.evidence is None else fault.evidence,
                remedy=fault.remedy,
                code="tk.sampling_rules(source).lint()",
            )
            for fault in faults
        ]
    )


def _rejected(rules: SamplingRules) -> Iterator[_Fault]:
    """Yield why the SDK raises InvalidSamplingManifestError for a local file."""
    if rules.form != "local":
        return
    manifest = rules.written[-1].manifest
    version = manifest.get("version")
    says = "the SDK rejects the whole file, because"
    host = "service_name" if version == 1 else "host"

    def fault(why: str, remedy: str, told: Written) -> _Fault:
        return _Fault("rejected", "critical", f"Rule {told.name}: {says} {why}.", remedy, (told.name,))

    if version not in (1, 2):
        yield fault(f"version {version!r} is none of 1 and 2", "Write version 2.", rules.written[-1])
    for told in rules.written:
        matchers = (host, "http_method", "url_path")
        given = [name for name in matchers if told.body.get(name)]
        if told.is_default and not told.body:
            yield fault("there is no default rule", "Add a default rule with fixed_target and rate.", told)
        elif told.is_default and given:
            yield fault(f"the default rule must not have {', '.join(given)}", f"Remove {', '.join(given)}.", told)
        elif not told.is_default and len(given) < len(matchers):
            lacking = ", ".join(name for name in matchers if name not in given)
            yield fault(f"rules of version {version} need {lacking}", f'Add "{lacking}": "*".', told)
        missing = [name for name in ("fixed_target", "rate") if told.body and told.body.get(name) is None]
        if missing:
            yield fault(f"{' and '.join(missing)} is missing", f"Give {' and '.join(missing)}.", told)


def _keys(rules: SamplingRules) -> Iterator[_Fault]:
    """Yield keys that nobody reads."""
    version = rules.written[-1].manifest.get("version") if rules.written else None
    known = _CENTRAL if rules.form == "central" else _LOCAL | ({"service_name"} if version == 1 else set())
    for told in rules.written:
        if strange := sorted(set(told.body) - known):
            what = f"Rule {told.name}: {', '.join(strange)} is ignored: {rules.form} rules know no such key."
            severity: Severity = "warning"
            yield _Fault("unknown_key", severity, what, "Remove it, or write what is meant otherwise.", (told.name,))


def _late(rules: SamplingRules) -> Iterator[_Fault]:
    """Yield rules that ask for what is not known when the decision is made."""
    for told in rules.written:
        asked = told.body.get("Attributes") or told.body.get("attributes") or {}
        late = [key for key in asked if is_late(key)]
        if late:
            effect = "so it matches everything else it asks for" if rules.form == "local" else "and it never matches"
            yield _Fault(
                "never_match",
                "critical",
                f"Rule {told.name} can never do what it says: {', '.join(late)} is not known when the decision is made,"
                f" {effect}.",
                "Keep errors and slow requests with a tail sampler (the collector's tail_sampling).",
                (told.name,),
            )
        elif asked and rules.form == "central":
            what = f"Rule {told.name}: classic X-Ray SDKs match without its attributes ({', '.join(asked)})."
            yield _Fault("sdk_differs", "notice", what, "Use it only where OpenTelemetry SDKs decide.", (told.name,))
        resource = told.body.get("ResourceARN", "*")
        if resource != "*":
            what = f"Rule {told.name}: classic X-Ray SDKs ignore its ResourceARN."
            yield _Fault("sdk_differs", "notice", what, "Use the service name.", (told.name,))


def _asks(rule: HeadRule, told: Written) -> dict[str, str]:
    """Return the patterns of a rule by field."""
    patterns = {name: getattr(rule, name) for name in FIELDS}
    return patterns | {
        "service_type": str(told.body.get("ServiceType", "*")),
        "arn": str(told.body.get("ResourceARN", "*")),
    }


def _order(rules: SamplingRules) -> Iterator[_Fault]:
    """Yield rules that others hide, rules of one priority, and rules that meet without one holding the other."""
    pairs = list(zip(rules.head, rules.written, strict=True))
    hidden: set[str] = set()
    for (first, told), (later, other) in combinations(pairs, 2):
        one, two = _asks(first, told), _asks(later, other)
        if not first.attributes and all(covers(one[name], two[name]) for name in one):
            if other.name not in hidden and later is not first:
                what = f"Rule {later.name} is never reached: rule {first.name} takes everything it asks for."
                yield _Fault(
                    "unreachable",
                    "warning",
                    what,
                    f"Put it before {first.name}, or remove it.",
                    (first.name, later.name),
                )
            hidden.add(other.name)
        elif rules.form == "central" and told.body.get("Priority") == other.body.get("Priority"):
            what = f"Rules {first.name} and {later.name} have one priority ({told.body.get('Priority')}): names decide."
            yield _Fault("same_priority", "warning", what, "Give each its own priority.", (first.name, later.name))
        elif (
            first.rate != later.rate
            and all(meet(one[name], two[name]) for name in one)
            and not all(covers(two[name], one[name]) for name in one)
        ):
            what = f"Rules {first.name} and {later.name} overlap: what both ask for follows {first.name}."
            yield _Fault("overlap", "notice", what, "Make sure that this order is meant.", (first.name, later.name))


def _values(rules: SamplingRules) -> Iterator[_Fault]:
    """Yield rates and priorities that cannot be meant, and a default rule that is missing."""
    for rule, told in zip(rules.head, rules.written, strict=True):
        if rule.rate == 0 and rule.quota == 0:
            what = f"Rule {rule.name} keeps nothing: rate 0 and no reservoir."
            yield _Fault("keeps_nothing", "warning", what, "Give it a rate, or remove it knowingly.", (rule.name,))
        priority = told.body.get("Priority")
        is_default = rule.name == "Default"
        if (
            rules.form == "central"
            and not is_default
            and not (isinstance(priority, int) and 1 <= priority <= _LAST_PRIORITY)
        ):
            what = f"Rule {rule.name}: expected a priority from 1 to 9999, found {priority!r}."
            yield _Fault("priority", "warning", what, "X-Ray refuses such a rule.", (rule.name,))
        if len(told.body.get("Attributes") or {}) > _MOST_ATTRIBUTES:
            what = f"Rule {rule.name}: expected at most 5 attributes, found {len(told.body['Attributes'])}."
            yield _Fault("attributes", "warning", what, "X-Ray refuses such a rule.", (rule.name,))
    if rules.form == "central" and not any(rule.name == "Default" for rule in rules.head):
        what = "There is no rule Default: what matches no other rule is decided by the SDK's own 1 a second and 5 %."
        yield _Fault("no_default", "warning", what, "Ask X-Ray again: it always has one.", ())


def _against_traces(rules: SamplingRules, traces: TraceSet) -> Iterator[_Fault]:
    """Yield rules that decided where another should have, and boosts that the SDK does not know."""
    names = [rule.name for rule in rules.head]
    recorded = _recorded(traces, rules)
    plain = _without_records(traces, rules)
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
            yield _Fault("another_rule", "warning", what, remedy, (), counts)
    is_classic = bool((is_otel(traces) == 0).any())
    for told in rules.written:
        if told.body.get("SamplingRateBoost") and is_classic:
            what = f"Rule {told.name} has a boost, and classic X-Ray SDKs begin traces: they do not know boosts."
            yield _Fault("boost", "warning", what, "Use an OpenTelemetry SDK with adaptive sampling.", (told.name,))


def _recorded(traces: TraceSet, rules: Rules) -> np.ndarray:
    """Return the number of the rule that every trace says has decided; -1 where it says nothing."""
    by_name = {rule.name: number for number, rule in enumerate(rules.head)}
    by_hash = {rule_hash(name): number for name, number in by_name.items()}
    named = root_attribute(traces, *RULE_NAME)
    found = np.array([by_name.get(label, -1) for label in named.labels] + [-1])[named.codes]
    states = traces.codes("trace_state").take(traces.forest.root_row)
    hashed = np.array([by_hash.get(member(label, "xrsr") or "", -1) for label in states.labels] + [-1])
    return np.where(found >= 0, found, hashed[states.codes])


def _without_records(traces: TraceSet, rules: Rules) -> np.ndarray:
    """Return the number of the rule that should have decided about every trace: under names that no trace has."""
    renamed = tuple(replace(rule, name=f"\0{number}") for number, rule in enumerate(rules.head))
    return rule_of(traces, Rules(renamed))
