"""Steps 4, 6, 8 and the closing list: rules, changes, groups, permissions and the way out of private subnets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pandas as pd

from tracekit.aws.audit_sheet import Change, Sheet, Sheets
from tracekit.weights.rule_formats import sampling_rules
from tracekit.weights.rules import HeadRule

if TYPE_CHECKING:
    from tracekit.aws.audit_answers import Answers

LAMBDA_RULE = HeadRule("Lambda's own (1 a second and 5 %)", 0.05, quota=1, is_shared=True)
_MENTION = re.compile(r"\b(?:service|edge)\s*\(([^)]*)\)")
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
_RULE_CHANGES = ("SamplingRule", "IndexingRule", "TraceSegmentDestination")


def read_rules(sheets: Sheets, answers: Answers) -> None:
    """Write down which sampling rules may decide about every service, and where the segments go.

    Parameters
    ----------
    sheets
        To write to.
    answers
        Of AWS.
    """
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


def _read_reports(sheets: Sheets, answers: Answers) -> None:
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


def read_changes(sheets: Sheets, answers: Answers) -> None:
    """Write down deployments and changes of configuration, in order of time.

    Parameters
    ----------
    sheets
        To write to.
    answers
        Of AWS.
    """
    calls = answers.of("cloudtrail:LookupEvents")
    events = [(call, event) for call in calls for event in call.content["Events"]]
    for sheet in sheets.values():
        found = _own_changes(sheet)
        for _, event in events:
            name = str(event.get("EventName"))
            resources = {str(one.get("ResourceName")).rpartition("/")[2] for one in event.get("Resources", ())}
            resources |= {one.rpartition(":")[2] for one in resources}
            is_own = bool({sheet.name, sheet.value("ecs_service")} & resources)
            if is_own or name.endswith(_RULE_CHANGES):
                is_first = is_own and name.startswith(("CreateFunction", "CreateService"))
                at = pd.Timestamp(event["EventTime"]).timestamp()
                found.append(
                    Change(at, re.sub(r"\d+v?\d*$", "", name), str(event.get("Username", "nobody named")), is_first)
                )
        if found or answers.is_complete("cloudtrail:LookupEvents"):
            sheet.changes = sorted(found)
            source = calls[-1] if calls else None
            inside = [change for change in sheet.changes if answers.start <= change.at < answers.end]
            told = [f"{change.what} by {change.actor} at {when(change.at)}" for change in inside]
            sheet.add(6, "last_config_change", told[-1] if told else "none in the period", source, told)
            first = next(
                (change.at for change in sheet.changes if change.is_first and change.at >= answers.start), None
            )
            sheet.add(6, "first_deployed", first, source, told)
            sheet.add(6, "changes_known", answers.is_complete("cloudtrail:LookupEvents"), source)


def _own_changes(sheet: Sheet) -> list[Change]:
    """Return the changes that Lambda and ECS themselves tell of."""
    found = []
    if created := sheet.value("created"):
        found.append(Change(pd.Timestamp(created).timestamp(), "service created", "nobody named", is_first=True))
    for one in sheet.value("deployed") or ():
        if one.get("createdAt"):
            what = f"deployment of {str(one.get('taskDefinition')).rpartition('/')[2]}"
            found.append(Change(pd.Timestamp(one["createdAt"]).timestamp(), what, "nobody named", is_first=False))
    if modified := sheet.value("modified"):
        found.append(Change(pd.Timestamp(modified).timestamp(), "function modified", "nobody named", is_first=False))
    return found


def when(at: float) -> str:
    """Return a time as text, UTC.

    Examples
    --------
    >>> when(1_760_000_000)
    '2025-10-09 08:53'
    """
    return pd.Timestamp(at, unit="s").strftime("%Y-%m-%d %H:%M")


def read_groups(sheets: Sheets, answers: Answers) -> None:
    """Write down which trace groups see every service.

    Parameters
    ----------
    sheets
        To write to.
    answers
        Of AWS.
    """
    groups = answers.items("xray:GetGroups")
    if groups is None:
        return
    source = answers.of("xray:GetGroups")[-1]
    own = [group for group in groups if group.get("FilterExpression")]  # the Default group has none, and sees all
    for sheet in sheets.values():
        seeing = [group["GroupName"] for group in own if sees(str(group["FilterExpression"]), sheet.name)]
        sheet.add(8, "groups", ", ".join(seeing), source, own)


def sees(expression: str, service: str) -> bool:
    """Return whether a filter expression may match traces because of a service.

    Parameters
    ----------
    expression
        Of a group.
    service
        A name.

    Returns
    -------
    bool
        True where the service is named, or no service is.

    Examples
    --------
    >>> sees('service("cart") { fault }', "cart"), sees('edge("web", "pay")', "cart"), sees("responsetime > 5", "cart")
    (True, False, True)
    """
    mentions = _MENTION.findall(expression)
    named = {name for mention in mentions for name in _TEXT.findall(mention)}
    return not mentions or service in named


def read_closing_list(sheets: Sheets, answers: Answers) -> None:
    """Write down what roles may write, and whether private subnets have a way to X-Ray.

    Parameters
    ----------
    sheets
        To write to.
    answers
        Of AWS.
    """
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
