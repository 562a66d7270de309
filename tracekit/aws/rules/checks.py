"""What sampling rules cannot do: files that SDKs reject, rules that never match, and rules that others hide."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

from tracekit.aws.rules.patterns import covers, meet
from tracekit.aws.rules.traffic import against_statistics, against_traces
from tracekit.aws.rules.written import Fault, Written
from tracekit.findings import Finding, Findings, Severity
from tracekit.weights.rules import FIELDS, HeadRule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tracekit.aws.rules.rules import SamplingRules
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


def is_late(key: str) -> bool:
    """Return whether an attribute is not known yet when a trace begins."""
    return any(word in key.lower() for word in _LATE)


def check(
    rules: SamplingRules, traces: TraceSet | None = None, statistics: Sequence[Mapping[str, Any]] | None = None
) -> Findings:
    """Return what is wrong with rules.

    Source: ``spec/sampling.md`` S29; ``aws-xray-sdk-python`` (``sampling_rule.py``), OpenTelemetry's
    ``SamplingRuleApplier``.
    """
    faults = [*_rejected(rules), *_keys(rules), *_late(rules), *_order(rules), *_values(rules)]
    assumptions = ["the rules are those in force"] if rules.form == "central" else []
    if traces is not None:
        faults += against_traces(rules, traces)
    if statistics is not None:
        faults += against_statistics(rules, statistics)
    if traces is None and statistics is None:
        assumptions.append("whether they see any traffic was not looked at: lint(traces) and lint(statistics=) do")
    if not faults:
        headline = f"{len(rules.head)} rules of {rules.source}: nothing was found that they cannot do."
        faults = [Fault("fine", "info", headline, "", tuple(rule.name for rule in rules.head))]
    table = rules.table
    return Findings(
        [
            Finding(
                f"rules.{fault.check}",
                fault.severity,
                fault.headline,
                evidence=table[table["rule"].isin(fault.rules)] if fault.evidence is None else fault.evidence,
                assumptions=tuple(assumptions),
                remedy=fault.remedy,
                code="tk.sampling_rules(source).lint()",
            )
            for fault in faults
        ]
    )


def _rejected(rules: SamplingRules) -> Iterator[Fault]:
    """Yield why the SDK raises InvalidSamplingManifestError for a local file."""
    if rules.form != "local":
        return
    manifest = rules.written[-1].manifest
    version = manifest.get("version")
    says = "the SDK rejects the whole file, because"
    host = "service_name" if version == 1 else "host"

    def fault(why: str, remedy: str, told: Written) -> Fault:
        return Fault("rejected", "critical", f"Rule {told.name}: {says} {why}.", remedy, (told.name,))

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


def _keys(rules: SamplingRules) -> Iterator[Fault]:
    """Yield keys that nobody reads."""
    version = rules.written[-1].manifest.get("version") if rules.written else None
    known = _CENTRAL if rules.form == "central" else _LOCAL | ({"service_name"} if version == 1 else set())
    for told in rules.written:
        if strange := sorted(set(told.body) - known):
            what = f"Rule {told.name}: {', '.join(strange)} is ignored: {rules.form} rules know no such key."
            severity: Severity = "warning"
            yield Fault("unknown_key", severity, what, "Remove it, or write what is meant otherwise.", (told.name,))


def _late(rules: SamplingRules) -> Iterator[Fault]:
    """Yield rules that ask for what is not known when the decision is made."""
    for told in rules.written:
        asked = told.body.get("Attributes") or told.body.get("attributes") or {}
        late = [key for key in asked if is_late(key)]
        if late:
            effect = "so it matches everything else it asks for" if rules.form == "local" else "and it never matches"
            yield Fault(
                "never_match",
                "critical",
                f"Rule {told.name} can never do what it says: {', '.join(late)} is not known when the decision is made,"
                f" {effect}.",
                "Keep errors and slow requests with a tail sampler (the collector's tail_sampling).",
                (told.name,),
            )
        elif asked and rules.form == "central":
            what = f"Rule {told.name}: classic X-Ray SDKs match without its attributes ({', '.join(asked)})."
            yield Fault("sdk_differs", "warning", what, "Use it only where OpenTelemetry SDKs decide.", (told.name,))
        resource = told.body.get("ResourceARN", "*")
        if resource != "*":
            what = f"Rule {told.name}: classic X-Ray SDKs ignore its ResourceARN."
            yield Fault("sdk_differs", "warning", what, "Use the service name.", (told.name,))


def _asks(rule: HeadRule, told: Written) -> dict[str, str]:
    """Return the patterns of a rule by field."""
    patterns = {name: getattr(rule, name) for name in FIELDS}
    return patterns | {
        "service_type": str(told.body.get("ServiceType", "*")),
        "arn": str(told.body.get("ResourceARN", "*")),
    }


def _order(rules: SamplingRules) -> Iterator[Fault]:
    """Yield rules that others hide, rules of one priority, and rules that meet without one holding the other."""
    pairs = list(zip(rules.head, rules.written, strict=True))
    hidden: set[str] = set()
    for (first, told), (later, other) in combinations(pairs, 2):
        one, two = _asks(first, told), _asks(later, other)
        if not first.attributes and all(covers(one[name], two[name]) for name in one):
            if other.name not in hidden and later is not first:
                what = f"Rule {later.name} is never reached: rule {first.name} takes everything it asks for."
                yield Fault(
                    "unreachable",
                    "warning",
                    what,
                    f"Put it before {first.name}, or remove it.",
                    (first.name, later.name),
                )
            hidden.add(other.name)
        elif rules.form == "central" and told.body.get("Priority") == other.body.get("Priority"):
            what = f"Rules {first.name} and {later.name} have one priority ({told.body.get('Priority')}): names decide."
            yield Fault("same_priority", "warning", what, "Give each its own priority.", (first.name, later.name))
        elif (
            (first.rate, first.quota) != (later.rate, later.quota)
            and all(meet(one[name], two[name]) for name in one)
            and not all(covers(two[name], one[name]) for name in one)
        ):
            what = f"Rules {first.name} and {later.name} overlap: what both ask for follows {first.name}."
            yield Fault("overlap", "warning", what, "Make sure that this order is meant.", (first.name, later.name))


def _values(rules: SamplingRules) -> Iterator[Fault]:
    """Yield rates and priorities that cannot be meant, and a default rule that is missing."""
    for rule, told in zip(rules.head, rules.written, strict=True):
        if rule.rate == 0 and rule.quota == 0:
            what = f"Rule {rule.name} keeps nothing: rate 0 and no reservoir."
            yield Fault("keeps_nothing", "warning", what, "Give it a rate, or remove it knowingly.", (rule.name,))
        priority = told.body.get("Priority")
        is_default = rule.name == "Default"
        if (
            rules.form == "central"
            and not is_default
            and not (isinstance(priority, int) and 1 <= priority <= _LAST_PRIORITY)
        ):
            what = f"Rule {rule.name}: expected a priority from 1 to 9999, found {priority!r}."
            yield Fault("priority", "warning", what, "X-Ray refuses such a rule.", (rule.name,))
        if len(told.body.get("Attributes") or {}) > _MOST_ATTRIBUTES:
            what = f"Rule {rule.name}: expected at most 5 attributes, found {len(told.body['Attributes'])}."
            yield Fault("attributes", "warning", what, "X-Ray refuses such a rule.", (rule.name,))
    if rules.form == "central" and not any(rule.name == "Default" for rule in rules.head):
        what = "There is no rule Default: what matches no other rule is decided by the SDK's own 1 a second and 5 %."
        yield Fault("no_default", "warning", what, "Ask X-Ray again: it always has one.", ())
