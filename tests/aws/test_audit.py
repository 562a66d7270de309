"""The coverage audit: every branch of its tree, what missing inputs do, and what is never claimed."""

import ast
import itertools
import json
import random
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from audit_cases import BANK, END, HOUR, WORLDS, App, World, answers_of

import tracekit as tk
from tracekit.aws.audit import expected as audit_expected
from tracekit.aws.audit import tree as audit_tree
from tracekit.aws.audit.answers import KUBECTL, Answers
from tracekit.aws.audit.coverage import audit_answers, diagnose
from tracekit.aws.audit.messages import LABELS, MESSAGES
from tracekit.aws.audit.retrieval import is_of_a_service
from tracekit.aws.audit.tree import STAGES, main_result
from tracekit.aws.operations import OPERATIONS
from tracekit.aws.reader import DENIED, Answer
from tracekit.bundled import DATASETS

SENTENCES = {
    "OK": "a: OK, all checks passed; observed/expected traces 1.00× (95% CI 0.99–1.01×).",
    "OK of a function": "a: OK, all checks passed; observed/expected traces 1.00× (95% CI 1.00–1.00×).",
    "T0q": "a: no traffic in the period.",
    "T0u": "a: no request counts, so trace coverage cannot be computed (33,503 traces recorded).",
    "D1a": "a: tracing is disabled (OTEL_TRACES_EXPORTER=none, 2025-11-21): 0 traces of 67,165 requests in 7 days.",
    "D1b": "a: TracingConfig.Mode is PassThrough, which follows upstream sampling decisions only: 0 of 67,165 "
    "invocations have traces.",
    "D1c": "a: tracing is enabled, but 67,165 requests left no traces (p < 1e-12 under rule Lambda default (1/s "
    "+ 5%)).",
    "D2a": "a: task definition a:3 has no X-Ray daemon, collector or remote endpoint, so no traces are exported.",
    "D2a none runs": "a: task definition a:3 has a collector, but 0 of 2 run, so no traces are exported.",
    "D2b": "a: collector public.ecr.aws/aws-observability/aws-otel-collector:v0.43.3 is UNHEALTHY (3 restarts, "
    "last reason 'OutOfMemoryError: container killed due to memory usage'); 13,659 of about 33,582 "
    "expected traces recorded.",
    "D2c": "a: collector running on 2 of 2 tasks, but 67,165 requests left no traces (p < 1e-12).",
    "D3a": "a: rule rule-a samples 2% of requests. Detection probability of an incident of 20 requests: 33.2% (1"
    " or more traces); 95% needs a rate of 13.9%.",
    "D3b": "a: rule rule-a samples 100%, but only 69.9% (95% CI 69.5–70.2%) of requests have traces: sampled traces"
    " dropped before storage.",
    "D3b'": "a: 60.3% (95% CI 59.4–61.2%) of the traces expected under rule rule-a recorded: about 13,342 sampled "
    "traces dropped before storage.",
    "D3d": "a: more traces than rule rule-a explains, observed/expected 2.00× (95% CI 1.98–2.01×): an upstream "
    "decision, another rule, a sampling boost or duplicate export.",
    "D3f": "a: spans are stored in CloudWatch Logs and only 1.0% are indexed as X-Ray traces (339 recorded).",
    "D3x": "a: no traces of 17 requests, not significant under rule rule-a (p = 0.17); about 44 requests are needed.",
    "D4a": "a: shipped without instrumentation: first deployed 2025-11-18 04:00; no traces for 27,758 requests "
    "since (p < 1e-12). No other service was first deployed in the last 7 days.",
    "D4b": "a: stopped sending traces: last trace between 2025-11-20 13:00 and 14:00; 4,849 requests since then "
    "(p < 1e-12). Last change before: UpdateService by anna at 2025-11-20 13:00.",
    "D5a": "a: collection gap from 2025-11-18 04:00 to 2025-11-18 08:00: 70.2% of expected traces missing (p < "
    "1e-12) while request volume did not drop. About 337 traces were not recorded. No other service has a"
    " gap in this period.",
    "W1": "a: access denied: arn:aws:iam::123456789012:role/a has no permission to write traces "
    "(xray:PutTraceSegments: implicitDeny), so its segments are rejected.",
    "W2": "a: no network path to X-Ray: private subnets (subnet-shut) without an endpoint for com.amazonaws.eu-"
    "west-1.xray and without a route out.",
}


