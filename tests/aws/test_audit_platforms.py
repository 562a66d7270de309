"""Clusters, gateways and deployments: what AWS and kubectl tell of them, and what is made of that."""

import json
from dataclasses import replace

import pandas as pd
import pytest
from audit_cases import END, HOUR, WORLDS, App, World, answers_of, logged

import tracekit as tk
from tracekit.aws.audit import folder as audit_folder
from tracekit.aws.audit.answers import KUBECTL
from tracekit.aws.audit.clusters import read_kubectl
from tracekit.aws.audit.coverage import audit_answers
from tracekit.aws.operations import OPERATIONS
from tracekit.aws.reader import DENIED

SENTENCES = {
    "D1a of a stage": "a/prod: tracing is disabled (tracingEnabled=false, 2025-11-21): 0 traces of 67,165 requests"
    " in 7 days.",
    "D1n": "a: not traceable: API Gateway traces only REST APIs, and this is an API of type HTTP. Traces start in the "
    "service behind it.",
    "D2a of pods": "a: deployment shop/a has no X-Ray daemon, collector or remote endpoint, so no traces are exported.",
    "D2a of pods none runs": "a: deployment shop/a has a collector, but 0 of 3 run, so no traces are exported.",
    "D2b of pods": "a: collector public.ecr.aws/aws-observability/aws-otel-collector:v0.43.3 is UNHEALTHY (2 restarts, "
    "last reason 'CrashLoopBackOff'); 20,241 of about 33,582 expected traces recorded.",
    "D2b of an add-on": "a: collector add-on amazon-cloudwatch-observability is UNHEALTHY (0 restarts, last reason "
    "'InsufficientNumberOfReplicas: 1 of 1 replicas is not ready'); 20,241 of an unknown number of "
    "expected traces recorded.",
    "D2c of pods": "a: collector running on 3 of 3 pods, but 67,165 requests left no traces (p < 1e-12).",
    "D4b of a version": "a: stopped sending traces: last trace between 2025-11-20 13:00 and 14:00; 4,849 requests "
    "since then (p < 1e-12)."
    " Last change before: version 2 published (TracingConfig.Mode Active → PassThrough) at 2025-11-20 "
    "14:00.",
    "D4b by CodeDeploy": "a: stopped sending traces: last trace between 2025-11-20 13:00 and 14:00; 4,849 requests "
    "since then (p < 1e-12)."
    " Last change before: CodeDeploy deployment d-000000001 (Succeeded) by user at 2025-11-20 13:00.",
    "D4b of a service": "a: stopped sending traces: last trace between 2025-11-20 13:00 and 14:00; 4,849 requests "
    "since then (p < 1e-12)."
    " Last change before: service deployment (SUCCESSFUL) at 2025-11-20 14:00.",
}
EVIDENCE = {
    "D1a of a stage": ("apigateway:GetStages", '"tracingEnabled": false'),
    "D1n": ("apigatewayv2:GetApis", '"ProtocolType": "HTTP"'),
    "D2a of pods": (KUBECTL, '"image": "shop/a:1"'),
    "D2b of pods": (KUBECTL, "OOMKilled"),
    "D2b of an add-on": ("eks:DescribeAddon", "InsufficientNumberOfReplicas"),
    "D2c of pods": ("eks:DescribeCluster", '"status": "ACTIVE"'),
    "D4b of a version": ("lambda:ListVersionsByFunction", '"Mode": "PassThrough"'),
    "D4b by CodeDeploy": ("codedeploy:BatchGetDeployments", "d-000000001"),
    "D4b of a service": ("ecs:ListServiceDeployments", "SUCCESSFUL"),
}


def of(audit, diagnosis):
    return [finding for finding in audit.findings if finding.check == f"coverage.{diagnosis}"]


def headline_of(answers, name="a"):
    return audit_answers(answers).services.loc[name, "diagnosis_code"]


def shown(answers):
    """What kubectl saved, to be changed."""
    return answers.of(KUBECTL)[0].content["items"]


def one_of(answers, kind, name):
    return next(item for item in shown(answers) if (item["kind"], item["metadata"]["name"]) == (kind, name))


@pytest.mark.parametrize("name", SENTENCES)
def test_the_sentence_and_the_answer_that_it_rests_on(name):
    (finding,) = of(audit_answers(answers_of(WORLDS[name])), name.split()[0])
    assert finding.headline == SENTENCES[name]
    if name in EVIDENCE:
        operation, words = EVIDENCE[name]
        rows = finding.evidence[finding.evidence["source_call"] == operation]
        assert rows["answer"].str.contains(words, regex=False).any()


