"""An audit of accounts that answer over HTTP: moto where it can, a small X-Ray of our own where it cannot."""

import importlib.util
import io
import json
import os
import re
import shutil
import sys
import urllib.request
import zipfile
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import boto3
import pandas as pd
import pytest
from audit_cases import _PATH, END, HOUR, WORLDS, App, World, answers_of, logged
from moto.server import ThreadedMotoServer
from typer.testing import CliRunner

import tracekit as tk
from tracekit.aws.audit import folder as audit_folder
from tracekit.aws.audit.answers import KUBECTL
from tracekit.aws.audit.coverage import _period, audit_answers
from tracekit.aws.audit.retrieval import _graph, retrieve
from tracekit.aws.operations import OPERATIONS
from tracekit.aws.reader import HIDDEN, Answer, Reader, plain
from tracekit.cli import app

LOG = {
    "logDriver": "awslogs",
    "options": {"awslogs-group": "/ecs/shop", "awslogs-stream-prefix": "ecs", "awslogs-region": "eu-west-1"},
}
PAGE = b"<!doctype html>\n<html lang=en><title>404 Not Found</title><h1>Not Found</h1>" + b"<p>long</p>" * 99
READS = re.compile(r"(Filter|Get|List|Describe|BatchGet|Lookup|Simulate)[A-Z]\w+")


