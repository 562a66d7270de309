"""Sampling rules of X-Ray: what is read, what is wrong with them, and the SDK as a judge of that."""

import json
import re
from pathlib import Path

import boto3
import numpy as np
import pandas as pd
import pytest
from aws_xray_sdk.core.exceptions.exceptions import InvalidSamplingManifestError
from aws_xray_sdk.core.sampling.local.sampler import LocalSampler
from hypothesis import given
from hypothesis import strategies as st

import tracekit as tk
from tracekit.weights.trace_state import rule_hash

SHARED = Path(__file__).parents[2].parent / "shared" / "reference" / "xray_on_eks.md"
DEFAULT = {"RuleName": "Default", "Priority": 10_000, "FixedRate": 0.05, "ReservoirSize": 1}


def rule(name, priority=1, rate=0.5, **more):
    return {"RuleName": name, "Priority": priority, "FixedRate": rate, "ReservoirSize": 0, **more}


def local(*rules, **more):
    return {"version": 2, "rules": list(rules), "default": {"fixed_target": 1, "rate": 0.05}, **more}


def path_rule(name="a", **more):
    return {
        "description": name,
        "host": "*",
        "http_method": "*",
        "url_path": "*",
        "fixed_target": 0,
        "rate": 0.5,
        **more,
    }


def said(rules, *checks, **how):
    findings = tk.sampling_rules(rules).lint(**how)
    return [one.headline for one in findings if not checks or one.check.removeprefix("rules.") in checks]


# -------------------------------------------------------------------- reading


def test_rules_that_were_read_give_weights_as_their_file_does(tmp_path):
    (tmp_path / "local.json").write_text(json.dumps(local(path_rule("pay"), default={"fixed_target": 0, "rate": 0.05})))
    traces = tk.load_sample("checkout-xray")
    by_file = traces.with_weights(tmp_path / "local.json").weights
    by_rules = traces.with_weights(tk.sampling_rules(tmp_path / "local.json")).weights
    assert by_rules.value.tolist() == by_file.value.tolist()
    assert by_rules.sources == by_file.sources


def test_rules_come_from_files_of_both_forms_and_from_the_account(tmp_path, serve):
    records = {"SamplingRuleRecords": [{"SamplingRule": DEFAULT}, {"SamplingRule": rule("pay", URLPath="/pay*")}]}
    (tmp_path / "central.json").write_text(json.dumps(records))
    (tmp_path / "local.json").write_text(json.dumps(local(path_rule("pay", url_path="/pay*"))))
    central, file = (tk.sampling_rules(tmp_path / f"{name}.json") for name in ("central", "local"))
    assert repr(central) == "SamplingRules(central: pay 0/s + 50%, Default 1/s + 5%)"
    assert repr(file) == "SamplingRules(local: pay 0/s + 50%, default 1/s + 5%)"
    assert central.table["url_path"].tolist() == file.table["url_path"].tolist() == ["/pay*", "*"]
    assert "<table" in central._repr_html_()
    assert tk.sampling_rules(central) is central
    server = serve()
    server.do_GetSamplingRules = lambda _: (200, records)
    session = boto3.Session(region_name="eu-west-1")
    assert tk.sampling_rules(session).table["rule"].tolist() == ["pay", "Default"]
    assert set(server.calls) == {"GetSamplingRules"}
    server.denied = {"GetSamplingRules"}
    with pytest.raises(tk.PullError, match=r"expected the sampling rules of eu-west-1, found none: permission denied"):
        tk.sampling_rules(session)


