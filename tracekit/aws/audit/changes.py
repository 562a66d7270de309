"""Step 6: deployments and changes of configuration, whoever tells of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd

from tracekit.aws.audit.answers import Answer
from tracekit.aws.audit.calls import ask_each, by
from tracekit.aws.audit.service_record import Change, ServiceRecord, ServiceRecords

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from tracekit.aws.audit.answers import Answers
    from tracekit.aws.audit.calls import Reader

EVENTS = "cloudtrail:LookupEvents"
VERSIONS, SERVICES = "lambda:ListVersionsByFunction", "ecs:ListServiceDeployments"
LISTED, DEPLOYED, GROUPS = (
    f"codedeploy:{name}" for name in ("ListDeployments", "BatchGetDeployments", "BatchGetDeploymentGroups")
)
_RULE_CHANGES = ("SamplingRule", "IndexingRule", "TraceSegmentDestination")
_NOBODY = ""  # is named
_VERSION = ("Version", "LastModified", "TracingConfig")
_DEPLOYMENT = ("applicationName", "deploymentGroupName", "deploymentId", "status", "createTime", "creator")
_GROUP = ("applicationName", "deploymentGroupName", "ecsServices")


def ask_deployments(reader: Reader, records: Iterable[Answer], start: datetime, end: datetime) -> Iterator[Answer]:
    """Yield what Lambda, ECS and CodeDeploy remember of deployments."""
    known = list(records)
    functions = [f["FunctionName"] for one in known for f in one.content.get("Functions", ())]
    for call in ask_each(reader, VERSIONS, [{"FunctionName": name} for name in functions]):
        yield _only(call, "Versions", _VERSION)
    services = [s for one in known if one.operation == "ecs:DescribeServices" for s in one.content.get("services", ())]
    wanted = [
        {"cluster": one["clusterArn"], "service": one["serviceName"], "createdAt": {"after": start, "before": end}}
        for one in services
    ]
    yield from ask_each(reader, SERVICES, wanted)
    listed = reader.ask(LISTED, createTimeRange={"start": start, "end": end})
    yield listed
    batches = [{"deploymentIds": ids} for ids in by(25, listed.content.get("deployments", ()))]
    told = ask_each(reader, DEPLOYED, batches)
    yield from (_only(call, "deploymentsInfo", _DEPLOYMENT) for call in told)
    groups: dict[str, dict[str, None]] = {}
    for one in (info for call in told for info in call.content.get("deploymentsInfo", ())):
        if one.get("deploymentGroupName"):
            groups.setdefault(one["applicationName"], {})[one["deploymentGroupName"]] = None
    asked = [
        {"applicationName": name, "deploymentGroupNames": some}
        for name, own in groups.items()
        for some in by(100, list(own))
    ]
    for call in ask_each(reader, GROUPS, asked):
        yield _only(call, "deploymentGroupsInfo", _GROUP)


def _only(call: Answer, holds: str, members: tuple[str, ...]) -> Answer:
    """Return an answer with a few members of what it lists: the rest says nothing about tracing, and may tell much."""
    if call.failure:
        return call
    kept = [{name: one[name] for name in members if name in one} for one in call.content[holds]]
    return Answer(call.operation, call.request, {holds: kept}, call.as_of)


def read_changes(sheets: ServiceRecords, answers: Answers) -> None:
    """Write down deployments and changes of configuration, in order of time."""
    calls = answers.of(EVENTS)
    events = [(call, event) for call in calls for event in call.content["Events"]]
    _read_versions(sheets, answers)
    _read_service_deployments(sheets, answers)
    _read_codedeploy(sheets, answers)
    for sheet in sheets.values():
        found = _own_changes(sheet)
        for _, event in events:
            name = str(event.get("EventName"))
            resources = {str(one.get("ResourceName")).rpartition("/")[2] for one in event.get("Resources", ())}
            resources |= {one.rpartition(":")[2] for one in resources}
            is_own = bool({sheet.name, sheet.value("ecs_service")} & resources)
            if is_own or name.endswith(_RULE_CHANGES):
                is_first = is_own and name.startswith(("CreateFunction", "CreateService"))
                what, actor = re.sub(r"\d+v?\d*$", "", name), str(event.get("Username", _NOBODY))
                found.append(Change(pd.Timestamp(event["EventTime"]).timestamp(), what, actor, is_first))
        if found or answers.is_complete(EVENTS):
            _write(sheet, sorted(found), answers, calls[-1] if calls else None)


def _write(sheet: ServiceRecord, changes: list[Change], answers: Answers, source: Answer | None) -> None:
    """Write down the changes of one service, the first deployment, and whether all are known."""
    sheet.changes = changes
    inside = [change for change in changes if answers.start <= change.at < answers.end]
    told = [change.told for change in inside]
    sheet.add(6, "last_config_change", told[-1] if told else "none in the period", source, told)
    first = next((change.at for change in changes if change.is_first and change.at >= answers.start), None)
    sheet.add(6, "first_deployed", first, source, told)
    is_known = answers.is_complete(EVENTS) and answers.has_containers and answers.is_complete("lambda:ListFunctions")
    sheet.add(6, "changes_known", is_known, source)


def _read_versions(sheets: ServiceRecords, answers: Answers) -> None:
    """Write down when versions of functions were published, and whether their tracing mode changed with them."""
    for call in answers.of(VERSIONS):
        name = str(call.request["FunctionName"])
        numbered = [one for one in call.content["Versions"] if str(one.get("Version")).isdigit()]
        before, found = None, []
        for one in sorted(numbered, key=lambda version: int(version["Version"])):
            mode = (one.get("TracingConfig") or {}).get("Mode")
            turned = f" (TracingConfig.Mode {mode} instead of {before})" if before not in (None, mode) else ""
            found.append({"at": one.get("LastModified"), "what": f"version {one['Version']} published{turned}"})
            before = mode
        if name in sheets:
            sheets[name].add(6, "versions", found or None, call, call.content["Versions"][-5:])


def _read_service_deployments(sheets: ServiceRecords, answers: Answers) -> None:
    """Write down the deployments of services of ECS, also those that were rolled back."""
    names = {sheet.value("ecs_service"): sheet for sheet in sheets.values()}
    for call in answers.of(SERVICES):
        sheet = names.get(call.request.get("service"))
        told = [
            {"at": one.get("createdAt"), "what": f"service deployment ({one.get('status')})"}
            for one in call.content["serviceDeployments"]
        ]
        if sheet is not None:
            sheet.add(6, "service_deployments", told or None, call, call.content["serviceDeployments"][:5])


def _read_codedeploy(sheets: ServiceRecords, answers: Answers) -> None:
    """Write down the deployments of CodeDeploy: of the services of ECS of their group, or of a service of that name."""
    services = {
        (group.get("applicationName"), group.get("deploymentGroupName")): [
            str(one.get("serviceName")) for one in group.get("ecsServices") or ()
        ]
        for group in answers.items(GROUPS) or ()
    }
    for call in answers.of(DEPLOYED):
        for one in call.content["deploymentsInfo"]:
            key = (one.get("applicationName"), one.get("deploymentGroupName"))
            of = {*key, *services.get(key, ())}
            what = f"CodeDeploy deployment {one.get('deploymentId')} ({one.get('status')})"
            for sheet in sheets.values():
                if {sheet.name, sheet.value("ecs_service")} & of - {None}:
                    earlier = sheet.value("codedeploy") or []
                    added = {"at": one.get("createTime"), "what": what, "actor": one.get("creator")}
                    sheet.add(6, "codedeploy", [*earlier, added], call, one)


def _own_changes(sheet: ServiceRecord) -> list[Change]:
    """Return the changes that Lambda, ECS, EKS, CodeDeploy and API Gateway themselves tell of."""
    platform = sheet.value("platform")
    found = []
    if created := sheet.value("created"):
        what = "stage created" if platform == "gateway" else "service created"
        found.append(Change(pd.Timestamp(created).timestamp(), what, _NOBODY, is_first=True))
    for one in sheet.value("deployed") or ():
        if one.get("createdAt"):
            what = f"deployment of {str(one.get('taskDefinition')).rpartition('/')[2]}"
            found.append(Change(pd.Timestamp(one["createdAt"]).timestamp(), what, _NOBODY, is_first=False))
    for fact in ("versions", "service_deployments", "codedeploy", "rollouts"):
        for one in sheet.value(fact) or ():
            if one.get("at"):
                actor = str(one.get("actor") or _NOBODY)
                found.append(Change(pd.Timestamp(one["at"]).timestamp(), one["what"], actor, is_first=False))
    if modified := sheet.value("modified"):
        what = "stage changed" if platform == "gateway" else "function modified"
        found.append(Change(pd.Timestamp(modified).timestamp(), what, _NOBODY, is_first=False))
    if changed := sheet.value("addon_changed"):
        what = f"add-on changed ({sheet.value('addon')})"
        found.append(Change(pd.Timestamp(changed).timestamp(), what, _NOBODY, is_first=False))
    return found
