"""The critical path by function of a store: the same numbers as in memory, however the traces are split."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
from tests.analysis.profile.test_profile import EPOCH, span
from tests.loading.store.split_stores import COUNTS, same, split
from tracekit.loading.store.trace_store import TraceStore

TABLES = ("functions", "operations", "requests", "endpoints", "matching")
NAMES = ("f", "g", "SELECT", "(no samples)")


def recording(count=80, seed=0):
    """Requests of a root, a call and a query; every eighth root has the span id of the one before it."""
    rng = np.random.default_rng(seed)
    at = np.repeat(np.arange(1, count + 1), 3)
    depth = np.tile(np.arange(3), count)
    took = np.repeat((rng.lognormal(0, 0.4, count) * 10**7).astype(int), 3) >> np.minimum(depth, 1 + (at % 2))
    own = np.where((at % 8 == 0) & (depth == 0), at - 1, at)
    ids = [f"{k:08x}{level + 1:08x}" for k, level in zip(own, depth, strict=True)]
    frame = pd.DataFrame(
        {
            "trace_id": [f"{k % 5 + 1:016x}{k:016x}" for k in at],
            "span_id": ids,
            "parent_span_id": [ids[k - 1] if depth[k] else None for k in range(len(ids))],
            "service_name": np.array(["front", "ledger", "ledger"])[depth],
            "name": np.array(["GET /", "pay", "SELECT"])[depth],
            "kind": "INTERNAL",
            "start_ns": EPOCH + at * 10**8,
            "end_ns": EPOCH + at * 10**8 + took,
            "status_code": "UNSET",
        }
    )
    frame = frame[(depth < 2) | (at % 3 == 0)]  # a query below the call of one request in three
    return tk.TraceSet.from_spans(frame).with_weights(rng.choice([1.0, 4.0, 20.0], count))


def samples(count=80, seed=0):
    """Samples of spans, of local roots, of traces that the span is not in, and of nothing."""
    rng = np.random.default_rng(seed)
    rows = []
    for k in rng.integers(1, count + 9, 400).tolist():
        kind = "local_root_span_id" if rng.random() < 0.1 else "span_id"
        trace = rng.choice(
            ["", f"trace_id={k % 5 + 1:016x}{k:016x};", f"trace_id={7:016x}{k:016x};"], p=[0.5, 0.4, 0.1]
        )
        stack = rng.choice(["", "main;"]) + rng.choice(NAMES)
        rows.append(f"{trace}{kind}={span(k, int(rng.integers(3))):016x};{stack} {rng.integers(1, 9)}")
    return "\n".join([*rows, "main;idle 3"]).encode()


TRACES, SAMPLES = recording(), samples()


def agree(found, expected):
    """Every table, the flame graph and the words of two results."""
    for name in TABLES:
        same(getattr(found, name), getattr(expected, name))
    flames = found.flame(), expected.flame()
    same(*(each.table for each in flames))
    assert len({each.folded() for each in flames}) == 1
    assert (repr(found), found.statement, found.sampled_ns) == (repr(expected), expected.statement, expected.sampled_ns)


@pytest.mark.parametrize("count", COUNTS)
def test_a_store_has_the_functions_of_the_whole(tmp_path, count):
    store = split(TRACES, tmp_path / "a.parquet", count)
    expected = tk.profile(TRACES, SAMPLES)
    agree(tk.profile(store, SAMPLES), expected)
    assert expected.matching["sample_count"].min() > 0
    assert "SELECT (function)" in expected.flame().table["operation"].tolist()  # in some parts no call is named so


def test_a_comparison_of_stores_is_that_of_the_whole(tmp_path):
    before, more = recording(seed=1), samples(seed=1)
    stores = split(TRACES, tmp_path / "a.parquet", 5), split(before, tmp_path / "b.parquet", 3)
    expected = tk.profile(TRACES, SAMPLES, baseline=(before, more))
    for now, was in (stores, (TRACES, stores[1]), (stores[0], before)):
        found = tk.profile(now, SAMPLES, baseline=(was, more))
        same(found.table, expected.table)
        assert (repr(found), found.statement) == (repr(expected), expected.statement)
        same(found.flame().table, expected.flame().table)


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("profiles")
    return [split(TRACES, folder / f"{seed}.parquet", 6, seed) for seed in range(3)]


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_neither_the_split_nor_the_order_of_the_parts_makes_a_difference(stores, data):
    store = data.draw(st.sampled_from(stores))
    order = data.draw(st.permutations(range(store.part_count)))
    shuffled = TraceStore(store.path, store._marker, tuple(order), store._steps)
    agree(tk.profile(tk.critical_path(shuffled), SAMPLES), tk.profile(TRACES, SAMPLES))


def test_parts_are_read_in_other_processes(tmp_path):
    store = split(TRACES, tmp_path / "a.parquet", 3)
    agree(tk.profile(store, SAMPLES, on=2), tk.profile(TRACES, SAMPLES))
    with pytest.raises(ValueError, match="expected a TraceStore with on=, found a TraceSet"):
        tk.profile(TRACES, SAMPLES, on=2)
