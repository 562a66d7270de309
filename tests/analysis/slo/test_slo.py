"""Service level objectives: hand-drawn requests, a per-second oracle, coverage of the limits, refusals."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tracekit as tk
from tests.loading.store.split_stores import COUNTS, same, split
from tracekit import TraceSet
from tracekit.analysis.slo.burn_rates import BurnRule, Requests, alerts, burn_rates

SECOND, START = 1_000_000_000, 1_764_000_000_000_000_000


def requests(start_s, is_bad, took_ms=10):
    """One span per request, in a TraceSet with weight 1."""
    n = len(start_s)
    frame = pd.DataFrame(
        {
            "trace_id": [f"{k + 1:032x}" for k in range(n)],
            "span_id": [f"{k + 1:016x}" for k in range(n)],
            "parent_span_id": None,
            "service_name": "shop",
            "name": np.where(np.arange(n) % 2, "GET /", "POST /pay"),
            "kind": "SERVER",
            "status_code": np.where(is_bad, "ERROR", "UNSET"),
            "start_ns": START + (np.asarray(start_s) * SECOND).astype(np.int64),
        }
    )
    took = (np.broadcast_to(took_ms, n) * 1_000_000).astype(np.int64)
    return TraceSet.from_spans(frame.assign(end_ns=frame["start_ns"] + took)).with_weights(1)


def test_the_budget_is_what_the_objective_leaves():
    found = tk.slo(requests(np.arange(1000), np.arange(1000) < 20), objective=0.99, period_days=1)
    assert found.sli.value == pytest.approx(0.98)
    assert found.burn_rate == pytest.approx(2)
    assert found.spent_ratio == pytest.approx(2 * 999 / 86_400)
    assert found.verdict == "missed"
    assert tk.slo(requests(np.arange(1000), np.zeros(1000)), objective=0.99).verdict == "met"


def test_a_slow_request_is_as_bad_as_a_failed_one():
    traces = requests(np.arange(4), [True, False, False, False], [10, 10, 300, 301])
    assert tk.slo(traces, objective=0.5).sli.value == 0.75
    assert tk.slo(traces, objective=0.5, latency_ms=300).sli.value == 0.5
    assert tk.slo(traces, objective=0.5, success="name == 'GET /'", latency_ms=300).sli.value == 0.25


def test_weights_count():
    traces = requests(np.arange(10), np.arange(10) < 1)
    weighted = traces.with_weights([1.0] + [11.0] * 9)
    assert tk.slo(weighted, objective=0.9).sli.value == pytest.approx(0.99)


def test_what_spent_the_budget():
    traces = requests(np.arange(100), np.arange(100) % 4 == 0)
    table = tk.slo(traces, objective=0.9).spent()
    assert table[["operation", "request_count", "bad_count", "budget_ratio"]].to_numpy().tolist() == [
        ["POST /pay", 50, 25, 1],
        ["GET /", 50, 0, 0],
    ]
    assert table["burn_rate"].tolist() == pytest.approx([5, 0])


def test_without_weights_it_is_refused_and_says_what_is_missing():
    found = tk.slo(tk.load_sample("small-shop")[1], objective=0.9)
    assert (found.verdict, found.is_assessable) == ("not assessable", False)
    assert np.isnan(found.sli.value)
    assert "with_weights(1) if every request was recorded" in found.statement
    assert not len(found.spent())
    assert not len(found.alerts)


def test_traces_that_were_kept_because_they_failed_are_refused():
    _, _, tail, _ = tk.load_sample("tail-sampled")
    found = tk.slo(tail, objective=0.99)
    assert found.verdict == "not assessable"


def test_no_traces_are_refused():
    none = requests(np.arange(3), np.zeros(3)).where("service_name == 'nobody'")
    assert tk.slo(none, objective=0.9).statement == "no requests with an outcome"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"objective": 99.9}, "expected an objective between 0 and 1, such as 0.999, found 99.9"),
        ({"objective": 0.9, "latency_ms": 0}, "expected latency_ms above 0, such as 300, found 0"),
        ({"objective": 0.9, "period_days": -1}, "expected period_days above 0, such as 30, found -1"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        tk.slo(requests([0], [False]), **arguments)


def test_an_outage_fires_the_page_and_stops():
    start = np.arange(0, 7200, 1.0)  # two hours; the second hour's first ten minutes fail
    bad = (start >= 3600) & (start < 4200)
    found = tk.slo(requests(start, bad), objective=0.999).alerts.iloc[0]
    assert found["fired_s"] > 600
    since = (found["first_fired_time"] - pd.Timestamp(START, tz="UTC")).total_seconds()
    assert 3600 + 0.0144 * 3600 <= since <= 3600 + 0.0144 * 3600 + 31
    assert not found["is_firing"]


def test_an_alert_does_not_fire_on_what_was_before_the_recording():
    start = np.arange(0, 30, 1.0)
    found = tk.slo(requests(start, start > 20), objective=0.999).alerts
    assert found["burn_rate_long"].min() > 14.4
    assert not found["is_firing"].any()
    assert found["covered_ratio"].tolist() == pytest.approx([29 / 3600, 29 / 21_600, 29 / 259_200])


@given(st.lists(st.tuples(st.integers(0, 120), st.booleans(), st.integers(1, 3)), min_size=1, max_size=60))
def test_burn_rates_equal_a_per_second_oracle(drawn):
    drawn = sorted(drawn, key=lambda one: one[0])
    at, bad, weight = (np.array(column) for column in zip(*drawn, strict=True))
    found = burn_rates(Requests(at * SECOND, bad, weight.astype(float)), np.arange(121) * SECOND, 30, 0.01)
    for second in range(121):
        inside = (at > second - 30) & (at <= second)
        total = weight[inside].sum()
        expected = (weight * bad)[inside].sum() / total / 0.01 if total else np.nan
        assert found[second] == pytest.approx(expected, nan_ok=True)


def test_alerts_have_the_same_columns_without_rules_and_without_requests():
    none = Requests(np.zeros(0, np.int64), np.zeros(0, bool), np.zeros(0))
    one = Requests(np.zeros(1, np.int64), np.ones(1, bool), np.ones(1))
    rule = BurnRule(60, 10, 2, "page")
    assert alerts(none, (), 0.1).columns.tolist() == alerts(one, (rule,), 0.1).columns.tolist()


@pytest.mark.parametrize("share", [0.01, 0.1])
def test_limits_cover_the_true_share(share):
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(60):
        sli = tk.slo(requests(np.arange(400), rng.random(400) < share), objective=0.9).sli
        inside += sli.low <= 1 - share <= sli.high
    assert inside >= 52  # of 60: the binomial 0.1% quantile at 95% is 52


def test_requests_without_an_outcome_are_counted():
    frame = requests(np.arange(10), np.zeros(10)).spans[
        ["trace_id", "span_id", "service_name", "name", "start_ns", "end_ns"]
    ]
    frame = frame.astype({"end_ns": "Int64"})
    frame.loc[frame.index[:3], "end_ns"] = pd.NA
    found = tk.slo(TraceSet.from_spans(frame).with_weights(1), objective=0.9)
    assert (found.sli.n, found.excluded_count) == (7, 3)
    assert repr(found).partition(";")[0].endswith(", 3 excluded")


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("weights", ["equal", "mixed"])
def test_a_store_has_the_objective_of_the_whole(tmp_path, count, weights):
    _, during = tk.load_sample("checkout-regression")
    values = np.random.default_rng(1).choice([1.0, 10.0, 100.0], len(during))
    during = during.with_weights(4 if weights == "equal" else values)
    store = split(during, tmp_path / "a.parquet", count)
    rules = [tk.BurnRule(20, 3, 5, "page"), tk.BurnRule(60, 5, 0.5, "ticket")]
    for options in ({}, {"latency_ms": 150}, {"success": "service_name == 'ledger'", "latency_ms": 200}):
        found, expected = (tk.slo(each, objective=0.99, rules=rules, **options) for each in (store, during))
        same(found.alerts, expected.alerts)
        for name in ("verdict", "statement", "definition", "excluded_count", "bad_count"):
            assert getattr(found, name) == getattr(expected, name)
        for name in ("burn_rate", "spent_ratio"):
            assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-9)
        for name in ("value", "low", "high", "n"):
            assert getattr(found.sli, name) == pytest.approx(getattr(expected.sli, name), rel=1e-9)
        assert repr(found) == repr(expected)
        for by in (("service_name", "operation"), "request.operation", ()):
            same(found.spent(by), expected.spent(by))
    assert expected.bad_count
    assert expected.alerts["fired_s"].sum() > 0


def test_sums_at_the_ends_of_windows_are_those_of_the_requests():
    """A sweep over all requests of every window is the oracle of the sums that parts can add."""
    rng = np.random.default_rng(2)
    traces = requests(np.sort(rng.uniform(0, 500, 400)), rng.random(400) < 0.2)
    rules = [BurnRule(100, 7, 1.1, "page"), BurnRule(333, 41, 1, "ticket")]
    start, is_bad = traces.columns.spans.start_ns, traces.is_error
    expected = alerts(Requests(np.sort(start), is_bad[np.argsort(start)], np.ones(400)), rules, 1 - 0.8)
    same(tk.slo(traces, objective=0.8, rules=rules).alerts, expected)


def test_a_store_without_weights_is_not_assessable(tmp_path):
    traces = TraceSet.from_spans(requests(np.arange(9), np.arange(9) < 2).spans)
    store = split(traces, tmp_path / "a.parquet", 3)
    found, expected = tk.slo(store), tk.slo(traces)
    assert (found.verdict, found.statement) == ("not assessable", expected.statement)
    same(found.spent(), expected.spent())
    same(found.alerts, expected.alerts)
    nobody = tk.slo(store.where("service_name == 'nobody'"))
    assert (nobody.verdict, nobody.statement) == ("not assessable", "no requests with an outcome")


def test_a_mask_is_refused_for_a_store(tmp_path):
    traces = requests(np.arange(4), [True, False, False, False])
    store = split(traces, tmp_path / "a.parquet", 2)
    with pytest.raises(TypeError, match="expected an expression or a callable for a store, found ndarray"):
        tk.slo(store, success=np.ones(4, bool))
    assert tk.slo(store, objective=0.5, success=lambda spans: spans["name"] == "GET /").sli.value == 0.5
    with pytest.raises(ValueError, match="expected names to group a store by, found a Series"):
        tk.slo(store, objective=0.5).spent(pd.Series([1]))