def audited(name, **how):
    return audit_answers(
        answers_of(WORLDS[name]), min_incident_requests=(20, 1) if name == "D3a" else None, code="audit", **how
    )


def of(audit, diagnosis):
    return [finding for finding in audit.findings if finding.check == f"coverage.{diagnosis}"]


# -------------------------------------------------------------------- every branch


@pytest.mark.parametrize("name", [name for name in WORLDS if name != "D5b"])
def test_every_branch_has_its_one_headline(name):
    audit = audited(name)
    diagnosis = name.split()[0]
    assert list(audit.services["diagnosis_code"]) == [diagnosis]
    (service,) = audit.services.index
    (finding, *_) = of(audit, diagnosis)
    assert finding.severity == MESSAGES[diagnosis].severity
    if name in SENTENCES:
        assert finding.headline == SENTENCES[name]
    assert "{" not in finding.headline + finding.remedy
    assert finding.remedy or diagnosis in {"OK", "D3c"}
    ast.parse(finding.code)
    assert finding.code == f"audit.evidence.loc[lambda rows: rows['service'] == {service!r}]"


def test_a_service_that_only_its_callers_saw_is_silent():
    audit = audited("D5b")
    assert audit.services["diagnosis_code"].to_dict() == {"a": "OK", "bank": "D5b"}
    (finding,) = of(audit, "D5b")
    assert finding.severity == "notice", "it may be anybody's"
    assert finding.headline == ("bank: uninstrumented dependency of a: 33,430 sampled calls, no segments from bank.")
    assert audit.alarms["TraceCoverageIncomplete"] == []
    own = audit_answers(answers_of(World((App("a"), App("bank", "remote", callers=("a",)), App("b")))))
    assert "b" not in own.alarms["TraceCoverageIncomplete"]


def test_a_silent_service_of_ones_own_weighs_more():
    answers = answers_of(World((App("a"), replace(BANK, name="b", callers=("a",)))))
    named = answers_of(World((App("b", recorded=False),)))
    ours = [one for one in named.records if one.operation.startswith(("ecs:", "cloudwatch:"))]
    rest = [one for one in answers.records if not one.operation.startswith(("ecs:", "cloudwatch:"))]
    audit = audit_answers(replace(answers, records=[*rest, *ours]))
    assert audit.services.loc["b", "diagnosis_code"] == "D2c"
    assert "D5b" in audit.services.loc["b", "diagnoses"]
    assert "b" in audit.alarms["TraceCoverageIncomplete"]
    assert of(audit, "D5b")[0].severity == "warning"


def test_the_text_of_every_diagnosis_is_used_by_a_fixture():
    shown = {name.split()[0] for name in WORLDS} | {"T8u", "D3c", "G1"}
    assert shown | {"D1n"} == set(MESSAGES) == set(LABELS)


def test_the_rate_is_assessed_only_against_a_declared_incident():
    world = answers_of(WORLDS["D3a"])
    assert audit_answers(world).services["diagnosis_code"].tolist() == ["OK"]
    enough = audit_answers(world, min_incident_requests=(200, 1))
    assert enough.services["diagnosis_code"].tolist() == ["OK"]
    (right,) = of(enough, "D3c")
    assert "detection probability of the declared incident 98.2%" in right.headline
    assert "about $0.39 more per month" in of(audit_answers(world, min_incident_requests=(20, 1)), "D3a")[0].remedy


def test_a_group_that_names_others_does_not_see_the_service():
    world = replace(WORLDS["OK"], groups=(("web", 'service("web") { fault }'),))
    audit = audit_answers(answers_of(world))
    assert audit.services.loc["a", "diagnoses"] == ("OK", "G1")
    assert audit.services.loc["a", "diagnosis_code"] == "OK", "a missing group is information"


def test_a_service_that_follows_others_is_assessed_by_their_rule():
    apps = (App("a", rate=0.5), App("b", rate=0.01, kept=0.5, callers=("a",)))
    audit = audit_answers(answers_of(World(apps)))
    assert audit.services["diagnosis_code"].to_dict() == {"a": "OK", "b": "OK"}
    lost = (apps[0], replace(apps[1], kept=0.2))
    assert audit_answers(answers_of(World(lost))).services["diagnosis_code"].to_dict() == {"a": "OK", "b": "D3b'"}


