"""Steps 3 and 7: ECS services, what hands their traces on, and whether it is well."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from tracekit.aws.audit.answers import Answer, Answers
    from tracekit.aws.audit.service_record import ServiceRecord, ServiceRecords

_IMAGE = re.compile(r"xray-daemon|aws-otel-collector|adot|otel.*collector|opentelemetry-collector|cloudwatch-agent")
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT", "AWS_XRAY_DAEMON_ADDRESS")
_HERE = {"localhost", "127.0.0.1", "0.0.0.0", "::1", ""}  # noqa: S104 - compared, never bound
_OFF = {
    ("AWS_XRAY_SDK_ENABLED", "false"),
    ("OTEL_SDK_DISABLED", "true"),
    ("OTEL_TRACES_EXPORTER", "none"),
    ("OTEL_TRACES_SAMPLER", "always_off"),
    ("AWS_XRAY_TRACING_ENABLED", "false"),
}
_NAMES = ("OTEL_SERVICE_NAME", "AWS_XRAY_TRACING_NAME")
OLD = "the X-Ray daemon is in maintenance mode since 2026-02-25: prefer the ADOT collector or the CloudWatch agent"
SERVICES, DEFINITION, TASKS = "ecs:DescribeServices", "ecs:DescribeTaskDefinition", "ecs:DescribeTasks"


def read_containers(sheets: ServiceRecords, answers: Answers) -> dict[str, str]:
    """Write down what ECS says about its services."""
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
        sheet = sheets.of(traced_name(environment) or service["serviceName"])
        about = {name: service.get(name) for name in ("serviceName", "taskDefinition", "desiredCount", "runningCount")}
        sheet.add(3, "platform", "container", call, about)
        sheet.add(3, "ecs_service", service["serviceName"], call, about)
        sheet.add(6, "deployed", [_deployment(one) for one in service.get("deployments", ())], call)
        sheet.add(6, "created", service.get("createdAt"), call, {"createdAt": service.get("createdAt")})
        subnets = ((service.get("networkConfiguration") or {}).get("awsvpcConfiguration") or {}).get("subnets")
        sheet.add(9, "subnets", subnets, call, subnets)
        if definition is not None:
            complete = answers.is_complete(SERVICES) and answers.is_complete("ecs:ListServices")
            _collector(sheet, definition, environment, gateways.get(service["clusterArn"]), complete=complete)
            sheet.add(9, "role", definition.content["taskDefinition"].get("taskRoleArn"), definition)
        _health(sheet, service, answers)
        for balancer in service.get("loadBalancers", ()):
            if arn := balancer.get("targetGroupArn"):
                targets[arn.rpartition(":")[2]] = sheet.name
    return targets


def _containers(definition: Answer) -> list[dict[str, Any]]:
    """Return the containers of a task definition."""
    return list(definition.content["taskDefinition"].get("containerDefinitions", ()))


def is_collector(container: dict[str, Any]) -> bool:
    """Return whether a container collects traces, by its image."""
    return bool(_IMAGE.search(str(container.get("image", "")).lower()))


def _is_collector_only(definition: Answer) -> bool:
    """Return whether a task runs nothing but collectors."""
    containers = _containers(definition)
    return bool(containers) and all(map(is_collector, containers))


def environment_of(containers: list[dict[str, Any]]) -> dict[str, str]:
    """Return the variables of the containers that are no collectors."""
    return {
        pair["name"]: str(pair.get("value", ""))
        for container in containers
        if not is_collector(container)
        for pair in container.get("environment", ())
    }


def traced_name(environment: dict[str, str]) -> str:
    """Return the name that a service gives its traces; empty where its variables say nothing."""
    resource = dict(
        part.split("=", 1) for part in environment.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",") if "=" in part
    )
    return next((environment[name] for name in _NAMES if environment.get(name)), resource.get("service.name", ""))


def switched_off(environment: dict[str, str]) -> str:
    """Return the variables that switch tracing off."""
    return ", ".join(f"{name}={value}" for name, value in environment.items() if (name, value.lower()) in _OFF)


def remote_of(environment: dict[str, str]) -> tuple[str | None, str]:
    """Return where a service sends its traces, and the host of that where it is another one."""
    given = [environment[name] for name in _ENDPOINTS if environment.get(name)]
    away = next((address for address in given if _host(address) not in _HERE), None)
    return (away, _host(away)) if away else (given[0] if given else None, "")


def _collector(
    sheet: ServiceRecord,
    definition: Answer,
    environment: dict[str, str],
    gateway: dict[str, Any] | None,
    *,
    complete: bool,
) -> None:
    """Write down what hands the traces of a task on, and whether tracing is switched off."""
    about = definition.content["taskDefinition"]
    sheet.add(3, "task_definition", about["taskDefinitionArn"].rpartition("/")[2], definition)
    sheet.add(1, "switched_off", switched_off(environment) or False, definition, environment)
    endpoint, host = remote_of(environment)
    sheet.add(3, "endpoint", endpoint, definition)
    sidecars = [container for container in _containers(definition) if is_collector(container)]
    images = [{"name": one["name"], "image": one.get("image")} for one in _containers(definition)]
    if sidecars:
        sheet.add(3, "collector", "sidecar", definition, images)
        sheet.add(3, "collector_name", sidecars[0]["name"], definition)
        image = str(sidecars[0].get("image"))
        note = OLD if "xray-daemon" in image else ""
        sheet.add(3, "collector_image", image, definition, image, note)
    elif host:
        sheet.add(
            3, "collector", "remote", definition, {"endpoint": endpoint}, "not in the task: its own health is not known"
        )
    elif gateway is not None:
        sheet.add(3, "collector", "service", definition, gateway.get("serviceName"))
        sheet.add(3, "collector_image", gateway.get("serviceName"), definition)
        sheet.add(7, "collector_running", (gateway.get("runningCount", 0), gateway.get("desiredCount", 0)), definition)
    elif complete:
        sheet.add(3, "collector", "none", definition, images)


def _host(address: str) -> str:
    """Return the host of an address such as http://host:4318 or host:2000."""
    text = address.rpartition(" ")[2].removeprefix("udp:").removeprefix("tcp:")
    return urlsplit(text if "//" in text else f"//{text}").hostname or ""


