"""Steps 3 and 7 on EKS: what AWS tells of clusters and add-ons, and what kubectl saved of everything inside them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracekit.aws.audit.answers import KUBECTL, Answer, plain
from tracekit.aws.audit.calls import ask_each
from tracekit.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tracekit.aws.audit.calls import Reader

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


def ask_clusters(reader: Reader) -> Iterator[Answer]:
    """Yield the clusters of EKS, how they are, and the add-ons among theirs that collect traces."""
    listed = reader.ask("eks:ListClusters")
    yield listed
    clusters = list(listed.content.get("clusters", ()))
    yield from ask_each(reader, "eks:DescribeCluster", [{"name": name} for name in clusters])
    addons = ask_each(reader, "eks:ListAddons", [{"clusterName": name} for name in clusters])
    yield from addons
    wanted = [
        {"clusterName": call.request["clusterName"], "addonName": name}
        for call in addons
        for name in call.content.get("addons", ())
        if name in ADDONS
    ]
    yield from ask_each(reader, "eks:DescribeAddon", wanted)


def read_saved(files: Iterable[str | Path]) -> list[Answer]:
    """Read saved kubectl output: names, images, states, and the variables that configure tracing."""
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
        message = f"expected the output of `{COMMAND}` (an object with items) in {file}, found something else"
        raise LoadError(f"{message} ({type(error).__name__}: {error})", source=str(file)) from error
    cluster = file.stem.removeprefix("kubectl").removeprefix("-")
    return Answer(KUBECTL, {"cluster": cluster}, plain({"items": items}), at)


def _bare(item: dict[str, Any]) -> dict[str, Any]:
    """Return what an audit reads of a pod or of what makes pods; specifications may hold secrets."""
    told, spec, status = (item.get(name) or {} for name in ("metadata", "spec", "status"))
    inner = spec if item["kind"] == "Pod" else ((spec.get("template") or {}).get("spec") or {})
    notes = {**(told.get("annotations") or {})}
    notes |= ((spec.get("template") or {}).get("metadata") or {}).get("annotations") or {}
    about = {name: told.get(name) for name in ("name", "namespace", "creationTimestamp")}
    return {
        "kind": item["kind"],
        "metadata": {
            **about,
            "ownerReferences": [
                {name: one.get(name) for name in ("kind", "name")} for one in told.get("ownerReferences") or ()
            ],
            "annotations": {key: str(value) for key, value in notes.items() if key.startswith(_ANNOTATIONS)},
        },
        "replicas": spec.get("replicas"),
        "hostNetwork": bool(inner.get("hostNetwork")),
        "containers": [_container(one) for one in inner.get("containers") or ()],
        "status": {name: status[name] for name in _COUNTS if name in status}
        | {
            "rolledOut": next(
                (c.get("lastUpdateTime") for c in status.get("conditions") or () if c.get("type") == "Progressing"),
                None,
            ),
            "containerStatuses": [_state(one) for one in status.get("containerStatuses") or ()],
        },
    }


def _container(one: dict[str, Any]) -> dict[str, Any]:
    """Return a container with its image and its variables, as ECS names them."""
    pairs = [{"name": pair["name"], "value": str(pair["value"])} for pair in one.get("env") or () if "value" in pair]
    return {**{name: one.get(name) for name in _CONTAINER}, "environment": pairs, "hidden": bool(one.get("envFrom"))}


def _state(one: dict[str, Any]) -> dict[str, Any]:
    """Return how a container is, and how it ended last time."""
    states = {
        name: {word: {key: told[key] for key in _STATE if key in told} for word, told in (one.get(name) or {}).items()}
        for name in ("state", "lastState")
    }
    return {"name": one.get("name"), "ready": one.get("ready"), "restartCount": one.get("restartCount", 0), **states}


def roles_of(pods: Iterable[dict[str, Any]]) -> list[str]:
    """Return the roles of IAM that pods are given through their service accounts."""
    return [
        pair["value"]
        for pod in pods
        for container in pod.get("containers", ())
        for pair in container["environment"]
        if pair["name"] == "AWS_ROLE_ARN"
    ]
