"""Steps 3 and 7 on Kubernetes: services in pods, what hands their traces on, and whether it is well."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from tracekit.aws.audit.answers import KUBECTL
from tracekit.aws.audit.clusters import roles_of
from tracekit.aws.audit.containers import OLD, environment_of, is_collector, remote_of, switched_off, traced_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracekit.aws.audit.answers import Answer, Answers
    from tracekit.aws.audit.service_record import ServiceRecord, ServiceRecords

_OF_THE_CLUSTER = {
    "amazon-cloudwatch",
    "amazon-guardduty",
    "kube-node-lease",
    "kube-public",
    "kube-system",
    "opentelemetry-operator-system",
}  # namespaces whose pods serve no requests of users
_MAKERS = ("DaemonSet", "Deployment", "StatefulSet")
_WHOLE = {"DaemonSet", "Deployment", "Pod"}
_INJECTED = "instrumentation.opentelemetry.io/inject-"
_ILL = ("CrashLoopBackOff", "ErrImagePull", "ImagePullBackOff", "CreateContainerConfigError", "CreateContainerError")
_BROKEN = ("DEGRADED", "CREATE_FAILED", "UPDATE_FAILED", "DELETE_FAILED")


class _Workload(NamedTuple):
    """What makes pods, with its pods."""

    kind: str
    namespace: str
    name: str
    item: dict[str, Any]
    pods: list[dict[str, Any]]

    @property
    def label(self) -> str:
        """As kubectl names it."""
        return f"{self.kind.lower()} {self.namespace}/{self.name}"

    @property
    def containers(self) -> list[dict[str, Any]]:
        """Those of its template, and those that were put into its pods."""
        found = {one["name"]: one for one in self.item["containers"]}
        return [*found.values(), *(one for one in _put_in(self.pods) if one["name"] not in found)]

    @property
    def is_collector(self) -> bool:
        """Whether it runs nothing but collectors."""
        own = self.item["containers"]
        return bool(own) and all(map(is_collector, own))


def _put_in(pods: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the containers of the first pod: an operator may have put a collector into all of them."""
    return list(pods[0]["containers"]) if pods else []


def read_kubernetes(sheets: ServiceRecords, answers: Answers) -> dict[str, str]:
    """Write down what kubectl and EKS say about services and collectors."""
    targets: dict[str, str] = {}
    labels = {str(one.get("Label")) for one in answers.items("cloudwatch:GetMetricData") or ()}
    for call in answers.of(KUBECTL):
        workloads = list(_workloads(call.content["items"]))
        collectors = [one for one in workloads if one.is_collector]
        served = [one for one in workloads if not one.is_collector and one.namespace not in _OF_THE_CLUSTER]
        for workload in served:
            _read(sheets, workload, collectors, call, answers)
        targets |= _targets(served, sheets, labels)
    return targets


def _workloads(items: list[dict[str, Any]]) -> Iterator[_Workload]:
    """Yield what makes pods with them, and pods that nothing makes."""
    made: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    pods = [item for item in items if item["kind"] == "Pod"]
    for pod in pods:
        made.setdefault(_maker(pod), []).append(pod)
    for item in items:
        if item["kind"] in _MAKERS:
            about = item["metadata"]
            key = (item["kind"], str(about["namespace"]), str(about["name"]))
            yield _Workload(*key, item, made.pop(key, []))
    for key, own in made.items():
        if key[0] not in {"Job", "Node"}:  # jobs end, and static pods belong to the cluster
            yield _Workload(*key, own[0], own)


def _maker(pod: dict[str, Any]) -> tuple[str, str, str]:
    """Return kind, namespace and name of what made a pod; a deployment makes it through a replica set."""
    about = pod["metadata"]
    owner = next(iter(about["ownerReferences"]), {"kind": "Pod", "name": about["name"]})
    if owner["kind"] == "ReplicaSet":
        owner = {"kind": "Deployment", "name": str(owner["name"]).rpartition("-")[0]}
    return str(owner["kind"]), str(about["namespace"]), str(owner["name"])


