"""Steps 4, 8 and the closing list: rules, groups, permissions and the way out of private subnets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tracekit.weights.rule_formats import sampling_rules
from tracekit.weights.rules import HeadRule

if TYPE_CHECKING:
    from tracekit.aws.audit.answers import Answers
    from tracekit.aws.audit.service_record import ServiceRecords

LAMBDA_RULE = HeadRule("Lambda's own (1 a second and 5 %)", 0.05, quota=1, is_shared=True)
_MENTION = re.compile(r"\b(?:service|edge)\s*\(([^)]*)\)")
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')


def read_rules(sheets: ServiceRecords, answers: Answers) -> None:
    """Write down which sampling rules may decide about every service, and where the segments go."""
    records = answers.items("xray:GetSamplingRules")
    for sheet in sheets.values():
        if sheet.value("platform") == "lambda":
            sheet.rules = (LAMBDA_RULE,)
            sheet.add(4, "rule", LAMBDA_RULE.name, None, None, "documented; X-Ray's rules do not apply to functions")
        elif records is not None:
            source = answers.of("xray:GetSamplingRules")[-1]
            sheet.rules = _candidates(sheet.name, records)
            excerpt = [{"rule": r.name, "FixedRate": r.rate, "ReservoirSize": r.quota} for r in sheet.rules]
            sheet.add(4, "rule", " or ".join(r.name for r in sheet.rules) or None, source, excerpt)
    _read_reports(sheets, answers)
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
        for sheet in sheets.values():
            sheet.add(4, "destination", to.get("Destination"), destination[-1], to)
            sheet.add(4, "indexed", share, destination[-1], indexing)


def _read_reports(sheets: ServiceRecords, answers: Answers) -> None:
    """Write down what SDKs reported lately about the rules; those that ask for no targets report nothing."""
    reports = answers.items("xray:GetSamplingStatisticSummaries")
    for sheet in sheets.values() if reports else ():
        names = {rule.name for rule in sheet.rules or ()}
        own = [report for report in reports or () if report.get("RuleName") in names]
        if own:
            asked, kept, lent = (
                sum(r.get(k) or 0 for r in own) for k in ("RequestCount", "SampledCount", "BorrowCount")
            )
            told = f"{asked:,} requests, {kept:,} to {kept + lent:,} kept"  # classic SDKs count borrowed ones apart
            sheet.add(4, "sdk_reports", told, answers.of("xray:GetSamplingStatisticSummaries")[-1], own)


def _candidates(name: str, records: list[dict[str, Any]]) -> tuple[HeadRule, ...]:
    """Return the rules that may decide about requests to a service, up to the first one that surely does."""
    found = []
    for rule in sampling_rules({"SamplingRuleRecords": records}).head:
        matches = rule.matches({"service_name": name})
        if matches is not False:
            found.append(rule)
        if matches:
            break
    return tuple(found)


def read_groups(sheets: ServiceRecords, answers: Answers) -> None:
    """Write down which trace groups see every service."""
    groups = answers.items("xray:GetGroups")
    if groups is None:
        return
    source = answers.of("xray:GetGroups")[-1]
    own = [group for group in groups if group.get("FilterExpression")]  # the Default group has none, and sees all
    for sheet in sheets.values():
        seeing = [group["GroupName"] for group in own if sees(str(group["FilterExpression"]), sheet.name)]
        sheet.add(8, "groups", ", ".join(seeing), source, own)


def sees(expression: str, service: str) -> bool:
    """Return whether a filter expression may match traces because of a service."""
    mentions = _MENTION.findall(expression)
    named = {name for mention in mentions for name in _TEXT.findall(mention)}
    return not mentions or service in named


def read_closing_list(sheets: ServiceRecords, answers: Answers) -> None:
    """Write down what roles may write, and whether private subnets have a way to X-Ray."""
    for call in answers.of("iam:SimulatePrincipalPolicy"):
        results = call.content["EvaluationResults"]
        refused = {one["EvalActionName"]: one["EvalDecision"] for one in results if one["EvalDecision"] != "allowed"}
        for sheet in sheets.values():
            if sheet.value("role") == call.request.get("PolicySourceArn"):
                refusal = ", ".join(f"{action}: {decision}" for action, decision in refused.items() if ":Put" in action)
                sheet.add(9, "iam_refuses", refusal or False, call, results)
    tables, endpoints = answers.items("ec2:DescribeRouteTables"), answers.items("ec2:DescribeVpcEndpoints")
    networks = {one["SubnetId"]: one["VpcId"] for one in answers.items("ec2:DescribeSubnets") or ()}
    if tables is None or endpoints is None or not networks:
        return
    source = answers.of("ec2:DescribeRouteTables")[-1]
    service = f"com.amazonaws.{answers.region}.xray"
    reached = {one["VpcId"] for one in endpoints if one.get("ServiceName") == service}
    for sheet in sheets.values():
        subnets = sheet.value("subnets")
        if subnets and set(subnets) <= set(networks):
            cut = [s for s in subnets if networks[s] not in reached and not _leads_out(s, networks[s], tables)]
            sheet.add(9, "cut_off", ", ".join(cut) or False, source, {"subnets": subnets, "endpoints": sorted(reached)})


def _leads_out(subnet: str, network: str, tables: list[dict[str, Any]]) -> bool:
    """Return whether the routes of a subnet lead out of its network."""
    own = [t for t in tables if any(a.get("SubnetId") == subnet for a in t.get("Associations", ()))]
    main = [t for t in tables if t.get("VpcId") == network and any(a.get("Main") for a in t.get("Associations", ()))]
    routes = [route for table in own or main for route in table.get("Routes", ())]
    return any(
        route.get("DestinationCidrBlock") == "0.0.0.0/0" and route.get("State", "active") == "active"
        for route in routes
    )
