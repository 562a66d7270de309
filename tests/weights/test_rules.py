"""Rules in the forms that people have, and which rule decides about a request."""

import importlib
import json
import time

import pytest

from tracekit.weights.rule_formats import sampling_rules
from tracekit.weights.rules import HeadRule, Rules

CENTRAL = {
    "SamplingRuleRecords": [
        {"SamplingRule": {"RuleName": "Default", "Priority": 10000, "FixedRate": 0.05, "ReservoirSize": 1}},
        {"SamplingRule": {"RuleName": "pay", "Priority": 5, "FixedRate": 0.5, "ReservoirSize": 0, "URLPath": "/pay*"}},
        {
            "SamplingRule": {
                "RuleName": "b",
                "Priority": 9,
                "FixedRate": 0.2,
                "ServiceName": "cart",
                "HTTPMethod": "POST",
            }
        },
        {"SamplingRule": {"RuleName": "a", "Priority": 9, "FixedRate": 0.1, "Attributes": {"tier": "gold"}}},
    ]
}


def test_central_rules_are_tried_by_priority_and_then_name():
    rules = sampling_rules(CENTRAL)
    assert [rule.name for rule in rules.head] == ["pay", "a", "b", "Default"]
    assert rules.head[3].is_shared
    assert sampling_rules(CENTRAL["SamplingRuleRecords"]).head == rules.head
    assert sampling_rules([record["SamplingRule"] for record in CENTRAL["SamplingRuleRecords"]]).head == rules.head
    assert sampling_rules(rules) is rules


def test_a_rule_with_an_unknown_condition_decides_nothing():
    rules = sampling_rules(CENTRAL)
    assert rules.match({"path": "/payments"}).name == "pay"
    assert rules.match({"path": "/cart"}) is None, "rule a asks for an attribute"
    without = Rules(tuple(rule for rule in rules.head if rule.name != "a"))
    assert without.match({"path": "/cart"}) is None, "rule b asks for a service"
    assert without.match({"path": "/cart", "service_name": "CART", "http_request_method": "post"}).name == "b"
    assert without.match({"path": "/cart", "service_name": "mail"}).name == "Default", (
        "one known field is enough for no"
    )


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [("/pay*", "/pay/1", True), ("/p?y", "/pay", True), ("/p?y", "/py", False), ("a.c", "abc", False), ("*", "", True)],
)
def test_patterns_are_stars_and_question_marks_only(pattern, text, matches):
    assert HeadRule("r", 1.0, path=pattern).matches({"path": text}) is matches


def test_a_rule_of_many_stars_is_matched_at_once():
    began = time.process_time()
    assert HeadRule("r", 1.0, path="*a" * 200 + "*b").matches({"path": "a" * 10_000}) is False
    assert time.process_time() - began < 1


def test_a_local_manifest_ends_with_its_default():
    rules = sampling_rules(
        {
            "version": 2,
            "rules": [{"description": "refund", "host": "*", "url_path": "/refund", "fixed_target": 2, "rate": 0.5}],
            "default": {"fixed_target": 1, "rate": 0.1},
        }
    )
    assert [(r.name, r.quota, r.rate, r.path, r.is_shared) for r in rules.head] == [
        ("refund", 2, 0.5, "/refund", False),
        ("default", 1, 0.1, "*", False),
    ]
    assert rules.only is None
    assert sampling_rules({"version": 1, "rules": []}).only.rate == 0.05, "the SDKs' own default"


