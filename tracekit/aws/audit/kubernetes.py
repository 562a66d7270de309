"""Steps 3 and 7 on Kubernetes: services in pods, their collectors, and the health of these."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from tracekit.aws.audit.answers import KUBECTL
from tracekit.aws.audit.clusters import roles_of
from tracekit.aws.audit.containers import (
    DAEMON_NOTE,
    environment_of,
    export_endpoint,
    is_collector,
    switched_off,
    traced_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracekit.aws.audit.answers import Answers
    from tracekit.aws.audit.service_record import ServiceRecord, ServiceRecords
    from tracekit.aws.reader import Answer

_SYSTEM_NAMESPACES = {
    "amazon-cloudwatch",
    "amazon-guardduty",
    "kube-node-lease",
    "kube-public",
    "kube-system",
    "opentelemetry-operator-system",
}  # namespaces whose pods serve no user requests
_CONTROLLERS = ("DaemonSet", "Deployment", "StatefulSet")
_WHOLE = {"DaemonSet", "Deployment", "Pod"}
_INJECTED = "instrumentation.opentelemetry.io/inject-"
_FAILED_STARTS = (
    "CrashLoopBackOff",
    "ErrImagePull",
    "ImagePullBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
)
_BROKEN = ("DEGRADED", "CREATE_FAILED", "UPDATE_FAILED", "DELETE_FAILED")


class _Workload(NamedTuple):
    """A controller (deployment, daemon set, ...) with its pods."""

    kind: str
    namespace: str
    name: str
    item: dict[str, Any]
    pods: list[dict[str, Any]]

    @property
    def label(self) -> str:
        """The name that kubectl shows."""
        return f"{self.kind.lower()} {self.namespace}/{self.name}"

    @property
    def containers(self) -> list[dict[str, Any]]:
        """The containers of its template, and those injected into its pods."""
        found = {one["name"]: one for one in self.item["containers"]}
        return [*found.values(), *(one for one in _injected_containers(self.pods) if one["name"] not in found)]

    @property
    def is_collector(self) -> bool:
        """Whether all its containers are collectors."""
        own = self.item["containers"]
        return bool(own) and all(map(is_collector, own))


def _injected_containers(pods: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the containers of the first pod: an operator may have injected a collector into all of them."""
    return list(pods[0]["containers"]) if pods else []


def read_kubernetes(records: ServiceRecords, answers: Answers) -> dict[str, str]:
    """Add facts about services and collectors in pods and return the services by target group."""
    targets: dict[str, str] = {}
    labels = {str(one.get("Label")) for one in answers.items("cloudwatch:GetMetricData") or ()}
    for call in answers.of(KUBECTL):
        workloads = list(_workloads(call.content["items"]))
        collectors = [one for one in workloads if one.is_collector]
        served = [one for one in workloads if not one.is_collector and one.namespace not in _SYSTEM_NAMESPACES]
        for workload in served:
            _read(records, workload, collectors, call, answers)
        targets |= _targets(served, records, labels)
    return targets


def _workloads(items: list[dict[str, Any]]) -> Iterator[_Workload]:
    """Yield the controllers with their pods, and pods without a controller."""
    owned: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    pods = [item for item in items if item["kind"] == "Pod"]
    for pod in pods:
        owned.setdefault(_controller(pod), []).append(pod)
    for item in items:
        if item["kind"] in _CONTROLLERS:
            about = item["metadata"]
            key = (item["kind"], str(about["namespace"]), str(about["name"]))
            yield _Workload(*key, item, owned.pop(key, []))
    for key, own in owned.items():
        if key[0] not in {"Job", "Node"}:  # jobs end, and static pods belong to the cluster
            yield _Workload(*key, own[0], own)


def _controller(pod: dict[str, Any]) -> tuple[str, str, str]:
    """Return kind, namespace and name of a pod's controller; for a replica set, of its deployment."""
    about = pod["metadata"]
    owner = next(iter(about["ownerReferences"]), {"kind": "Pod", "name": about["name"]})
    if owner["kind"] == "ReplicaSet":
        owner = {"kind": "Deployment", "name": str(owner["name"]).rpartition("-")[0]}
    return str(owner["kind"]), str(about["namespace"]), str(owner["name"])


