"""A synthetic AWS account: services, their traffic and their faults, as responses to the calls of an audit."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import audit_platforms
import numpy as np

REGION, ACCOUNT = "eu-west-1", "123456789012"
END = 1_763_683_200  # 2025-11-21 00:00 UTC
HOUR = 3600
DEFAULT_RULE = ("Default", 0.05, 1, "*")


@dataclass(frozen=True)
class App:
    """A service and its faults."""

    name: str
    platform: str = "ecs"  # ecs, pod, lambda, gateway, instance, remote
    per_hour: float = 400
    rate: float = 0.5  # rate of its sampling rule
    kept: float | None = None  # actual rate; default: that of the rule
    recorded: bool = True
    hole: tuple[int, int, float] | None = None  # first hour, hour after the last, share lost
    begins: int = 0  # first hour with requests
    ends: int | None = None  # first hour without traces
    mode: str = "Active"
    layers: tuple[str, ...] = ("AWSOpenTelemetryDistroPython:5",)
    package: str = "Zip"
    environment: dict[str, str] = field(default_factory=dict)
    collector: str | None = "public.ecr.aws/aws-observability/aws-otel-collector:v0.43.3"
    health: str = "HEALTHY"
    crashes: int = 0
    tasks: int = 2
    collectors_up: int | None = None
    refused: tuple[str, ...] = ()
    subnets: tuple[str, ...] = ("subnet-open",)
    callers: tuple[str, ...] = ()
    orphans: float = 0.0
    unanswered: float = 0.0
    is_new: bool = False
    changed_at: int | None = None
    own_rule: bool = True
    versions: tuple[tuple[int, str], ...] = ()  # of a function: hour and tracing mode
    rolled: tuple[int, ...] = ()  # hours with a deployment of a service of ECS
    code_deployed: tuple[int, ...] = ()  # hours with a deployment by CodeDeploy


@dataclass(frozen=True)
class World:
    """Services, and settings of the whole account."""

    apps: tuple[App, ...]
    hours: int = 168
    seed: int = 7
    groups: tuple[tuple[str, str], ...] = (("slow", "responsetime > 5"),)
    destination: str = "XRay"
    indexed: float = 100.0
    traces: int = 60
    daemon: str | None = "public.ecr.aws/aws-observability/aws-otel-collector:v0.43.3"  # one per node of the cluster
    daemons: tuple[int, int] = (3, 3)  # ready and wanted
    addons: tuple[tuple[str, str, str], ...] = (("adot", "ACTIVE", ""),)
    has_kubectl: bool = True
    http_apis: tuple[str, ...] = ()


def answers(world: World) -> list[dict[str, Any]]:
    """Return the calls of an audit and the responses of AWS, in the order of the audit."""
    random = np.random.default_rng(world.seed)
    start = END - world.hours * HOUR
    requests = {app.name: _requests(app, world.hours, random) for app in world.apps}
    kept = {app.name: _kept(app, requests[app.name], random) for app in world.apps}
    records = _graph(world, start, requests, kept)
    records += _documents(world, random)
    records += _settings(world)
    records += _functions(world, start) + _containers(world, start)
    records += audit_platforms.clusters(world, start) + audit_platforms.gateways(world, start)
    records += _metrics(world, start, requests)
    records += _changes(world, start) + audit_platforms.deployments(world, start)
    records += _closing(world)
    return [{"as_of": _time(END), **record} for record in records]


def _time(second: float) -> str:
    """Return a time as text."""
    return datetime.fromtimestamp(second, UTC).isoformat()


def _requests(app: App, hours: int, random: np.random.Generator) -> np.ndarray:
    """Return the requests of every hour, with a daily cycle."""
    wave = 1 + 0.5 * np.sin(2 * np.pi * (np.arange(hours) - 9) / 24)
    counts = random.poisson(app.per_hour * wave)
    counts[: app.begins] = 0
    return np.asarray(counts)


def _kept(app: App, requests: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the traced calls of every hour."""
    if app.platform == "lambda" and app.kept is None:  # one per second, and 5% of the others
        seconds = np.array([len(np.unique(random.integers(0, HOUR, count))) for count in requests])
        kept = seconds + random.binomial(requests - seconds, 0.05)
        return _damaged(app, kept, random)
    share = app.rate if app.kept is None else app.kept
    kept = random.binomial(requests, min(share, 1.0)) if share <= 1 else np.round(requests * share).astype(int)
    return _damaged(app, kept, random)