COLLECTOR = {
    "receivers": {},
    "processors": {
        "batch": None,
        "tail_sampling/web": {
            "decision_wait": "1m30s",
            "policies": [
                {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
                {"name": "slow", "type": "latency", "latency": {"threshold_ms": 800, "upper_threshold_ms": 5000}},
                {
                    "name": "some",
                    "type": "probabilistic",
                    "probabilistic": {"sampling_percentage": 5, "hash_salt": "x"},
                },
                {"name": "few", "type": "rate_limiting", "rate_limiting": {"spans_per_second": 5}},
                {"name": "oks", "type": "status_code", "status_code": {"status_codes": ["OK"]}},
            ],
        },
    },
}


def test_a_collectors_policies_are_read():
    rules = sampling_rules(COLLECTOR)
    assert rules.decision_wait_ns == 90 * 10**9
    errors, slow, some, few, oks = rules.tail
    assert (errors.kind, errors.probability, errors.is_observable) == ("status_code", 1.0, True)
    assert (slow.slower_than_ns, slow.faster_than_ns) == (800_000_000, 5_000_000_000)
    assert (some.probability, some.salt) == (0.05, "x")
    assert few.probability != few.probability, "a limit per second is no probability"
    assert not few.is_observable
    assert not oks.is_observable
    assert rules.base_rate == 0.05
    head = sampling_rules({"processors": {"probabilistic_sampler": {"sampling_percentage": 15}}})
    assert head.only.rate == head.base_rate == 0.15


def test_jaegers_strategies_and_a_plain_rate():
    strategies = {
        "service_strategies": [
            {"service": "cart", "type": "probabilistic", "param": 0.8},
            {"service": "mail", "type": "ratelimiting", "param": 5},
        ],
        "default_strategy": {"type": "probabilistic", "param": 0.1},
    }
    rules = sampling_rules(strategies)
    assert rules.match({"service_name": "cart"}).rate == 0.8
    assert rules.match({"service_name": "web"}).rate == 0.1
    assert not rules.match({"service_name": "mail"}).has_rate, "a limit is no rate, and the default is not its"
    pay = {"service": "pay", "type": "probabilistic", "param": 0.5}
    pay["operation_strategies"] = [{"operation": "refund", "type": "probabilistic", "param": 1.0}]
    assert sampling_rules({"service_strategies": [pay]}).match({"service_name": "pay"}) is None, "nobody tells which"
    assert sampling_rules({"default_strategy": {}}).head == ()
    assert sampling_rules(1).base_rate == 1.0


@pytest.mark.parametrize("content", ['"{other}"', "null", "true", "5", "[" * 100_000])
def test_the_text_in_a_file_of_rules_is_never_a_path(tmp_path, content):
    other, file = tmp_path / "other.json", tmp_path / "rules.json"
    other.write_text("0.5", encoding="utf-8")
    file.write_text(content.replace("{other}", other.as_posix()), encoding="utf-8")
    with pytest.raises(ValueError, match=r"expected (an X-Ray rule list|JSON in rules\.json|the rate between 0 and 1)"):
        sampling_rules(file)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"expected a file of sampling rules, found none at .*nowhere\.json: No such"):
        sampling_rules(tmp_path / "nowhere.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"expected JSON or YAML in bytes\.json, found bytes that are no text"):
        sampling_rules(tmp_path / "bytes.json")


def test_files_are_read_by_their_ending(tmp_path):
    (tmp_path / "rules.json").write_text(json.dumps(CENTRAL), encoding="utf-8")
    assert sampling_rules(tmp_path / "rules.json").head == sampling_rules(CENTRAL).head
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"expected JSON in bad\.json, found text that is none"):
        sampling_rules(str(tmp_path / "bad.json"))
    (tmp_path / "c.yaml").write_text(
        "processors:\n  tail_sampling:\n    policies:\n      - {name: all, type: always_sample}\n", encoding="utf-8"
    )
    pytest.importorskip("yaml", reason="PyYAML is not installed")
    rules = sampling_rules(tmp_path / "c.yaml")
    assert (rules.tail[0].kind, rules.decision_wait_ns) == ("always_sample", 30 * 10**9)


def test_a_yaml_file_that_does_not_parse_is_named(tmp_path):
    pytest.importorskip("yaml", reason="PyYAML is not installed")
    (tmp_path / "bad.yaml").write_text("processors: [", encoding="utf-8")
    with pytest.raises(ValueError, match=r"expected YAML in bad\.yaml, found text that is none"):
        sampling_rules(tmp_path / "bad.yaml")