def _read(
    sheets: ServiceRecords, workload: _Workload, collectors: list[_Workload], call: Answer, answers: Answers
) -> None:
    """Write down what is known about one service."""
    environment = environment_of(workload.containers)
    is_hidden = any(one.get("hidden") for one in workload.containers if not is_collector(one))
    sheet = sheets.of(traced_name(environment) or workload.name)
    about = {"kind": workload.kind, "metadata": workload.item["metadata"], "status": workload.item["status"]}
    sheet.add(3, "platform", "container", call, about)
    other = sheet.value("workload")
    shared = f"{other} traces under this name, too: what is said of containers is of this one" if other else ""
    sheet.add(3, "workload", workload.label, call, about, shared)
    sheet.add(3, "cluster", call.request.get("cluster") or "the only one", call)
    injected = [key.removeprefix(_INJECTED) for key in workload.item["metadata"]["annotations"] if _INJECTED in key]
    sheet.add(1, "instrumented_by", ", ".join(f"the operator ({word})" for word in injected) or None, call, injected)
    off = switched_off(environment)
    note = "some variables come from a ConfigMap or Secret, and are not visible" if is_hidden else ""
    sheet.add(1, "switched_off", off or (None if is_hidden else False), call, environment, note)
    sheet.add(1, "hidden_variables", is_hidden or None, call, None, note)
    sheet.add(6, "created", workload.item["metadata"].get("creationTimestamp"), call)
    revision = workload.item["metadata"]["annotations"].get("deployment.kubernetes.io/revision", "unknown")
    rolled = [
        {"at": workload.item["status"].get("rolledOut"), "what": f"rollout of {workload.label}, revision {revision}"}
    ]
    _collector(sheet, workload, collectors, environment, call, is_hidden=is_hidden)
    rolled += [
        {"at": one.item["status"].get("rolledOut"), "what": f"rollout of collector {one.label}"} for one in collectors
    ]
    sheet.add(6, "rollouts", [one for one in rolled if one["at"]], call, rolled)
    _health(sheet, workload, collectors, call, answers)


def _collector(
    sheet: ServiceRecord,
    workload: _Workload,
    collectors: list[_Workload],
    environment: dict[str, str],
    call: Answer,
    *,
    is_hidden: bool,
) -> None:
    """Write down what hands the traces of a service on: a sidecar, one a node, one a cluster, or one elsewhere."""
    images = [{"name": one["name"], "image": one.get("image")} for one in workload.containers]
    sidecar = next((one for one in workload.containers if is_collector(one)), None)
    endpoint, host = remote_of(environment)
    is_local = endpoint is not None and not host and not workload.item["hostNetwork"]  # nobody else is there
    serving = None if is_local else _serving(collectors, host)
    sheet.add(3, "endpoint", endpoint, call, environment)
    if sidecar is not None:
        sheet.add(3, "collector", "sidecar", call, images)
        sheet.add(3, "collector_name", sidecar["name"], call)
        sheet.add(3, "collector_image", sidecar.get("image"), call, images, _age(sidecar.get("image")))
    elif serving is not None:
        image = serving.item["containers"][0].get("image")
        sheet.add(3, "collector", serving.kind.lower(), call, serving.label)
        sheet.add(3, "collector_name", serving.label, call)
        sheet.add(3, "collector_image", image, call, serving.item["containers"], _age(image))
    elif host:
        note = "none in the cluster is known by its image: its own health is not known"
        sheet.add(3, "collector", "remote", call, {"endpoint": endpoint}, note)
    elif not is_hidden and _is_whole(call):
        sheet.add(3, "collector", "none", call, images)


def _age(image: Any) -> str:
    """Return what is to be said about an image of the X-Ray daemon."""
    return OLD if "xray-daemon" in str(image) else ""


def _serving(collectors: list[_Workload], host: str) -> _Workload | None:
    """Return the collector that a service sends to: the one its address names, else one a node, else any."""
    labels = host.split(".")
    if host and len(labels) > 2 and not host.endswith((".svc", ".svc.cluster.local")):  # noqa: PLR2004 - name.namespace
        return None  # outside
    named = [one for one in collectors if labels[0] and (one.name in labels[0] or labels[0] in one.name)]
    order = sorted(named or collectors, key=lambda one: (one.kind != "DaemonSet", one.namespace, one.name))
    return order[0] if order else None


def _is_whole(call: Answer) -> bool:
    """Return whether an answer shows all pods of a cluster: every kind that was asked for, and the cluster's own."""
    items = call.content["items"]
    namespaces = {item["metadata"].get("namespace") for item in items}
    return {item["kind"] for item in items} >= _WHOLE and "kube-system" in namespaces


def _health(
    sheet: ServiceRecord, workload: _Workload, collectors: list[_Workload], call: Answer, answers: Answers
) -> None:
    """Write down how the collector of a service is, by its pods."""
    name = sheet.value("collector_name")
    own = next((one for one in collectors if one.label == name), workload)
    is_sidecar = own is workload
    states = [
        (pod, state)
        for pod in own.pods
        for state in pod["status"]["containerStatuses"]
        if not is_sidecar or state["name"] == name
    ]
    if name is None or not own.pods:
        return
    status, wanted = own.item["status"], own.item.get("replicas")
    desired = next(
        (int(n) for n in (status.get("desiredNumberScheduled"), wanted, status.get("replicas")) if n is not None),
        len(own.pods),
    )
    ready = sum(bool(state.get("ready")) for _, state in states) if is_sidecar else _ready(own)
    waits = [str((state["state"].get("waiting") or {}).get("reason") or "") for _, state in states]
    why = next((reason for reason in waits if reason in _ILL), "")
    fallen = [_fall(pod, state, answers) for pod, state in states]
    restarts = sum(count for count, _ in fallen)
    excerpt = [state for _, state in states if not state.get("ready") or state.get("restartCount")][:3] or status
    sheet.add(7, "collector_running", (ready, desired), call, excerpt)
    sheet.add(7, "collector_health", "UNHEALTHY" if why or ready < desired else "HEALTHY", call, excerpt)
    sheet.add(7, "collector_restarts", restarts, call, excerpt, "restarts after an error in the period")
    reason = why or next((told for _, told in fallen if told), "") or ("not ready" if ready < desired else "")
    sheet.add(7, "collector_reason", reason, call)
    roles = roles_of(own.pods)
    sheet.add(9, "role", roles[0] if roles else None, call)