# -------------------------------------------------------------------- over HTTP


def counts(answers, names):
    """The requests of the world, as a user counted them."""
    series = {one["Label"]: one for one in answers.items("cloudwatch:GetMetricData")}
    parts = [
        pd.DataFrame({"service": name, "time": series[label]["Timestamps"], "count": series[label]["Values"]})
        for name, label in names.items()
    ]
    return pd.concat(parts)


APPS = (
    App("cart", rate=0.5, ends=29, code_deployed=(28,), rolled=(28,)),
    App("fn", "lambda", mode="PassThrough", recorded=False, versions=((-9, "Active"), (3, "PassThrough"))),
    App("wish", "pod", recorded=False),
    App("shop/prod", "gateway", mode="off", recorded=False),
)
LABELS = {
    "cart": "targetgroup/cart/0123456789abcdef",
    "fn": "fn",
    "wish": "targetgroup/k8s-shop-wish-0123456789/0123456789abcdef",
    "shop/prod": "api/shop/prod",
}


def test_a_whole_account_over_http(account, tmp_path, markers):
    world = World(APPS, http_apis=("landing",), addons=(("amazon-cloudwatch-observability", "ACTIVE", ""),))
    answers = logged(answers_of(world, hours=30))
    server = account(answers)
    items = {"items": [kube(item) for item in shown(answers)]}
    (tmp_path / "kubectl-shop.json").write_text(json.dumps(items))
    how = {"requests": counts(answers, LABELS), "until": pd.Timestamp(END, unit="s"), "days": 30 / 24}
    audit = tk.audit_coverage(**how, kubectl=tmp_path / "kubectl-shop.json", save=tmp_path / "saved")
    expected = {"cart": "D4b", "fn": "D1b", "landing": "D1n", "shop/prod": "D1a", "wish": "D2c"}
    assert audit.services["diagnosis_code"].to_dict() == expected
    assert audit_answers(answers).services["diagnosis_code"].to_dict() == expected
    assert audit.services.loc["wish", ["collector", "collector_running"]].tolist() == ["daemonset", (3, 3)]
    json_services = ("cloudwatch:", "iam:", "ec2:")
    assert set(server.calls) == {name for name in OPERATIONS if not name.startswith(json_services)}
    again = tk.audit_coverage(from_folder=tmp_path / "saved", requests=how["requests"])
    assert [str(one) for one in again.findings] == [str(one) for one in audit.findings]
    text = (tmp_path / "saved" / "answers.jsonl").read_text() + audit.evidence.to_csv() + str(audit.findings)
    assert not any(secret in text for secret in (*markers, "hunter2"))
    told = {finding.headline for finding in of(audit, "not_checked")}
    assert not any("eks" in one or "kubectl" in one or "codedeploy" in one for one in told)


@pytest.mark.parametrize("operation", ["eks:ListClusters", "eks:ListAddons", "codedeploy:ListDeployments"])
def test_what_is_denied_over_http_is_not_checked(account, operation):
    answers = answers_of(World(APPS), hours=30)
    server = account(answers)
    server.faults[operation] = (403, {"__type": "AccessDeniedException", "message": "no"})
    audit = tk.audit_coverage(until=pd.Timestamp(END, unit="s"), days=30 / 24)
    told = {finding.headline for finding in of(audit, "not_checked")}
    assert f"not checked: needs {operation}." in told
    assert "OK" not in set(audit.services["diagnosis_code"])


# -------------------------------------------------------------------- what kubectl printed