def test_one_rule_and_a_bare_list_are_rules_too():
    assert tk.sampling_rules({"SamplingRule": rule("pay")}).table["rule"].tolist() == ["pay"]
    assert tk.sampling_rules(rule("pay")).table["rule"].tolist() == ["pay"]
    assert tk.sampling_rules([rule("b", 2), rule("a", 2), DEFAULT]).table["rule"].tolist() == ["a", "b", "Default"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"processors": {}}, "expected SamplingRuleRecords, .* in the given rules, found processors"),
        (7, "expected SamplingRuleRecords, .*, found 7"),
        ([{"RuleName": "a"}], "expected a sampling rule with FixedRate as rule 1"),
        ([rule("a", rate=2)], r"expected FixedRate between 0 and 1 in rule 1 \(a\), found 2"),
        ([rule("a", priority="x")], "expected a number as Priority of rule 1"),
        (local({"description": "a"}), "expected a rule with a rate as rule 1 of the manifest"),
    ],
)
def test_what_is_no_set_of_rules_is_refused(source, expected):
    with pytest.raises(ValueError, match=expected):
        tk.sampling_rules(source)


def test_a_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected a file of sampling rules, found none at .*nowhere"):
        tk.sampling_rules(tmp_path / "nowhere.json")
    (tmp_path / "a.json").write_text("rules:")
    with pytest.raises(ValueError, match=r"expected JSON in .*a.json, found other text"):
        tk.sampling_rules(str(tmp_path / "a.json"))


def test_rules_are_taken_wherever_rules_are_taken():
    shop = tk.load_sample("checkout-xray")
    rules = tk.sampling_rules(local())
    assert any(finding.check.startswith("rate") or finding.check for finding in tk.sampling(shop, rules=rules))
    assert tk.plan_sampling(shop, rules).rules["rule"].tolist() == ["default"]


# -------------------------------------------------------------------- the examples of the document


@pytest.mark.skipif(not SHARED.is_file(), reason="the reference documents are not beside the repository")
def test_both_listings_of_the_document_are_caught():
    listings = [
        found
        for block in re.findall(r"```json\n(.*?)```", SHARED.read_text(encoding="utf-8"), re.DOTALL)
        if '"fixed_target"' in block
        for found in [json.loads(block)]
    ]
    assert len(listings) == 2
    for listing in listings:
        with pytest.raises(InvalidSamplingManifestError):
            LocalSampler(listing)
        findings = tk.sampling_rules(listing).lint()
        assert findings.worst == "critical"
        checks = {finding.check for finding in findings}
        assert {"rules.rejected", "rules.never_match", "rules.unknown_key", "rules.unreachable"} <= checks
        text = str(findings)
        assert "the SDK rejects the whole file, because rules of version 2 need host." in text
        assert "http.status_code is unknown at the sampling decision" in text
    assert "response_time is unknown at the sampling decision" in text
    assert "there is no default rule" in text


# -------------------------------------------------------------------- the SDK as a judge

BODIES = st.fixed_dictionaries(
    {"rate": st.sampled_from([0.0, 0.5, 1.0]), "fixed_target": st.integers(0, 2)},
    optional={
        "host": st.sampled_from(["*", ""]),
        "http_method": st.just("*"),
        "url_path": st.just("/a*"),
        "service_name": st.just("*"),
    },
)


@given(
    version=st.sampled_from([1, 2, 3]),
    rules=st.lists(BODIES, max_size=3),
    default=st.none() | BODIES,
)
def test_a_file_is_called_rejected_exactly_where_the_sdk_rejects_it(version, rules, default):
    manifest = {"version": version, "rules": rules} | ({} if default is None else {"default": default})
    try:
        LocalSampler(json.loads(json.dumps(manifest)))
        accepted = True
    except InvalidSamplingManifestError:
        accepted = False
    assert accepted == (not said(manifest, "rejected"))


# -------------------------------------------------------------------- one fault each

ERRORS = (
    "Rule errors cannot work as written: http.status_code is unknown at the sampling decision, and it never matches."
)
SLOW = (
    "Rule a cannot work as written: response_time is unknown at the sampling decision, so only its other conditions"
    " apply."
)