def _ready(own: _Workload) -> int:
    """Return how many pods of a collector are ready."""
    told = [own.item["status"].get(name) for name in ("numberReady", "readyReplicas")]
    counted = sum(all(s.get("ready") for s in pod["status"]["containerStatuses"]) for pod in own.pods)
    return next((int(number) for number in told if number is not None), counted)


def _fall(pod: dict[str, Any], state: dict[str, Any], answers: Answers) -> tuple[int, str]:
    """Return how often a container fell in the period, and why last: all its restarts where the pod is that young."""
    ended = state["lastState"].get("terminated") or {}
    if not ended.get("exitCode") or not ended.get("finishedAt"):
        return 0, ""
    if not answers.start <= pd.Timestamp(ended["finishedAt"]).timestamp():
        return 0, ""
    begun = pod["status"].get("startTime")
    is_young = begun is not None and pd.Timestamp(begun).timestamp() >= answers.start
    return (int(state.get("restartCount", 1)) if is_young else 1), str(ended.get("reason") or ended["exitCode"])


def read_addons(sheets: ServiceRecords, answers: Answers) -> None:
    """Write down the clusters of EKS and their add-ons that collect traces; what pods show comes before that."""
    clusters = [str(name) for name in answers.items("eks:ListClusters") or ()]
    about = {str(c.content["cluster"].get("name")): c for c in answers.of("eks:DescribeCluster")}
    for sheet in sheets.values():
        own, kind = sheet.value("cluster"), str(sheet.value("node_type"))
        is_inside = own is not None or kind.startswith("AWS::EKS")
        cluster = own if own in clusters else clusters[0] if is_inside and len(clusters) == 1 else None
        if cluster is None:
            continue
        if described := about.get(cluster):
            told = described.content["cluster"]
            issues = [str(one.get("code")) for one in (told.get("health") or {}).get("issues") or ()]
            state = ", ".join([str(told.get("status")), *issues])
            sheet.add(
                3, "cluster_status", f"{cluster}: {state}", described, {"status": told.get("status"), "issues": issues}
            )
        for call in answers.of("eks:DescribeAddon"):
            if call.request.get("clusterName") == cluster:
                _read_addon(sheet, call)


def _read_addon(sheet: ServiceRecord, call: Answer) -> None:
    """Write down one add-on, and its illness where no pods tell."""
    addon = call.content["addon"]
    name, status = addon.get("addonName"), str(addon.get("status"))
    issues = [f"{one.get('code')}: {one.get('message')}" for one in (addon.get("health") or {}).get("issues") or ()]
    excerpt = {"addonName": name, "addonVersion": addon.get("addonVersion"), "status": status, "issues": issues}
    note = "its operator only: collectors are made by what one applies" if name == "adot" else ""
    sheet.add(3, "addon", f"{name} {addon.get('addonVersion')}: {status}", call, excerpt, note)
    sheet.add(6, "addon_changed", addon.get("modifiedAt"), call, excerpt)
    if name != "adot" and sheet.value("collector") is None:
        sheet.add(3, "collector", "add-on", call, excerpt, "how its pods are is not known")
    if status in _BROKEN and sheet.value("collector_health") is None:
        sheet.add(3, "collector_image", f"add-on {name}", call, excerpt)
        sheet.add(7, "collector_health", "UNHEALTHY", call, excerpt)
        sheet.add(7, "collector_reason", "; ".join(issues) or status, call)


def _targets(workloads: list[_Workload], sheets: ServiceRecords, labels: set[str]) -> dict[str, str]:
    """Return the services by target group: the load balancer controller writes namespace and name, cut, into them."""
    found: dict[str, set[str]] = {}
    by_label = {sheet.value("workload"): sheet.name for sheet in sheets.values()}
    for workload in workloads:
        space, name = (re.sub(r"[^0-9A-Za-z]", "", text)[:8] for text in (workload.namespace, workload.name))
        for label in labels:
            if label.startswith(f"targetgroup/k8s-{space}-{name}-"):
                found.setdefault(label, set()).add(str(by_label.get(workload.label)))
    return {label: names.pop() for label, names in found.items() if len(names) == 1}