def test_simultaneous_gaps_name_each_other():
    apps = tuple(App(name, hole=(100, 104, 0.8)) for name in "ab")
    audit = audit_answers(answers_of(World(apps)))
    assert audit.alarms["TraceCollectionGapDetected"] == ["a", "b"]
    assert {finding.headline.rpartition("recorded. ")[2] for finding in of(audit, "D5a")} == {
        "Same gap in b.",
        "Same gap in a.",
    }


# -------------------------------------------------------------------- evidence


@pytest.mark.parametrize(
    ("name", "operation", "words"),
    [
        ("D1b", "lambda:ListFunctions", '"TracingConfig": {"Mode": "PassThrough"}'),
        ("D1a", "ecs:DescribeTaskDefinition", '"OTEL_TRACES_EXPORTER": "none"'),
        ("D2a", "ecs:DescribeTaskDefinition", '"image": "shop/a:1"'),
        ("D2b", "ecs:DescribeTasks", "OutOfMemoryError"),
        ("D3b'", "xray:GetSamplingRules", '"FixedRate": 0.5'),
        ("D4b", "cloudtrail:LookupEvents", "UpdateService by anna"),
        ("D5c", "xray:BatchGetTraces", '"orphans"'),
        ("W1", "iam:SimulatePrincipalPolicy", "implicitDeny"),
        ("W2", "ec2:DescribeRouteTables", "subnet-shut"),
    ],
)
def test_a_finding_shows_the_answer_that_it_rests_on(name, operation, words):
    (finding, *_) = of(audited(name), name)
    rows = finding.evidence[finding.evidence["source_call"] == operation]
    assert rows["answer"].str.contains(words, regex=False).any()
    assert (rows["as_of"] == "2025-11-21T00:00:00+00:00").all()


def test_the_evidence_has_every_stage_of_every_service():
    audit = audited("OK")
    assert set(audit.evidence["stage"]) == set(STAGES)
    is_log = audit.evidence["fact"] == "collector_log"
    assert set(audit.evidence.loc[~is_log, "status"]) <= {"pass", "not_needed"}
    assert audit.evidence.loc[is_log, ["observed", "status"]].to_numpy().tolist() == [["not checked", "unknown"]]
    assert list(audit.evidence.columns[:4]) == ["step", "stage", "service", "fact"]
    row = audit.services.loc["a"]
    assert (row["requests"], row["recorded"], row["collector"]) == (67_165, 33_503, "sidecar")
    assert row["last_trace"] == pd.Timestamp(END - HOUR, unit="s", tz="UTC")


def test_a_gap_shows_its_hours_and_times_can_be_read():
    (finding,) = of(audited("D5a"), "D5a")
    hours = finding.evidence.set_index("fact")["observed"]
    came, asked = hours["recorded_by_hour"], hours["requests_by_hour"]
    assert len(came) == len(asked) == 4 + 2 * 2
    shares = np.array(came) / np.array(asked)
    assert (shares[2:6] < 0.3).all()
    assert (shares[[0, 1, 6, 7]] > 0.4).all()
    (drift,) = of(audited("D4b"), "D4b")
    assert drift.evidence.set_index("fact").loc["last_trace", "observed"] == "2025-11-20 13:00 UTC"


def test_a_propagation_finding_names_traces_that_show_it():
    (finding,) = of(audited("D5c"), "D5c")
    ids = {one["Id"] for call in answers_of(WORLDS["D5c"]).of("xray:BatchGetTraces") for one in call.content["Traces"]}
    assert finding.exemplars
    assert set(finding.exemplars) <= ids
    assert finding.estimate.value == 1.0


# -------------------------------------------------------------------- what is missing is never fine


def named(*prefixes):
    return tuple(name for name in (*OPERATIONS, KUBECTL) if name.startswith(prefixes))