def kube(item):
    """An item as kubectl prints it, with what must not be kept."""
    containers = [
        {
            "name": one["name"],
            "image": one["image"],
            "args": ["--password=hunter2"],
            "env": [*one["environment"], {"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "X", "valueFrom": {}}],
        }
        for one in item["containers"]
    ]
    inner = {"containers": containers, "nodeName": "ip-10-0-0-1"}
    status = dict(item["status"])
    status["conditions"] = [
        {"type": "Available"},
        {"type": "Progressing", "lastUpdateTime": status.pop("rolledOut", None)},
    ]
    notes = {"kubectl.kubernetes.io/last-applied-configuration": '{"password": "hunter2"}'}
    spec = inner if item["kind"] == "Pod" else {"replicas": item["replicas"], "template": {"spec": inner}}
    about = item["metadata"] | {"annotations": item["metadata"]["annotations"] | notes}
    return {"kind": item["kind"], "metadata": about, "spec": spec, "status": status}


def test_kubectl_output_gives_the_same_and_hides_everything_else(tmp_path):
    answers = answers_of(WORLDS["D2b of pods"])
    file = tmp_path / "kubectl-shop.json"
    file.write_text(json.dumps({"kind": "List", "items": [kube(item) for item in shown(answers)]}))
    (read,) = read_kubectl([file])
    assert read.request == {"cluster": "shop"}
    assert "hunter2" not in json.dumps(read.content)
    assert "ip-10-0-0-1" not in json.dumps(read.content)
    given = replace(answers, records=[read if one.operation == KUBECTL else one for one in answers.records])
    pd.testing.assert_frame_equal(audit_answers(given).services, audit_answers(answers).services)


def test_files_of_clusters_are_read_from_the_folder_of_the_audit(tmp_path):
    answers = answers_of(WORLDS["D2c of pods"])
    without = answers.without([KUBECTL])
    folder = audit_folder.save(without, tmp_path / "audit")
    assert "a" not in audit_answers(audit_folder.load(folder)).services.index
    items = {"items": [kube(item) for item in shown(answers)]}
    (folder / "kubectl-shop.json").write_text(json.dumps(items))
    audit = tk.audit_coverage(from_folder=folder)
    assert audit.services.loc["a", "diagnosis_code"] == "D2c"
    outside = tmp_path / "kubectl.json"
    outside.write_text(json.dumps(items))
    (folder / "kubectl-shop.json").unlink()
    code = tk.audit_coverage(from_folder=folder, kubectl=outside).findings[0].code
    assert f"from_folder={str(folder)!r}, kubectl=[{str(outside)!r}])" in code
    assert len(eval(code, {"tk": tk}))
    audit = tk.audit_coverage(from_folder=folder, kubectl=[outside], save=tmp_path / "again")
    assert audit.services.loc["a", "diagnosis_code"] == "D2c"
    assert tk.audit_coverage(from_folder=tmp_path / "again").services.loc["a", "diagnosis_code"] == "D2c"


def test_the_later_file_of_a_cluster_counts(tmp_path):
    """What is saved first has a service that is gone later."""
    answers = answers_of(World((App("old", "pod"), App("new", "pod"))))
    folder = audit_folder.save(answers, tmp_path / "audit")
    items = [kube(item) for item in shown(answers) if "old" not in item["metadata"]["name"]]
    (folder / "kubectl-shop.json").write_text(json.dumps({"items": items}))
    loaded = audit_folder.load(folder)
    assert len(loaded.of(KUBECTL)) == 1
    assert {item["metadata"]["name"] for item in shown(loaded) if item["kind"] == "Deployment"} == {"new"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, r"expected the output of `kubectl get pods.*`, found no file .*kubectl.json: No such file"),
        ("NAME  READY", r"expected the output of .* in .*kubectl.json, found other content \(JSONDecodeError"),
        ('{"kind": "Status"}', r"found other content \(KeyError"),
        ('{"items": [{"metadata": {}}]}', r"found other content \(KeyError"),
        ('{"items": [7]}', r"found other content \(AttributeError"),
        ("[]", r"found other content \(TypeError"),
    ],
)
def test_a_file_that_kubectl_did_not_print_is_refused(tmp_path, text, expected):
    if text is not None:
        (tmp_path / "kubectl.json").write_text(text)
    with pytest.raises(tk.LoadError, match=expected):
        tk.audit_coverage(from_folder="audit-shop", kubectl=tmp_path / "kubectl.json")


def test_a_cluster_that_was_not_saved_is_named():
    answers = answers_of(WORLDS["OK of pods"])
    answers.of("eks:ListClusters")[0].content["clusters"].append("other")
    audit = audit_answers(answers)
    (told,) = of(audit, "not_checked")
    assert told.headline.startswith(
        "not checked: needs kubectl get pods,deployments,daemonsets -A -o json of cluster other,"
    )
    assert told.remedy == "Save it as kubectl-other.json in the audit folder, or pass it with --kubectl."
    assert audit.services.loc["a", "diagnosis_code"] == "OK", "of its own cluster everything is known"
    alone = answers_of(WORLDS["OK of pods"])
    for record in alone.of(KUBECTL):
        record.request["cluster"] = ""
    assert not of(audit_answers(alone), "not_checked"), "one cluster, one file"


# -------------------------------------------------------------------- workloads