def _deployment(one: dict[str, Any]) -> dict[str, Any]:
    """Return when and what was deployed."""
    return {name: one.get(name) for name in ("createdAt", "status", "taskDefinition", "rolloutState")}


def _health(sheet: ServiceRecord, service: dict[str, Any], answers: Answers) -> None:
    """Write down how the collector containers of a service's tasks are."""
    name, group = sheet.value("collector_name"), f"service:{service['serviceName']}"
    listed = answers.items("ecs:ListTasks")
    if name is None or listed is None or (listed and not answers.is_complete(TASKS)):
        return
    source = (answers.of(TASKS) or answers.of("ecs:ListTasks"))[-1]
    tasks = [task for call in answers.of(TASKS) for task in call.content["tasks"] if task.get("group") == group]
    tasks = [task for task in tasks if task.get("clusterArn", service["clusterArn"]) == service["clusterArn"]]
    pairs = [
        (task, container) for task in tasks for container in task.get("containers", ()) if container.get("name") == name
    ]
    running = [container for task, container in pairs if task.get("lastStatus") != "STOPPED"]
    stopped = [
        container for task, container in pairs if task.get("lastStatus") == "STOPPED" and container.get("exitCode")
    ]
    healths = {str(container.get("healthStatus", "UNKNOWN")) for container in running}
    health = next((word for word in ("UNHEALTHY", "UNKNOWN", "HEALTHY") if word in healths), None)
    up = sum(container.get("lastStatus") == "RUNNING" for container in running)
    excerpt = [{k: c.get(k) for k in ("lastStatus", "healthStatus", "exitCode", "reason")} for _, c in pairs][:5]
    sheet.add(7, "collector_running", (up, int(service.get("desiredCount", 0))), source, excerpt)
    sheet.add(7, "collector_health", health, source, excerpt, "UNKNOWN: the container has no health check")
    falls = [{name: one.get(name) for name in ("lastStatus", "exitCode", "reason")} for one in stopped][:3]
    sheet.add(7, "collector_restarts", len(stopped), source, falls, "stopped with an error in the last hour")
    reason = next((str(c.get("reason") or f"exit code {c.get('exitCode')}") for c in stopped), "")
    sheet.add(7, "collector_reason", reason, source)
