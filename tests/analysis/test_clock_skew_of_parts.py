"""Clock skew of a store: the same offsets as in memory, though adjacent traces are in different parts."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
from tests.analysis.test_clock_skew import MS, fixed, recorded
from tests.loading.store.split_stores import split
from tracekit.loading.store.trace_store import TraceStore

AHEAD = fixed(0, 40 * MS, -7 * MS, 0)


@pytest.fixture(scope="module")
def traces():
    rng = np.random.default_rng(3)
    found = recorded(rng, 150, AHEAD, asynchronous=0.1)
    return found.with_weights(rng.uniform(1, 9, len(found)))


def same_skew(found, expected):
    for name in ("offsets", "pairs", "traces"):
        pd.testing.assert_frame_equal(getattr(found, name), getattr(expected, name), rtol=1e-9)
    assert found.moved_ratio == pytest.approx(expected.moved_ratio, rel=1e-9)
    assert repr(found) == repr(expected)


@settings(max_examples=10, deadline=None)
@given(count=st.sampled_from([1, 2, 7, 64]), seed=st.integers(0, 2**31), order=st.randoms(use_true_random=False))
def test_offsets_of_any_parts_in_any_order(traces, tmp_path_factory, count, seed, order):
    store = split(traces, tmp_path_factory.mktemp("skew") / "a.parquet", count, seed)
    numbers = list(range(store.part_count))
    order.shuffle(numbers)
    found = tk.clock_skew(TraceStore(store.path, store._marker, tuple(numbers)))
    expected = tk.clock_skew(traces)
    assert (expected.offsets["offset_ns"] != 0).any()
    assert expected.moved_ratio > 0
    same_skew(found, expected)


@pytest.mark.parametrize("options", [{"any_kind": True}, {"min_traces": 1, "pool_s": 5.0}, {"async_ratio": 0.3}])
def test_options_are_those_of_every_part(traces, tmp_path, options):
    store = split(traces, tmp_path / "a.parquet", 5)
    same_skew(tk.clock_skew(store, **options), tk.clock_skew(traces, **options))


def test_a_store_of_one_clock(tmp_path):
    one = tk.TraceSet.from_spans(tk.load_sample("checkout-regression")[1].head(9).spans.assign(host_name="web"))
    same_skew(tk.clock_skew(split(one, tmp_path / "a.parquet", 3)), tk.clock_skew(one))


def test_it_is_drawn_and_refused_for_other_traces(traces, tmp_path):
    skew = tk.clock_skew(split(traces, tmp_path / "a.parquet", 3))
    assert len(tk.plot(skew).data)
    with pytest.raises(ValueError, match="expected the clock skew of these traces, found that of others: TraceStore"):
        tk.critical_path(traces, skew=skew)
    with pytest.raises(ValueError, match="expected a TraceStore with on="):
        tk.clock_skew(traces, on=2)