def _read(
    records: ServiceRecords, workload: _Workload, collectors: list[_Workload], call: Answer, answers: Answers
) -> None:
    """Add the facts about one service."""
    environment = environment_of(workload.containers)
    is_hidden = any(one.get("hidden") and not is_collector(one) for one in workload.containers)
    record = records.of(traced_name(environment) or workload.name)
    about = {"kind": workload.kind, "metadata": workload.item["metadata"], "status": workload.item["status"]}
    record.add(3, "platform", "container", call, about)
    other = record.value("workload")
    shared = f"{other} uses the same service name; container facts are of this one" if other else ""
    record.add(3, "workload", workload.label, call, about, shared)
    record.add(3, "cluster", call.request.get("cluster") or "the only one", call)
    _instrumentation(record, workload, environment, call, is_hidden=is_hidden)
    record.add(6, "created", workload.item["metadata"].get("creationTimestamp"), call)
    _collector(record, workload, collectors, environment, call, is_hidden=is_hidden)
    rolled = list(_rollouts(workload, collectors))
    record.add(6, "rollouts", [one for one in rolled if one["at"]], call, rolled)
    _health(record, workload, collectors, call, answers)


def _instrumentation(
    record: ServiceRecord, workload: _Workload, environment: dict[str, str], call: Answer, *, is_hidden: bool
) -> None:
    """Add whether the operator instruments a service, and whether tracing is disabled."""
    languages = [key.removeprefix(_INJECTED) for key in workload.item["metadata"]["annotations"] if _INJECTED in key]
    operator = ", ".join(f"the operator ({language})" for language in languages)
    record.add(1, "instrumented_by", operator or None, call, languages)
    off = switched_off(environment)
    note = "some variables come from a ConfigMap or Secret and are not visible" if is_hidden else ""
    record.add(1, "tracing_disabled", off or (None if is_hidden else False), call, environment, note)
    record.add(1, "hidden_variables", is_hidden or None, call, None, note)


def _rollouts(workload: _Workload, collectors: list[_Workload]) -> Iterator[dict[str, Any]]:
    """Yield the last rollouts of a service and of the collectors."""
    revision = workload.item["metadata"]["annotations"].get("deployment.kubernetes.io/revision", "unknown")
    what = f"rollout of {workload.label}, revision {revision}"
    yield {"at": workload.item["status"].get("rolledOut"), "what": what}
    for one in collectors:
        yield {"at": one.item["status"].get("rolledOut"), "what": f"rollout of collector {one.label}"}


def _collector(
    record: ServiceRecord,
    workload: _Workload,
    collectors: list[_Workload],
    environment: dict[str, str],
    call: Answer,
    *,
    is_hidden: bool,
) -> None:
    """Add facts about the collector of a service: a sidecar, one per node, one per cluster, or a remote one."""
    images = [{"name": one["name"], "image": one.get("image")} for one in workload.containers]
    sidecar = next((one for one in workload.containers if is_collector(one)), None)
    endpoint, host = export_endpoint(environment)
    is_local = endpoint is not None and not host and not workload.item["hostNetwork"]  # the pod itself
    serving = None if is_local else _serving(collectors, host)
    record.add(3, "endpoint", endpoint, call, environment)
    if sidecar is not None:
        record.add(3, "collector", "sidecar", call, images)
        record.add(3, "collector_name", sidecar["name"], call)
        record.add(3, "collector_image", sidecar.get("image"), call, images, _image_note(sidecar.get("image")))
    elif serving is not None:
        image = serving.item["containers"][0].get("image")
        record.add(3, "collector", serving.kind.lower(), call, serving.label)
        record.add(3, "collector_name", serving.label, call)
        record.add(3, "collector_image", image, call, serving.item["containers"], _image_note(image))
    elif host:
        note = "no collector with this name in the cluster: its health is unknown"
        record.add(3, "collector", "remote", call, {"endpoint": endpoint}, note)
    elif not is_hidden and _is_whole(call):
        record.add(3, "collector", "none", call, images)


