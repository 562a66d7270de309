"""The AWS read operations that tracekit may call, with their permissions and paging."""

from __future__ import annotations

from typing import NamedTuple


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
