"""Problems of sampling rules: files that SDKs reject, rules that never match, and unreachable rules."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

from tracekit.aws.rules.traffic import Fault, against_statistics, against_traces
from tracekit.findings import STATUS_OF_SEVERITY, Findings, Severity, finding
from tracekit.weights.rules import FIELDS, HeadRule
from tracekit.wildcards import covers, overlap

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tracekit.aws.rules.rule_set import SamplingRules, Written
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
_LATE = (
    "status",
    "response",
    "error",
    "fault",
    "duration",
    "latency",
    "exception",
)  # known only at the end of a request
_LAST_PRIORITY, _DEFAULT_PRIORITY, _MOST_ATTRIBUTES = 9999, 10_000, 5


def is_late(key: str) -> bool:
    """Return whether an attribute is unknown at the start of a trace."""
    return any(word in key.lower() for word in _LATE)


def check(
    rules: SamplingRules, traces: TraceSet | None = None, statistics: Sequence[Mapping[str, Any]] | None = None
) -> Findings:
    """Return the problems of rules.

    Source: ``aws-xray-sdk-python`` (``sampling_rule.py``), OpenTelemetry's ``SamplingRuleApplier``.
    """
    faults = [*_rejected(rules), *_keys(rules), *_late(rules), *_order(rules), *_values(rules)]
    assumptions = ["these rules are active"] if rules.form == "central" else []
    if traces is not None:
        faults += against_traces(rules, traces)
    if statistics is not None:
        faults += against_statistics(rules, statistics)
    if traces is None and statistics is None:
        assumptions.append("traffic was not checked; use lint(traces) or lint(statistics=)")
    if not faults:
        headline = f"No problems found in {len(rules.head)} rules of {rules.source}."
        faults = [Fault("fine", "info", headline, "", tuple(rule.name for rule in rules.head))]
    table = rules.table
    return Findings(
        [
            finding(
                f"rules.{fault.check}",
                STATUS_OF_SEVERITY[fault.severity],
                fault.headline,
                table[table["rule"].isin(fault.rules)] if fault.evidence is None else fault.evidence,
                assumptions=tuple(assumptions),
                remedy=fault.remedy,
                code="tk.sampling_rules(source).lint()",
                severity=fault.severity,
            )
            for fault in faults
        ]
    )


def _rejected(rules: SamplingRules) -> Iterator[Fault]:
    """Yield the problems for which the SDK raises InvalidSamplingManifestError."""
    if rules.form != "local":
        return
    manifest = rules.written[-1].manifest
    version = manifest.get("version")
    found: list[tuple[Written, str, str]] = []
    if version not in (1, 2):
        found.append((rules.written[-1], f"version {version!r} is neither 1 nor 2", "Write version 2."))
    matchers = ("service_name" if version == 1 else "host", "http_method", "url_path")
    found += [(written, *one) for written in rules.written for one in _invalid(written, version, matchers)]
    for written, reason, remedy in found:
        headline = f"Rule {written.name}: the SDK rejects the whole file, because {reason}."
        yield Fault("rejected", "critical", headline, remedy, (written.name,))


def _invalid(written: Written, version: object, matchers: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield why a local rule is invalid, and the remedy."""
    given = [name for name in matchers if written.body.get(name)]
    if written.is_default and not written.body:
        yield "there is no default rule", "Add a default rule with fixed_target and rate."
    elif written.is_default and given:
        yield f"the default rule must not have {', '.join(given)}", f"Remove {', '.join(given)}."
    elif not written.is_default and len(given) < len(matchers):
        lacking = ", ".join(name for name in matchers if name not in given)
        yield f"rules of version {version} need {lacking}", f'Add "{lacking}": "*".'
    missing = [name for name in ("fixed_target", "rate") if written.body.get(name) is None]
    if written.body and missing:
        yield f"{' and '.join(missing)} is missing", f"Give {' and '.join(missing)}."


def _keys(rules: SamplingRules) -> Iterator[Fault]:
    """Yield unknown keys."""
    version = rules.written[-1].manifest.get("version") if rules.written else None
    known = _CENTRAL if rules.form == "central" else _LOCAL | ({"service_name"} if version == 1 else set())
    for written in rules.written:
        if strange := sorted(set(written.body) - known):
            what = f"Rule {written.name}: {', '.join(strange)} is ignored: not a key of {rules.form} rules."
            severity: Severity = "warning"
            yield Fault("unknown_key", severity, what, "Remove or correct it.", (written.name,))


