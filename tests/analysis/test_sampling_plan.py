"""Plans of sampling rules: counted by hand, and beside samplers that really toss coins."""

import numpy as np
import pandas as pd
import pytest

import tracekit as tk
from tests.loading.store.split_stores import COUNTS, same, split

SECOND = 10**9


def shop(rows, **more):
    frame = pd.DataFrame(rows)
    frame = frame.assign(trace_id=[f"{n + 1:x}" for n in range(len(frame))], span_id="1")
    for name, value in {"name": "GET /", "service_name": "web", "start_ns": 0, "end_ns": 5, **more}.items():
        if name not in frame:
            frame[name] = value
    return tk.TraceSet.from_spans(frame)


def rule(name, rate, quota=0, priority=1, **more):
    return {"RuleName": name, "Priority": priority, "FixedRate": rate, "ReservoirSize": quota, **more}


PATH = "attributes.url.path"


def test_every_request_follows_the_first_rule_that_matches():
    traces = shop([{PATH: "/pay", "status_code": "ERROR"}] * 4 + [{PATH: "/cart"}] * 6)
    plan = tk.plan_sampling(traces, [rule("pay", 1.0, URLPath="/pay*"), rule("Default", 0.5, priority=9)])
    table = plan.rules.set_index("rule")
    assert table["trace_count"].to_dict() == {"pay": 4, "Default": 6}
    assert table["kept_count"].to_dict() == {"pay": 4.0, "Default": 3.0}
    row = plan.plans.loc["rules"]
    assert (row["request_count"], row["kept_count"], row["kept_ratio"]) == (10, 7, 0.7)
    assert (row["error_count"], row["kept_error_count"], row["unmatched_count"]) == (4, 4, 0)
    assert plan.operations["kept_count"].sum() == 7


def test_the_parts_add_up_to_the_whole():
    traces = tk.load_sample("checkout-xray")
    rules = [rule("orders", 0.4, 2, HTTPMethod="POST"), rule("Default", 0.05, 1, priority=9)]
    plan = tk.plan_sampling(traces, {"now": rules, "all": 1.0, "none": 0.0})
    for column in ("request_count", "kept_count", "error_count", "kept_error_count", "cost_usd"):
        parts = plan.rules.groupby("plan", sort=False)[column].sum()
        assert np.allclose(parts, plan.plans[column].loc[parts.index])
    assert plan.plans.loc["all", "kept_count"] == len(traces)
    assert plan.plans.loc["none", "kept_count"] == 0
    assert (plan.rules["kept_count"] <= plan.rules["request_count"] + 1e-9).all()


def test_a_trace_represents_as_many_requests_as_its_weight():
    traces = shop([{PATH: "/"}] * 5).with_weights(20)
    row = tk.plan_sampling(traces, 0.1).plans.loc["rules"]
    assert (row["request_count"], row["kept_count"]) == (100, pytest.approx(10))
    assert "unknown sampling weight" not in str(tk.plan_sampling(traces, 0.1).findings[0].assumptions)
    assert (
        "5 traces of unknown sampling weight count once"
        in tk.plan_sampling(shop([{PATH: "/"}] * 5), 0.1).findings[0].assumptions
    )