@pytest.mark.parametrize(
    ("rules", "check", "severity", "headline"),
    [
        (
            [rule("errors", Attributes={"http.status_code": "5*"}), DEFAULT],
            "never_match",
            "critical",
            ERRORS,
        ),
        (
            [rule("all", Host="shop*"), rule("pay", 2, Host="shop.eu", URLPath="/pay"), DEFAULT],
            "unreachable",
            "warning",
            "Rule pay is never reached: rule all matches all its requests.",
        ),
        (
            [rule("a", URLPath="/a"), rule("b", URLPath="/b"), DEFAULT],
            "same_priority",
            "warning",
            "Rules a and b have the same priority (1): their names decide.",
        ),
        (
            [rule("a", URLPath="/pay*"), rule("b", 2, 0.1, HTTPMethod="POST"), DEFAULT],
            "overlap",
            "warning",
            "Rules a and b overlap: requests that match both follow a.",
        ),
        ([rule("a", rate=0), DEFAULT], "keeps_nothing", "warning", "Rule a keeps nothing: rate 0 and no reservoir."),
        (
            [rule("a", URLPath="/a")],
            "no_default",
            "warning",
            "There is no rule Default: requests that match no other rule follow the SDK's default, 1/s + 5%.",
        ),
        (
            [rule("a", 0, URLPath="/a"), DEFAULT],
            "priority",
            "warning",
            "Rule a: expected a priority from 1 to 9999, found 0.",
        ),
        (
            [rule("a", URLPath="/a", Pfad="/b"), DEFAULT],
            "unknown_key",
            "warning",
            "Rule a: Pfad is ignored: not a key of central rules.",
        ),
        (
            [rule("a", Attributes={"tenant": "acme"}), DEFAULT],
            "sdk_differs",
            "warning",
            "Rule a: classic X-Ray SDKs ignore its attributes (tenant).",
        ),
        (
            [rule("a", ResourceARN="arn:aws:x"), DEFAULT],
            "sdk_differs",
            "warning",
            "Rule a: classic X-Ray SDKs ignore its ResourceARN.",
        ),
        (
            [rule("a", Attributes={f"k{n}": "*" for n in range(6)}), DEFAULT],
            "attributes",
            "warning",
            "Rule a: expected at most 5 attributes, found 6.",
        ),
        (
            local(path_rule(attributes={"response_time": "> 1000"})),
            "never_match",
            "critical",
            SLOW,
        ),
    ],
)
def test_every_fault_is_reported(rules, check, severity, headline):
    findings = [one for one in tk.sampling_rules(rules).lint() if one.check == f"rules.{check}"]
    assert [one.headline for one in findings] == [headline]
    assert findings[0].severity == severity
    assert findings[0].remedy
    assert set(findings[0].evidence["status"]) == {findings[0].status}
    assert ("rule" in findings[0].evidence) == (check != "no_default")


def test_rules_without_a_fault_are_reported():
    rules = [rule("pay", URLPath="/pay*"), rule("cart", 2, URLPath="/cart*"), DEFAULT]
    (finding,) = tk.sampling_rules(rules).lint()
    assert (finding.check, finding.severity) == ("rules.fine", "info")
    assert finding.headline == "No problems found in 3 rules of the given rules."
    assert not said(local(path_rule(url_path="/pay*")), "rejected", "unknown_key", "unreachable", "no_default")


def test_a_rule_for_another_service_type_is_not_hidden():
    rules = [rule("a", ServiceType="AWS::EC2::Instance"), rule("b", 2), DEFAULT]
    assert said(rules, "unreachable") == ["Rule Default is never reached: rule b matches all its requests."]


# -------------------------------------------------------------------- beside statistics

DAY = 86_400


def windows(name, seconds, count, every=10):
    """Statistics of ten seconds each."""
    return [{"RuleName": name, "Timestamp": float(at), "RequestCount": count} for at in range(0, seconds, every)]


def test_a_rule_that_no_client_reports_in_a_day_is_reported():
    rules = [rule("a", URLPath="/a"), DEFAULT]
    old = [{"RuleName": "a", "Timestamp": -10.0, "RequestCount": 5}]
    day = [*old, *windows("Default", DAY, 3, every=600), {"RuleName": "Default", "Timestamp": DAY, "RequestCount": 1}]
    (finding,) = [one for one in tk.sampling_rules(rules).lint(statistics=day) if one.check == "rules.unseen"]
    assert finding.headline == "Rule a: no client reported a request in the last 24 hours."
    assert (finding.severity, finding.remedy) == ("warning", "Remove the rule if it is not needed.")
    seen = [*day, {"RuleName": "a", "Timestamp": float(DAY - 50), "RequestCount": 1}]
    assert said(rules, "unseen", statistics=seen) == []


