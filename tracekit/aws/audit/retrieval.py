"""The eight data-collection steps of the coverage audit as AWS calls."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tracekit.aws.audit.answers import KUBECTL, Answers
from tracekit.aws.audit.changes import fetch_deployments
from tracekit.aws.audit.clusters import fetch_clusters, roles_of
from tracekit.aws.audit.gateways import fetch_gateways
from tracekit.aws.audit.losses import fetch_logs
from tracekit.aws.reader import Answer, batches, call_each

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tracekit.aws.reader import Reader

HOUR = 3600
_DOCUMENTS = 100  # traces whose segments are fetched
_METRICS = {
    "AWS/Lambda": "Invocations",
    "AWS/ApplicationELB": "RequestCount",
    "AWS/ApiGateway": "Count",
}
_SERVICES = ({"FunctionName"}, {"TargetGroup", "LoadBalancer"}, {"ApiName", "Stage"})
_CHANGES = (
    "CreateFunction20150331",
    "UpdateFunctionConfiguration20150331v2",
    "UpdateFunctionCode20150331v2",
    "CreateService",
    "UpdateService",
    "RegisterTaskDefinition",
    "CreateSamplingRule",
    "UpdateSamplingRule",
    "DeleteSamplingRule",
    "UpdateIndexingRule",
    "UpdateTraceSegmentDestination",
)
WRITES = ("xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets")
_KEPT = ("id", "trace_id", "parent_id", "name", "namespace", "origin", "inferred", "type", "in_progress")


def retrieve(reader: Reader, start: int, end: int, saved: Iterable[Answer] = ()) -> Answers:
    """Return all AWS answers that an audit needs."""
    records: list[Answer] = []
    records += _graph(reader, start, end)
    records += _documents(reader, start, end)
    records += [reader.call(operation) for operation in _LISTS]
    records += _containers(reader)
    records += fetch_logs(reader, records, start, end)
    records += fetch_clusters(reader)
    records += saved
    records += fetch_gateways(reader)
    records += _metrics(reader, start, end)
    records += _changed(reader, start, end)
    records += fetch_deployments(reader, records, _time(start), _time(end))
    records += _network(reader, records)
    return Answers(reader.region, start, end, records)


_LISTS = (
    "lambda:ListFunctions",
    "xray:GetSamplingRules",
    "xray:GetSamplingStatisticSummaries",
    "xray:GetIndexingRules",
    "xray:GetTraceSegmentDestination",
    "xray:GetGroups",
)


def _time(second: int) -> datetime:
    """Return a time for boto3."""
    return datetime.fromtimestamp(second, UTC)


def _graph(reader: Reader, start: int, end: int) -> list[Answer]:
    """Return the service graph of every hour."""
    hours = [{"StartTime": _time(low), "EndTime": _time(low + HOUR)} for low in range(start, end, HOUR)]
    return call_each(reader, "xray:GetServiceGraph", hours)


def _documents(reader: Reader, start: int, end: int) -> Iterator[Answer]:
    """Yield the summaries of the last six hours with traces, and some of these traces, reduced to their structure."""
    ids: list[str] = []
    for high in range(end, start, -6 * HOUR):
        low = max(start, high - 6 * HOUR)
        found = reader.call(
            "xray:GetTraceSummaries",
            most_pages=5,
            StartTime=_time(low),
            EndTime=_time(high),
            TimeRangeType="Event",
            Sampling=False,
        )
        ids = [summary["Id"] for summary in found.content.get("TraceSummaries", ())]
        kept = [{"Id": trace_id} for trace_id in ids]
        yield Answer(
            found.operation,
            found.request,
            {"TraceSummaries": kept} if kept else found.content,
            found.as_of,
            found.failure,
        )
        if ids or found.failure:
            break
    step = max(1, len(ids) // _DOCUMENTS)
    for batch in batches(5, ids[::step][:_DOCUMENTS]):
        found = reader.call("xray:BatchGetTraces", TraceIds=batch)
        traces = [_skeleton(trace) for trace in found.content.get("Traces", ())]
        yield Answer(
            found.operation, found.request, {"Traces": traces} if traces else found.content, found.as_of, found.failure
        )


def _skeleton(trace: dict[str, Any]) -> dict[str, Any]:
    """Return a trace with only the ids and names of its segments, without user data."""
    parts = []
    for segment in trace.get("Segments", ()):
        document = json.loads(segment["Document"])
        parts.append({"Id": segment.get("Id"), "Document": json.dumps(_bare(document), separators=(",", ":"))})
    return {"Id": trace.get("Id"), "LimitExceeded": trace.get("LimitExceeded", False), "Segments": parts}


def _bare(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document with only the ids and names of its parts, without recursion."""
    top: dict[str, Any] = {}
    todo = [(document, top)]
    while todo:
        part, bare = todo.pop()
        bare |= {name: part[name] for name in _KEPT if name in part}
        if sdk := (part.get("aws") or {}).get("xray"):
            bare["aws"] = {
                "xray": {name: sdk[name] for name in ("sdk", "sdk_version", "sampling_rule_name") if name in sdk}
            }
        if ((part.get("http") or {}).get("request") or {}).get("traced"):
            bare["http"] = {"request": {"traced": True}}
        inner: list[tuple[dict[str, Any], dict[str, Any]]] = [(child, {}) for child in part.get("subsegments", ())]
        if inner:
            bare["subsegments"] = [child for _, child in inner]
            todo += inner
    return top