def _late(rules: SamplingRules) -> Iterator[Fault]:
    """Yield rules with conditions on attributes that are unknown at the sampling decision."""
    for written in rules.written:
        attributes = written.body.get("Attributes") or written.body.get("attributes") or {}
        late = [key for key in attributes if is_late(key)]
        if late:
            effect = "so only its other conditions apply" if rules.form == "local" else "and it never matches"
            yield Fault(
                "never_match",
                "critical",
                f"Rule {written.name} cannot work as written: {', '.join(late)} is unknown at the sampling decision,"
                f" {effect}.",
                "Keep errors and slow requests with a tail sampler (the collector's tail_sampling).",
                (written.name,),
            )
        elif attributes and rules.form == "central":
            what = f"Rule {written.name}: classic X-Ray SDKs ignore its attributes ({', '.join(attributes)})."
            yield Fault("sdk_differs", "warning", what, "Use it only with OpenTelemetry SDKs.", (written.name,))
        resource = written.body.get("ResourceARN", "*")
        if resource != "*":
            what = f"Rule {written.name}: classic X-Ray SDKs ignore its ResourceARN."
            yield Fault("sdk_differs", "warning", what, "Use the service name.", (written.name,))


def _patterns(rule: HeadRule, written: Written) -> dict[str, str]:
    """Return the patterns of a rule by field."""
    patterns = {name: getattr(rule, name) for name in FIELDS}
    return patterns | {
        "service_type": str(written.body.get("ServiceType", "*")),
        "arn": str(written.body.get("ResourceARN", "*")),
    }


def _order(rules: SamplingRules) -> Iterator[Fault]:
    """Yield unreachable rules, rules with equal priority, and overlapping rules."""
    pairs = list(zip(rules.head, rules.written, strict=True))
    hidden: set[str] = set()
    for (first, written), (later, other) in combinations(pairs, 2):
        one, two = _patterns(first, written), _patterns(later, other)
        if not first.attributes and all(covers(one[name], two[name]) for name in one):
            if other.name not in hidden and later is not first:
                what = f"Rule {later.name} is never reached: rule {first.name} matches all its requests."
                yield Fault(
                    "unreachable",
                    "warning",
                    what,
                    f"Put it before {first.name}, or remove it.",
                    (first.name, later.name),
                )
            hidden.add(other.name)
        elif rules.form == "central" and written.body.get("Priority") == other.body.get("Priority"):
            priority = written.body.get("Priority")
            what = f"Rules {first.name} and {later.name} have the same priority ({priority}): their names decide."
            yield Fault("same_priority", "warning", what, "Give each its own priority.", (first.name, later.name))
        elif (
            (first.rate, first.quota) != (later.rate, later.quota)
            and all(overlap(one[name], two[name]) for name in one)
            and not all(covers(two[name], one[name]) for name in one)
        ):
            what = f"Rules {first.name} and {later.name} overlap: requests that match both follow {first.name}."
            yield Fault("overlap", "warning", what, "Check that this order is intended.", (first.name, later.name))


def _values(rules: SamplingRules) -> Iterator[Fault]:
    """Yield invalid rates and priorities, and a missing default rule."""
    for rule, written in zip(rules.head, rules.written, strict=True):
        if rule.rate == 0 and rule.quota == 0:
            what = f"Rule {rule.name} keeps nothing: rate 0 and no reservoir."
            yield Fault("keeps_nothing", "warning", what, "Set a rate, or remove the rule.", (rule.name,))
        priority = written.body.get("Priority")
        is_default = rule.name == "Default"
        if (
            rules.form == "central"
            and not is_default
            and not (isinstance(priority, int) and 1 <= priority <= _LAST_PRIORITY)
        ):
            what = f"Rule {rule.name}: expected a priority from 1 to 9999, found {priority!r}."
            yield Fault("priority", "warning", what, "Correct it: X-Ray rejects such a rule.", (rule.name,))
        if len(written.body.get("Attributes") or {}) > _MOST_ATTRIBUTES:
            what = f"Rule {rule.name}: expected at most 5 attributes, found {len(written.body['Attributes'])}."
            yield Fault("attributes", "warning", what, "Remove attributes: X-Ray rejects such a rule.", (rule.name,))
    if rules.form == "central" and not any(rule.name == "Default" for rule in rules.head):
        what = "There is no rule Default: requests that match no other rule follow the SDK's default, 1/s + 5%."
        yield Fault("no_default", "warning", what, "Fetch the rules from X-Ray again: it always has one.", ())
