"""The answers of AWS, one per call; live and saved answers have the same form."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DENIED = "denied"
KUBECTL = "kubectl:get"  # saved output of kubectl, not an AWS operation
LOGS = "collector:log"  # a saved collector log, not an AWS operation
_TRACING_VARIABLES = (
    "AWS_XRAY_",
    "OTEL_",
    "AWS_LAMBDA_EXEC_WRAPPER",
    "AWS_ROLE_ARN",
)  # environment variables that configure tracing
_SECRET = ("HEADERS", "TOKEN", "PASSWORD", "SECRET", "CERTIFICATE", "CLIENT_KEY")
_LEFT_OUT = {  # not needed, possibly confidential
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
    """A read operation: its boto3 service and method, the required key of an answer, and the paging tokens.

    ``permission`` is the IAM action if its name differs from the operation's.
    """

    service: str
    method: str
    key: str
    token_in: str = "NextToken"  # noqa: S105 - the name of a parameter
    token_out: str = "NextToken"  # noqa: S105 - the name of a field
    permission: str = ""


def _small(service: str, method: str, key: str) -> Operation:
    """Return an operation of a service whose paging token is ``nextToken``."""
    return Operation(service, method, key, "nextToken", "nextToken")


def _ecs(method: str, key: str) -> Operation:
    """Return an operation of ECS."""
    return _small("ecs", method, key)


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
"""All operations that an audit may call; GetSamplingTargets is not one, as it writes statistics."""


UNREAD = "tracekit:Unread"
"""The operation of an invalid line of saved answers; its failure contains line and reason."""


@dataclass(frozen=True)
class Answer:
    """One call and its answer.

    Parameters
    ----------
    operation
        Service and operation: ``lambda:ListFunctions``.
    request
        Its parameters, times as text.
    content
        The fields of all pages, lists joined; empty if the call failed.
    as_of
        Time of the call, UTC.
    failure
        Why there is no answer: ``denied`` or the error of AWS; empty on success.

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
        """Whether the call succeeded."""
        return not self.failure


@dataclass(frozen=True)
class Answers:
    """All answers of an audit.

    Parameters
    ----------
    region
        The AWS region.
    start, end
        The period, in seconds since the epoch: whole hours.
    records
        One per call, in call order.

    Examples
    --------
    >>> answers = Answers("eu-west-1", 0, 3600, [Answer("xray:GetGroups", {}, {"Groups": [{"GroupName": "slow"}]}, "")])
    >>> answers.items("xray:GetGroups")[0]["GroupName"], answers.items("lambda:ListFunctions") is None
    ('slow', True)
    """

    region: str
    start: int
    end: int
    records: list[Answer] = field(default_factory=list)

    @property
    def hours(self) -> int:
        """Length of the period in hours."""
        return (self.end - self.start) // 3600

    def of(self, operation: str) -> list[Answer]:
        """Return the successful calls of an operation."""
        return [record for record in self.records if record.operation == operation and record.is_known]

    def calls_of(self, operation: str) -> list[Answer]:
        """Return all calls of an operation."""
        return [record for record in self.records if record.operation == operation]

    def is_complete(self, operation: str) -> bool:
        """Return whether an operation was called and every call succeeded."""
        calls = self.calls_of(operation)
        return bool(calls) and all(call.is_known for call in calls)

    def items(self, operation: str) -> list[dict[str, Any]] | None:
        """Return the items that an operation listed, or None if it was not called or a call failed."""
        if not self.is_complete(operation):
            return None
        key = "items" if operation == KUBECTL else OPERATIONS[operation].key
        return [item for call in self.of(operation) for item in call.content.get(key) or ()]

    @property
    def hidden_clusters(self) -> list[str]:
        """EKS clusters without saved kubectl output; AWS does not report their pods."""
        clusters = [str(name) for name in self.items("eks:ListClusters") or ()]
        saved = [call.request.get("cluster") for call in self.of(KUBECTL)]
        if len(clusters) == len(saved) == 1:
            return []
        return [name for name in clusters if name not in saved]

    @property
    def has_containers(self) -> bool:
        """Whether all container workloads are known."""
        failed = any(call.failure for call in self.records if call.operation.startswith(("ecs:", "eks:")))
        known = self.is_complete("ecs:ListClusters") and self.is_complete("eks:ListClusters")
        return known and not failed and not self.hidden_clusters

    def without(self, operations: Iterable[str]) -> Answers:
        """Return the answers without those of some operations."""
        left = set(operations)
        return Answers(
            self.region, self.start, self.end, [record for record in self.records if record.operation not in left]
        )

    def including(self, calls: Iterable[Answer]) -> Answers:
        """Return the answers with more calls, which replace those with the same operation and request."""
        new = list(calls)
        kept = [
            one
            for one in self.records
            if not any((c.operation, c.request) == (one.operation, one.request) for c in new)
        ]
        return Answers(self.region, self.start, self.end, [*kept, *new])

    def failures(self) -> Iterator[tuple[str, str]]:
        """Yield (operation, reason) of each operation that failed or was not called."""
        for operation in OPERATIONS:
            calls = self.calls_of(operation)
            reasons = dict.fromkeys(call.failure for call in calls if call.failure)
            yield from ((operation, reason) for reason in reasons)
            if not calls:
                yield operation, "not called"


def plain(value: Any) -> Any:
    """Return an answer of boto3 as JSON values, with times as UTC text and secrets removed.

    Environments of functions and containers contain passwords: only variables that configure tracing are kept.
    """
    text = json.dumps(value, default=_text)
    return json.loads(text, object_hook=_redacted)


def _text(value: Any) -> str:
    """Return a time in UTC, or another value as text."""
    if hasattr(value, "astimezone"):
        from datetime import UTC  # noqa: PLC0415 - only for live answers

        return str(value.astimezone(UTC).isoformat())
    return str(value)


def _redacted(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON object without confidential fields, and with other variables redacted."""
    if isinstance(fields.get("Variables"), dict):
        variables = fields["Variables"]
        fields["Variables"] = {
            name: value if _is_tracing_variable(name) else HIDDEN for name, value in variables.items()
        }
    if isinstance(fields.get("environment"), list):
        for pair in fields["environment"]:
            if isinstance(pair, dict) and not _is_tracing_variable(str(pair.get("name", ""))):
                pair["value"] = HIDDEN
    return {name: value for name, value in fields.items() if name not in _LEFT_OUT}


def _is_tracing_variable(name: str) -> bool:
    """Return whether a variable configures tracing and is no secret."""
    return name.startswith(_TRACING_VARIABLES) and not any(word in name.upper() for word in _SECRET)