@pytest.fixture
def moto(monkeypatch):
    """The rest of AWS, played by moto's server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/moto-api/reset", method="POST")).close()
    yield server
    server.stop()


def made_in_moto():
    """Two functions, a service with a sidecar, and an hour of invocations."""
    session = boto3.Session(region_name="eu-west-1")
    trust = {"Version": "2012-10-17", "Statement": []}
    role = session.client("iam").create_role(RoleName="fn", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("fn.py", "def handler(event, context): pass")
    for name, mode in (("a", "Active"), ("b", "PassThrough")):
        session.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role=role,
            Handler="fn.handler",
            Code={"ZipFile": packed.getvalue()},
            TracingConfig={"Mode": mode},
            Environment={"Variables": {"DB_PASSWORD": "hunter2hunter2", "OTEL_SERVICE_NAME": name}},
        )
    ecs = session.client("ecs")
    ecs.create_cluster(clusterName="shop")
    ecs.register_task_definition(
        family="cart",
        containerDefinitions=[
            {"name": "app", "image": "shop/cart:1", "memory": 64},
            {"name": "xray", "image": "public.ecr.aws/xray/aws-xray-daemon:3.x", "memory": 64, "logConfiguration": LOG},
        ],
    )
    ecs.create_service(cluster="shop", serviceName="cart", taskDefinition="cart", desiredCount=1)
    gateway = session.client("apigateway")
    api = gateway.create_rest_api(name="shop")["id"]
    root = gateway.get_resources(restApiId=api)["items"][0]["id"]
    gateway.put_method(restApiId=api, resourceId=root, httpMethod="GET", authorizationType="NONE")
    gateway.put_integration(restApiId=api, resourceId=root, httpMethod="GET", type="MOCK")
    gateway.create_deployment(restApiId=api, stageName="prod", variables={"password": "hunter2hunter2"})
    session.client("apigatewayv2").create_api(Name="landing", ProtocolType="HTTP", Tags={"key": "hunter2hunter2"})
    network = {"subnetIds": ["subnet-1", "subnet-2"]}
    session.client("eks").create_cluster(name="pods", roleArn=role, resourcesVpcConfig=network)
    deploy = session.client("codedeploy")
    deploy.create_application(applicationName="cart", computePlatform="ECS")
    deploy.create_deployment_group(applicationName="cart", deploymentGroupName="all", serviceRoleArn=role)
    deploy.create_deployment(applicationName="cart", deploymentGroupName="all")
    now = datetime.now(UTC)
    session.client("cloudwatch").put_metric_data(
        Namespace="AWS/Lambda",
        MetricData=[
            {
                "MetricName": "Invocations",
                "Dimensions": [{"Name": "FunctionName", "Value": name}],
                "Timestamp": now - timedelta(hours=hours),
                "Value": 5000.0,
                "Unit": "Count",
            }
            for name in ("a", "b")
            for hours in (3, 5)
        ],
    )


@pytest.mark.usefixtures("moto")
def test_an_account_of_moto_is_audited(account, tmp_path, markers):
    made_in_moto()
    empty = answers_of(WORLDS["D1c"])
    server = account(empty, is_alone=True)
    soon = datetime.now(UTC) + timedelta(hours=1)  # what was made just now is in the period
    audit = tk.audit_coverage(days=1, until=soon, save=tmp_path / "saved")
    assert audit.services.loc["a", "diagnosis_code"] in {"D1c", "T8u"}
    assert audit.services.loc["b", "diagnosis_code"] == "D1b"
    assert audit.services.loc["a", "requests"] == 10_000
    assert audit.services.loc["cart", "collector"] == "sidecar"
    assert server.calls["xray:GetServiceGraph"] == 24
    assert audit.services.loc["shop/prod", ["diagnosis_code", "platform"]].tolist() == ["D1a", "gateway"]
    assert audit.services.loc["landing", "diagnosis_code"] == "D1n"
    deployed = audit.evidence[audit.evidence["fact"] == "codedeploy"]
    assert deployed["service"].tolist() == ["cart"]
    assert (tmp_path / "saved" / "answers.jsonl").read_text().count("hunter2") == 0
    told = {finding.headline for finding in audit.findings if finding.check == "coverage.not_checked"}
    assert any("of cluster pods, as AWS does not report pods" in one for one in told)
    assert any("cloudtrail:LookupEvents" in one for one in told), "moto has no CloudTrail"
    whole = (tmp_path / "saved" / "answers.jsonl").read_text() + str(audit.findings) + audit.evidence.to_csv()
    assert not any(marker in whole for marker in (*markers, "hunter2hunter2"))
    assert HIDDEN in whole
    again = tk.audit_coverage(from_folder=tmp_path / "saved")
    assert again.services["diagnosis_code"].to_dict() == audit.services["diagnosis_code"].to_dict()
    assert [str(one) for one in again.findings] == [str(one) for one in audit.findings]


class Recorded:
    """A reader that answers from a saved account, documents as AWS sends them, and remembers what it was asked."""

    region = "eu-west-1"

    def __init__(self, answers):
        self.answers, self.asked = answers, []

    def call(self, operation, most_pages=1000, **request):  # noqa: ARG002 - as the real one
        self.asked.append((operation, request))
        told = plain(request)
        for one in self.answers.calls_of(operation):
            wanted = {name: value for name, value in one.request.items() if name in told and name != "ActionNames"}
            if all(told[name] == value for name, value in wanted.items()):
                return one
        return Answer(operation, told, {OPERATIONS[operation].key: []}, "2025-11-21T00:00:00+00:00")


def test_everything_that_an_audit_needs_is_requested():
    """What is asked of a saved account gives the audit of that account, users' words left out."""
    apps = (
        App("a", code_deployed=(9,)),
        App("fn", "lambda", per_hour=2000),
        App("pod", "pod"),
        App("shop/prod", "gateway"),
        App("shut", recorded=False, subnets=("subnet-shut",)),
    )
    answers = logged(answers_of(World(apps), hours=30))
    for record in answers.of("xray:BatchGetTraces"):
        for trace in record.content["Traces"]:
            for segment in trace["Segments"]:
                rich = json.loads(segment["Document"]) | {
                    "annotations": {"card": "4111"},
                    "http": {"request": {"url": "/u"}},
                }
                segment["Document"] = json.dumps(rich)
    reader = Recorded(answers)
    found = retrieve(reader, answers.start, answers.end, answers.of(KUBECTL))
    first, again = audit_answers(answers), audit_answers(found)
    headlines = {"a": "OK", "fn": "OK", "pod": "OK", "shop/prod": "OK", "shut": "W2"}
    assert first.services["diagnosis_code"].to_dict() == headlines
    pd.testing.assert_frame_equal(first.services, again.services)
    whole = json.dumps([one.content for one in found.of("xray:BatchGetTraces")])
    assert "4111" not in whole
    assert '"/u' not in whole
    asked = Counter(operation for operation, _ in reader.asked)
    assert set(asked) == set(OPERATIONS)
    assert asked["xray:GetServiceGraph"] == 30
    assert asked["cloudtrail:LookupEvents"] == 11
    assert all(len(request["TraceIds"]) <= 5 for name, request in reader.asked if name == "xray:BatchGetTraces")
    summaries = next(request for name, request in reader.asked if name == "xray:GetTraceSummaries")
    assert (summaries["Sampling"], summaries["TimeRangeType"]) == (False, "Event")
    assert (summaries["EndTime"] - summaries["StartTime"]).total_seconds() == 6 * HOUR
    (metrics,) = [request for name, request in reader.asked if name == "cloudwatch:GetMetricData"]
    assert {query["Label"] for query in metrics["MetricDataQueries"]} == {
        "api/shop/prod",
        "fn",
        "targetgroup/a/0123456789abcdef",
        "targetgroup/k8s-shop-pod-0123456789/0123456789abcdef",
        "targetgroup/shut/0123456789abcdef",
    }


