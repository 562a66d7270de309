"""A log of requests joined with a store: the results of the traces in memory, however these are split."""

from functools import reduce

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
from tests.checks.test_checks_of_stores import agree
from tests.loading.store.split_stores import same, split
from tracekit.checks.case import build_case
from tracekit.weights.log_strata import log_join
from tracekit.weights.trace_times import TraceIds

SECOND, BEGUN = 10**9, 1_790_000_000 * 10**9
REQUESTS, OTHERS = 1500, 25


def world():
    """Requests of which failing and slow ones were all recorded and a tenth of the others, and the log of all of them.

    Some traces are not in the log, and some requests are in it twice, without an id, or answered by the balancer.
    """
    rng = np.random.default_rng(11)
    ids = [f"{high:016x}{low:016x}" for high, low in rng.integers(1, 2**62, (REQUESTS + OTHERS, 2)).tolist()]
    n, route = len(ids), rng.choice(["/cart", "/pay", "/"], len(ids), p=[0.5, 0.2, 0.3])
    took, failed = (rng.lognormal(2, 0.6, n) * 1e6).round(-4).astype(np.int64), rng.random(n) < 0.05
    start = BEGUN + np.sort(rng.integers(0, 600 * SECOND, n))
    kept = failed | (took > 20_000_000) | (rng.random(n) < 0.1) | (np.arange(n) >= REQUESTS)
    frame = pd.DataFrame(
        {
            "trace_id": ids,
            "span_id": [f"{at + 1:016x}" for at in range(n)],
            "parent_span_id": None,
            "service_name": "shop",
            "name": "GET",
            "kind": "SERVER",
            "start_ns": start,
            "end_ns": start + took,
            "status": np.where(failed, "ERROR", "OK"),
            "attributes.http.route": route,
            "attributes.http.response.status_code": np.where(failed, 500, 200),
        }
    )
    times = pd.to_datetime(start + took, utc=True)
    log = pd.DataFrame({"trace_id": ids, "time": times, "route": route, "duration_ns": took})[:REQUESTS]
    log["status"] = np.where(failed, 500, 200)[:REQUESTS]
    log["target_status"] = np.where(np.arange(REQUESTS) % 50 == 0, np.nan, log["status"])
    log.loc[::7, "trace_id"] = ["1-" + one[:8] + "-" + one[8:].upper() for one in log.loc[::7, "trace_id"]]
    log.loc[5:9, "trace_id"] = None
    return tk.TraceSet.from_spans(frame[kept].reset_index(drop=True)), pd.concat([log, log.iloc[100:110]])


def plain_ids():
    """Trace ids of the log as traces have them."""
    return LOG["trace_id"].astype(str).str.lower().str.replace(r"^1-|-", "", regex=True)


TRACES, LOG = world()
WITHOUT_IDS = LOG.drop(columns="trace_id")


@pytest.mark.parametrize(("log", "count"), [(LOG, 1), (LOG, 7), (WITHOUT_IDS, 7)])
def test_findings_and_metrics_are_those_in_memory(log, count, tmp_path):
    store = split(TRACES, tmp_path / "a.parquet", count, seed=count)
    found, expected = (tk.sampling(each, log=log) for each in (store, TRACES))
    agree(found, expected)
    assert [one.assumptions for one in found] == [one.assumptions for one in expected]
    has_ids = "trace_id" in log
    (rate,) = (one for one in found if one.check == "rate.observed")
    assert any("traces are not in the log and are excluded" in text for text in rate.assumptions) == has_ids
    metrics, others = (tk.coverage(each, log=log) for each in (store, TRACES))
    same(metrics.metrics, others.metrics)
    same(metrics.funnel, others.funnel)
    assert metrics.summary == others.summary
    if has_ids:
        served = LOG["target_status"].notna() & plain_ids().isin(TRACES.trace_ids)
        assert metrics.funnel["count"].iloc[-1] == served.sum()


@pytest.mark.parametrize("count", [1, 5])
def test_curves_starts_and_shares_are_those_in_memory(count, tmp_path):
    logged = TRACES.where(np.isin(TRACES.trace_ids, plain_ids()))  # a span each
    store = split(logged, tmp_path / "a.parquet", count, seed=count)
    biases = [tk.latency_bias(each, log=LOG) for each in (store, logged)]
    same(biases[0].curve, biases[1].curve)
    assert repr(biases[0]) == repr(biases[1])
    assert biases[0].missing == ""
    row = biases[0].curve.set_index("quantile").loc[0.5]
    assert row["raw_ns"] > 1.2 * row["logged_ns"]
    assert row["estimate_ns"] == pytest.approx(row["logged_ns"], rel=0.1)
    phases = [tk.start_phases(each, log=LOG, parts=20) for each in (store, logged)]
    same(phases[0].table, phases[1].table)
    assert phases[0].table["request_count"].sum() == len(LOG)
    mixes = [tk.sample_mix(each, log=LOG) for each in (store, logged)]
    same(mixes[0].table, mixes[1].table)
    assert mixes[0].headlines == mixes[1].headlines
    assert len(mixes[0].table)


def test_weights_from_a_log_are_those_in_memory(tmp_path):
    store = split(TRACES, tmp_path / "a.parquet", 5)
    found, expected = (build_case(each, log=LOG, count_log=True).weighted for each in (store, TRACES))
    weights = pd.concat([pd.Series(part.weights.value, part.trace_ids) for part in found.source.parts()])
    pd.testing.assert_series_equal(weights.sort_index(), pd.Series(expected.traces.weights.value, TRACES.trace_ids))
    assert found.weight_sources == expected.weight_sources
    assert 10 < weights.max() < 40
    assert (found.obstacles, found.weights_call) == (expected.obstacles, expected.weights_call)


def test_late_requests_are_left_out_of_the_log(tmp_path):
    store = split(TRACES, tmp_path / "a.parquet", 5)
    start = pd.Series(TRACES.columns.spans.start_ns[TRACES.forest.root_row], TRACES.trace_ids)
    received = start + np.random.default_rng(1).integers(1, 120, len(start)) * SECOND
    inputs = {"log": LOG, "received": received, "now": pd.Timestamp(start.max(), unit="ns")}
    agree(*(tk.sampling(each, **inputs) for each in (store, TRACES)))
    funnels = [tk.coverage(each, **inputs).funnel for each in (store, TRACES)]
    same(*funnels)
    assert funnels[0]["count"].iloc[0] < len(LOG) - 100


@settings(max_examples=15, deadline=None)
@given(count=st.integers(1, 6), seed=st.integers(0, 2**31), order=st.randoms(use_true_random=False))
def test_the_join_does_not_depend_on_the_split_or_the_order(count, seed, order):
    part = np.random.default_rng(seed).integers(0, count, len(TRACES))[TRACES.forest.trace]
    states = [TraceIds.of(TRACES.where(part == one)) for one in range(count)]
    order.shuffle(states)
    found, ids = log_join(reduce(TraceIds.plus, states), LOG), plain_ids()
    assert found.is_held.tolist() == ids.isin(TRACES.trace_ids).tolist()
    assert (found.trace_count, found.outside_count) == (len(TRACES), len(set(TRACES.trace_ids) - set(ids)))