@pytest.mark.parametrize(("seconds", "period"), [(600, "10 minutes"), (2 * 3600, "2 hours")])
def test_statistics_of_less_than_a_day_prove_nothing(seconds, period):
    rules = [rule("a", URLPath="/a"), DEFAULT]
    (finding,) = tk.sampling_rules(rules).lint(statistics=windows("Default", seconds, 3))
    assert finding.headline == f"Rule a: no client reported a request in the {period} that the statistics cover."
    assert finding.severity == "notice"
    assert finding.remedy == "Poll the statistics for 24 hours: X-Ray keeps recent ones only."


def test_times_of_statistics_come_as_boto3_or_the_command_line_has_them():
    rules = [rule("a", URLPath="/a"), DEFAULT]
    texts = ["2026-01-01T00:00:00+00:00", pd.Timestamp("2026-01-02T00:00:05Z").to_pydatetime()]
    told = [{"RuleName": "Default", "Timestamp": at, "RequestCount": 1} for at in texts]
    assert said(rules, "unseen", statistics=told) == ["Rule a: no client reported a request in the last 24 hours."]


NO_RESERVOIR = (
    "Rule a has no reservoir and about 18 requests per hour: at 5%, the probability of an hour without a trace is"
    " 39.7%."
)


def test_no_reservoir_on_little_traffic_is_reported():
    """0.95 ** 18 is 0.397, and it takes 59 requests for 0.95 ** n to fall under 5 %."""
    rules = [rule("a", rate=0.05, URLPath="/a"), DEFAULT]
    told = [*windows("a", 2 * 3600, 1, every=200), *windows("Default", 2 * 3600, 9)]
    (finding,) = [one for one in tk.sampling_rules(rules).lint(statistics=told) if one.check == "rules.no_reservoir"]
    assert (finding.headline, finding.severity) == (NO_RESERVOIR, "warning")
    assert finding.remedy == "Set a reservoir of 1, which keeps the first; the rate alone needs 59 requests per hour."
    assert list(finding.evidence["rule"]) == ["a"]