def _containers(reader: Reader) -> Iterator[Answer]:
    """Yield clusters, services, task definitions and tasks, including tasks stopped in the last hour."""
    clusters = reader.call("ecs:ListClusters")
    yield clusters
    definitions: dict[str, None] = {}
    for cluster in clusters.content.get("clusterArns", ()):
        listed = reader.call("ecs:ListServices", cluster=cluster)
        yield listed
        for batch in batches(10, listed.content.get("serviceArns", ())):
            described = reader.call("ecs:DescribeServices", cluster=cluster, services=batch)
            yield described
            definitions |= dict.fromkeys(service["taskDefinition"] for service in described.content.get("services", ()))
        for status in ("RUNNING", "STOPPED"):
            tasks = reader.call("ecs:ListTasks", cluster=cluster, desiredStatus=status)
            yield tasks
            for batch in batches(100, tasks.content.get("taskArns", ())):
                yield reader.call("ecs:DescribeTasks", cluster=cluster, tasks=batch)
    for definition in definitions:
        yield reader.call("ecs:DescribeTaskDefinition", taskDefinition=definition)


def _metrics(reader: Reader, start: int, end: int) -> Iterator[Answer]:
    """Yield the requests per hour that Lambda, load balancers and API Gateway counted."""
    series: list[dict[str, Any]] = []
    for namespace, name in _METRICS.items():
        listed = reader.call("cloudwatch:ListMetrics", Namespace=namespace, MetricName=name)
        yield listed
        series += [metric for metric in listed.content.get("Metrics", ()) if is_of_a_service(metric)]
    for batch in batches(500, series):
        queries = [
            {
                "Id": f"m{number}",
                "Label": label_of(metric),
                "MetricStat": {"Metric": metric, "Period": HOUR, "Stat": "Sum"},
            }
            for number, metric in enumerate(batch)
        ]
        yield reader.call(
            "cloudwatch:GetMetricData", MetricDataQueries=queries, StartTime=_time(start), EndTime=_time(end)
        )


def dimensions_of(metric: dict[str, Any]) -> dict[str, str]:
    """Return the dimensions of a metric."""
    return {dimension["Name"]: dimension["Value"] for dimension in metric.get("Dimensions", ())}


def is_of_a_service(metric: dict[str, Any]) -> bool:
    """Return whether a metric counts the requests of one function, target group or API stage."""
    return set(dimensions_of(metric)) in _SERVICES


def label_of(metric: dict[str, Any]) -> str:
    """Return the function, target group or API stage that a metric counts."""
    found = dimensions_of(metric)
    return found.get("FunctionName") or found.get("TargetGroup") or f"api/{found['ApiName']}/{found['Stage']}"


def _changed(reader: Reader, start: int, end: int) -> Iterator[Answer]:
    """Yield the CloudTrail events of every kind of change, until one call fails."""
    period: dict[str, Any] = {"StartTime": _time(start), "EndTime": _time(end)}
    for name in _CHANGES:
        wanted = [{"AttributeKey": "EventName", "AttributeValue": name}]
        answer = reader.call("cloudtrail:LookupEvents", LookupAttributes=wanted, **period)
        yield answer
        if not answer.is_known:
            break


def _network(reader: Reader, records: Iterable[Answer]) -> Iterator[Answer]:
    """Yield the write permissions of the roles, and the routes of their subnets."""
    known = list(records)
    functions = [item for record in known for item in record.content.get("Functions", ())]
    definitions = [record.content["taskDefinition"] for record in known if "taskDefinition" in record.content]
    pods = [item for record in known if record.operation == KUBECTL for item in record.content["items"]]
    roles = [*_each(functions, "Role"), *_each(definitions, "taskRoleArn"), *roles_of(pods)]
    for role in filter(None, dict.fromkeys(roles)):
        yield reader.call("iam:SimulatePrincipalPolicy", PolicySourceArn=role, ActionNames=list(WRITES))
    networks = filter(None, _each(functions, "VpcConfig"))
    if definitions or any(network.get("SubnetIds") for network in networks):
        for operation in ("ec2:DescribeSubnets", "ec2:DescribeRouteTables", "ec2:DescribeVpcEndpoints"):
            yield reader.call(operation)


def _each(items: Iterable[dict[str, Any]], name: str) -> Iterator[Any]:
    """Yield a field of every item; None where it is missing."""
    return (item.get(name) for item in items)