def test_without_a_yaml_reader_it_names_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "c.yml").write_text("a: 1", encoding="utf-8")

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ValueError, match=r"expected PyYAML to read c\.yml, found none; install pyyaml, or give"):
        sampling_rules(tmp_path / "c.yml")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (1.5, "expected the rate between 0 and 1 in the rules, found 1.5"),
        (True, "expected an X-Ray rule list .* found True"),
        ({"a": 1}, "found a mapping with a"),
        (["x"], "expected a sampling rule with FixedRate as rule 1, found 'x'"),
        ([{"RuleName": "r"}], "expected a sampling rule with FixedRate as rule 1"),
        ([{"RuleName": "r", "FixedRate": "much"}], r"expected a number as FixedRate of rule 1 \(r\), found 'much'"),
        ([{"RuleName": "r", "FixedRate": 5}], r"expected FixedRate between 0 and 1 in rule 1 \(r\), found 5"),
        (
            [{"FixedRate": 0.1, "ReservoirSize": 1.5}],
            r"whole number of 0 or more as ReservoirSize of rule 1 \(rule 1\)",
        ),
        ([{"FixedRate": 0.1, "ReservoirSize": -1}], "found -1"),
        ({"rules": [{"host": "*"}]}, "expected a rule with a rate as rule 1 of the manifest"),
        ({"processors": {"batch": {}}}, "expected tail_sampling with policies or probabilistic_sampler, found batch"),
        ({"policies": [{"name": "x"}]}, "expected a policy with a type as policy 1"),
        ({"policies": [], "decision_wait": "soon"}, "expected a duration such as 30s as decision_wait, found 'soon'"),
        (
            {"policies": [{"type": "probabilistic", "probabilistic": {"sampling_percentage": 500}}]},
            r"expected sampling_percentage between 0 and 100 in policy 1 \(policy 1\), found 500",
        ),
        (
            {"service_strategies": [{"service": "a", "type": "probabilistic", "param": "x"}]},
            r"expected a number as param of strategy 1 \(a\), found 'x'",
        ),
        ({"processors": ["batch"]}, r"expected processors by name, found \['batch'\]"),
        ({"processors": {"tail_sampling": "all"}}, "expected the settings of processor tail_sampling, found 'all'"),
        ({"processors": {"tail_sampling": {"policies": 5}}}, "expected a list as policies of tail_sampling, found 5"),
        ({"processors": {"tail_sampling": None}}, "expected tail_sampling with policies or"),
        ({"policies": [{"type": "latency", "latency": 5}]}, r"settings of latency in policy 1 \(policy 1\), found 5"),
        ({"SamplingRuleRecords": {"a": 1}}, "expected a list as SamplingRuleRecords, found"),
        ({"rules": {"a": 1}}, "expected a list as rules of the manifest, found"),
        ({"service_strategies": ["web"]}, "expected a strategy with a type as strategy 1, found 'web'"),
        (
            {"service_strategies": [{"service": "a", "param": 1, "operation_strategies": ["GET /"]}]},
            r"expected operation and param in operation_strategies of strategy 1 \(a\), found 'GET /'",
        ),
        ([{"FixedRate": 0.1, "SamplingRateBoost": {"Cooldown": 1}}], "expected SamplingRateBoost with MaxRate in rule"),
        ([{"FixedRate": 0.1, "SamplingRateBoost": {"MaxRate": 2}}], r"MaxRate between 0 and 1 in rule 1 \(rule 1\)"),
        ([{"FixedRate": 0.1, "SamplingRateBoost": {"MaxRate": 0.05}}], "no lower than its FixedRate 0.1, found 0.05"),
        ({"default_strategy": {"type": "probabilistic"}}, "expected a number as param of default_strategy, found None"),
    ],
)
def test_rules_that_do_not_parse_are_named(source, text):
    with pytest.raises(ValueError, match=text):
        sampling_rules(source)


def test_a_boosted_rule_has_no_rate_and_one_with_more_conditions_decides_nothing():
    boosted = {"RuleName": "b", "FixedRate": 0.05, "SamplingRateBoost": {"MaxRate": 0.5, "CooldownWindowMinutes": 5}}
    rule = sampling_rules([boosted]).head[0]
    assert (rule.rate, rule.max_rate, rule.is_boosted, rule.has_rate) == (0.05, 0.5, True, False)
    assert sampling_rules([boosted]).base_rate is None
    plain = {"RuleName": "Default", "FixedRate": 0.05, "ResourceARN": "*", "ServiceType": "*", "Attributes": {}}
    assert sampling_rules([plain]).match({}).rate == 0.05
    assert sampling_rules([plain | {"ServiceType": "AWS::ECS::Container"}]).match({}) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([{"FixedRate": 1, "Attributes": ["ab"]}], r"expected Attributes by name in rule 1"),
        ([{"FixedRate": 1, "Priority": 1e308}], "expected a whole number of 0 or more as Priority"),
        ([{"FixedRate": float("nan")}], "expected a number as FixedRate of rule 1"),
        ([{"FixedRate": 10**400}], "expected a number as FixedRate of rule 1"),
        ({"rules": [{"rate": 1, "attributes": 5}]}, "expected attributes by name in rule 1 of the manifest"),
        ({"processors": {"tail_sampling": {"policies": [{"type": "status_code", "status_code": {"status_codes": 5}}]}}},
         "found a value of another shape"),
        ({"processors": {"tail_sampling": {"decision_wait": "1" * 100_000}}}, "expected a duration such as 30s"),
    ],
)  # fmt: skip
def test_an_odd_value_is_refused_by_its_name(content, message):
    with pytest.raises(ValueError, match=message) as refused:
        sampling_rules(content)
    assert len(str(refused.value)) < 500