@pytest.mark.parametrize(
    ("rate", "quota", "per_hour", "seconds"),
    [
        (0.05, 1, 18, 7200),  # a reservoir
        (0.05, 0, 60, 7200),  # enough requests
        (1.0, 0, 18, 7200),  # all are kept
        (0.0, 0, 18, 7200),  # none is meant to be kept
        (0.05, 0, 18, 1800),  # half an hour says little about an hour
    ],
)
def test_no_reservoir_is_reported_of_this_rule_alone(rate, quota, per_hour, seconds):
    rules = [rule("a", rate=rate, URLPath="/a", ReservoirSize=quota), DEFAULT]
    told = [*windows("a", seconds, 1, every=3600 // per_hour), *windows("Default", seconds, 9)]
    assert said(rules, "no_reservoir", statistics=told) == []


def test_what_was_not_checked_is_reported():
    (finding,) = tk.sampling_rules([DEFAULT]).lint()
    assert finding.assumptions == (
        "these rules are active",
        "traffic was not checked; use lint(traces) or lint(statistics=)",
    )
    (finding,) = tk.sampling_rules([DEFAULT]).lint(statistics=windows("Default", DAY, 1, every=600))
    assert finding.assumptions == ("these rules are active",)


# -------------------------------------------------------------------- beside traces


def traced(rows):
    frame = pd.DataFrame(rows).assign(name="GET /", start_ns=0, end_ns=5)
    return tk.TraceSet.from_spans(frame.assign(trace_id=[f"{n + 1:x}" for n in range(len(frame))], span_id="1"))


def test_traces_that_another_rule_decided_are_counted():
    rules = [rule("pay", URLPath="/pay*"), DEFAULT]
    name, key = "attributes.aws.xray.sampling_rule_name", "attributes.url.path"
    shop = traced(
        [{key: "/pay", name: "pay"}] * 3 + [{key: "/pay", name: "Default"}] + [{key: "/", name: "Default"}] * 4
    )
    (headline,) = said(rules, "another_rule", traces=shop)
    assert headline == "1 of 8 traces were sampled by a rule other than the matching one."
    (finding,) = [one for one in tk.sampling_rules(rules).lint(shop) if one.check == "rules.another_rule"]
    odd = finding.evidence[finding.evidence["should"] != finding.evidence["did"]]
    expected = {"should": ["pay"], "did": ["Default"], "trace_count": [1], "status": ["warning"]}
    assert odd.to_dict("list") == expected
    hashed = traced([{key: "/pay", "trace_state": f"xrsr={rule_hash('Default')}"}] * 4)
    assert said(rules, "another_rule", traces=hashed)[0].startswith("4 of 4 traces")
    assert said(rules, "another_rule", traces=traced([{key: "/pay"}])) == []


def test_a_boost_needs_an_sdk_that_supports_boosts():
    rules = [rule("a", SamplingRateBoost={"MaxRate": 1.0, "CooldownWindowMinutes": 10}), DEFAULT]
    classic = traced([{"attributes.aws.xray.sdk": "X-Ray for Python"}])
    modern = traced([{"resource.telemetry.sdk.name": "opentelemetry"}])
    assert said(rules, "boost", traces=classic) == [
        "Rule a has a boost, but traces start in classic X-Ray SDKs, which do not support boosts."
    ]
    assert said(rules, "boost", traces=modern) == []


def spread(count, hours, **more):
    """So many traces of /a, evenly over the hours."""
    frame = pd.DataFrame({"attributes.url.path": ["/a"] * count, **more})
    starts = (np.arange(count) * hours * 3600 / (count - 1) * 1e9).astype("int64")
    frame = frame.assign(name="GET /", start_ns=starts, end_ns=starts + 5, span_id="1")
    return tk.TraceSet.from_spans(frame.assign(trace_id=[f"{n + 1:x}" for n in range(count)]))


def test_no_reservoir_on_little_traffic_is_seen_in_traces():
    rules = [rule("a", rate=0.05, URLPath="/a"), DEFAULT]
    few = spread(9, 10)  # 9 / 5 % = 180 requests in 10 hours
    assert said(rules, "no_reservoir", traces=few) == [NO_RESERVOIR]
    many = spread(50, 10)
    assert said(rules, "no_reservoir", traces=many) == []
    heavy = few.with_weights(pd.Series(100.0, index=few.summary.index))  # 90 an hour, as somebody knows
    assert said(rules, "no_reservoir", traces=heavy) == []
    assert said(rules, "no_reservoir", traces=spread(9, 0.5)) == [], "half an hour says little about an hour"


def test_two_families_of_sdks_are_distinguished():
    name = "attributes.aws.xray.sdk"
    both = traced([{name: "X-Ray for Python"}] * 3 + [{"resource.telemetry.sdk.name": "opentelemetry"}] * 2)
    (headline,) = said([DEFAULT], "sdk_families", traces=both)
    assert headline.startswith("Both classic X-Ray SDKs (3 traces) and OpenTelemetry (2) decide.")
    assert said([DEFAULT], "sdk_families", traces=traced([{name: "X-Ray for Python"}] * 3)) == []


def test_a_rule_that_was_changed_since_is_reported():
    records = [{"SamplingRule": rule("a", URLPath="/a"), "ModifiedAt": "1970-01-01T03:30:00+00:00"}]
    records.append({"SamplingRule": DEFAULT, "ModifiedAt": "1970-01-01T00:00:00+00:00"})
    assert said({"SamplingRuleRecords": records}, "changed", traces=spread(11, 10)) == [
        "Rule a was changed at 1970-01-01T03:30:00+00:00: 4 of 11 traces are older."
    ]


def test_rules_without_traces_are_checked_too():
    none = spread(9, 10).where(lambda spans: spans["name"] == "none")
    assert {one.check for one in tk.sampling_rules([DEFAULT]).lint(none)} == {"rules.fine"}