def _damaged(app: App, kept: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the traces that remain with the faults of the service."""
    if app.hole:
        first, last, loss = app.hole
        kept[first:last] = random.binomial(kept[first:last], 1 - loss)
    if app.ends is not None:
        kept[app.ends :] = 0
    return np.asarray(kept if app.recorded else 0 * kept)


_TYPES = {
    "lambda": "AWS::Lambda::Function",
    "ecs": "AWS::ECS::Container",
    "pod": "AWS::EKS::Container",
    "gateway": "AWS::ApiGateway::Stage",
    "instance": "AWS::EC2::Instance",
}


def _graph(world: World, start: int, requests: dict[str, Any], kept: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the service graph of every hour."""
    number = {app.name: at for at, app in enumerate(world.apps)}
    records = []
    for hour in range(world.hours):
        nodes = []
        for app in world.apps:
            if app.platform == "remote" or kept[app.name][hour]:
                count = int(kept[app.name][hour] if app.platform != "remote" else requests[app.name][hour] // 2)
                nodes.append(
                    {
                        "ReferenceId": number[app.name],
                        "Name": app.name,
                        "Type": _TYPES.get(app.platform, "remote"),
                        "Root": not app.callers,
                        "SummaryStatistics": {"TotalCount": count},
                        "Edges": [
                            {"ReferenceId": number[other.name], "SummaryStatistics": {"TotalCount": count}}
                            for other in world.apps
                            if app.name in other.callers
                        ],
                    }
                )
        low = start + hour * HOUR
        period = {"StartTime": _time(low), "EndTime": _time(low + HOUR)}
        records.append({"operation": "xray:GetServiceGraph", "request": period, "answer": {"Services": nodes}})
    return records


def _documents(world: World, random: np.random.Generator) -> list[dict[str, Any]]:
    """Return some traces of the last hours, reduced to ids and names."""
    senders = [app for app in world.apps if app.recorded and app.platform != "remote" and app.rate > 0]
    traces = []
    for number in range(world.traces if senders else 0):
        app = senders[number % len(senders)]
        trace_id = f"1-{END - 3600 - number:08x}-{random.integers(2**62):024x}"
        segment = {
            "id": f"{random.integers(2**62):016x}",
            "trace_id": trace_id,
            "name": app.name,
            "aws": {"xray": {"sdk": "X-Ray for Python", "sdk_version": "2.15.0"}},
        }
        segments = [segment]
        if random.random() < app.orphans:
            segment["parent_id"] = f"{random.integers(2**62):016x}"
        call = {"id": f"{random.integers(2**62):016x}", "name": "ledger", "namespace": "remote"}
        segment["subsegments"] = [call | {"http": {"request": {"traced": True}}}]
        if random.random() >= app.unanswered:
            segments.append(
                {
                    "id": f"{random.integers(2**62):016x}",
                    "trace_id": trace_id,
                    "name": "ledger",
                    "parent_id": call["id"],
                }
            )
        parts = [{"Id": one["id"], "Document": json.dumps(one, separators=(",", ":"))} for one in segments]
        traces.append({"Id": trace_id, "LimitExceeded": False, "Segments": parts})
    period = {"StartTime": _time(END - 6 * HOUR), "EndTime": _time(END), "TimeRangeType": "Event", "Sampling": False}
    found = {"TraceSummaries": [{"Id": trace["Id"]} for trace in traces]}
    records = [{"operation": "xray:GetTraceSummaries", "request": period, "answer": found}]
    for low in range(0, len(traces), 5):
        ids = [trace["Id"] for trace in traces[low : low + 5]]
        answer = {"Traces": traces[low : low + 5], "UnprocessedTraceIds": []}
        records.append({"operation": "xray:BatchGetTraces", "request": {"TraceIds": ids}, "answer": answer})
    return records


def _settings(world: World) -> list[dict[str, Any]]:
    """Return rules, statistics, indexing, destination and groups."""
    rules = [
        (f"rule-{app.name}", app.rate, 0, app.name) for app in world.apps if app.own_rule and app.platform != "lambda"
    ]
    records = []
    for priority, (name, rate, quota, service) in enumerate([*rules, DEFAULT_RULE], 1):
        body = {
            "RuleName": name,
            "Priority": 10_000 if name == "Default" else priority,
            "FixedRate": rate,
            "ReservoirSize": quota,
            "ServiceName": service,
            "ServiceType": "*",
            "Host": "*",
            "HTTPMethod": "*",
            "URLPath": "*",
            "ResourceARN": "*",
            "Version": 1,
            "Attributes": {},
        }
        records.append({"SamplingRule": body, "CreatedAt": _time(0), "ModifiedAt": _time(0)})
    indexing = {"DesiredSamplingPercentage": world.indexed, "ActualSamplingPercentage": world.indexed}
    listed = {
        "xray:GetSamplingRules": {"SamplingRuleRecords": records},
        "xray:GetSamplingStatisticSummaries": {"SamplingStatisticSummaries": []},
        "xray:GetIndexingRules": {"IndexingRules": [{"Name": "Default", "Rule": {"Probabilistic": indexing}}]},
        "xray:GetTraceSegmentDestination": {"Destination": world.destination, "Status": "ACTIVE"},
        "xray:GetGroups": {"Groups": [{"GroupName": n, "FilterExpression": e} for n, e in world.groups]},
    }
    return [{"operation": name, "request": {}, "answer": answer} for name, answer in listed.items()]


def _functions(world: World, start: int) -> list[dict[str, Any]]:
    """Return the functions."""
    functions = [
        {
            "FunctionName": app.name,
            "FunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{app.name}",
            "Role": _role(app),
            "TracingConfig": {"Mode": app.mode},
            "PackageType": app.package,
            "Layers": [{"Arn": f"arn:aws:lambda:{REGION}:615299751070:layer:{layer}"} for layer in app.layers],
            "Environment": {"Variables": app.environment},
            "LastModified": _time(start - 90 * 24 * HOUR),
        }
        for app in world.apps
        if app.platform == "lambda"
    ]
    return [{"operation": "lambda:ListFunctions", "request": {}, "answer": {"Functions": functions}}]


def _role(app: App) -> str:
    """Return the role of a service."""
    return f"arn:aws:iam::{ACCOUNT}:role/{app.name}"


def _target(app: App) -> str:
    """Return the target group of a service."""
    return f"targetgroup/{app.name}/0123456789abcdef"


def _arn(kind: str, name: str) -> str:
    """Return an ECS ARN."""
    return f"arn:aws:ecs:{REGION}:{ACCOUNT}:{kind}/{name}"


def _containers(world: World, start: int) -> list[dict[str, Any]]:
    """Return cluster, services, tasks and task definitions."""
    apps = [app for app in world.apps if app.platform == "ecs"]
    cluster = _arn("cluster", "shop")
    arns = [_arn("service", f"shop/{app.name}") for app in apps]
    records = [
        {"operation": "ecs:ListClusters", "request": {}, "answer": {"clusterArns": [cluster]}},
        {"operation": "ecs:ListServices", "request": {"cluster": cluster}, "answer": {"serviceArns": arns}},
    ]
    services = [
        {
            "serviceName": app.name,
            "clusterArn": cluster,
            "taskDefinition": _arn("task-definition", f"{app.name}:3"),
            "desiredCount": app.tasks,
            "runningCount": app.tasks,
            "schedulingStrategy": "REPLICA",
            "createdAt": _time(start + app.begins * HOUR if app.is_new else start - 200 * 24 * HOUR),
            "deployments": [],
            "loadBalancers": [{"targetGroupArn": f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:{_target(app)}"}],
            "networkConfiguration": {"awsvpcConfiguration": {"subnets": list(app.subnets)}},
        }
        for app in apps
    ]
    for low in range(0, len(arns), 10):
        request = {"cluster": cluster, "services": arns[low : low + 10]}
        records.append(
            {"operation": "ecs:DescribeServices", "request": request, "answer": {"services": services[low : low + 10]}}
        )
    for status in ("RUNNING", "STOPPED"):
        tasks = [task for app in apps for task in _tasks(app, cluster, status)]
        found = {"taskArns": [task["taskArn"] for task in tasks]}
        records.append(
            {"operation": "ecs:ListTasks", "request": {"cluster": cluster, "desiredStatus": status}, "answer": found}
        )
        if tasks:
            request = {"cluster": cluster, "tasks": found["taskArns"]}
            records.append({"operation": "ecs:DescribeTasks", "request": request, "answer": {"tasks": tasks}})
    for app in apps:
        images = [{"name": "app", "image": f"shop/{app.name}:1", "environment": _pairs(app)}]
        images += [{"name": "collector", "image": app.collector}] if app.collector else []
        arn = _arn("task-definition", f"{app.name}:3")
        body = {"taskDefinitionArn": arn, "taskRoleArn": _role(app), "containerDefinitions": images}
        records.append(
            {
                "operation": "ecs:DescribeTaskDefinition",
                "request": {"taskDefinition": arn},
                "answer": {"taskDefinition": body},
            }
        )
    return records


def _pairs(app: App) -> list[dict[str, str]]:
    """Return the environment variables of a container."""
    return [{"name": name, "value": value} for name, value in app.environment.items()]


def _tasks(app: App, cluster: str, status: str) -> list[dict[str, Any]]:
    """Return the running or the stopped tasks of a service."""
    up = app.tasks if app.collectors_up is None else app.collectors_up
    tasks = []
    for number in range(app.tasks if status == "RUNNING" else app.crashes):
        containers: list[dict[str, Any]] = [{"name": "app", "lastStatus": status}]
        if app.collector and status == "RUNNING":
            state = "RUNNING" if number < up else "STOPPED"
            containers.append({"name": "collector", "lastStatus": state, "healthStatus": app.health})
        elif app.collector:
            why = {"exitCode": 137, "reason": "OutOfMemoryError: container killed due to memory usage"}
            containers.append({"name": "collector", "lastStatus": "STOPPED", **why})
        arn = _arn("task", f"shop/{app.name}-{status.lower()}-{number}")
        tasks.append(
            {
                "taskArn": arn,
                "clusterArn": cluster,
                "group": f"service:{app.name}",
                "lastStatus": status,
                "containers": containers,
            }
        )
    return tasks


def _metrics(world: World, start: int, requests: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the request counts of CloudWatch."""
    records, listed, results = [], [], []
    for namespace, metric, platform in (
        ("AWS/Lambda", "Invocations", "lambda"),
        ("AWS/ApplicationELB", "RequestCount", "ecs pod"),
        ("AWS/ApiGateway", "Count", "gateway"),
    ):
        apps = [app for app in world.apps if app.platform in platform.split()]
        found = []
        for app in apps:
            label, dimensions = _counted(app)
            found.append({"Namespace": namespace, "MetricName": metric, "Dimensions": dimensions})
            hours = np.flatnonzero(requests[app.name])
            results.append(
                {
                    "Id": f"m{len(results)}",
                    "Label": label,
                    "StatusCode": "Complete",
                    "Timestamps": [_time(start + int(hour) * HOUR) for hour in hours],
                    "Values": [float(requests[app.name][hour]) for hour in hours],
                }
            )
        listed += found
        request = {"Namespace": namespace, "MetricName": metric}
        records.append({"operation": "cloudwatch:ListMetrics", "request": request, "answer": {"Metrics": found}})
    if listed:
        period = {"StartTime": _time(start), "EndTime": _time(END)}
        records.append(
            {"operation": "cloudwatch:GetMetricData", "request": period, "answer": {"MetricDataResults": results}}
        )
    return records


def _counted(app: App) -> tuple[str, list[dict[str, str]]]:
    """Return label and dimensions of the request metric of a service."""
    if app.platform == "gateway":
        api, _, stage = app.name.partition("/")
        return f"api/{app.name}", [{"Name": "ApiName", "Value": api}, {"Name": "Stage", "Value": stage}]
    if app.platform == "lambda":
        return app.name, [{"Name": "FunctionName", "Value": app.name}]
    target = audit_platforms.target_of(app) if app.platform == "pod" else _target(app)
    balancer = {"Name": "LoadBalancer", "Value": "app/shop/0123456789abcdef"}
    return target, [{"Name": "TargetGroup", "Value": target}, balancer]


def _changes(world: World, start: int) -> list[dict[str, Any]]:
    """Return the changes in CloudTrail."""
    events = []
    for app in world.apps:
        if app.is_new and app.platform == "lambda":
            events.append(("CreateFunction20150331", app, start + app.begins * HOUR, "pipeline"))
        if app.changed_at is not None:
            name = "UpdateFunctionConfiguration20150331v2" if app.platform == "lambda" else "UpdateService"
            events.append((name, app, start + app.changed_at * HOUR, "anna"))
    records = []
    for name in ("CreateFunction20150331", "UpdateFunctionConfiguration20150331v2", "UpdateService"):
        found = [
            {
                "EventName": name,
                "EventTime": _time(at),
                "Username": actor,
                "Resources": [{"ResourceName": app.name}],
            }
            for what, app, at, actor in events
            if what == name
        ]
        request = {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": name}]}
        records.append({"operation": "cloudtrail:LookupEvents", "request": request, "answer": {"Events": found}})
    return records


def _closing(world: World) -> list[dict[str, Any]]:
    """Return the write permissions of roles, and the network path of subnets to X-Ray."""
    records = []
    roles = {_role(app): app.refused for app in world.apps if app.platform in {"lambda", "ecs"}}
    roles |= {f"arn:aws:iam::{ACCOUNT}:role/collector": app.refused for app in world.apps if app.platform == "pod"}
    for role, refused in roles.items():
        actions = ("xray:PutTraceSegments", "xray:PutTelemetryRecords")
        decisions = {a: "implicitDeny" if a in refused else "allowed" for a in actions}
        results = [{"EvalActionName": action, "EvalDecision": decision} for action, decision in decisions.items()]
        request = {"PolicySourceArn": role, "ActionNames": list(actions)}
        records.append(
            {
                "operation": "iam:SimulatePrincipalPolicy",
                "request": request,
                "answer": {"EvaluationResults": results},
            }
        )
    subnets = [{"SubnetId": "subnet-open", "VpcId": "vpc-1"}, {"SubnetId": "subnet-shut", "VpcId": "vpc-2"}]
    tables = [
        {
            "VpcId": "vpc-1",
            "Associations": [{"Main": True}],
            "Routes": [{"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1", "State": "active"}],
        },
        {
            "VpcId": "vpc-2",
            "Associations": [{"SubnetId": "subnet-shut"}],
            "Routes": [{"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "State": "active"}],
        },
    ]
    listed = {
        "ec2:DescribeSubnets": {"Subnets": subnets},
        "ec2:DescribeRouteTables": {"RouteTables": tables},
        "ec2:DescribeVpcEndpoints": {"VpcEndpoints": []},
    }
    return records + [{"operation": name, "request": {}, "answer": answer} for name, answer in listed.items()]
