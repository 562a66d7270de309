"""Blocks of X-Ray segments as attributes: the attribute key of each field.

Every function takes ``kv`` of the builder and a JSON object and returns attribute codes; nothing is left out: a member
without a key of its own is kept under the name of its block.

====================  ==============================================================================================
block                 becomes
====================  ==============================================================================================
``http``              ``http.request.method``, ``url.full``, ``user_agent.original``, ``client.address``,
                      ``http.response.status_code``, ``http.response.body.size``; ``aws.xray.traced``
``aws`` (caller)      ``aws.operation``, ``aws.request_id``, ``cloud.region``, ``cloud.account.id``;
                      ``db.collection.name``, ``messaging.destination.name``, ``aws.s3.bucket``; else ``aws.<member>``
``aws`` (segment)     resource: ``host.*``, ``container.*``, ``aws.ecs.*``, ``k8s.*``, ``telemetry.sdk.*``,
                      ``deployment.*``, ``cloud.*``
``sql``               ``db.system.name``, ``db.query.text``, ``db.namespace``, ``db.user``;
                      else ``aws.xray.sql.<member>``
``annotations``       their own key, origin ``annotation``, indexed
``metadata``          their own key, origin ``metadata``, with its namespace;
                      written by OpenTelemetry: plain attributes
``service``           resource: ``service.version``, ``process.runtime.*``; else ``aws.xray.service.<member>``
====================  ==============================================================================================
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tracekit.schema import Origin

if TYPE_CHECKING:
    from collections.abc import Callable

_REQUEST = {
    "method": "http.request.method",
    "url": "url.full",
    "user_agent": "user_agent.original",
    "client_ip": "client.address",
    "traced": "aws.xray.traced",
    "x_forwarded_for": "aws.xray.x_forwarded_for",
}
_RESPONSE = {"status": "http.response.status_code", "content_length": "http.response.body.size"}
_CALL = {
    "operation": "aws.operation",
    "region": "cloud.region",
    "account_id": "cloud.account.id",
    "queue_url": "aws.sqs.queue.url",
    "topic_arn": "aws.sns.topic.arn",
    "bucket_name": "aws.s3.bucket",
    "table_name": "db.collection.name",
    "table_names": "aws.dynamodb.table_names",
}
_HOST: dict[str, dict[str, str]] = {
    "ec2": {
        "instance_id": "host.id",
        "instance_size": "host.type",
        "ami_id": "host.image.id",
        "availability_zone": "cloud.availability_zone",
    },
    "ecs": {
        "container": "container.name",
        "container_id": "container.id",
        "container_arn": "aws.ecs.container.arn",
        "task_arn": "aws.ecs.task.arn",
        "task_family": "aws.ecs.task.family",
        "cluster_arn": "aws.ecs.cluster.arn",
        "launch_type": "aws.ecs.launchtype",
        "availability_zone": "cloud.availability_zone",
    },
    "eks": {"cluster_name": "k8s.cluster.name", "pod": "k8s.pod.name", "container_id": "container.id"},
    "elastic_beanstalk": {
        "environment_name": "deployment.environment.name",
        "version_label": "service.version",
        "deployment_id": "deployment.id",
    },
    "xray": {"sdk": "telemetry.sdk.name", "sdk_version": "telemetry.sdk.version"},
}
_RESOURCE = {"account_id": "cloud.account.id", "function_arn": "cloud.resource_id"}
_SERVICE = {
    "version": "service.version",
    "runtime": "process.runtime.name",
    "runtime_version": "process.runtime.version",
}
_PLATFORMS = {
    "AWS::EC2": "aws_ec2",
    "AWS::ECS": "aws_ecs",
    "AWS::EKS": "aws_eks",
    "AWS::Lambda": "aws_lambda",
    "AWS::ElasticBeanstalk": "aws_elastic_beanstalk",
    "AWS::AppRunner": "aws_app_runner",
}
_OTEL_RESOURCE = "otel.resource."


def http(kv: Callable[..., int], block: dict[str, Any]) -> list[int]:
    """Return the attributes of an ``http`` block; a content length of -1 means unknown."""
    codes: list[int] = []
    for side, keys in (("request", _REQUEST), ("response", _RESPONSE)):
        content = block.get(side)
        if isinstance(content, dict):
            for member, value in content.items():
                plain = _whole(value) if keys is _RESPONSE else value
                if plain != -1 or member != "content_length":
                    codes.append(kv(keys.get(member) or f"http.{side}.{member}", plain, Origin.HTTP))
        elif content is not None:
            codes.append(kv(f"http.{side}", content, Origin.HTTP))
    codes += [kv(f"http.{key}", value, Origin.HTTP) for key, value in block.items() if key not in _SIDES]
    return codes


_SIDES = frozenset({"request", "response"})


def _whole(value: Any) -> Any:
    """Return digits as an integer, anything else unchanged."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value) else value