GRAPH, DOCUMENTS = ("xray:GetServiceGraph",), ("xray:GetTraceSummaries", "xray:BatchGetTraces")
FUNCTIONS, RULES = ("lambda:ListFunctions",), ("xray:GetSamplingRules",)
DESTINATION = ("xray:GetTraceSegmentDestination", "xray:GetIndexingRules")
ECS, EKS, CLUSTERS, GATEWAYS = named("ecs:"), named("eks:"), named("kubectl:"), named("apigateway")
METRICS, TRAIL = named("cloudwatch:"), named("cloudtrail:")
DEPLOYMENTS = ("lambda:ListVersionsByFunction", *named("codedeploy:"))
CLOSING = ("xray:GetGroups", *named("iam:", "ec2:"))
COMMON = (GRAPH, FUNCTIONS, RULES, METRICS, TRAIL, DEPLOYMENTS)
LATTICES = {
    "inventories": (*COMMON, ECS, EKS, CLUSTERS, GATEWAYS),
    "settings": (*COMMON, DOCUMENTS, DESTINATION, CLOSING, ECS + EKS + CLUSTERS + GATEWAYS),
}
FINE = {"pass", "not_needed"}
EVERYTHING = (
    App("ok"),
    App("fn", "lambda", per_hour=500, versions=((3, "Active"),)),
    App("vm", "instance"),
    App("off", environment={"OTEL_TRACES_EXPORTER": "none"}),
    App("lost", kept=0.2, code_deployed=(3,), rolled=(2,)),
    App("new", recorded=False, is_new=True, begins=4),
    App("dark", "lambda", recorded=False, is_new=True, begins=6),
    App("pod", "pod"),
    App("newpod", "pod", recorded=False, is_new=True, begins=6),
    App("shop/prod", "gateway"),
    App("shop/test", "gateway", mode="off"),
    replace(BANK, callers=("ok",)),
)


def remembered(work):
    """The same function, which does nothing twice."""
    known = {}

    def once(*words, **more):
        parts = [*words, *more, *more.values()]
        key = tuple(one.tobytes() if isinstance(one, np.ndarray) else one for one in parts)
        if key not in known:
            known[key] = work(*words, **more)
        return known[key]

    return once


def subsets(kinds, share):
    """Sets of one input, of two, of all but one and of all, and a share of the others by chance."""
    random = np.random.default_rng(1)
    for count in range(1, len(kinds) + 1):
        for gone in itertools.combinations(kinds, count):
            if count in {1, 2, len(kinds) - 1, len(kinds)} or random.random() < share:
                yield gone


