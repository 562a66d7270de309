"""Suspects of stores: those of the traces in memory from any parts, and of large stores those of a random sample."""

import numpy as np
import pandas as pd
import pytest
from analysis.suspects.planted import sides
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
from tests.checks.findings_alike import close
from tests.loading.store.split_stores import COUNTS, same, split
from tracekit.checks import drawn
from tracekit.checks.case import Case
from tracekit.loading.store.trace_store import TraceStore


@pytest.fixture(scope="module")
def planted():
    """A baseline and the traces with a slow service, with weights of two kinds."""
    rng = np.random.default_rng(2)
    return [side.with_weights(rng.choice([1.0, 4.0], len(side))) for side in sides("own", "cart")]


def alike(found, expected):
    """The same tables and findings."""
    assert repr(found) == repr(expected)
    assert found.sample == expected.sample
    for name in ("table", "evidence", "path", "breakdown"):
        frames = [getattr(one, name) for one in (found, expected)]
        same(*frames)
    close(found.findings, expected.findings)
    assert found.shared_trace_count == expected.shared_trace_count


@pytest.mark.parametrize("count", COUNTS)
def test_suspects_of_parts_are_those_of_the_whole(planted, count, tmp_path):
    stores = [split(side, tmp_path / f"{at}.parquet", count, at) for at, side in enumerate(planted)]
    expected = tk.suspects(*planted, recovery=True)
    assert expected.table["service_name"].iloc[0] == "cart"
    alike(tk.suspects(*stores, recovery=True, on=1), expected)
    for pair in ((stores[0], planted[1]), (planted[0], stores[1])):
        alike(tk.suspects(*pair), tk.suspects(*planted))


@settings(max_examples=5, deadline=None)
@given(count=st.integers(1, 6), seed=st.integers(0, 2**31), order=st.randoms(use_true_random=False))
def test_the_sample_does_not_depend_on_the_split_or_the_order(tmp_path_factory, count, seed, order):
    traces = sides("own", "cart")[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawn, "MOST_SPANS", len(traces.spans) // 3)
        store = split(traces, tmp_path_factory.mktemp("any") / "a.parquet", count, seed)
        numbers = list(range(store.part_count))
        order.shuffle(numbers)
        found = drawn.drawn(Case(TraceStore(store.path, store._marker, tuple(numbers), on=1)))
    lowest = np.argsort(drawn.draws(traces))
    spans = np.cumsum(traces.summary["span_count"].to_numpy()[lowest])
    kept = lowest[spans <= len(traces.spans) // 3]
    assert found.traces.trace_ids == [traces.trace_ids[at] for at in np.sort(kept)]
    assert found.trace_count == len(traces)
    assert found.is_sample
    names = ["trace_id", "span_id", "service_name", "name", "start_ns", "end_ns"]
    some = traces.spans[traces.spans["trace_id"].isin(found.traces.trace_ids)]
    same(*(each[names].astype(str).reset_index(drop=True) for each in (found.traces.spans, some)))


def test_suspects_of_a_large_store_say_what_they_are_a_sample_of(tmp_path, monkeypatch):
    before, during = tk.load_sample("checkout-regression")
    monkeypatch.setattr(drawn, "MOST_SPANS", 6000)
    stores = [split(side, tmp_path / f"{at}.parquet", 5, at) for at, side in enumerate((before, during))]
    found = tk.suspects(*stores, on=1)
    assert found.table.loc[0, ["service_name", "verdict"]].tolist() == ["ledger", "likely"]
    said = f"{found.current_count:,} of 1,000 traces, {found.baseline_count:,} of 1,000 baseline traces"
    assert found.sample == said
    assert 200 < found.current_count < 400
    assert found.findings[0].headline.endswith(f"From a random sample: {said}.")
    alone = tk.suspects(before, stores[1], on=1)
    assert alone.sample == f"{found.current_count:,} of 1,000 traces"
    quiet = tk.suspects(stores[0], stores[0], on=1)
    assert quiet.is_no_change
    assert quiet.shared_trace_count == quiet.current_count  # both sides draw the same traces
    assert "From a random sample" in quiet.findings[0].headline


def test_traces_are_drawn_evenly():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"trace_id": [f"{k:032x}" for k in range(1, 5001)], "span_id": "0000000000000001"})
    frame["start_ns"] = rng.integers(0, 10**9, len(frame))
    traces = tk.TraceSet.from_spans(frame.assign(name="GET", service_name="a", end_ns=frame["start_ns"] + 1))
    count = np.histogram(drawn.draws(traces), 10, (0, 1))[0]
    assert ((count - 500) ** 2 / 500).sum() < 27.9  # chi squared, 9 degrees of freedom, p = 0.001


def test_on_needs_a_store(planted):
    with pytest.raises(ValueError, match="expected a TraceStore with on="):
        tk.suspects(*planted, on=2)