def test_a_reservoir_keeps_what_a_sampler_keeps():
    """Classic samplers that toss coins, 300 of them, beside the expectation."""
    random = np.random.default_rng(3)
    start = np.sort(random.integers(0, 300 * SECOND, 600))
    traces = shop({"start_ns": start, "end_ns": start + 5})
    expected = tk.plan_sampling(traces, [rule("Default", 0.1, 1)]).plans.loc["rules", "kept_count"]
    first = len(np.unique(start // SECOND))
    kept = first + random.binomial(600 - first, 0.1, 300)
    assert expected == pytest.approx(kept.mean(), rel=0.03)
    assert expected > 600 * 0.1 * 3, "most of what is kept is the reservoir's"


def test_families_differ_in_what_is_missing_and_in_attributes():
    traces = shop([{"attributes.tenant": "acme"}, {"attributes.tenant": "other"}, {}])
    rules = [rule("acme", 1.0, Attributes={"tenant": "ac*"}), rule("Default", 0.0, priority=9)]
    kept = {
        sdk: tk.plan_sampling(traces, rules, sdk=sdk).plans.loc["rules", "kept_count"] for sdk in ("otel", "classic")
    }
    assert kept == {"otel": 1.0, "classic": 3.0}
    path = [rule("pay", 1.0, URLPath="/pay*"), rule("Default", 0.0, priority=9)]
    kept = {
        sdk: tk.plan_sampling(traces, path, sdk=sdk).plans.loc["rules", "kept_count"] for sdk in ("otel", "classic")
    }
    assert kept == {"otel": 0.0, "classic": 3.0}
    late = [rule("errors", 1.0, Attributes={"http.status_code": "5*"}), rule("Default", 0.0, priority=9)]
    failing = shop([{"attributes.http.status_code": "500"}])
    assert tk.plan_sampling(failing, late).plans.loc["rules", "kept_count"] == 0, "not known when the trace begins"


def test_requests_without_a_rule_are_reported():
    traces = shop([{PATH: "/pay"}, {PATH: "/cart"}])
    plan = tk.plan_sampling(traces, [rule("pay", 1.0, URLPath="/pay*")])
    assert plan.plans.loc["rules", "unmatched_count"] == 1
    assert plan.rules.set_index("rule").loc["no rule", ["trace_count", "kept_count"]].tolist() == [1, 0]


def test_the_lost_evidence_is_named():
    rows = [{PATH: "/", "name": "GET /"}] * 200 + [
        {PATH: "/refund", "name": "POST /refund", "status_code": "ERROR"}
    ] * 10
    plan = tk.plan_sampling(shop(rows), {"now": 0.05}, min_incident_requests=(20, 1))
    silent = plan.operations.set_index("root_name")
    assert silent.loc["POST /refund", "chance_of_none"] == pytest.approx(0.95**10)
    assert silent.loc["GET /", "chance_of_none"] == pytest.approx(0.95**200)
    assert plan.plans.loc["now", "silent_operation_count"] == 1
    assert plan.plans.loc["now", "capture_ratio"] == pytest.approx(1 - 0.95**20)
    (finding,) = plan.findings
    assert finding.severity == "notice"
    assert finding.headline == (
        "now would keep 10 of 210 requests (5.0%) for about $2.27 per month; about 10 of 10"
        " failed requests would be lost"
        "; 1 operation would probably have no trace."
    )
    assert repr(plan) == "SamplingPlan(now: 10.5 of 210 requests kept)"
    assert "<table" in plan._repr_html_()


def test_slow_requests_are_counted():
    took = np.arange(1, 201) * 1000
    traces = shop({"end_ns": took})
    row = tk.plan_sampling(traces, 0.5).plans.loc["rules"]
    assert (row["slow_count"], row["kept_slow_count"]) == (2, 1.0)


def test_the_price_is_for_a_month():
    start = np.arange(0, 3600, 60) * SECOND
    traces = shop({"start_ns": start, "end_ns": start + 1})
    plan = tk.plan_sampling(traces, 1.0, usd_per_million=1e6)
    assert plan.plans.loc["rules", "cost_usd"] == pytest.approx(60 * 30 * 24 * 3600 / 3540)


def test_no_traces_are_a_plan_too():
    nobody = shop([{PATH: "/"}]).where("service_name == 'nobody'")
    plan = tk.plan_sampling(nobody, 0.5, min_incident_requests=5)
    assert plan.plans.loc["rules", "request_count"] == 0
    assert np.isnan(plan.plans.loc["rules", "capture_ratio"])


@pytest.mark.parametrize(
    ("rules", "how", "expected"),
    [
        (0.5, {"sdk": "java"}, "expected sdk 'otel' or 'classic', found 'java'"),
        ({}, {}, "expected at least one set of sampling rules, found none"),
        (
            {"a": {"policies": [{"name": "e", "type": "status_code"}]}},
            {},
            "expected head-sampling rules, found tail-sampling policies in 'a'",
        ),
    ],
)
def test_what_cannot_be_planned_is_refused(rules, how, expected):
    with pytest.raises(ValueError, match=expected):
        tk.plan_sampling(shop([{PATH: "/"}]), rules, **how)


@pytest.mark.parametrize(
    ("rules", "names"),
    [
        ({"default": 0.1, "rules": [rule("Default", 0.1)]}, None),
        ({"default": 0.1, "more": 0.2}, ["default", "more"]),
        ({"rules": 0.1}, ["rules"]),
        ({"version": 2, "rules": [], "default": {"fixed_target": 1, "rate": 0.1}}, ["rules"]),
        ({"default_strategy": {"type": "probabilistic", "param": 0.1}}, ["rules"]),
    ],
)
def test_one_set_of_rules_is_distinguished_from_several(rules, names):
    traces = shop([{PATH: "/"}])
    if names is None:
        with pytest.raises(ValueError, match="expected a rule with a rate as rule 1 of the manifest"):
            tk.plan_sampling(traces, rules)
    else:
        assert tk.plan_sampling(traces, rules).plans.index.tolist() == names


@pytest.mark.parametrize("weight", [None, "unequal"])
@pytest.mark.parametrize("count", COUNTS)
def test_plans_for_a_store_are_those_of_the_whole(count, weight, tmp_path):
    traces = tk.load_sample("checkout-regression")[1].head(400)
    if weight is not None:
        traces = traces.with_weights(np.random.default_rng(1).choice([1.0, 4.0, 20.0], len(traces)))
    first, last = rule("first", 0.05, 5, URLPath="/checkout"), rule("last", 0.05, 1, 10)
    rules = {"now": 0.05, "reservoir": {"SamplingRuleRecords": [{"SamplingRule": first}, {"SamplingRule": last}]}}
    store = split(traces, tmp_path / "a.parquet", count, seed=count)
    found, expected = (tk.plan_sampling(each, rules, min_incident_requests=20) for each in (store, traces))
    same(found.plans, expected.plans)
    same(found.rules, expected.rules)
    same(found.operations, expected.operations)
    assert [one.headline for one in found.findings] == [one.headline for one in expected.findings]
    assert [one.assumptions for one in found.findings] == [one.assumptions for one in expected.findings]
    assert found.plans["slow_count"].min() > 0


def test_of_many_latencies_in_memory_the_slow_ones_are_counted_exactly(tmp_path):
    took = 10**8 + np.arange(6000)  # all within 1/512
    traces = shop([{"start_ns": n * 10**6, "end_ns": n * 10**6 + int(each)} for n, each in enumerate(took)])
    assert tk.plan_sampling(traces, 1.0).plans["slow_count"].tolist() == [60]
    store = split(traces, tmp_path / "a.parquet", 1)
    assert tk.plan_sampling(store, 1.0).plans["request_count"].tolist() == [6000]
