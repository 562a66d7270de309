"""Steps 3 and 7: ECS services, their collectors, and the health of these."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracekit.aws.audit.answers import Answers
    from tracekit.aws.audit.service_record import ServiceRecord, ServiceRecords
    from tracekit.aws.reader import Answer

_IMAGE = re.compile(r"xray-daemon|aws-otel-collector|adot|otel.*collector|opentelemetry-collector|cloudwatch-agent")
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT", "AWS_XRAY_DAEMON_ADDRESS")
_LOCAL_HOSTS = {"localhost", "127.0.0.1", "0.0.0.0", "::1", ""}  # noqa: S104 - compared, never bound
_OFF = {
    ("AWS_XRAY_SDK_ENABLED", "false"),
    ("OTEL_SDK_DISABLED", "true"),
    ("OTEL_TRACES_EXPORTER", "none"),
    ("OTEL_TRACES_SAMPLER", "always_off"),
    ("AWS_XRAY_TRACING_ENABLED", "false"),
}
_NAMES = ("OTEL_SERVICE_NAME", "AWS_XRAY_TRACING_NAME")
DAEMON_NOTE = (
    "the X-Ray daemon has been in maintenance mode since 2026-02-25: use the ADOT collector or the CloudWatch agent"
)
SERVICES, DEFINITION, TASKS = "ecs:DescribeServices", "ecs:DescribeTaskDefinition", "ecs:DescribeTasks"


def read_containers(records: ServiceRecords, answers: Answers) -> dict[str, str]:
    """Add facts about ECS services and return the services by target group."""
    definitions = {call.content["taskDefinition"]["taskDefinitionArn"]: call for call in answers.of(DEFINITION)}
    services = [(call, service) for call in answers.of(SERVICES) for service in call.content["services"]]
    gateways = {
        service["clusterArn"]: service
        for _, service in services
        if (found := definitions.get(service["taskDefinition"])) and _is_collector_only(found)
    }
    targets: dict[str, str] = {}
    for call, service in services:
        definition = definitions.get(service["taskDefinition"])
        if definition is not None and _is_collector_only(definition):
            continue
        environment = environment_of(_containers(definition)) if definition else {}
        record = records.of(traced_name(environment) or service["serviceName"])
        _read_service(record, service, call)
        if definition is not None:
            complete = all(map(answers.is_complete, (SERVICES, "ecs:ListServices")))
            _collector(record, definition, environment, gateways.get(service["clusterArn"]), complete=complete)
            record.add(9, "role", definition.content["taskDefinition"].get("taskRoleArn"), definition)
        _health(record, service, answers)
        arns = filter(None, (balancer.get("targetGroupArn") for balancer in service.get("loadBalancers", ())))
        targets |= {arn.rpartition(":")[2]: record.name for arn in arns}
    return targets


def _read_service(record: ServiceRecord, service: dict[str, Any], call: Answer) -> None:
    """Add the deployments and subnets of an ECS service."""
    about = _excerpt(service, "serviceName", "taskDefinition", "desiredCount", "runningCount")
    record.add(3, "platform", "container", call, about)
    record.add(3, "ecs_service", service["serviceName"], call, about)
    record.add(6, "deployed", [_deployment(one) for one in service.get("deployments", ())], call)
    record.add(6, "created", service.get("createdAt"), call, {"createdAt": service.get("createdAt")})
    subnets = ((service.get("networkConfiguration") or {}).get("awsvpcConfiguration") or {}).get("subnets")
    record.add(9, "subnets", subnets, call, subnets)


def _containers(definition: Answer) -> list[dict[str, Any]]:
    """Return the containers of a task definition."""
    return list(definition.content["taskDefinition"].get("containerDefinitions", ()))


def is_collector(container: dict[str, Any]) -> bool:
    """Return whether a container is a trace collector, judged by its image."""
    return bool(_IMAGE.search(str(container.get("image", "")).lower()))


def _is_collector_only(definition: Answer) -> bool:
    """Return whether all containers of a task are collectors."""
    containers = _containers(definition)
    return bool(containers) and all(map(is_collector, containers))


def environment_of(containers: list[dict[str, Any]]) -> dict[str, str]:
    """Return the environment variables of all containers except collectors."""
    return {
        pair["name"]: str(pair.get("value", ""))
        for container in containers
        if not is_collector(container)
        for pair in container.get("environment", ())
    }


def traced_name(environment: dict[str, str]) -> str:
    """Return the service name configured for traces, or an empty text."""
    resource = dict(
        part.split("=", 1) for part in environment.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",") if "=" in part
    )
    return next((environment[name] for name in _NAMES if environment.get(name)), resource.get("service.name", ""))


def switched_off(environment: dict[str, str]) -> str:
    """Return the variables that disable tracing."""
    return ", ".join(f"{name}={value}" for name, value in environment.items() if (name, value.lower()) in _OFF)


def export_endpoint(environment: dict[str, str]) -> tuple[str | None, str]:
    """Return the export endpoint of a service, and its host if that is remote."""
    endpoints = [environment[name] for name in _ENDPOINTS if environment.get(name)]
    remote = next((address for address in endpoints if _host(address) not in _LOCAL_HOSTS), None)
    return (remote, _host(remote)) if remote else (endpoints[0] if endpoints else None, "")


def _collector(
    record: ServiceRecord,
    definition: Answer,
    environment: dict[str, str],
    gateway: dict[str, Any] | None,
    *,
    complete: bool,
) -> None:
    """Add facts about the collector of a task, and whether tracing is disabled."""
    about = definition.content["taskDefinition"]
    record.add(3, "task_definition", about["taskDefinitionArn"].rpartition("/")[2], definition)
    record.add(1, "tracing_disabled", switched_off(environment) or False, definition, environment)
    endpoint, host = export_endpoint(environment)
    record.add(3, "endpoint", endpoint, definition)
    sidecars = [container for container in _containers(definition) if is_collector(container)]
    images = [{"name": one["name"], "image": one.get("image")} for one in _containers(definition)]
    if sidecars:
        record.add(3, "collector", "sidecar", definition, images)
        record.add(3, "collector_name", sidecars[0]["name"], definition)
        image = str(sidecars[0].get("image"))
        note = DAEMON_NOTE if "xray-daemon" in image else ""
        record.add(3, "collector_image", image, definition, image, note)
    elif host:
        record.add(
            3, "collector", "remote", definition, {"endpoint": endpoint}, "not in the task: its health is unknown"
        )
    elif gateway is not None:
        record.add(3, "collector", "service", definition, gateway.get("serviceName"))
        record.add(3, "collector_image", gateway.get("serviceName"), definition)
        record.add(7, "collector_running", (gateway.get("runningCount", 0), gateway.get("desiredCount", 0)), definition)
    elif complete:
        record.add(3, "collector", "none", definition, images)


def _host(address: str) -> str:
    """Return the host of an address such as http://host:4318 or host:2000."""
    text = address.rpartition(" ")[2].removeprefix("udp:").removeprefix("tcp:")
    return urlsplit(text if "//" in text else f"//{text}").hostname or ""