# -------------------------------------------------------------------- read-only


@pytest.mark.usefixtures("moto")
def test_only_reads_of_the_list_are_ever_called(account):
    made_in_moto()
    account(answers_of(WORLDS["D1c"]), is_alone=True)
    session = boto3.Session(region_name="eu-west-1")
    called = set()
    session.events.register(
        "before-call.*", lambda model, **_: called.add(f"{model.service_model.service_name}:{model.name}")
    )
    tk.audit_coverage(session, days=1)
    assert {name.partition(":")[0] for name in called} == {name.partition(":")[0] for name in OPERATIONS}
    assert {re.sub(r"(?<=s)\d{8}$", "", name) for name in called} <= set(OPERATIONS)
    assert "xray:GetSamplingTargets" not in called


def test_the_list_contains_reads_only_and_nothing_else_can_be_called():
    for operation in OPERATIONS:
        assert READS.fullmatch(operation.partition(":")[2]), operation
    assert not any("Targets" in operation for operation in OPERATIONS)
    reader = Reader(region="eu-west-1")
    for operation in ("xray:GetSamplingTargets", "xray:PutTraceSegments", "lambda:DeleteFunction"):
        with pytest.raises(ValueError, match=rf"expected a read operation of the audit .*, found '{operation}'"):
            reader.call(operation)


# -------------------------------------------------------------------- what goes wrong


def test_all_pages_are_read(account):
    server = account(answers_of(WORLDS["OK"]), is_alone=True)
    groups = [{"GroupName": str(number)} for number in range(5)]
    server.answers.records.append(server.answers.of("xray:GetGroups")[0])
    next(iter(server.answers.of("xray:GetGroups"))).content["Groups"][:] = groups
    answer = Reader(region="eu-west-1").call("xray:GetGroups")
    assert [one["GroupName"] for one in answer.content["Groups"]] == ["0", "1", "2", "3", "4"]
    assert server.calls["xray:GetGroups"] == 3


@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        ((403, {"__type": "AccessDeniedException", "message": "no"}), "denied"),
        ((200, b"<html>Please sign in</html>"), "an answer without Groups; check for a proxy"),
        ((200, {"Groups": [], "NextToken": "again"}), "_LoopError: a page token that was returned before"),
        ((400, {"__type": "InvalidRequestException", "message": "bad"}), "InvalidRequestException"),
        ((500, {"__type": "InternalFailure"}), "InternalFailure|500"),
        ((404, PAGE), r"^not offered by this endpoint \(404\)$"),
        ((500, PAGE), r"^an HTML page instead of an AWS response \(500\)$"),
        ((503, PAGE), r"^an HTML page instead of an AWS response \(503\)$"),
        (
            (501, {"__type": "InternalFailure", "message": "not yet implemented"}),
            r"^not offered by this endpoint \(501\)$",
        ),
    ],
)
def test_what_is_not_answered_is_kept_as_not_known(account, fault, failure):
    server = account(answers_of(WORLDS["OK"]), is_alone=True)
    server.faults["xray:GetGroups"] = fault
    answer = Reader(region="eu-west-1", attempts=1).call("xray:GetGroups")
    assert not answer.is_known
    assert re.search(failure, answer.failure)


