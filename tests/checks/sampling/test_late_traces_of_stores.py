"""Arrival times joined with a store: the findings, metrics and horizon of memory, however the traces are split."""

import functools
import pickle

import numpy as np
import pandas as pd
import pytest
from checks.sampling.simulators import EPOCH_NS
from checks.sampling.test_late_traces import the, world
from checks.test_checks_of_stores import agree
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
from tests.loading.store.split_stores import same, split
from tracekit.checks.case import build_case
from tracekit.checks.registry import CHECKS, run_check
from tracekit.stats.second_reservoir import SECOND_NS
from tracekit.weights.receipts import Arrived, ArrivedOf, read_received

POLL_NS = 15 * SECOND_NS


@functools.cache
def recorded():
    """Five minutes of traces, which arrive late, and attributes that say when: of one in ten in a child as well."""
    traces, received, counts, now = world(np.random.default_rng(1), seconds=300)
    frame = traces.spans.assign(start_ns=traces.columns.spans.start_ns, end_ns=traces.columns.spans.end_ns)
    arrived = pd.to_datetime(received.to_numpy(), unit="ns", utc=True)
    frame["attributes.arrived"] = np.where(np.arange(len(frame)) % 50 == 0, None, arrived.astype(str))
    child = frame.iloc[::10].assign(parent_span_id=frame["span_id"], name="child")
    child["span_id"] = [f"{at + 1:016x}" for at in range(len(child))]
    child["attributes.arrived"] = (arrived[::10] - pd.Timedelta("1s")).astype(str)
    names = ["trace_id", "span_id", "parent_span_id", "name", "kind", "service_name", "status_code", "start_ns"]
    both = pd.concat([frame, child], ignore_index=True)
    return tk.TraceSet.from_spans(both[[*names, "end_ns", "attributes.arrived"]]), received, counts, now