def _deployment(one: dict[str, Any]) -> dict[str, Any]:
    """Return the time, status and task definition of a deployment."""
    return _excerpt(one, "createdAt", "status", "taskDefinition", "rolloutState")


def _health(record: ServiceRecord, service: dict[str, Any], answers: Answers) -> None:
    """Add facts about the health of the collector containers of a service."""
    name, listed = record.value("collector_name"), answers.items("ecs:ListTasks")
    if name is None or listed is None or (listed and not answers.is_complete(TASKS)):
        return
    source = [*answers.of("ecs:ListTasks"), *answers.of(TASKS)][-1]
    containers = list(_task_containers(service, name, answers))
    running = [one for is_stopped, one in containers if not is_stopped]
    failed = [one for is_stopped, one in containers if is_stopped and one.get("exitCode")]
    up = sum(one.get("lastStatus") == "RUNNING" for one in running)
    excerpt = [_excerpt(one, "lastStatus", "healthStatus", "exitCode", "reason") for _, one in containers[:5]]
    record.add(7, "collector_running", (up, int(service.get("desiredCount", 0))), source, excerpt)
    record.add(
        7, "collector_health", _worst_health(running), source, excerpt, "UNKNOWN: the container has no health check"
    )
    exits = [_excerpt(one, "lastStatus", "exitCode", "reason") for one in failed[:3]]
    record.add(7, "collector_restarts", len(failed), source, exits, "stopped with an error in the last hour")
    reasons = [str(one.get("reason") or f"exit code {one['exitCode']}") for one in failed[:1]]
    record.add(7, "collector_reason", "".join(reasons), source)


def _worst_health(running: list[dict[str, Any]]) -> str | None:
    """Return the worst health status of running containers."""
    states = {str(one.get("healthStatus", "UNKNOWN")) for one in running}
    return next((word for word in ("UNHEALTHY", "UNKNOWN", "HEALTHY") if word in states), None)


def _task_containers(service: dict[str, Any], name: str, answers: Answers) -> Iterator[tuple[bool, dict[str, Any]]]:
    """Yield (whether the task has stopped, container) of the containers of a name in the tasks of a service."""
    group, cluster = f"service:{service['serviceName']}", service["clusterArn"]
    for call in answers.of(TASKS):
        for task in call.content["tasks"]:
            if task.get("group") == group and task.get("clusterArn", cluster) == cluster:
                is_stopped = task.get("lastStatus") == "STOPPED"
                yield from ((is_stopped, one) for one in task.get("containers", ()) if one.get("name") == name)


def _excerpt(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return some fields of a JSON object."""
    return {name: fields.get(name) for name in names}