def test_an_error_page_is_not_requested_again(account):
    server = account(answers_of(WORLDS["OK"]), is_alone=True)
    server.faults["xray:GetGroups"] = (500, PAGE)
    Reader(region="eu-west-1", attempts=3).call("xray:GetGroups")
    assert server.calls["xray:GetGroups"] == 1


def test_an_error_page_of_a_service_that_answers_xml_is_one_line(serve_page):
    serve_page(404)
    answer = Reader(region="eu-west-1", attempts=3).call("cloudwatch:ListMetrics")
    assert answer.failure == "not offered by this endpoint (404)"


def test_operations_without_an_answer_are_one_finding_per_cause(serve_page):
    serve_page(404)
    audit = tk.audit_coverage(days=0.1)
    (found,) = (one for one in audit.findings if "not offered" in one.headline)
    assert re.fullmatch(
        r"not checked: xray:GetServiceGraph, xray:GetTraceSummaries, xray:GetSamplingRules and \d+ more: "
        r"not offered by this endpoint \(404\)\.",
        found.headline,
    )
    assert found.remedy.startswith("Unset AWS_ENDPOINT_URL")
    assert set(found.evidence["note"]) == {"not offered by this endpoint (404)"}
    assert {"cloudwatch:ListMetrics", "lambda:ListFunctions"} <= set(found.evidence["source_call"])
    assert "<" not in str(audit.findings)


def test_sampling_rules_that_the_endpoint_does_not_offer_are_one_line(serve_page):
    serve_page(404)
    expected = r"^expected the sampling rules of eu-west-1, found none: not offered by this endpoint \(404\)$"
    with pytest.raises(tk.PullError, match=expected):
        tk.sampling_rules()


def test_an_endpoint_without_cloudwatch_is_named_on_publishing(serve_page):
    serve_page(404)
    finding = tk.Finding("spans.lost", "warning", "6% are lost.")
    with pytest.raises(tk.PullError, match=r"found not offered by this endpoint \(404\); 0 were sent before"):
        tk.publish_cloudwatch([finding], dry_run=False)