def given_as(kind, received):
    """The arrival times as times by trace id, as polls, with or without the poll before, or as an attribute."""
    polls = pd.DataFrame({"by": -(-(received - EPOCH_NS) // POLL_NS) * POLL_NS + EPOCH_NS})
    return {
        "times": received,
        "half of them, and others": pd.concat([received.iloc[::2], pd.Series(EPOCH_NS, ["a", "b", "c"])]),
        "polls": polls,
        "polls with the one before": polls.assign(after=polls["by"] - POLL_NS),
        "attribute": "arrived",
    }[kind]


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize(
    "kind", ["times", "half of them, and others", "polls", "polls with the one before", "attribute"]
)
def test_late_traces_of_parts_are_found_and_left_out_as_in_memory(kind, count, tmp_path):
    traces, received, counts, now = recorded()
    store = split(traces, tmp_path / "a.parquet", count, seed=count).placed(1)
    inputs = {"received": given_as(kind, received), "now": None if "polls" in kind else now, "requests": counts}
    cases = [build_case(each, **inputs) for each in (store, traces)]
    for check in CHECKS:
        if check.name in {"ingest.lag", "ingest.horizon", "rate.observed", "gap.silence"}:
            found, expected = (run_check(check, case) for case in cases)
            agree(found, expected)
            assert [one.assumptions for one in found] == [one.assumptions for one in expected]
            assert found[0].status != "not_assessable"
    assert len(cases[0].complete.source) == len(cases[1].complete.traces) < len(traces) - 20


def test_the_public_functions_take_arrival_times_with_a_store(tmp_path):
    traces, received, counts, now = recorded()
    store = split(traces, tmp_path / "a.parquet", 3)
    for analysis in (tk.quality, tk.sampling):
        found, expected = (analysis(each, received=received, now=now, requests=counts) for each in (store, traces))
        agree(found, expected)
        assert "received=received" in found[0].code


def test_metrics_of_parts_count_what_is_whole_and_the_lag_of_all(tmp_path):
    traces, received, counts, now = recorded()
    store = split(traces, tmp_path / "a.parquet", 5)
    inputs = {"received": received, "now": now, "requests": counts}
    found, expected = (tk.coverage(each, **inputs) for each in (store, traces))
    same(found.metrics, expected.metrics)
    same(found.funnel, expected.funnel)
    assert found.metrics.set_index("metric").loc["M6", "n"] == len(traces)


def test_a_log_is_cut_with_the_traces_of_all_parts(tmp_path):
    """A request with a trace is late with its trace, another by its own time."""
    traces, received, _, now = recorded()
    store = split(traces, tmp_path / "a.parquet", 5)
    edge = build_case(store, received=received, now=now).complete.horizon
    at = pd.to_datetime([edge.begin_ns - 1, edge.begin_ns + 1], utc=True)
    begun, ids = traces.columns.spans.start_ns[traces.forest.root_row], np.array(traces.trace_ids)
    early, late = ids[begun <= edge.begin_ns][0], ids[begun > edge.begin_ns][0]
    log = pd.DataFrame({"trace_id": [early, late, early.upper(), "f" * 32, "e" * 32], "time": at[[1, 0, 1, 0, 1]]})
    kept = [build_case(each, log=log, received=received, now=now).complete.log.index for each in (store, traces)]
    assert kept[0].tolist() == kept[1].tolist() == [0, 2, 3]


def test_arrival_times_of_other_traces_are_counted(tmp_path):
    traces, received, _, now = recorded()
    other = pd.concat([received, pd.Series(EPOCH_NS, [f"{at:032x}" for at in range(1, 8)])])
    store = split(traces, tmp_path / "a.parquet", 3)
    for each in (store, traces):
        found = the(tk.quality(each, received=other, now=now, checks=["ingest.lag"]), "ingest.lag")
        assert "Excluded: 7 arrival times of other traces." in found.headline
        none = tk.quality(each, received=other.iloc[-7:], checks=["ingest.lag"])
        assert f"(found 0 of {len(traces)}, 0 arrived before their end, 7 given of other traces)" in none[0].headline
    whole = the(tk.quality(traces, received=received, now=now, checks=["ingest.lag"]), "ingest.lag")
    assert "other traces" not in whole.headline


def test_wrong_arrival_times_of_a_store_are_refused(tmp_path):
    traces, received, *_ = recorded()
    store = split(traces, tmp_path / "a.parquet", 2)
    with pytest.raises(ValueError, match="found several for trace"):
        tk.quality(store, received=pd.concat([received, received.iloc[:1]]))
    with pytest.raises(ValueError, match=r"expected arrival times in 'name', found '.*' in row 0"):
        tk.quality(store, received="name", on=1)
    with pytest.raises(ValueError, match="found 'nowhere'"):
        tk.quality(store, received="nowhere", on=1)


def test_an_attribute_may_be_missing_in_a_part(tmp_path):
    traces, *_ = recorded()
    frame = traces.spans.assign(start_ns=traces.columns.spans.start_ns, end_ns=traces.columns.spans.end_ns)
    few = frame["trace_id"].isin(traces.trace_ids[:30])
    frame["attributes.rare"] = frame["start_time"].astype(str).where(few, None)
    names = ["trace_id", "span_id", "name", "start_ns", "end_ns", "attributes.rare"]
    some = tk.TraceSet.from_spans(frame[names])
    store = split(some, tmp_path / "a.parquet", 64)
    found, expected = (build_case(each, received="rare").receipts for each in (store, some))
    assert found.by_ns.tolist() == expected.by_ns.tolist()
    assert (expected.by_ns > 0).sum() == 30


@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(5)), key=st.sampled_from(["", "arrived"]))
def test_arrivals_add_up_in_any_order(order, key):
    traces, received, _, now = recorded()
    state = ArrivedOf(key)
    states = [state(traces.where(traces.forest.trace % 5 == at)) for at in order]
    asked = read_received(key or received, now)
    found = asked.receipts(functools.reduce(Arrived.plus, pickle.loads(pickle.dumps(states))))
    expected = asked.receipts(state(traces))
    for one, other in zip(found, expected, strict=True):
        if isinstance(other, np.ndarray | int):
            assert np.array_equal(one, other)
    for name in ("high", "low", "start_ns", "end_ns"):
        assert np.array_equal(getattr(found.traces, name), getattr(expected.traces, name))
    assert expected.by_ns.any()