@pytest.mark.parametrize("share", [0.3, pytest.param(1.0, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", LATTICES)
def test_removing_any_inputs_never_turns_unknown_into_ok(name, share, monkeypatch):
    """Subsets of ten inputs, services of every kind: what is fine with less is fine with everything."""
    for module, function in ((audit_tree, "gap_scan"), (audit_expected, "expected_kept")):
        monkeypatch.setattr(module, function, remembered(getattr(module, function)))
    answers = answers_of(World(EVERYTHING, traces=14, http_apis=("web",)), hours=16)
    _, whole = diagnose(answers)
    fine = {(service, one.stage) for service, found in whole.items() for one in found if one.status in FINE}
    best = {service: main_result(found).diagnosis for service, found in whole.items()}
    assert set(best.values()) == {"OK", "D1a", "D1n", "D3b'", "D4a", "D5b", "T0u"}
    for gone in subsets(LATTICES[name], share):
        _, less = diagnose(answers.without(itertools.chain(*gone)))
        for service, found in less.items():
            assert main_result(found).diagnosis != "OK" or best.get(service) == "OK", (service, gone)
            for one in found:
                assert one.status not in FINE or (service, one.stage) in fine, (service, one.stage, gone)


@pytest.mark.parametrize("kind", sorted({kind for lattice in LATTICES.values() for kind in lattice}))
def test_an_input_that_is_missing_is_reported(kind):
    answers = answers_of(World(EVERYTHING, traces=14), hours=16)
    said = " ".join(one.headline for one in of(audit_answers(answers.without(kind)), "not_checked"))
    named = OPERATIONS[kind[0]].permission or kind[0] if kind != CLUSTERS else "kubectl get pods"
    assert re.search(rf"not checked: .*{re.escape(named)}", said)


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_a_missing_permission_is_reported_and_nothing_becomes_ok(operation):
    answers = answers_of(WORLDS["OK of a function"])
    denied = [
        replace(one, content={}, failure=DENIED) if one.operation == operation else one for one in answers.records
    ]
    if all(one.operation != operation for one in answers.records):
        denied.append(Answer(operation, {}, {}, "2025-11-21", DENIED))
    audit = audit_answers(replace(answers, records=denied))
    (told,) = of(audit, "not_checked")
    permission = OPERATIONS[operation].permission
    needed = f"{permission} ({operation.partition(':')[2]})" if permission else operation
    assert told.headline == f"not checked: needs {needed}."
    assert told.severity == "notice"
    assert told.remedy == f"Allow {permission or operation} to these credentials."


def test_one_hour_that_failed_leaves_the_graph_unknown():
    answers = answers_of(WORLDS["OK"])
    at = next(n for n, one in enumerate(answers.records) if one.operation == "xray:GetServiceGraph")
    answers.records[at] = replace(answers.records[at], content={}, failure="500 InternalFailure")
    audit = audit_answers(answers)
    assert audit.services.loc["a", "diagnosis_code"] == "T8u"
    (finding,) = of(audit, "T8u")
    assert finding.severity == "notice"
    assert "xray:GetServiceGraph" in finding.remedy
    assert "not checked: xray:GetServiceGraph: 500 InternalFailure." in str(audit.findings)


@pytest.mark.parametrize("name", ["OK", "D5c", "D4b", "D2b"])
def test_the_order_of_the_answers_is_no_matter(name):
    answers = answers_of(WORLDS[name])
    first = audit_answers(answers)
    shuffled = list(answers.records)
    random.Random(3).shuffle(shuffled)
    again = audit_answers(replace(answers, records=shuffled))
    pd.testing.assert_frame_equal(first.services, again.services)
    assert [str(one) for one in first.findings] == [str(one) for one in again.findings]


# -------------------------------------------------------------------- requests of one's own


def test_requests_of_ones_own_beat_those_of_cloudwatch():
    world = answers_of(WORLDS["T0u"])
    hours = pd.date_range(pd.Timestamp(END - 168 * HOUR, unit="s"), periods=168, freq="h")
    counts = pd.DataFrame({"service": "a", "time": hours, "count": 400})
    assert audit_answers(world, requests=counts).services.loc["a", "diagnosis_code"] == "OK"
    twice = counts.assign(count=4000)
    assert audit_answers(world, requests=twice).services.loc["a", "diagnosis_code"] == "D3b'"
    total = pd.DataFrame({"service": ["a"], "count": [67_200]})
    assert audit_answers(world, requests=total).services.loc["a", "diagnosis_code"] == "T8u", (
        "hours are needed for gaps"
    )
    with pytest.raises(ValueError, match="expected request counts with a column service, found count"):
        audit_answers(world, requests=total[["count"]])


def test_only_the_requested_services():
    audit = tk.audit_coverage(from_folder="audit-shop", services=["web"])
    assert list(audit.services.index) == ["web"]
    with pytest.raises(ValueError, match=r"expected services among bank, catalogue, .*, found wbe"):
        tk.audit_coverage(from_folder="audit-shop", services=["wbe"])
    with pytest.raises(ValueError, match="expected no services=, as none were found, found web"):
        audit_answers(Answers("eu-west-1", 0, HOUR), services=["web"])


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"days": 0}, "expected days above 0, found 0"),
        ({"min_incident_requests": (3, 5)}, "expected min_incident_requests as "),
    ],
)
def test_arguments_that_cannot_be_are_refused(how, expected):
    with pytest.raises(ValueError, match=expected):
        tk.audit_coverage(from_folder="audit-shop", **how)


# -------------------------------------------------------------------- the bundled one


def test_the_bundled_audit_finds_its_truth():
    home = next(home for home in DATASETS if (home / "index.json").is_file())
    (entry,) = json.loads((home / "index.json").read_text())["audits"]
    audit = tk.audit_coverage(from_folder="audit-shop")
    assert audit.services["diagnosis_code"].to_dict() == entry["truth"]["headlines"]
    strict = tk.audit_coverage(from_folder="audit-shop", min_incident_requests=20)
    changed = {
        name: found
        for name, found in strict.services["diagnosis_code"].items()
        if found != audit.services.loc[name, "diagnosis_code"]
    }
    assert changed == entry["truth"]["headlines_with_incident_20"]
    assert entry["licence"] == "MIT"
    assert re.fullmatch(r"CoverageAudit\(eu-west-1: 17 services: 5 OK, .*\)", repr(audit))
    assert "<table" in audit._repr_html_()