def test_a_denied_call_is_not_repeated_for_every_hour(account, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    server = account(answers_of(WORLDS["OK"]), is_alone=True)
    server.faults["xray:GetServiceGraph"] = (403, {"__type": "AccessDeniedException", "message": "no"})
    (answer,) = _graph(Reader(region="eu-west-1"), END - 168 * HOUR, END)
    assert (answer.failure, server.calls["xray:GetServiceGraph"]) == ("denied", 1)


@pytest.mark.parametrize("code", ["ExpiredTokenException", "UnrecognizedClientException", "InvalidSignatureException"])
def test_credentials_that_are_of_no_use_end_the_audit(account, code, markers):
    server = account(answers_of(WORLDS["OK"]), is_alone=True)
    server.faults["xray:GetServiceGraph"] = (403, {"__type": code, "message": f"the token {markers[2]} is bad"})
    with pytest.raises(
        tk.PullError, match=f"expected credentials that xray:GetServiceGraph accepts, found {code}"
    ) as told:
        tk.audit_coverage(days=1)
    assert not any(marker in str(told.value) for marker in markers)


def test_credentials_in_messages_are_masked(account, markers):
    server = account(answers_of(WORLDS["OK"]), is_alone=True)
    server.faults["xray:GetGroups"] = (400, {"__type": "InvalidRequestException", "message": " ".join(markers)})
    answer = Reader(region="eu-west-1", attempts=1).call("xray:GetGroups")
    assert "*** *** ***" in answer.failure


def test_without_region_or_credentials_nothing_is_requested(monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(tk.PullError, match=r"no AWS region: pass --region"):
        tk.audit_coverage()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    with pytest.raises(
        tk.PullError,
        match=r"no AWS credentials found \(environment, profile, role\); test with .* or audit a saved folder",
    ):
        tk.audit_coverage(region="eu-west-1")
    with pytest.raises(
        tk.PullError,
        match=r"expected an AWS session with credentials, found ProfileNotFound: The config profile \(nobody\)",
    ):
        tk.audit_coverage(profile="nobody")


def test_the_time_is_whole_hours():
    assert _period(2, "2026-01-03T05:59:00Z") == (1767243600, 1767416400)
    start, end = _period(0.01, None)
    assert end - start == HOUR
    assert end % HOUR == 0


# -------------------------------------------------------------------- the folder


def test_a_saved_folder_is_whole_or_not_there(tmp_path, monkeypatch):
    answers = answers_of(WORLDS["OK"])
    folder = audit_folder.save(answers, tmp_path / "a")
    assert audit_folder.load(folder) == answers
    with pytest.raises(tk.LoadError, match=r"cannot save the AWS responses: .* is not empty; choose a new folder"):
        audit_folder.save(answers, folder)
    (tmp_path / "empty").mkdir()
    assert audit_folder.load(audit_folder.save(answers, tmp_path / "empty")) == answers

    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(audit_folder.json, "dumps", stopped)
    with pytest.raises(KeyboardInterrupt):
        audit_folder.save(answers, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_a_folder_that_is_none_or_was_cut_is_refused(tmp_path):
    with pytest.raises(
        tk.LoadError, match=r"no folder '.*nowhere' of saved AWS responses; create one with: tracekit audit --save DIR"
    ):
        tk.audit_coverage(from_folder=tmp_path / "nowhere")
    with pytest.raises(tk.LoadError, match=r"no saved AWS responses \(audit.json and answers.jsonl\) in "):
        tk.audit_coverage(from_folder=tmp_path)
    folder = audit_folder.save(answers_of(WORLDS["OK"]), tmp_path / "a")
    lines = (folder / "answers.jsonl").read_text().splitlines(keepends=True)
    (folder / "answers.jsonl").write_text("".join(lines[:-1]))
    with pytest.raises(tk.LoadError, match=r"expected \d+ AWS responses in .*, found \d+: the file is truncated"):
        tk.audit_coverage(from_folder=folder)
    (folder / "answers.jsonl").write_text("".join("x\n" for _ in lines))
    with pytest.raises(tk.LoadError, match=r"expected an answer in line 1, found 'x'.* of .*answers.jsonl") as told:
        tk.audit_coverage(from_folder=folder)
    assert told.value.record == 1
    (folder / "answers.jsonl").write_text("".join(lines))
    about = json.loads((folder / "audit.json").read_text())
    (folder / "audit.json").write_text(json.dumps(about | {"version": 2}))
    with pytest.raises(tk.LoadError, match=r"expected version 1 in .*, found 2"):
        tk.audit_coverage(from_folder=folder)
    for odd in ({"start": "x"}, {"start": 5, "end": 4}, {"end": 10**15}, {"start": None}):
        (folder / "audit.json").write_text(json.dumps(about | odd))
        with pytest.raises(tk.LoadError, match=r"no saved AWS responses \(audit.json and answers.jsonl\) in "):
            tk.audit_coverage(from_folder=folder)


@pytest.mark.parametrize(
    "odd",
    ["{", "[]", "5", '{"operation": []}', '{"operation": "xray:PutTraceSegments"}', "[" * 100_000, "\xff", '"x"', ""],
)
def test_one_odd_line_of_saved_answers_is_reported_and_the_rest_is_read(tmp_path, odd):
    folder = audit_folder.save(answers_of(WORLDS["D1b"]), tmp_path / "a")
    whole = tk.audit_coverage(from_folder=folder)
    lines = (folder / "answers.jsonl").read_text().splitlines()
    (folder / "answers.jsonl").write_text("\n".join([*lines, odd]) + "\n", encoding="latin-1")
    about = json.loads((folder / "audit.json").read_text())
    (folder / "audit.json").write_text(json.dumps(about | {"answer_count": len(lines) + 1}))
    audit = tk.audit_coverage(from_folder=folder)
    (found,) = [one for one in audit.findings if one.check == "coverage.not_read"]
    headline = f"not read: 1 of {len(lines) + 1:,} saved AWS responses; first: expected an answer in line"
    assert found.headline.startswith(f"{headline} {len(lines) + 1}, found")
    pd.testing.assert_frame_equal(audit.services, whole.services)
    assert [one.headline for one in audit.findings if one is not found] == [one.headline for one in whole.findings]


@pytest.mark.parametrize("operation", ["lambda:ListFunctions", "xray:GetServiceGraph", "xray:GetSamplingRules"])
@pytest.mark.parametrize("odd", [5, "x", [5], [{}], [None], {"a": 1}, [[]], [{"Name": {}, "FunctionName": []}]])
def test_an_answer_of_another_shape_is_not_checked_and_the_rest_is_read(operation, odd):
    answers = answers_of(WORLDS["D1b"])
    holds = OPERATIONS[operation].key
    records = list(answers.records)
    at = next(n for n, one in enumerate(records) if one.operation == operation)
    records[at] = replace(records[at], content={holds: odd})
    audit = audit_answers(replace(answers, records=records))
    assert all(one.severity and one.headline for one in audit.findings)
    reported = [one for one in audit.findings if "a malformed answer" in one.headline]
    assert len(reported) <= 1
    if isinstance(odd, int):
        assert reported, "a number is never what an operation lists"
        assert reported[0].headline.startswith(f"not checked: {operation}: ")


def test_what_is_wrong_with_the_arguments_is_not_blamed_on_answers():
    with pytest.raises(ValueError, match="expected services among a, found b"):
        audit_answers(answers_of(WORLDS["OK"]), services=["b"])


def test_a_bundled_folder_that_was_changed_is_refused(tmp_path, monkeypatch):
    home = next(home for home in audit_folder.DATASETS if (home / "index.json").is_file())
    shutil.copy(home / "index.json", tmp_path)
    shutil.copytree(home / "audit-shop", tmp_path / "audit-shop")
    monkeypatch.setattr(audit_folder, "DATASETS", (tmp_path,))
    assert len(tk.audit_coverage(from_folder="audit-shop").services) == 17
    with (tmp_path / "audit-shop" / "answers.jsonl").open("a") as file:
        file.write("\n")
    with pytest.raises(tk.LoadError, match=r"expected SHA-256 [0-9a-f]{64} in .*answers.jsonl, found another"):
        tk.audit_coverage(from_folder="audit-shop")


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    sys.path.insert(0, str(_PATH.parent))
    try:
        spec = importlib.util.spec_from_file_location("audit_shop", _PATH.with_name("audit_shop.py"))
        made = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made)
    finally:
        sys.path.remove(str(_PATH.parent))
    made.write(tmp_path / "again", made.world(7))
    for name in ("answers.jsonl", "audit.json"):
        assert (tmp_path / "again" / name).read_bytes() == (made.DATASETS / "audit-shop" / name).read_bytes()


def test_secrets_of_environments_are_hidden():
    told = plain({"environment": [{"name": "OTEL_EXPORTER_OTLP_HEADERS", "value": "api-key=1234"}, "odd"]})
    assert told["environment"][0]["value"] == HIDDEN
    assert plain({"at": datetime(2026, 1, 1, tzinfo=UTC), "odd": {1}})["at"] == "2026-01-01T00:00:00+00:00"
    assert plain({"CloudTrailEvent": "{}", "containers": [{"command": ["--password", "x"]}]}) == {"containers": [{}]}


# -------------------------------------------------------------------- the command


def run(*words):
    return CliRunner().invoke(app, ["audit", *words])


def test_the_command_prints_the_diagnoses_and_the_alarms(tmp_path):
    ran = run("--from", "audit-shop", "--save", str(tmp_path / "copy"))
    assert ran.exit_code == 1
    words = " ".join(ran.output.split())
    assert words.startswith(
        "17 services in eu-west-1, 2025-11-14 00:00 to 2025-11-21 00:00 UTC"
        " 10 of 17 services are missing traces; 5 OK; 2 other (not traceable, uninstrumented dependency) service code"
    )
    names = [line.split()[0] for line in ran.output.splitlines()[4:21]]
    assert names[:2] == ["catalogue", "checkout"], "what fails stands first"
    assert names[-7:] == ["bank", "landing-page", "refunds", "send-mail", "shop-api/prod", "web", "wishlist"]
    assert "search D2a no collector container 50,292 0 none" in words
    assert "send-mail OK OK lambda 43,462 41,815 shop-api/prod OK OK gateway" in words
    assert "Alarms that should fire, and the services TraceCoverageIncomplete: checkout, gift-cards," in words
    assert "TraceCollectionGapDetected: catalogue" in words
    assert "collection gap [D5a] catalogue: collection gap from" in words
    assert "Set Mode=Active." in words
    assert "tracing_mode: PassThrough [lambda:ListFunctions, 2025-11-21T00:00]" in words
    assert '"TracingConfig": {"Mode": "PassThrough"}' in words
    assert "collector_restarts: 4 [ecs:DescribeTasks" in words
    assert "collector_running: 2 of 2 [ecs:DescribeTasks" in words
    assert "iam_denied: no [iam:SimulatePrincipalPolicy" in words
    assert "callers: checkout 14,242 [xray:GetServiceGraph" in words
    assert "needs cloudwatch:GetMetricData (requests)" in words
    assert (tmp_path / "copy" / "answers.jsonl").read_bytes().count(b"\n") > 200
    assert run("--from", str(tmp_path / "copy"), "--service", "web").exit_code == 0


@pytest.mark.parametrize(("columns", "has_all"), [(80, False), (120, True)])
def test_the_table_fits_into_a_terminal(monkeypatch, columns, has_all):
    monkeypatch.setattr("tracekit.cli_audit.get_terminal_size", lambda: os.terminal_size((columns, 24)))
    monkeypatch.setattr("tracekit.cli_audit.sys", SimpleNamespace(stdout=SimpleNamespace(isatty=lambda: True)))
    lines = run("--from", "audit-shop").output.splitlines()[3:21]
    assert max(map(len, lines)) <= columns
    assert ("collector" in lines[0]) == has_all
    assert ("platform" in lines[0]) == has_all
    assert "requests" in lines[0]


def test_the_command_prints_json_and_refuses_what_cannot_be():
    ran = run("--from", "audit-shop", "--json", "--min-incident-requests", "20")
    checks = {row["check"] for row in json.loads(ran.output)}
    assert {"coverage.D3a", "coverage.D5a", "coverage.OK"} <= checks
    assert run("--from", "audit-shop", "--service", "nobody").exit_code == 2
    assert run("--from", "nowhere").exit_code == 2


def test_the_first_thing_that_a_notebook_shows_is_the_answer():
    audit = tk.audit_coverage(from_folder="audit-shop")
    shown = audit._repr_html_()
    answer = "eu-west-1: 10 of 17 services are missing traces; 5 OK; 2 other (not traceable, uninstrumented dependency)"
    assert shown.startswith(f"<p>{answer}</p><table")
    assert shown.index("catalogue") < shown.index("bank") < shown.index("refunds")
    assert "<td>101,135</td>" in shown
    row = audit.overview.loc["search"]
    assert row.tolist() == ["D2a", "no collector", "container", 50_292, 0, "none"]
    assert audit.overview["requests"].isna().sum() == 3, "what is not known is no number"
    assert set(audit.overview.index) == set(audit.services.index)


def test_an_unreadable_account_is_not_called_ok(tmp_path):
    answers = answers_of(WORLDS["OK"])
    denied = [Answer(one.operation, one.request, {}, one.as_of, "denied") for one in answers.records]
    audit_folder.save(type(answers)(answers.region, answers.start, answers.end, denied), tmp_path / "denied")
    ran = run("--from", str(tmp_path / "denied"))
    assert ran.exit_code == 2
    assert "no services found: check the region, the account" in ran.output.splitlines()[1]
    assert "needs xray:GetServiceGraph" in " ".join(ran.output.split())
