"""What AWS answered, one record a call: asked live or read from a folder, an audit sees the same."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DENIED = "denied"
KUBECTL = "kubectl:get"  # not of AWS: what somebody saved of the API server of a cluster
LOGS = "collector:log"  # likewise: lines that a collector wrote
_TOLD = ("AWS_XRAY_", "OTEL_", "AWS_LAMBDA_EXEC_WRAPPER", "AWS_ROLE_ARN")  # variables that say how tracing is set up
_SECRET = ("HEADERS", "TOKEN", "PASSWORD", "SECRET", "CERTIFICATE", "CLIENT_KEY")
_LEFT_OUT = {  # say nothing, may tell much
    "AccessKeyId",
    "CloudTrailEvent",
    "ResponseMetadata",
    "certificateAuthority",
    "command",
    "configurationValues",
    "connectorConfig",
    "description",
    "entryPoint",
    "methodSettings",
    "policy",
    "previousRevision",
    "revision",
    "stageVariableOverrides",
    "tags",
    "Tags",
    "variables",
}
HIDDEN = "***"


class Operation(NamedTuple):
    """A read operation: service and method as boto3 names them, what an answer must hold, how its pages go on.

    ``permission`` is the action of IAM where that has another name.
    """

    service: str
    method: str
    holds: str
    token_in: str = "NextToken"  # noqa: S105 - the name of a parameter
    token_out: str = "NextToken"  # noqa: S105 - the name of a member
    permission: str = ""


def _small(service: str, method: str, holds: str) -> Operation:
    """Return an operation of a service whose tokens begin with a small letter."""
    return Operation(service, method, holds, "nextToken", "nextToken")


def _ecs(method: str, holds: str) -> Operation:
    """Return an operation of ECS."""
    return _small("ecs", method, holds)


_GATEWAY = "apigateway:GET"


OPERATIONS: dict[str, Operation] = {
    "xray:GetServiceGraph": Operation("xray", "get_service_graph", "Services"),
    "xray:GetTraceSummaries": Operation("xray", "get_trace_summaries", "TraceSummaries"),
    "xray:BatchGetTraces": Operation("xray", "batch_get_traces", "Traces"),
    "xray:GetSamplingRules": Operation("xray", "get_sampling_rules", "SamplingRuleRecords"),
    "xray:GetSamplingStatisticSummaries": Operation(
        "xray", "get_sampling_statistic_summaries", "SamplingStatisticSummaries"
    ),
    "xray:GetIndexingRules": Operation("xray", "get_indexing_rules", "IndexingRules"),
    "xray:GetTraceSegmentDestination": Operation("xray", "get_trace_segment_destination", "Destination"),
    "xray:GetGroups": Operation("xray", "get_groups", "Groups"),
    "lambda:ListFunctions": Operation("lambda", "list_functions", "Functions", "Marker", "NextMarker"),
    "lambda:ListVersionsByFunction": Operation(
        "lambda", "list_versions_by_function", "Versions", "Marker", "NextMarker"
    ),
    "ecs:ListClusters": _ecs("list_clusters", "clusterArns"),
    "ecs:ListServices": _ecs("list_services", "serviceArns"),
    "ecs:DescribeServices": _ecs("describe_services", "services"),
    "ecs:DescribeTaskDefinition": _ecs("describe_task_definition", "taskDefinition"),
    "ecs:ListTasks": _ecs("list_tasks", "taskArns"),
    "ecs:DescribeTasks": _ecs("describe_tasks", "tasks"),
    "ecs:ListServiceDeployments": _ecs("list_service_deployments", "serviceDeployments"),
    "eks:ListClusters": _small("eks", "list_clusters", "clusters"),
    "eks:DescribeCluster": _small("eks", "describe_cluster", "cluster"),
    "eks:ListAddons": _small("eks", "list_addons", "addons"),
    "eks:DescribeAddon": _small("eks", "describe_addon", "addon"),
    "apigateway:GetRestApis": Operation(
        "apigateway", "get_rest_apis", "items", "position", "position", permission=_GATEWAY
    ),
    "apigateway:GetStages": Operation("apigateway", "get_stages", "item", permission=_GATEWAY),
    "apigatewayv2:GetApis": Operation("apigatewayv2", "get_apis", "Items", permission=_GATEWAY),
    "codedeploy:ListDeployments": _small("codedeploy", "list_deployments", "deployments"),
    "codedeploy:BatchGetDeployments": _small("codedeploy", "batch_get_deployments", "deploymentsInfo"),
    "codedeploy:BatchGetDeploymentGroups": _small("codedeploy", "batch_get_deployment_groups", "deploymentGroupsInfo"),
    "cloudwatch:ListMetrics": Operation("cloudwatch", "list_metrics", "Metrics"),
    "cloudwatch:GetMetricData": Operation("cloudwatch", "get_metric_data", "MetricDataResults"),
    "logs:FilterLogEvents": _small("logs", "filter_log_events", "events"),
    "cloudtrail:LookupEvents": Operation("cloudtrail", "lookup_events", "Events"),
    "iam:SimulatePrincipalPolicy": Operation(
        "iam", "simulate_principal_policy", "EvaluationResults", "Marker", "Marker"
    ),
    "ec2:DescribeSubnets": Operation("ec2", "describe_subnets", "Subnets"),
    "ec2:DescribeRouteTables": Operation("ec2", "describe_route_tables", "RouteTables"),
    "ec2:DescribeVpcEndpoints": Operation("ec2", "describe_vpc_endpoints", "VpcEndpoints"),
}
"""All that an audit may ever call.  GetSamplingTargets is not here: it reports statistics, it does not read."""


UNREAD = "tracekit:Unread"
"""Stands for a line of saved answers that is none: its failure says which, and why."""


@dataclass(frozen=True)
class Answer:
    """One call and what came back.

    Parameters
    ----------
    operation
        As the permission is called: ``lambda:ListFunctions``.
    request
        Its parameters, times as text.
    content
        The members of all pages, lists joined; empty where the call failed.
    as_of
        When it was asked, UTC.
    failure
        Why there is no answer: ``denied``, or what AWS said; empty where there is one.

    Examples
    --------
    >>> Answer("xray:GetGroups", {}, {"Groups": []}, "2026-11-21T00:00:00+00:00").is_known
    True
    """

    operation: str
    request: dict[str, Any]
    content: dict[str, Any]
    as_of: str
    failure: str = ""

    @property
    def is_known(self) -> bool:
        """Whether AWS answered."""
        return not self.failure


@dataclass(frozen=True)
class Answers:
    """Everything an audit rests on.

    Parameters
    ----------
    region
        That was asked.
    start, end
        Seconds since the epoch: whole hours.
    records
        One a call, in the order asked.

    Examples
    --------
    >>> asked = Answers("eu-west-1", 0, 3600, [Answer("xray:GetGroups", {}, {"Groups": [{"GroupName": "slow"}]}, "")])
    >>> asked.items("xray:GetGroups")[0]["GroupName"], asked.items("lambda:ListFunctions") is None
    ('slow', True)
    """

    region: str
    start: int
    end: int
    records: list[Answer] = field(default_factory=list)

    @property
    def hours(self) -> int:
        """Windows of one hour."""
        return (self.end - self.start) // 3600

    def of(self, operation: str) -> list[Answer]:
        """Return the calls of an operation that were answered."""
        return [record for record in self.records if record.operation == operation and record.is_known]

    def asked(self, operation: str) -> list[Answer]:
        """Return the calls of an operation, answered or not."""
        return [record for record in self.records if record.operation == operation]

    def is_complete(self, operation: str) -> bool:
        """Return whether an operation was called and every call of it answered."""
        calls = self.asked(operation)
        return bool(calls) and all(call.is_known for call in calls)

    def items(self, operation: str) -> list[dict[str, Any]] | None:
        """Return what the answers of an operation list; None where it was not called, or not always answered."""
        if not self.is_complete(operation):
            return None
        holds = "items" if operation == KUBECTL else OPERATIONS[operation].holds
        return [item for call in self.of(operation) for item in call.content.get(holds) or ()]

    @property
    def hidden_clusters(self) -> list[str]:
        """Clusters of EKS of which nobody saved what runs in them; AWS itself does not tell."""
        clusters = [str(name) for name in self.items("eks:ListClusters") or ()]
        saved = [call.request.get("cluster") for call in self.of(KUBECTL)]
        if len(clusters) == len(saved) == 1:
            return []
        return [name for name in clusters if name not in saved]

    @property
    def has_containers(self) -> bool:
        """Whether everything that runs in containers was shown."""
        failed = any(call.failure for call in self.records if call.operation.startswith(("ecs:", "eks:")))
        known = self.is_complete("ecs:ListClusters") and self.is_complete("eks:ListClusters")
        return known and not failed and not self.hidden_clusters

    def without(self, operations: Iterable[str]) -> Answers:
        """Return the same without the calls of some operations."""
        left = set(operations)
        return Answers(
            self.region, self.start, self.end, [record for record in self.records if record.operation not in left]
        )

    def including(self, calls: Iterable[Answer]) -> Answers:
        """Return the same with more calls, which stand for those of the same operation and request."""
        new = list(calls)
        kept = [
            one
            for one in self.records
            if not any((c.operation, c.request) == (one.operation, one.request) for c in new)
        ]
        return Answers(self.region, self.start, self.end, [*kept, *new])

    def failures(self) -> Iterator[tuple[str, str]]:
        """Yield (operation, why) of what was not answered, each once; what was never asked among them."""
        for operation in OPERATIONS:
            calls = self.asked(operation)
            reasons = dict.fromkeys(call.failure for call in calls if call.failure)
            yield from ((operation, reason) for reason in reasons)
            if not calls:
                yield operation, "not asked"


def plain(value: Any) -> Any:
    """Return an answer of boto3 as JSON holds it: times as text in UTC, and the values of other variables hidden.

    Environments of functions and containers hold passwords: only what says how tracing is set up is kept.
    """
    text = json.dumps(value, default=_text)
    return json.loads(text, object_hook=_hidden)


def _text(value: Any) -> str:
    """Return a time in UTC, other things as text."""
    if hasattr(value, "astimezone"):
        from datetime import UTC  # noqa: PLC0415 - only for live answers

        return str(value.astimezone(UTC).isoformat())
    return str(value)


def _hidden(members: dict[str, Any]) -> dict[str, Any]:
    """Return an object without the values of variables that say nothing of tracing, and without _LEFT_OUT."""
    if isinstance(members.get("Variables"), dict):
        variables = members["Variables"]
        members["Variables"] = {name: value if _is_told(name) else HIDDEN for name, value in variables.items()}
    if isinstance(members.get("environment"), list):
        for pair in members["environment"]:
            if isinstance(pair, dict) and not _is_told(str(pair.get("name", ""))):
                pair["value"] = HIDDEN
    return {name: value for name, value in members.items() if name not in _LEFT_OUT}


def _is_told(name: str) -> bool:
    """Return whether a variable is kept."""
    return name.startswith(_TOLD) and not any(word in name.upper() for word in _SECRET)
