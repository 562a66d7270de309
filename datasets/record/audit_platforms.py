"""The rest of the synthetic account: an EKS cluster in responses of AWS and kubectl, API Gateway, and deployments."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audit_world import App, World

HOUR, ACCOUNT = 3600, "123456789012"
CLUSTER, SPACE = "shop", "shop"
_DAYS = 24 * HOUR


def _time(second: float) -> str:
    """Return a time as text."""
    return datetime.fromtimestamp(second, UTC).isoformat()


def _record(operation: str, request: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """Return a call and its response."""
    return {"operation": operation, "request": request, "answer": answer}


def target_of(app: App) -> str:
    """Return the target group of a service in pods, with the name given by the load balancer controller."""
    cut = "".join(letter for letter in app.name if letter.isalnum())[:8]
    return f"targetgroup/k8s-{SPACE}-{cut}-0123456789/0123456789abcdef"


def clusters(world: World, start: int) -> list[dict[str, Any]]:
    """Return the cluster, its add-ons, and the saved output of kubectl."""
    apps = [app for app in world.apps if app.platform == "pod"]
    records = [_record("eks:ListClusters", {}, {"clusters": [CLUSTER] if apps else []})]
    if not apps:
        return records
    about = {"name": CLUSTER, "status": "ACTIVE", "version": "1.34", "createdAt": _time(start - 300 * _DAYS)}
    records.append(_record("eks:DescribeCluster", {"name": CLUSTER}, {"cluster": about | {"health": {"issues": []}}}))
    names = ["vpc-cni", *(name for name, *_ in world.addons)]
    records.append(_record("eks:ListAddons", {"clusterName": CLUSTER}, {"addons": names}))
    for name, status, code in world.addons:
        issues = [{"code": code, "message": "1 of 1 replicas is not ready", "resourceIds": []}] if code else []
        addon = {"addonName": name, "clusterName": CLUSTER, "addonVersion": "v1.2.0-eksbuild.1", "status": status}
        told = {"health": {"issues": issues}, "modifiedAt": _time(start - 60 * _DAYS)}
        request = {"clusterName": CLUSTER, "addonName": name}
        records.append(_record("eks:DescribeAddon", request, {"addon": addon | told}))
    if world.has_kubectl:
        records.append(_record("kubectl:get", {"cluster": CLUSTER}, {"items": _items(world, apps, start)}))
    return records


def _items(world: World, apps: list[App], start: int) -> list[dict[str, Any]]:
    """Return deployments, daemon sets and pods in the format of an audit."""
    old = start - 200 * _DAYS
    own = _made("DaemonSet", "kube-system", "kube-proxy", [{"name": "kube-proxy", "image": "eks/kube-proxy:v1"}], old)
    items = [own, _pod(own, 0)]
    if world.daemon:
        ready, wanted = world.daemons
        role = {"name": "AWS_ROLE_ARN", "value": f"arn:aws:iam::{ACCOUNT}:role/collector"}
        collector = {"name": "collector", "image": world.daemon, "environment": [role]}
        daemon = _made("DaemonSet", "observability", "collector", [collector], old)
        daemon["status"] |= {"desiredNumberScheduled": wanted, "numberReady": ready}
        items.append(daemon)
        for number in range(wanted):
            pod = _pod(daemon, number)
            if number >= ready:
                pod["status"]["containerStatuses"] = [_fallen(world, start)]
            items.append(pod)
    for app in apps:
        since = start + app.begins * HOUR if app.is_new else old
        variables = [{"name": name, "value": value} for name, value in app.environment.items()]
        images = [{"name": "app", "image": f"shop/{app.name}:1", "environment": variables}]
        images += [{"name": "otc", "image": app.collector}] if app.collector and not world.daemon else []
        made = _made("Deployment", SPACE, app.name, images, since)
        made |= {"replicas": app.tasks}
        made["status"] |= {"replicas": app.tasks, "readyReplicas": app.tasks, "rolledOut": _time(since)}
        items += [made, *(_pod(made, number) for number in range(app.tasks))]
    return items


def _made(kind: str, space: str, name: str, containers: list[dict[str, Any]], since: float) -> dict[str, Any]:
    """Return a deployment or daemon set."""
    about = {"name": name, "namespace": space, "creationTimestamp": _time(since)}
    return {
        "kind": kind,
        "metadata": about | {"ownerReferences": [], "annotations": {}},
        "replicas": None,
        "hostNetwork": False,
        "containers": [{"environment": [], "hidden": False} | one for one in containers],
        "status": {"rolledOut": None, "containerStatuses": []},
    }


def _pod(maker: dict[str, Any], number: int) -> dict[str, Any]:
    """Return a healthy pod."""
    about = maker["metadata"]
    kind, owner = maker["kind"], about["name"]
    if kind == "Deployment":
        kind, owner = "ReplicaSet", f"{owner}-7d4b9c6f5"
    states = [
        {"name": one["name"], "ready": True, "restartCount": 0, "state": {"running": {}}, "lastState": {}}
        for one in maker["containers"]
    ]
    return {
        **maker,
        "kind": "Pod",
        "metadata": about
        | {"name": f"{owner}-{number}", "ownerReferences": [{"kind": kind, "name": owner}], "annotations": {}},
        "status": {"phase": "Running", "startTime": about["creationTimestamp"], "containerStatuses": states},
    }


def _fallen(world: World, start: int) -> dict[str, Any]:
    """Return a collector that keeps restarting."""
    ended = {"exitCode": 137, "reason": "OOMKilled", "finishedAt": _time(start + (world.hours - 1) * HOUR)}
    waits = {"waiting": {"reason": "CrashLoopBackOff"}}
    return {"name": "collector", "ready": False, "restartCount": 9, "state": waits, "lastState": {"terminated": ended}}


def gateways(world: World, start: int) -> list[dict[str, Any]]:
    """Return the REST APIs with their stages, and the HTTP APIs."""
    stages: dict[str, list[App]] = {}
    for app in world.apps:
        if app.platform == "gateway":
            stages.setdefault(app.name.partition("/")[0], []).append(app)
    apis = [{"id": f"id-{name}", "name": name, "createdDate": _time(start - 90 * _DAYS)} for name in stages]
    records = [_record("apigateway:GetRestApis", {}, {"items": apis})]
    for name, own in stages.items():
        item = [
            {
                "stageName": app.name.partition("/")[2],
                "tracingEnabled": app.mode == "Active",
                "createdDate": _time(start + app.begins * HOUR if app.is_new else start - 90 * _DAYS),
                "lastUpdatedDate": _time(start + app.begins * HOUR if app.is_new else start - 20 * _DAYS),
            }
            for app in own
        ]
        records.append(_record("apigateway:GetStages", {"restApiId": f"id-{name}"}, {"item": item}))
    others = [{"Name": name, "ApiId": f"id-{name}", "ProtocolType": "HTTP"} for name in world.http_apis]
    return [*records, _record("apigatewayv2:GetApis", {}, {"Items": others})]


def deployments(world: World, start: int) -> list[dict[str, Any]]:
    """Return versions of functions, deployments of services, and deployments by CodeDeploy."""
    records = []
    for app in world.apps:
        if app.platform == "lambda":
            told = [
                {"Version": str(number), "LastModified": _time(start + hour * HOUR), "TracingConfig": {"Mode": mode}}
                for number, (hour, mode) in enumerate(app.versions, 1)
            ]
            latest = {"Version": "$LATEST", "TracingConfig": {"Mode": app.mode}}
            answer = {"Versions": [latest, *told]}
            records.append(_record("lambda:ListVersionsByFunction", {"FunctionName": app.name}, answer))
    for app in (app for app in world.apps if app.platform == "ecs"):
        request = {"cluster": f"arn:aws:ecs:eu-west-1:{ACCOUNT}:cluster/shop", "service": app.name}
        found = [{"createdAt": _time(start + hour * HOUR), "status": "SUCCESSFUL"} for hour in app.rolled]
        records.append(_record("ecs:ListServiceDeployments", request, {"serviceDeployments": found}))
    done = [(app, hour) for app in world.apps for hour in app.code_deployed]
    ids = [f"d-{number:09}" for number in range(1, len(done) + 1)]
    records.append(_record("codedeploy:ListDeployments", {}, {"deployments": ids}))
    if done:
        infos = [
            {
                "applicationName": f"{app.name}-app",
                "deploymentGroupName": "production",
                "deploymentId": name,
                "status": "Succeeded",
                "createTime": _time(start + hour * HOUR),
                "creator": "user",
            }
            for name, (app, hour) in zip(ids, done, strict=True)
        ]
        records.append(_record("codedeploy:BatchGetDeployments", {"deploymentIds": ids}, {"deploymentsInfo": infos}))
        for app in (app for app in world.apps if app.code_deployed):
            group = {"applicationName": f"{app.name}-app", "deploymentGroupName": "production"}
            own = [{"serviceName": app.name, "clusterName": "shop"}]
            request = {"applicationName": f"{app.name}-app", "deploymentGroupNames": ["production"]}
            answer = {"deploymentGroupsInfo": [group | {"ecsServices": own}]}
            records.append(_record("codedeploy:BatchGetDeploymentGroups", request, answer))
    return records