def _image_note(image: Any) -> str:
    """Return the note about an image of the X-Ray daemon."""
    return DAEMON_NOTE if "xray-daemon" in str(image) else ""


def _serving(collectors: list[_Workload], host: str) -> _Workload | None:
    """Return the collector that a service exports to: the one in its endpoint, else one per node, else any."""
    labels = host.split(".")
    if host and len(labels) > 2 and not host.endswith((".svc", ".svc.cluster.local")):  # noqa: PLR2004 - name.namespace
        return None  # outside the cluster
    named = [one for one in collectors if labels[0] and (one.name in labels[0] or labels[0] in one.name)]
    order = sorted(named or collectors, key=lambda one: (one.kind != "DaemonSet", one.namespace, one.name))
    return order[0] if order else None


def _is_whole(call: Answer) -> bool:
    """Return whether an answer contains all pods of a cluster: every kind, and the system namespace."""
    items = call.content["items"]
    namespaces = {item["metadata"].get("namespace") for item in items}
    return {item["kind"] for item in items} >= _WHOLE and "kube-system" in namespaces


def _health(
    record: ServiceRecord, workload: _Workload, collectors: list[_Workload], call: Answer, answers: Answers
) -> None:
    """Add facts about the health of a service's collector, from its pods."""
    name = record.value("collector_name")
    collector = next((one for one in collectors if one.label == name), workload)
    if name is None or not collector.pods:
        return
    states = _container_states(collector, name if collector is workload else None)
    status, desired = collector.item["status"], _desired(collector)
    ready = sum(bool(state.get("ready")) for _, state in states) if collector is workload else _ready(collector)
    failed_start = _failed_start(states)
    restart_count, last_error = _restarts(states, answers)
    excerpt = _troubled(states)[:3] or status
    record.add(7, "collector_running", (ready, desired), call, excerpt)
    record.add(7, "collector_health", "UNHEALTHY" if failed_start or ready < desired else "HEALTHY", call, excerpt)
    note = "restarts after an error in the period"
    record.add(7, "collector_restarts", restart_count, call, excerpt, note)
    reason = failed_start or last_error or ("not ready" if ready < desired else "")
    record.add(7, "collector_reason", reason, call)
    roles = roles_of(collector.pods)
    record.add(9, "role", roles[0] if roles else None, call)


def _container_states(collector: _Workload, sidecar: str | None) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return (pod, container status) of a collector's containers; of a sidecar only those with its name."""
    return [
        (pod, state)
        for pod in collector.pods
        for state in pod["status"]["containerStatuses"]
        if sidecar is None or state["name"] == sidecar
    ]


def _desired(collector: _Workload) -> int:
    """Return the desired number of pods of a collector."""
    status = collector.item["status"]
    counts = (status.get("desiredNumberScheduled"), collector.item.get("replicas"), status.get("replicas"))
    return next((int(count) for count in counts if count is not None), len(collector.pods))


def _ready(own: _Workload) -> int:
    """Return the number of ready pods of a collector."""
    reported = [own.item["status"].get(name) for name in ("numberReady", "readyReplicas")]
    counted = sum(all(s.get("ready") for s in pod["status"]["containerStatuses"]) for pod in own.pods)
    return next((int(number) for number in reported if number is not None), counted)


