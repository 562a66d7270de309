"""Steps 4, 8 and the closing list: sampling rules, trace groups, permissions and network paths."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tracekit.weights.rule_formats import sampling_rules
from tracekit.weights.rules import HeadRule

if TYPE_CHECKING:
    from tracekit.aws.audit.answers import Answers
    from tracekit.aws.audit.service_record import ServiceRecords

LAMBDA_RULE = HeadRule("Lambda default (1/s + 5%)", 0.05, quota=1, is_shared=True)
_MENTION = re.compile(r"\b(?:service|edge)\s*\(([^)]*)\)")
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')


def read_rules(records: ServiceRecords, answers: Answers) -> None:
    """Add the sampling rules that may apply to each service, and the destination of segments."""
    rule_records = answers.items("xray:GetSamplingRules")
    for record in records.values():
        if record.value("platform") == "lambda":
            record.rules = (LAMBDA_RULE,)
            record.add(
                4,
                "rule",
                LAMBDA_RULE.name,
                None,
                None,
                "documented default; X-Ray sampling rules do not apply to functions",
            )
        elif rule_records is not None:
            source = answers.of("xray:GetSamplingRules")[-1]
            record.rules = _candidates(record.name, rule_records)
            excerpt = [{"rule": r.name, "FixedRate": r.rate, "ReservoirSize": r.quota} for r in record.rules]
            record.add(4, "rule", " or ".join(r.name for r in record.rules) or None, source, excerpt)
    _read_reports(records, answers)
    destination = answers.of("xray:GetTraceSegmentDestination")
    indexing = answers.items("xray:GetIndexingRules")
    if destination:
        to = destination[-1].content
        is_log = to.get("Destination") == "CloudWatchLogs"
        shares = [
            float(((rule.get("Rule") or {}).get("Probabilistic") or {}).get("DesiredSamplingPercentage", 100))
            for rule in indexing or ()
        ]
        share = (min(shares) / 100 if shares else None) if is_log else 1.0
        for record in records.values():
            record.add(4, "destination", to.get("Destination"), destination[-1], to)
            record.add(4, "indexed", share, destination[-1], indexing)


def _read_reports(records: ServiceRecords, answers: Answers) -> None:
    """Add the recent sampling statistics that SDKs reported for the rules."""
    reports = answers.items("xray:GetSamplingStatisticSummaries")
    for record in records.values() if reports else ():
        names = {rule.name for rule in record.rules or ()}
        own = [report for report in reports or () if report.get("RuleName") in names]
        if own:
            requests, kept, borrowed = (
                sum(r.get(k) or 0 for r in own) for k in ("RequestCount", "SampledCount", "BorrowCount")
            )
            text = f"{requests:,} requests, {kept:,} to {kept + borrowed:,} kept"  # classic SDKs count borrowed apart
            record.add(4, "sdk_reports", text, answers.of("xray:GetSamplingStatisticSummaries")[-1], own)


def _candidates(name: str, rule_records: list[dict[str, Any]]) -> tuple[HeadRule, ...]:
    """Return the rules that may match requests to a service, up to the first that certainly does."""
    found = []
    for rule in sampling_rules({"SamplingRuleRecords": rule_records}).head:
        matches = rule.matches({"service_name": name})
        if matches is not False:
            found.append(rule)
        if matches:
            break
    return tuple(found)


def read_groups(records: ServiceRecords, answers: Answers) -> None:
    """Add the trace groups that include each service."""
    groups = answers.items("xray:GetGroups")
    if groups is None:
        return
    source = answers.of("xray:GetGroups")[-1]
    own = [group for group in groups if group.get("FilterExpression")]  # else the Default group
    for record in records.values():
        names = [group["GroupName"] for group in own if mentions(str(group["FilterExpression"]), record.name)]
        record.add(8, "groups", ", ".join(names), source, own)


def mentions(expression: str, service: str) -> bool:
    """Return whether a filter expression may match traces because of a service."""
    conditions = _MENTION.findall(expression)
    names = {name for condition in conditions for name in _TEXT.findall(condition)}
    return not conditions or service in names


def read_closing_list(records: ServiceRecords, answers: Answers) -> None:
    """Add the denied write actions of roles, and private subnets without a network path to X-Ray."""
    _read_permissions(records, answers)
    _read_networks(records, answers)


def _read_permissions(records: ServiceRecords, answers: Answers) -> None:
    """Add the denied write actions of each service's role."""
    for call in answers.of("iam:SimulatePrincipalPolicy"):
        results = call.content["EvaluationResults"]
        denied = {one["EvalActionName"]: one["EvalDecision"] for one in results if one["EvalDecision"] != "allowed"}
        for record in records.values():
            if record.value("role") == call.request.get("PolicySourceArn"):
                text = ", ".join(f"{action}: {decision}" for action, decision in denied.items() if ":Put" in action)
                record.add(9, "iam_denied", text or False, call, results)


def _read_networks(records: ServiceRecords, answers: Answers) -> None:
    """Add the private subnets of each service that have no network path to X-Ray."""
    tables, endpoints = answers.items("ec2:DescribeRouteTables"), answers.items("ec2:DescribeVpcEndpoints")
    networks = {one["SubnetId"]: one["VpcId"] for one in answers.items("ec2:DescribeSubnets") or ()}
    if tables is None or endpoints is None or not networks:
        return
    source = answers.of("ec2:DescribeRouteTables")[-1]
    service = f"com.amazonaws.{answers.region}.xray"
    connected = {one["VpcId"] for one in endpoints if one.get("ServiceName") == service}
    for record in records.values():
        subnets = record.value("subnets")
        if subnets and set(subnets) <= set(networks):
            isolated = [s for s in subnets if networks[s] not in connected and not _has_route(s, networks[s], tables)]
            excerpt = {"subnets": subnets, "endpoints": sorted(connected)}
            record.add(9, "isolated_subnets", ", ".join(isolated) or False, source, excerpt)


def _has_route(subnet: str, network: str, tables: list[dict[str, Any]]) -> bool:
    """Return whether a subnet has an active default route."""
    own = [t for t in tables if any(a.get("SubnetId") == subnet for a in t.get("Associations", ()))]
    main = [t for t in tables if t.get("VpcId") == network and any(a.get("Main") for a in t.get("Associations", ()))]
    routes = [route for table in own or main for route in table.get("Routes", ())]
    return any(
        route.get("DestinationCidrBlock") == "0.0.0.0/0" and route.get("State", "active") == "active"
        for route in routes
    )