@pytest.mark.parametrize("gone", ["DaemonSet", "Deployment", "Pod", "kube-system"])
def test_a_file_that_does_not_show_all_never_proves_that_there_is_no_collector(gone):
    answers = answers_of(WORLDS["D2a of pods"])
    items = shown(answers)
    items[:] = [one for one in items if gone not in (one["kind"], one["metadata"]["namespace"])]
    assert headline_of(answers) != "D2a"


@pytest.mark.parametrize(
    ("endpoint", "collector", "headline"),
    [
        ("http://collector.observability:4317", "daemonset", "D2c"),
        ("http://collector.observability.svc.cluster.local:4317", "daemonset", "D2c"),
        ("http://$(HOST_IP):4317", "daemonset", "D2c"),
        ("http://localhost:4317", "none", "D2a"),
        ("https://otel.example.com:4317", "remote", "T8u"),
    ],
)
def test_the_address_decides_which_collector_serves_a_pod(endpoint, collector, headline):
    app = App("a", "pod", environment={"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}, recorded=False)
    audit = audit_answers(answers_of(World((app,))))
    assert audit.services.loc["a", ["collector", "diagnosis_code"]].tolist() == [collector, headline]


def test_an_address_in_the_cluster_where_no_known_collector_runs_is_not_none():
    app = App("a", "pod", environment={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://alloy:4317"}, collector=None)
    audit = audit_answers(answers_of(World((replace(app, recorded=False),), daemon=None)))
    assert audit.services.loc["a", ["collector", "diagnosis_code"]].tolist() == ["remote", "T8u"]


def test_on_the_network_of_the_node_localhost_is_the_daemon():
    app = App("a", "pod", environment={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4317"}, recorded=False)
    answers = answers_of(World((app,)))
    one_of(answers, "Deployment", "a")["hostNetwork"] = True
    assert headline_of(answers) == "D2c"


def test_a_collector_that_an_operator_put_into_the_pods_is_a_sidecar():
    answers = answers_of(WORLDS["D2a of pods"])
    injected = {"name": "otc-container", "image": "otel/opentelemetry-collector:1", "environment": [], "hidden": False}
    state = {"name": "otc-container", "ready": True, "restartCount": 0, "state": {}, "lastState": {}}
    for item in shown(answers):
        if item["kind"] == "Pod" and item["metadata"]["name"].startswith("a-"):
            item["containers"] = [*item["containers"], injected]
            item["status"]["containerStatuses"] = [*item["status"]["containerStatuses"], state]
    audit = audit_answers(answers)
    row = audit.services.loc["a"]
    assert (row["diagnosis_code"], row["collector"], row["collector_running"]) == ("D2c", "sidecar", (2, 2))


def test_variables_from_a_config_map_are_not_known_unless_traces_show_it():
    for recorded, headline in ((True, "OK"), (False, "T8u")):
        answers = answers_of(World((App("a", "pod", recorded=recorded),)))
        for item in shown(answers):
            for container in item["containers"]:
                container["hidden"] = True
        assert headline_of(answers) == headline


def test_instrumentation_that_the_operator_puts_in_is_seen():
    answers = answers_of(WORLDS["D2c of pods"])
    one_of(answers, "Deployment", "a")["metadata"]["annotations"] = {
        "instrumentation.opentelemetry.io/inject-java": "true"
    }
    assert audit_answers(answers).services.loc["a", "instrumented_by"] == "the operator (java)"


def test_pods_of_the_cluster_itself_are_no_services():
    names = set(audit_answers(answers_of(WORLDS["OK of pods"])).services.index)
    assert names == {"a"}, "neither kube-proxy nor the collector"


def test_pods_without_a_maker_and_of_stateful_sets_are_services_and_jobs_are_not():
    answers = answers_of(WORLDS["OK of pods"])
    template = one_of(answers, "Pod", "a-7d4b9c6f5-0")
    for kind, name in (("StatefulSet", "db"), ("Job", "nightly"), (None, "shell")):
        about = {**template["metadata"], "name": f"{name}-0", "ownerReferences": [{"kind": kind, "name": name}]}
        about["ownerReferences"] = about["ownerReferences"] if kind else []
        shown(answers).append({**template, "metadata": about})
    assert set(audit_answers(answers).services.index) == {"a", "db", "shell-0"}


@pytest.mark.parametrize(
    ("ended", "young", "restarts", "headline"),
    [
        (END - HOUR, True, 9, "D2b"),
        (END - HOUR, False, 1, "D2b"),
        (END - 30 * 24 * HOUR, False, 0, "OK"),
    ],
)
def test_only_falls_in_the_period_count(ended, young, restarts, headline):
    answers = answers_of(WORLDS["OK of pods"])
    pod = one_of(answers, "Pod", "collector-0")
    if young:
        pod["status"]["startTime"] = pd.Timestamp(END - 5 * HOUR, unit="s", tz="UTC").isoformat()
    (state,) = pod["status"]["containerStatuses"]
    state["restartCount"] = 9
    at = pd.Timestamp(ended, unit="s", tz="UTC").isoformat()
    state["lastState"] = {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": at}}
    audit = audit_answers(answers)
    assert audit.services.loc["a", "diagnosis_code"] == headline
    rows = audit.evidence.set_index("fact")["observed"]
    assert rows["collector_restarts"] == restarts


def test_one_name_for_two_target_groups_is_ambiguous():
    answers = answers_of(World((App("shopping-cart", "pod"), App("shopping-list", "pod"))))
    labels = {one["Label"] for one in answers.items("cloudwatch:GetMetricData")}
    assert len(labels) == 1, "eight letters of a name are all that the controller keeps"
    assert set(audit_answers(answers).services["diagnosis_code"]) == {"T0u"}


def test_two_workloads_of_one_name_are_reported():
    answers = answers_of(WORLDS["OK of pods"])
    twin = one_of(answers, "Deployment", "a")
    shown(answers).append({**twin, "metadata": {**twin["metadata"], "namespace": "staging"}})
    evidence = audit_answers(answers).evidence
    (row,) = evidence[evidence["fact"] == "workload"].to_dict("records")
    assert row["observed"] == "deployment staging/a"
    assert row["note"].startswith("deployment shop/a uses the same service name")


def test_a_healthy_add_on_says_nothing_about_its_pods():
    addons = (("amazon-cloudwatch-observability", "ACTIVE", ""),)
    answers = answers_of(World((App("a", "pod"),), has_kubectl=False, addons=addons))
    audit = audit_answers(answers)
    assert audit.services.loc["a", ["diagnosis_code", "collector"]].tolist() == ["T0u", "add-on"]
    stages = audit.evidence.drop_duplicates("stage").set_index("stage")["status"]
    assert stages["T2"] == "unknown"


def test_the_pods_take_precedence_over_the_add_on():
    addons = (("adot", "DEGRADED", "InsufficientNumberOfReplicas"),)
    audit = audit_answers(answers_of(World((App("a", "pod"),), addons=addons)))
    assert audit.services.loc["a", "diagnosis_code"] == "OK"
    (row,) = audit.evidence[audit.evidence["fact"] == "addon"].to_dict("records")
    assert row["observed"] == "adot v1.2.0-eksbuild.1: DEGRADED"
    assert "the operator only" in row["note"]


# -------------------------------------------------------------------- gateways and deployments


def test_an_api_with_unknown_stages_is_not_ok():
    answers = answers_of(WORLDS["OK of a stage"])
    hidden = [
        replace(one, content={}, failure=DENIED) if one.operation == "apigateway:GetStages" else one
        for one in answers.records
    ]
    audit = audit_answers(replace(answers, records=hidden))
    assert audit.services.loc["a/prod", ["diagnosis_code", "platform"]].tolist() == ["T8u", "gateway"]
    (told,) = of(audit, "not_checked")
    assert told.headline == "not checked: needs apigateway:GET (GetStages)."


def test_an_http_api_with_the_name_of_a_traced_service_changes_no_diagnosis():
    answers = answers_of(replace(WORLDS["D2a"], http_apis=("a",)))
    assert headline_of(answers) == "D2a"


def test_the_last_change_before_the_end_is_named_from_any_source():
    answers = answers_of(World((App("a", ends=158, changed_at=150, code_deployed=(120, 158), rolled=(10,)),)))
    (finding,) = of(audit_answers(answers), "D4b")
    assert "CodeDeploy deployment d-000000002 (Succeeded) by user at 2025-11-20 14:00." in finding.headline


def test_a_deployment_of_another_group_is_not_ones_own():
    answers = answers_of(World((App("a", ends=158, code_deployed=(158,)),)))
    for record in answers.of("codedeploy:BatchGetDeploymentGroups"):
        record.content["deploymentGroupsInfo"][0]["ecsServices"] = [{"serviceName": "b"}]
    (finding,) = of(audit_answers(answers), "D4b")
    assert "Last change before: none recorded in the preceding half hour." in finding.headline
