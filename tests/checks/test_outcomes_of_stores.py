"""What checks say of traces one by one: the same of a store, however the traces are split."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
from tests.checks.test_checks_of_stores import agree
from tests.loading.store.split_stores import COUNTS, same, split
from tracekit.analysis.trace_rows import OFTEN, Rows

SECOND = 10**9
MADE = ("bias.tail", "bias.attribute", "calibrate")


def sampled(count=900, seed=3, *, partly=False):
    """Requests of three tenants and 300 users; those of one tenant fail more, and failures are kept more often."""
    rng = np.random.default_rng(seed)
    tenant, failed = rng.choice(["acme", "blue", "corp"], count, p=[0.6, 0.3, 0.1]), rng.random(count) < 0.1
    start = 1_790_000_000 * SECOND + np.sort(rng.integers(0, 600 * SECOND, count))
    took = (rng.lognormal(2, 0.6, count) * 1e6 * np.where(failed, 3, 1)).astype(np.int64)
    low = rng.integers(8 << 52 if partly else 0, 16 << 52, count)  # of the id: half of the requests, or all
    root = pd.DataFrame(
        {
            "trace_id": [f"{n:016x}7{digits:015x}" for n, digits in enumerate(low)],
            "span_id": [f"{n + 1:016x}" for n in range(count)],
            "parent_span_id": None,
            "service_name": "shop",
            "name": rng.choice(["GET /cart", "POST /pay", "GET /"], count),
            "kind": "SERVER",
            "start_ns": start,
            "end_ns": start + took,
            "status": np.where(failed, "ERROR", "OK"),
            "attributes.tenant.id": tenant,
            "attributes.customer.id": [f"user {n % 300}" for n in range(count)],
            "attributes.http.response.status_code": np.where(failed, 500, 200),
        }
    )
    child = root.assign(
        parent_span_id=root["span_id"],
        span_id=[f"{n + 1 + count:016x}" for n in range(count)],
        service_name="ledger",
        name="write",
    ).drop(columns=[name for name in root if name.startswith("attributes.")])
    kept = low >= 12 << 52 if partly else rng.random(count) < 0.7
    frame = pd.concat([root.assign(trace_state="ot=th:8"), child[kept].assign(trace_state="ot=th:c")])
    frame = frame if partly else frame.drop(columns="trace_state")
    weight = np.where(failed | (tenant == "corp"), 1.0, rng.choice([2.0, 10.0], count))
    traces = tk.TraceSet.from_spans(frame.reset_index(drop=True))
    return traces if partly else traces.with_weights(weight)


@pytest.fixture(scope="module")
def traces():
    return sampled()


def requests_of(traces, by):
    """Request counts by route, by status, or by both with a stratum that has no trace."""
    keys = {"route": ["route"], "status": ["status"], "both": ["route", "status"]}[by]
    root = traces.spans[traces.spans["parent_span_id"].isna()]
    columns = {"route": root["name"].astype(str), "status": np.where(root["is_error"], "500", "200")}
    counts = pd.DataFrame(columns).groupby(keys).size().mul(7).reset_index(name="count")
    return counts.iloc[1:] if by == "route" else counts


@pytest.mark.parametrize("by", ["route", "status", "both"])
@pytest.mark.parametrize("count", COUNTS)
def test_biases_and_calibration_of_parts(traces, count, by, tmp_path):
    store, requests = split(traces, tmp_path / "a.parquet", count, seed=count), requests_of(traces, by)
    found, expected = (
        [one for one in tk.sampling(each, requests=requests) if one.check in MADE] for each in (store, traces)
    )
    agree(found, expected)
    assert {one.check for one in found} == set(MADE)
    assert not any(one.status == "not_assessable" for one in found)
    (attribute,) = (one for one in found if one.check == "bias.attribute")
    assert "customer.id" in attribute.assumptions[-1]
    assert set(attribute.evidence["key"]) == {"tenant.id"}
    errors = next(one for one in found if one.check == "bias.tail")
    assert errors.status == "failed"


@pytest.mark.parametrize("count", [1, 5])
def test_partially_sampled_traces_of_parts(count, tmp_path):
    traces = sampled(partly=True)
    store = split(traces, tmp_path / "a.parquet", count, seed=count)
    found, expected = ([one for one in tk.sampling(each) if one.check == "bias.tail"] for each in (store, traces))
    agree(found, expected)
    assert "traces with a failed span" in found[0].evidence["measure"].tolist()


@pytest.mark.parametrize("weight", [None, 1.0, 4.0])
@pytest.mark.parametrize("count", [1, 5])
def test_equal_and_unknown_weights_of_parts(weight, count, tmp_path):
    frame = sampled(300).spans
    traces = tk.TraceSet.from_spans(frame)
    traces = traces if weight is None else traces.with_weights(weight)
    store = split(traces, tmp_path / "a.parquet", count, seed=count)
    found, expected = ([one for one in tk.sampling(each) if one.check in MADE] for each in (store, traces))
    agree(found, expected)
    assert {one.status for one in found if one.check != "calibrate"} == {"not_assessable" if weight is None else "ok"}


@pytest.mark.parametrize("count", COUNTS)
def test_latency_bias_and_start_phases_of_parts(traces, count, tmp_path):
    store = split(traces, tmp_path / "a.parquet", count, seed=count)
    found, expected = (tk.latency_bias(each, target="process") for each in (store, traces))
    same(found.curve, expected.curve)
    assert (found.trace_count, found.missing, found.summary) == (expected.trace_count, "", expected.summary)
    phases, whole = (tk.start_phases(each, parts=20) for each in (store, traces))
    same(phases.table, whole.table)
    assert (phases.strength, phases.p_value) == pytest.approx((whole.strength, whole.p_value), rel=1e-9)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("success", [None, 'service_name == "ledger"', "function"])
def test_coverage_of_parts(traces, count, success, tmp_path):
    chosen = has_ledger if success == "function" else success
    store, requests = split(traces, tmp_path / "a.parquet", count, seed=count), requests_of(traces, "status")
    settings = {"requests": requests, "success": chosen, "prices": {"recorded": 5.0}, "targets": {"M3": 1e6}}
    found, expected = (tk.coverage(each, **settings) for each in (store, traces))
    same(found.metrics, expected.metrics)
    same(found.funnel, expected.funnel)
    assert found.summary == expected.summary
    measured = set(found.metrics.loc[found.metrics["verdict"] != "not_assessable", "metric"])
    assert measured >= {"M1", "M2a", "M2b", "M3", "M4", "M5", "M8", "M9", "M10"}


def test_successful_traces_may_be_rows_in_memory(traces):
    every = traces.spans["service_name"] == "ledger"
    found, expected = (tk.coverage(traces, success=chosen) for chosen in (every.to_numpy(), has_ledger))
    same(found.metrics, expected.metrics)


def has_ledger(spans):
    """Whether a span is of the ledger."""
    return spans["service_name"] == "ledger"


def test_coverage_of_a_store_reads_it_in_few_rounds(traces, tmp_path, monkeypatch):
    store = split(traces, tmp_path / "a.parquet", 5)
    rounds = []
    read = "tracekit.loading.store.rounds.over_tasks"
    from tracekit.loading.store.rounds import over_tasks  # noqa: PLC0415 - the one that is replaced

    monkeypatch.setattr(read, lambda *given: rounds.append(1) or over_tasks(*given))
    tk.coverage(store)
    assert 1 <= len(rounds) <= 4


def test_places_and_rows_of_spans_that_do_not_fit_are_refused(traces, tmp_path):
    store = split(traces, tmp_path / "a.parquet", 3)
    for analysis in (tk.latency_bias, tk.start_phases, tk.coverage):
        with pytest.raises(ValueError, match="expected a TraceStore with on="):
            analysis(traces, on=2)
    with pytest.raises(ValueError, match="expected an expression or a function as success= with a store"):
        tk.coverage(store, success=np.ones(3, bool))


def test_many_durations_are_rounded_and_stay_within_the_histogram(tmp_path):
    traces = sampled(6000, seed=8)
    store = split(traces, tmp_path / "a.parquet", 5)
    found, expected = (tk.latency_bias(each) for each in (store, traces))
    names = [name for name in expected.curve if name.endswith("_ns") and name != "logged_ns"]
    ratio = (found.curve[names] / expected.curve[names]).to_numpy()
    assert np.nanmax(np.abs(ratio - 1)) < 0.002
    assert np.nanmax(np.abs(ratio - 1)) > 0
    assert (found.trace_count, found.n_effective) == (expected.trace_count, pytest.approx(expected.n_effective))
    phases, whole = (tk.start_phases(each) for each in (store, traces))
    assert phases.table["trace_count"].tolist() == whole.table["trace_count"].tolist()
    assert phases.is_even
    assert phases.strength == pytest.approx(whole.strength, abs=1e-6)
    assert whole.p_value <= phases.p_value <= whole.p_value + 0.1


def test_the_starts_of_a_reservoir_are_uneven_in_parts_of_the_second(tmp_path):
    frame = sampled(6000, seed=8).spans
    late = frame["start_ns"] % SECOND // 20
    frame = frame.assign(start_ns=frame["start_ns"] - frame["start_ns"] % SECOND + late)
    frame["end_ns"] = frame["start_ns"] + 1000
    store = split(tk.TraceSet.from_spans(frame), tmp_path / "a.parquet", 3)
    assert not tk.start_phases(store).is_even


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(5)), sizes=st.lists(st.integers(0, 3000), min_size=5, max_size=5))
def test_rows_do_not_depend_on_the_order_of_parts(order, sizes):
    rng = np.random.default_rng(sum(sizes))
    parts = [
        Rows.of({"probability": rng.choice([0.5, np.nan], size), "took_ns": rng.integers(0, 10**9, size).astype(float)})
        for size in sizes
    ]

    def merged(numbers):
        first, *rest = (parts[number].distinct() for number in numbers)
        for part in rest:
            first = first.plus(part)
        return first

    found, expected = merged(order), merged(range(5))
    pd.testing.assert_frame_equal(found.frame, expected.frame)
    assert found.is_rounded == expected.is_rounded == (sum(sizes) > 4096 or found.is_rounded)
    assert found.frame[OFTEN].sum() == sum(sizes) == len(found.one_by_one())
    if not found.is_rounded:
        every = pd.concat([part.frame for part in parts])["took_ns"]
        assert sorted(found.one_by_one()["took_ns"]) == sorted(every)
