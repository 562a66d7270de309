"""Step 6: deployments and configuration changes from CloudTrail, Lambda, ECS, CodeDeploy and others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd

from tracekit.aws.audit.service_record import Change, ServiceRecord, ServiceRecords
from tracekit.aws.reader import Answer, batches, call_each

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from tracekit.aws.audit.answers import Answers
    from tracekit.aws.reader import Reader

EVENTS = "cloudtrail:LookupEvents"
VERSIONS, SERVICES = "lambda:ListVersionsByFunction", "ecs:ListServiceDeployments"
LISTED, DEPLOYED, GROUPS = (
    f"codedeploy:{name}" for name in ("ListDeployments", "BatchGetDeployments", "BatchGetDeploymentGroups")
)
_RULE_CHANGES = ("SamplingRule", "IndexingRule", "TraceSegmentDestination")
_NO_ACTOR = ""
_VERSION = ("Version", "LastModified", "TracingConfig")
_DEPLOYMENT = ("applicationName", "deploymentGroupName", "deploymentId", "status", "createTime", "creator")
_GROUP = ("applicationName", "deploymentGroupName", "ecsServices")


def fetch_deployments(reader: Reader, records: Iterable[Answer], start: datetime, end: datetime) -> Iterator[Answer]:
    """Yield the deployments that Lambda, ECS and CodeDeploy list."""
    known = list(records)
    functions = [f["FunctionName"] for one in known for f in one.content.get("Functions", ())]
    for call in call_each(reader, VERSIONS, [{"FunctionName": name} for name in functions]):
        yield _select(call, "Versions", _VERSION)
    services = [s for one in known if one.operation == "ecs:DescribeServices" for s in one.content.get("services", ())]
    wanted = [
        {"cluster": one["clusterArn"], "service": one["serviceName"], "createdAt": {"after": start, "before": end}}
        for one in services
    ]
    yield from call_each(reader, SERVICES, wanted)
    yield from _fetch_codedeploy(reader, start, end)


def _fetch_codedeploy(reader: Reader, start: datetime, end: datetime) -> Iterator[Answer]:
    """Yield the deployments of CodeDeploy and the ECS services of their groups."""
    listed = reader.call(LISTED, createTimeRange={"start": start, "end": end})
    yield listed
    requests = [{"deploymentIds": ids} for ids in batches(25, listed.content.get("deployments", ()))]
    deployments = call_each(reader, DEPLOYED, requests)
    yield from (_select(call, "deploymentsInfo", _DEPLOYMENT) for call in deployments)
    groups: dict[str, dict[str, None]] = {}
    for one in (info for call in deployments for info in call.content.get("deploymentsInfo", ())):
        if one.get("deploymentGroupName"):
            groups.setdefault(one["applicationName"], {})[one["deploymentGroupName"]] = None
    group_requests = [
        {"applicationName": name, "deploymentGroupNames": some}
        for name, own in groups.items()
        for some in batches(100, list(own))
    ]
    for call in call_each(reader, GROUPS, group_requests):
        yield _select(call, "deploymentGroupsInfo", _GROUP)


def _select(call: Answer, key: str, fields: tuple[str, ...]) -> Answer:
    """Return an answer with only some fields of its items; the others may be confidential."""
    if call.failure:
        return call
    kept = [{name: one[name] for name in fields if name in one} for one in call.content[key]]
    return Answer(call.operation, call.request, {key: kept}, call.as_of)


def read_changes(records: ServiceRecords, answers: Answers) -> None:
    """Add deployments and configuration changes by time."""
    calls = answers.of(EVENTS)
    events = [(call, event) for call in calls for event in call.content["Events"]]
    _read_versions(records, answers)
    _read_service_deployments(records, answers)
    _read_codedeploy(records, answers)
    for record in records.values():
        found = _own_changes(record)
        for _, event in events:
            name = str(event.get("EventName"))
            resources = {str(one.get("ResourceName")).rpartition("/")[2] for one in event.get("Resources", ())}
            resources |= {one.rpartition(":")[2] for one in resources}
            is_own = bool({record.name, record.value("ecs_service")} & resources)
            if is_own or name.endswith(_RULE_CHANGES):
                is_first = is_own and name.startswith(("CreateFunction", "CreateService"))
                what, actor = re.sub(r"\d+v?\d*$", "", name), str(event.get("Username", _NO_ACTOR))
                found.append(Change(pd.Timestamp(event["EventTime"]).timestamp(), what, actor, is_first))
        if found or answers.is_complete(EVENTS):
            _add_changes(record, sorted(found), answers, calls[-1] if calls else None)


def _add_changes(record: ServiceRecord, changes: list[Change], answers: Answers, source: Answer | None) -> None:
    """Add the changes of one service, its first deployment, and whether the list is complete."""
    record.changes = changes
    inside = [change for change in changes if answers.start <= change.at < answers.end]
    texts = [change.text for change in inside]
    record.add(6, "last_config_change", texts[-1] if texts else "none in the period", source, texts)
    first = next((change.at for change in changes if change.is_first and change.at >= answers.start), None)
    record.add(6, "first_deployed", first, source, texts)
    is_known = answers.is_complete(EVENTS) and answers.has_containers and answers.is_complete("lambda:ListFunctions")
    record.add(6, "changes_known", is_known, source)


def _read_versions(records: ServiceRecords, answers: Answers) -> None:
    """Add the published versions of functions, with changes of their tracing mode."""
    for call in answers.of(VERSIONS):
        name = str(call.request["FunctionName"])
        numbered = [one for one in call.content["Versions"] if str(one.get("Version")).isdigit()]
        before, found = None, []
        for one in sorted(numbered, key=lambda version: int(version["Version"])):
            mode = (one.get("TracingConfig") or {}).get("Mode")
            changed = f" (TracingConfig.Mode {before} → {mode})" if before not in (None, mode) else ""
            found.append({"at": one.get("LastModified"), "what": f"version {one['Version']} published{changed}"})
            before = mode
        if name in records:
            records[name].add(6, "versions", found or None, call, call.content["Versions"][-5:])


def _read_service_deployments(records: ServiceRecords, answers: Answers) -> None:
    """Add the deployments of ECS services, including rolled-back ones."""
    names = {record.value("ecs_service"): record for record in records.values()}
    for call in answers.of(SERVICES):
        record = names.get(call.request.get("service"))
        deployments = [
            {"at": one.get("createdAt"), "what": f"service deployment ({one.get('status')})"}
            for one in call.content["serviceDeployments"]
        ]
        if record is not None:
            record.add(6, "service_deployments", deployments or None, call, call.content["serviceDeployments"][:5])


def _read_codedeploy(records: ServiceRecords, answers: Answers) -> None:
    """Add CodeDeploy deployments to the ECS services of their group, or to the service of that name."""
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
            for record in records.values():
                if {record.name, record.value("ecs_service")} & of - {None}:
                    earlier = record.value("codedeploy") or []
                    added = {"at": one.get("createTime"), "what": what, "actor": one.get("creator")}
                    record.add(6, "codedeploy", [*earlier, added], call, one)


def _own_changes(record: ServiceRecord) -> list[Change]:
    """Return the changes recorded by Lambda, ECS, EKS, CodeDeploy and API Gateway."""
    platform = record.value("platform")
    found = []
    if created := record.value("created"):
        what = "stage created" if platform == "gateway" else "service created"
        found.append(Change(pd.Timestamp(created).timestamp(), what, _NO_ACTOR, is_first=True))
    for one in record.value("deployed") or ():
        if one.get("createdAt"):
            what = f"deployment of {str(one.get('taskDefinition')).rpartition('/')[2]}"
            found.append(Change(pd.Timestamp(one["createdAt"]).timestamp(), what, _NO_ACTOR, is_first=False))
    for fact in ("versions", "service_deployments", "codedeploy", "rollouts"):
        for one in record.value(fact) or ():
            if one.get("at"):
                actor = str(one.get("actor") or _NO_ACTOR)
                found.append(Change(pd.Timestamp(one["at"]).timestamp(), one["what"], actor, is_first=False))
    if modified := record.value("modified"):
        what = "stage changed" if platform == "gateway" else "function modified"
        found.append(Change(pd.Timestamp(modified).timestamp(), what, _NO_ACTOR, is_first=False))
    if changed := record.value("addon_changed"):
        what = f"add-on changed ({record.value('addon')})"
        found.append(Change(pd.Timestamp(changed).timestamp(), what, _NO_ACTOR, is_first=False))
    return found