def _troubled(states: list[tuple[dict[str, Any], dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the states of containers that are not ready or were restarted."""
    return [state for _, state in states if not state.get("ready") or state.get("restartCount")]


def _failed_start(states: list[tuple[dict[str, Any], dict[str, Any]]]) -> str:
    """Return why a container does not start, or an empty text."""
    reasons = [(state["state"].get("waiting") or {}).get("reason") for _, state in states]
    return next((reason for reason in reasons if reason in _FAILED_STARTS), "")


def _restarts(states: list[tuple[dict[str, Any], dict[str, Any]]], answers: Answers) -> tuple[int, str]:
    """Return the restarts of all containers in the period, and the first reason."""
    found = [_container_restarts(pod, state, answers) for pod, state in states]
    return sum(count for count, _ in found), next((reason for _, reason in found if reason), "")


def _container_restarts(pod: dict[str, Any], state: dict[str, Any], answers: Answers) -> tuple[int, str]:
    """Return the restarts of a container in the period, and the last reason; all its restarts for a newer pod."""
    ended = state["lastState"].get("terminated") or {}
    if not ended.get("exitCode") or not ended.get("finishedAt"):
        return 0, ""
    if not answers.start <= pd.Timestamp(ended["finishedAt"]).timestamp():
        return 0, ""
    started = pod["status"].get("startTime")
    is_new = started is not None and pd.Timestamp(started).timestamp() >= answers.start
    return (int(state.get("restartCount", 1)) if is_new else 1), str(ended.get("reason") or ended["exitCode"])


def read_addons(records: ServiceRecords, answers: Answers) -> None:
    """Add facts about EKS clusters and their add-ons that collect traces; facts from pods take precedence."""
    clusters = [str(name) for name in answers.items("eks:ListClusters") or ()]
    about = {str(c.content["cluster"].get("name")): c for c in answers.of("eks:DescribeCluster")}
    for record in records.values():
        own, kind = record.value("cluster"), str(record.value("node_type"))
        is_inside = own is not None or kind.startswith("AWS::EKS")
        cluster = own if own in clusters else clusters[0] if is_inside and len(clusters) == 1 else None
        if cluster is None:
            continue
        if described := about.get(cluster):
            _read_cluster(record, cluster, described)
        for call in answers.of("eks:DescribeAddon"):
            if call.request.get("clusterName") == cluster:
                _read_addon(record, call)


def _read_cluster(record: ServiceRecord, cluster: str, call: Answer) -> None:
    """Add the status of an EKS cluster."""
    found = call.content["cluster"]
    issues = [str(one.get("code")) for one in (found.get("health") or {}).get("issues") or ()]
    state = ", ".join([str(found.get("status")), *issues])
    excerpt = {"status": found.get("status"), "issues": issues}
    record.add(3, "cluster_status", f"{cluster}: {state}", call, excerpt)


def _read_addon(record: ServiceRecord, call: Answer) -> None:
    """Add facts about one add-on, and its health if no pods are known."""
    addon = call.content["addon"]
    name, status = addon.get("addonName"), str(addon.get("status"))
    issues = [f"{one.get('code')}: {one.get('message')}" for one in (addon.get("health") or {}).get("issues") or ()]
    excerpt = {"addonName": name, "addonVersion": addon.get("addonVersion"), "status": status, "issues": issues}
    note = "the operator only; collectors are separate resources" if name == "adot" else ""
    record.add(3, "addon", f"{name} {addon.get('addonVersion')}: {status}", call, excerpt, note)
    record.add(6, "addon_changed", addon.get("modifiedAt"), call, excerpt)
    if name != "adot" and record.value("collector") is None:
        record.add(3, "collector", "add-on", call, excerpt, "the health of its pods is unknown")
    if status in _BROKEN and record.value("collector_health") is None:
        record.add(3, "collector_image", f"add-on {name}", call, excerpt)
        record.add(7, "collector_health", "UNHEALTHY", call, excerpt)
        record.add(7, "collector_reason", "; ".join(issues) or status, call)


def _targets(workloads: list[_Workload], records: ServiceRecords, labels: set[str]) -> dict[str, str]:
    """Return the services by target group, whose name contains the truncated namespace and name of the workload."""
    found: dict[str, set[str]] = {}
    by_label = {record.value("workload"): record.name for record in records.values()}
    for workload in workloads:
        space, name = (re.sub(r"[^0-9A-Za-z]", "", text)[:8] for text in (workload.namespace, workload.name))
        for label in labels:
            if label.startswith(f"targetgroup/k8s-{space}-{name}-"):
                found.setdefault(label, set()).add(str(by_label.get(workload.label)))
    return {label: names.pop() for label, names in found.items() if len(names) == 1}