# -------------------------------------------------------------------- containers


def with_container(world, **changes):
    """The answers of a world with something else in the task definition."""
    answers = answers_of(world)
    for record in answers.of("ecs:DescribeTaskDefinition"):
        record.content["taskDefinition"] |= changes
    return answers


def fact(audit, name, fact_name):
    rows = audit.evidence[(audit.evidence["service"] == name) & (audit.evidence["fact"] == fact_name)]
    return rows.iloc[0] if len(rows) else None


@pytest.mark.parametrize(
    ("environment", "kind"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.shop:4318"}, "remote"),
        ({"AWS_XRAY_DAEMON_ADDRESS": "tcp:10.0.0.4:2000 udp:10.0.0.4:2000"}, "remote"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://xray.eu-west-1.amazonaws.com/v1/traces"}, "remote"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, "none"),
        ({"AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000"}, "none"),
        ({}, "none"),
    ],
)
def test_an_address_elsewhere_is_a_remote_collector(environment, kind):
    audit = audit_answers(answers_of(World((App("a", collector=None, environment=environment),))))
    assert audit.services.loc["a", "collector"] == kind
    assert audit.services.loc["a", "diagnosis_code"] == ("OK" if kind == "remote" else "D2a")
    silent = audit_answers(answers_of(World((App("a", collector=None, environment=environment, recorded=False),))))
    assert silent.services.loc["a", "diagnosis_code"] == ("T8u" if kind == "remote" else "D2a"), (
        "its health is not known"
    )


def test_a_collector_that_is_a_service_of_its_own_is_one():
    answers = answers_of(World((App("a", collector=None), App("gateway"))))
    for record in answers.of("ecs:DescribeTaskDefinition"):
        definition = record.content["taskDefinition"]
        if "gateway" in definition["taskDefinitionArn"]:
            definition["containerDefinitions"] = [{"name": "c", "image": "otel/opentelemetry-collector-contrib"}]
    audit = audit_answers(answers)
    assert audit.services.loc["a", ["diagnosis_code", "collector"]].tolist() == ["OK", "service"]
    for record in answers.of("ecs:DescribeServices"):
        record.content["services"][1]["runningCount"] = 0
    assert audit_answers(answers).services.loc["a", "diagnosis_code"] == "D2a"


@pytest.mark.parametrize(
    "environment",
    [
        {"OTEL_SERVICE_NAME": "cart"},
        {"AWS_XRAY_TRACING_NAME": "cart"},
        {"OTEL_RESOURCE_ATTRIBUTES": "team=shop,service.name=cart"},
    ],
)
def test_a_service_is_known_by_the_name_of_its_traces(environment):
    world = World((App("cart"),))
    containers = [
        {"name": "app", "image": "x", "environment": [{"name": k, "value": v} for k, v in environment.items()]}
    ]
    containers.append({"name": "collector", "image": "amazon/cloudwatch-agent:1"})
    answers = with_container(world, containerDefinitions=containers)
    for record in answers.of("ecs:DescribeServices"):
        record.content["services"][0]["serviceName"] = "ecs-cart-7f3"
    for record in answers.of("ecs:DescribeTasks"):
        for task in record.content["tasks"]:
            task["group"] = "service:ecs-cart-7f3"
    audit = audit_answers(answers)
    assert audit.services["diagnosis_code"].to_dict() == {"cart": "OK"}


def test_an_old_daemon_is_reported():
    images = [{"name": "app", "image": "x"}, {"name": "collector", "image": "amazon/aws-xray-daemon:3.x"}]
    audit = audit_answers(with_container(WORLDS["OK"], containerDefinitions=images))
    assert audit.services.loc["a", "diagnosis_code"] == "OK"
    assert "maintenance mode" in fact(audit, "a", "collector_image")["note"]
    assert fact(audited("OK"), "a", "collector_image")["note"] == ""


def test_a_task_definition_that_was_not_shown_leaves_the_collector_unknown():
    answers = answers_of(WORLDS["D2a"])
    hidden = [
        replace(one, content={}, failure=DENIED) if one.operation == "ecs:DescribeTaskDefinition" else one
        for one in answers.records
    ]
    audit = audit_answers(replace(answers, records=hidden))
    assert audit.services.loc["a", "diagnosis_code"] == "T8u"
    assert pd.isna(audit.services.loc["a", "collector"])


def test_no_running_task_is_no_running_collector():
    answers = answers_of(World((App("a", recorded=False),)))
    kept = [one for one in answers.records if one.operation != "ecs:DescribeTasks"]
    for one in kept:
        if one.operation == "ecs:ListTasks":
            one.content["taskArns"] = []
    audit = audit_answers(replace(answers, records=kept))
    assert audit.services.loc["a", "diagnosis_code"] == "D2a"
    assert "0 of 2 run" in of(audit, "D2a")[0].headline


def test_what_sdks_report_about_a_rule_is_evidence():
    answers = answers_of(WORLDS["OK"])
    answers.of("xray:GetSamplingStatisticSummaries")[0].content["SamplingStatisticSummaries"] = [
        {"RuleName": "rule-a", "RequestCount": 100, "SampledCount": 45, "BorrowCount": 2},
        {"RuleName": "other", "RequestCount": 5, "SampledCount": 5, "BorrowCount": 0},
    ]
    assert fact(audit_answers(answers), "a", "sdk_reports")["observed"] == "100 requests, 45 to 47 kept"


def test_the_call_that_gives_a_finding_again_is_the_one_that_was_made(tmp_path):
    audit = tk.audit_coverage(from_folder="audit-shop", min_incident_requests=20)
    code = audit.findings[0].code
    assert code.startswith("tk.audit_coverage(from_folder='audit-shop', min_incident_requests=(20, 1)).evidence.loc[")
    saved = tk.audit_coverage(from_folder="audit-shop", save=tmp_path / "a")
    again = eval(saved.findings[0].code, {"tk": tk})
    assert len(again)
    assert set(again["service"]) == {saved.findings[0].headline.split(":")[0]}


@pytest.mark.parametrize("name", ['web") ; __import__("os").system("id") #', "a'b", 'a"b', "@x", "a\\", "{0}", "a\nb"])
def test_a_service_name_stays_text_in_the_code_of_a_finding(name):
    audit = audit_answers(answers_of(World((App(name, "lambda", mode="PassThrough", recorded=False),))), code="audit")
    (code,) = {one.code for one in audit.findings if one.check == "coverage.D1b"}
    rows = eval(code, {"audit": audit, "__builtins__": {}})
    assert set(rows["service"]) == {name}
    assert len(rows)


# -------------------------------------------------------------------- counts of CloudWatch


def test_counts_of_several_pages_are_added_and_unfinished_ones_are_unknown():
    answers = answers_of(WORLDS["OK"])
    (series,) = answers.of("cloudwatch:GetMetricData")[0].content["MetricDataResults"]
    half = len(series["Values"]) // 2
    first = series | {"Timestamps": series["Timestamps"][:half], "Values": series["Values"][:half]}
    rest = series | {"Timestamps": series["Timestamps"][half:], "Values": series["Values"][half:]}
    answers.of("cloudwatch:GetMetricData")[0].content["MetricDataResults"] = [
        first | {"StatusCode": "PartialData"},
        rest,
    ]
    whole = audit_answers(answers)
    assert whole.services.loc["a", ["requests", "diagnosis_code"]].tolist() == [67_165, "OK"]
    rest["StatusCode"] = "InternalError"
    assert audit_answers(answers).services.loc["a", "diagnosis_code"] == "T0u"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("FunctionName",), True),
        (("FunctionName", "Resource"), False),
        (("TargetGroup", "LoadBalancer"), True),
        (("TargetGroup",), False),
        (("TargetGroup", "LoadBalancer", "AvailabilityZone"), False),
    ],
)
def test_no_request_is_counted_under_two_sets_of_dimensions(names, expected):
    assert is_of_a_service({"Dimensions": [{"Name": name, "Value": "x"} for name in names]}) is expected
