"""Requests over time against a plain pandas oracle, and the laws of the table."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
from tests.loading.store.split_stores import COUNTS, same, split
from tracekit import TraceSet
from tracekit.analysis import request_outcomes
from tracekit.analysis.timeline.compute import timeline
from tracekit.stats.quantiles import weighted_quantiles

SECOND = 10**9


def requests(starts, took, failed=None, versions=None, service="shop"):
    n = len(starts)
    frame = pd.DataFrame(
        {
            "trace_id": [f"{k + 1:x}" for k in range(n)],
            "span_id": "1",
            "name": "GET /",
            "service_name": service,
            "start_ns": pd.array(starts, "Int64"),
            "end_ns": pd.array(
                [None if s is None or t is None else s + t for s, t in zip(starts, took, strict=True)], "Int64"
            ),
            "status_code": ["ERROR" if bad else "OK" for bad in (failed or [False] * n)],
        }
    )
    return frame if versions is None else frame.assign(**{"resource.service.version": versions})


@given(
    st.lists(st.tuples(st.integers(0, 50 * SECOND), st.integers(0, 10**10), st.booleans()), min_size=1, max_size=40),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=40)
def test_every_step_equals_the_statistics_of_its_requests(rows, seed):
    starts, took, failed = map(list, zip(*rows, strict=True))
    traces = TraceSet.from_spans(requests(starts, took, failed))
    weights = np.random.default_rng(seed).choice([1.0, 5.0, 20.0], len(rows))
    seen = timeline(traces.with_weights(weights), step_s=7)
    place = (np.array(starts) // (7 * SECOND)) - min(starts) // (7 * SECOND)
    for k, row in enumerate(seen.table.itertuples()):
        mine = place == k
        assert row.start_ns == (min(starts) // (7 * SECOND) + k) * 7 * SECOND
        assert row.trace_count == mine.sum()
        assert row.weight_sum == pytest.approx(weights[mine].sum())
        assert row.error_count == pytest.approx((weights * np.array(failed))[mine].sum())
        if mine.any():
            assert not row.error_ratio_low > row.error_ratio
            assert not row.error_ratio > row.error_ratio_high
            assert np.isnan(row.error_ratio_low) == np.isnan(row.error_ratio_high)
            for name, share in (("p50_ns", 0.5), ("p95_ns", 0.95)):
                exact = weighted_quantiles(np.array(took)[mine], weights[mine], [share])[0]
                assert getattr(row, name) == pytest.approx(exact, rel=0.02, abs=1)
        else:
            assert np.isnan(row.p50_ns)
            assert np.isnan(row.error_ratio)
    assert seen.table["trace_count"].sum() == len(rows) == seen.cells["trace_count"].sum()
    assert seen.cells["weight_sum"].sum() == pytest.approx(weights.sum())


@pytest.mark.parametrize("weights", [[1, 1, 1, 1], [1, 1, 5, 20]])  # as many pairs of step and weight as steps
def test_an_empty_step_has_no_percentile_whatever_the_weights(weights):
    traces = TraceSet.from_spans(requests([21 * SECOND, 0, 0, 0], [9, 7, 7, 7])).with_weights(weights)
    table = timeline(traces, step_s=7).table
    assert table["trace_count"].tolist() == [3, 0, 0, 1]
    assert table["p50_ns"].tolist() == pytest.approx([7, np.nan, np.nan, 9], nan_ok=True)


def test_the_cells_enclose_their_durations():
    took = [0, 1, 999, 10**6, 5 * 10**8]
    seen = timeline(TraceSet.from_spans(requests([0] * 5, took)), step_s=1)
    for duration in took:
        inside = (seen.cells["bucket_low_ns"] <= duration) & (duration < seen.cells["bucket_high_ns"])
        assert inside.sum() == 1


def test_what_cannot_be_placed_is_counted():
    frame = requests([0, 10, None], [5, None, None])
    seen = timeline(TraceSet.from_spans(frame))
    assert (seen.excluded_count, seen.undated_count) == (1, 1)
    assert seen.table["trace_count"].sum() == 2
    assert seen.cells["trace_count"].sum() == 1
    assert repr(seen).endswith("2 without a start or a duration; sampling weights unknown)")


def test_a_step_is_round_and_makes_at_most_sixty():
    for whole, step in [(0, SECOND), (59 * SECOND, SECOND), (3_000 * SECOND, 60 * SECOND), (10**7, 200_000)]:
        seen = timeline(TraceSet.from_spans(requests([0, whole], [1, 1])))
        assert seen.step_ns == step
        assert len(seen.table) <= 61
    years = timeline(TraceSet.from_spans(requests([0, 400 * 86_400 * SECOND], [1, 1])))
    assert years.step_ns == 7 * 86_400 * SECOND
    assert len(years.table) <= 60


def test_impossible_steps_are_refused():
    traces = TraceSet.from_spans(requests([0, 100 * SECOND], [1, 1]))
    with pytest.raises(ValueError, match="expected step_s above 0, found 0"):
        timeline(traces, step_s=0)
    with pytest.raises(
        ValueError, match="expected step_s that divides 100 s into at most a million steps, found 1e-05"
    ):
        timeline(traces, step_s=1e-5)


def test_a_version_that_appears_later_is_a_deployment():
    first = requests([0, 1 * SECOND, 2 * SECOND, 3 * SECOND], [5] * 4, versions=["1", "2", "1", "3"])
    other = requests([9 * SECOND], [5], versions=["7"], service="mail").assign(trace_id="ff")
    seen = timeline(TraceSet.from_spans(pd.concat([first, other])))
    columns = ["service_name", "service_version", "previous_version", "first_ns"]
    expected = [["shop", "3", "2", 3 * SECOND]]  # 2 is between two requests of 1: it may serve beside it
    assert seen.deployments[columns].to_numpy().tolist() == expected
    assert str(seen.deployments["first_time"].iloc[0]) == "1970-01-01 00:00:03+00:00"


def test_two_recordings_of_the_sample_show_the_release():
    before, during = tk.load_sample("checkout-regression")
    seen = timeline(TraceSet.from_spans(pd.concat([_plain(before), _plain(during)])))
    (row,) = seen.deployments.to_dict("records")
    assert (row["service_name"], row["previous_version"], row["service_version"]) == ("ledger", "1.4.0", "1.5.0")


def _plain(traces):
    names = ["trace_id", "span_id", "parent_span_id", "name", "kind", "status_code", "start_ns", "end_ns"]
    kept = traces.spans[[*names, "service_name"]]
    return kept.assign(**{"resource.service.version": traces.spans["service_version"]})


def test_no_traces_are_no_steps(shop):
    seen = timeline(shop.where("service_name == 'nobody'"))
    assert seen.table.empty
    assert seen.cells.empty
    assert repr(seen) == "Timeline(0 requests in 0 steps of 1 s, 0 deployments; no traces)"
    assert "0 requests" in seen._repr_html_()


def test_a_period_longer_than_int64_has_steps():
    frame = pd.DataFrame(
        {
            "trace_id": ["0a" * 16, "0b" * 16],
            "span_id": "0c" * 8,
            "service_name": "shop",
            "name": "pay",
            "kind": "SERVER",
            "start_ns": [1_795_000_000_000_000_000, -9_223_372_036_854_775_807],
            "end_ns": [1_795_000_000_000_000_005, -9_223_372_036_854_775_800],
        }
    )
    table = timeline(TraceSet.from_spans(frame)).table
    assert table["trace_count"].iloc[[0, -1]].tolist() == [1, 1]
    assert table["trace_count"].sum() == 2
    assert table["start_ns"].is_monotonic_increasing


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("weights", [None, "mixed"])
def test_a_store_has_the_timeline_of_the_whole(tmp_path, count, weights):
    _, during = tk.load_sample("checkout-regression")
    if weights:
        during = during.with_weights(np.random.default_rng(1).choice([1.0, 10.0, 100.0], len(during)))
    store = split(during, tmp_path / "a.parquet", count)
    for by in ((), "request.operation"):
        found, expected = timeline(store, by, step_s=5), timeline(during, by, step_s=5)
        same(found.table, expected.table)
        same(found.cells, expected.cells)
        same(found.deployments, expected.deployments)
    same(found.changes, expected.changes)
    same(found.tested, expected.tested)
    assert found.statement == expected.statement
    assert found.is_of_all_traffic == expected.is_of_all_traffic == bool(weights)
    assert repr(found) == repr(expected)


def test_a_store_with_a_change_has_its_onset_and_its_cohorts(tmp_path):
    starts = np.arange(3000) * SECOND // 10 + 1_800_000_000 * SECOND
    rng = np.random.default_rng(3)
    took = np.where(np.arange(3000) < 2000, 50_000_000, 150_000_000) + rng.integers(0, 1_000_000, 3000)
    versions = np.where(np.arange(3000) < 1990, "1", "2")
    traces = TraceSet.from_spans(requests(starts.tolist(), took.tolist(), versions=versions))
    store = split(traces, tmp_path / "a.parquet", 9)
    found, expected = timeline(store), timeline(traces)
    same(found.changes, expected.changes)
    assert found.changes["deployment"].iloc[0] == "shop 2"
    same(found.affected.drop(columns="overlaps"), expected.affected.drop(columns="overlaps"))
    for part, whole in zip(found.cohorts(), expected.cohorts(), strict=True):
        assert len(part) == len(whole)
        assert sorted(part.load().trace_ids if len(whole) else part.trace_ids) == sorted(whole.trace_ids)
    later = store.between(pd.Timestamp(starts[2500]))
    same(timeline(later).table, timeline(traces.between(pd.Timestamp(starts[2500]))).table)


@pytest.mark.parametrize("most", [3_000, 900])
def test_of_many_traces_some_are_examined_the_same_in_a_store_and_in_memory(tmp_path, monkeypatch, most):
    """The latency rises after half of ten minutes with four requests a second."""
    monkeypatch.setattr(request_outcomes, "MOST", most)
    rng, step = np.random.default_rng(4), 300 * SECOND
    start = np.sort(rng.integers(0, 2 * step, 2_400))
    took = (rng.lognormal(0, 0.3, 2_400) * 5e7 * np.where(start > step, 3, 1)).astype(int)
    traces = TraceSet.from_spans(requests(start.tolist(), took.tolist()))
    found, expected = timeline(split(traces, tmp_path / "a.parquet", 7)), timeline(traces)
    same(found.changes, expected.changes)
    same(found.tested, expected.tested)
    assert found.sampled == expected.sampled
    counts = expected.tested["request_count"]
    if most > 2_400:
        assert expected.sampled == ()
        assert set(counts) == {2_400}
    else:
        assert counts.between(most / 2, most).all()
        assert expected.sampled == (f"estimated from {counts[0]:,} of 2,400 traces, chosen by a hash of their ids",)
    rises = expected.changes.query("kind == 'onset'").set_index("metric")
    assert set(rises.index) == {"latency", "critical_path_time"}
    assert (rises["low_ns"] <= step).all()
    assert (rises["high_ns"] >= step).all()
    assert rises["before_value"].tolist() == pytest.approx([took[start < step].mean()] * 2, rel=0.05)


def test_the_request_rate_is_that_of_all_requests_also_from_some(monkeypatch):
    start = np.sort(np.random.default_rng(7).integers(0, 100, 800).cumsum() * 10**7)
    start[400:] = start[400] + (start[400:] - start[400]) // 4
    traces = TraceSet.from_spans(requests(start.tolist(), [10**6] * 800))
    monkeypatch.setattr(request_outcomes, "MOST", 600)
    found = timeline(traces)
    assert found.sampled
    last = found.changes.query("kind != 'peak'").iloc[-1]
    assert [last["before_value"], last["after_value"]] == pytest.approx([2, 8], rel=0.15)