def call(kv: Callable[..., int], member: str, value: Any) -> list[int]:
    """Return the attributes of one field of the ``aws`` block of a subsegment or inferred segment."""
    if member == "xray" and isinstance(value, dict):
        return [kv(f"aws.xray.{key}", content, Origin.AWS) for key, content in value.items()]
    own = kv(_CALL.get(member) or f"aws.{member}", value, Origin.AWS)
    return [own, *(kv(key, content, Origin.DERIVED) for key, content in _target(member, value))]


def _target(member: str, value: Any) -> list[tuple[str, str]]:
    """Return the callee's attributes by the semantic conventions for databases and messaging."""
    if member in {"table_name", "table_names"}:
        only = value[:1] if isinstance(value, list) and len(value) == 1 else []
        return [("db.system.name", "aws.dynamodb"), *(("db.collection.name", str(table)) for table in only)]
    if member == "queue_url" and isinstance(value, str):
        return [("messaging.system", "aws_sqs"), ("messaging.destination.name", value.rpartition("/")[2])]
    if member == "topic_arn" and isinstance(value, str):
        return [("messaging.system", "aws_sns"), ("messaging.destination.name", value.rpartition(":")[2])]
    return []


def host(block: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (resource attributes by key, the other fields) of the ``aws`` block of a segment."""
    facts: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for member, value in block.items():
        keys = _HOST.get(member)
        if keys is not None and isinstance(value, dict):
            for name, content in value.items():
                _first(facts, keys.get(name), f"aws.{member}.{name}", content)
        elif member in _RESOURCE:
            facts[_RESOURCE[member]] = value
        elif member == "cloudwatch_logs" and isinstance(value, list):
            facts |= _log_groups(value)
        else:
            rest[member] = value
    return facts, rest


def _first(facts: dict[str, Any], key: str | None, other: str, value: Any) -> None:
    """Store a value under its key, or under the other key if that is taken."""
    facts[other if key is None or key in facts else key] = value


def _log_groups(groups: list[Any]) -> dict[str, Any]:
    """Return the log groups of a segment by the semantic conventions."""
    facts: dict[str, Any] = {}
    for member, key in (("log_group", "aws.log.group.names"), ("arn", "aws.log.group.arns")):
        found = [group[member] for group in groups if isinstance(group, dict) and member in group]
        if found:
            facts[key] = found
    return facts


def service(block: dict[str, Any]) -> dict[str, Any]:
    """Return the resource attributes of a ``service`` block."""
    return {_SERVICE.get(member) or f"aws.xray.service.{member}": value for member, value in block.items()}


def origin(name: str | None, arn: str | None) -> list[tuple[str, str]]:
    """Return the resource attributes from a segment's origin and ARN."""
    platform = _PLATFORMS.get("::".join((name or "").split("::")[:2]), "")
    pairs = [("aws.xray.origin", name), ("cloud.platform", platform), ("aws.xray.resource_arn", arn)]
    return [(key, value) for key, value in pairs if value]


def indexed(kv: Callable[..., int], block: dict[str, Any]) -> list[int]:
    """Return annotations as indexed attributes."""
    return [kv(key, value, Origin.ANNOTATION, "", True) for key, value in block.items()]  # noqa: FBT003 - hot path


def metadata(kv: Callable[..., int], block: dict[str, Any]) -> list[int]:
    """Return metadata as attributes with their namespace."""
    codes = []
    for namespace, content in block.items():
        values = content if isinstance(content, dict) else {namespace: content}
        codes += [kv(key, value, Origin.METADATA, namespace) for key, value in values.items()]
    return codes


def otel_metadata(kv: Callable[..., int], block: dict[str, Any]) -> list[int]:
    """Return the attributes of OpenTelemetry's metadata: the namespace ``default`` contains plain attributes."""
    default = block.get("default")
    if not isinstance(default, dict):
        return metadata(kv, block)
    own = [kv(key, value) for key, value in default.items()]
    return own + metadata(kv, {key: content for key, content in block.items() if key != "default"})


def otel_resource(block: dict[str, Any]) -> dict[str, Any]:
    """Remove the resource attributes of OpenTelemetry's exporter from the metadata, and return them."""
    content = block.get("default")
    if not isinstance(content, dict):
        return {}
    mine = [key for key in content if key.startswith(_OTEL_RESOURCE)]
    return {key.removeprefix(_OTEL_RESOURCE): content.pop(key) for key in mine}
