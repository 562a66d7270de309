"""Steps 3 and 7 on EKS: clusters and add-ons from AWS, and their workloads from saved kubectl output."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracekit.aws.audit.answers import KUBECTL
from tracekit.aws.reader import Answer, call_each, plain
from tracekit.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tracekit.aws.reader import Reader

COMMAND = "kubectl get pods,deployments,daemonsets -A -o json"
ADDONS = ("adot", "amazon-cloudwatch-observability")
"""Add-ons of EKS that collect traces: the operator of the ADOT collector, and the CloudWatch agent."""
_ANNOTATIONS = ("instrumentation.opentelemetry.io/", "sidecar.opentelemetry.io/", "deployment.kubernetes.io/revision")
_CONTAINER = ("name", "image")
_STATE = ("reason", "exitCode", "startedAt", "finishedAt")
_COUNTS = (
    "replicas",
    "readyReplicas",
    "desiredNumberScheduled",
    "numberReady",
    "phase",
    "startTime",
)


def fetch_clusters(reader: Reader) -> Iterator[Answer]:
    """Yield the EKS clusters, their health, and their add-ons that collect traces."""
    listed = reader.call("eks:ListClusters")
    yield listed
    clusters = list(listed.content.get("clusters", ()))
    yield from call_each(reader, "eks:DescribeCluster", [{"name": name} for name in clusters])
    addons = call_each(reader, "eks:ListAddons", [{"clusterName": name} for name in clusters])
    yield from addons
    wanted = [
        {"clusterName": call.request["clusterName"], "addonName": name}
        for call in addons
        for name in call.content.get("addons", ())
        if name in ADDONS
    ]
    yield from call_each(reader, "eks:DescribeAddon", wanted)


def read_kubectl(files: Iterable[str | Path]) -> list[Answer]:
    """Read saved kubectl output; only names, images, states and tracing variables are kept."""
    return [_saved(Path(file)) for file in files]


def _saved(file: Path) -> Answer:
    """Return the content of one file."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        items = [_bare(item) for item in found["items"]]
        at = datetime.fromtimestamp(file.stat().st_mtime, UTC).isoformat(timespec="seconds")
    except OSError as error:
        message = f"expected the output of `{COMMAND}`, found no file {file}: {error.strerror}"
        raise LoadError(message, source=str(file)) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"expected the output of `{COMMAND}` (JSON with items) in {file}, found other content"
        raise LoadError(f"{message} ({type(error).__name__}: {error})", source=str(file)) from error
    cluster = file.stem.removeprefix("kubectl").removeprefix("-")
    return Answer(KUBECTL, {"cluster": cluster}, plain({"items": items}), at)


def _bare(item: dict[str, Any]) -> dict[str, Any]:
    """Return the parts of a pod or controller that an audit needs; specifications may contain secrets."""
    metadata, spec, status = (_part(item, name) for name in ("metadata", "spec", "status"))
    template = _part(spec, "template")
    pod = spec if item["kind"] == "Pod" else _part(template, "spec")
    annotations = _part(metadata, "annotations") | _part(_part(template, "metadata"), "annotations")
    conditions = _parts(status, "conditions")
    rolled_out = next((one.get("lastUpdateTime") for one in conditions if one.get("type") == "Progressing"), None)
    owners = _parts(metadata, "ownerReferences")
    return {
        "kind": item["kind"],
        "metadata": {
            **{name: metadata.get(name) for name in ("name", "namespace", "creationTimestamp")},
            "ownerReferences": [{"kind": one.get("kind"), "name": one.get("name")} for one in owners],
            "annotations": {key: str(value) for key, value in annotations.items() if key.startswith(_ANNOTATIONS)},
        },
        "replicas": spec.get("replicas"),
        "hostNetwork": bool(pod.get("hostNetwork")),
        "containers": [_container(one) for one in _parts(pod, "containers")],
        "status": {
            **{name: status[name] for name in _COUNTS if name in status},
            "rolledOut": rolled_out,
            "containerStatuses": [_state(one) for one in _parts(status, "containerStatuses")],
        },
    }


def _part(fields: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a nested JSON object, empty if it is missing or null."""
    return fields.get(name) or {}


def _parts(fields: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return a nested JSON array of objects, empty if it is missing or null."""
    return fields.get(name) or []


def _container(one: dict[str, Any]) -> dict[str, Any]:
    """Return name, image and variables of a container, with the names that ECS uses."""
    pairs = [{"name": pair["name"], "value": str(pair["value"])} for pair in one.get("env") or () if "value" in pair]
    return {**{name: one.get(name) for name in _CONTAINER}, "environment": pairs, "hidden": bool(one.get("envFrom"))}


def _state(one: dict[str, Any]) -> dict[str, Any]:
    """Return the state and last termination of a container."""
    states = {
        name: {
            kind: {key: state[key] for key in _STATE if key in state} for kind, state in (one.get(name) or {}).items()
        }
        for name in ("state", "lastState")
    }
    return {"name": one.get("name"), "ready": one.get("ready"), "restartCount": one.get("restartCount", 0), **states}


def roles_of(pods: Iterable[dict[str, Any]]) -> list[str]:
    """Return the IAM roles that pods assume through their service accounts."""
    return [
        pair["value"]
        for pod in pods
        for container in pod.get("containers", ())
        for pair in container["environment"]
        if pair["name"] == "AWS_ROLE_ARN"
    ]
