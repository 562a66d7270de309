"""What sets traces apart, of stores: the same tables from any parts in any order; what is limited, and how."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
from tests.loading.store.split_stores import COUNTS, same, split
from tracekit.analysis.what_differs import census, thresholds
from tracekit.analysis.what_differs.values import values_by_trace
from tracekit.loading.store import by_key
from tracekit.loading.store.rounds import Rounds
from tracekit.loading.store.trace_store import TraceStore

TABLES = ("table", "thresholds", "pairs", "skipped", "sides")
SELECTIONS = ("slowest 5% of POST /checkout", "failed", "service_name == 'ledger' and duration_ns > 2e7")


@pytest.fixture(scope="module")
def recordings():
    """A baseline and later traces, with weights, some without an end, some failed."""
    found = []
    for seed, traces in enumerate(tk.load_sample("checkout-regression")):
        rng = np.random.default_rng(seed)
        weights = np.where(rng.random(len(traces)) < 0.01, 1.0, rng.uniform(1, 20, len(traces)))
        found.append(traces.with_weights(weights))
    return found


def alike(found, expected):
    """Two results."""
    for name in TABLES:
        same(getattr(found, name), getattr(expected, name))
    assert found.statement == expected.statement
    assert found.shared_trace_count == expected.shared_trace_count
    assert repr(found) == repr(expected)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("selection", SELECTIONS)
def test_a_selection_of_a_store(recordings, tmp_path, count, selection):
    traces = recordings[1].head(300) if count > 7 else recordings[1]
    selection = selection if count <= 7 or selection != "failed" else "slowest 30%"
    expected = tk.what_differs(traces, selection)
    assert len(expected.table)
    store = split(traces, tmp_path / "a.parquet", count, seed=count)
    found = tk.what_differs(store, selection)
    alike(found, expected)
    for key in ("app.customer.tier", "operation", "service_version"):
        same(found.values(key), expected.values(key))


def test_values_of_a_key_are_those_of_the_attributes_and_no_other_keys_are_read(recordings, tmp_path, monkeypatch):
    traces, key = recordings[1].head(100), "http.request.method"
    table = traces.attributes
    own = table[(table["owner"] == "span") & (table["key"] == key)]
    traced = traces.spans["trace_id"].iloc[own["owner_id"]]
    expected = set(zip(own["value_str"], traced, strict=True))
    assert len({value for value, _ in expected}) > 1
    monkeypatch.delattr(by_key.InFile, "pairs")
    store = split(traces, tmp_path / "a.parquet", 3)
    for source in (traces, store):
        (found,) = values_by_trace(source, [key])
        pairs = zip(found.value.tolist(), found.trace.tolist(), strict=True)
        assert {(found.texts[value], traces.trace_ids[trace]) for value, trace in pairs} == expected


def test_several_keys_are_read_together(recordings, tmp_path):
    traces, keys = recordings[1].head(200), ["app.customer.tier", "operation", "service.version", "no.such.key"]
    rounds = Rounds()
    store = rounds.of(split(traces, tmp_path / "a.parquet", 3))
    found = list(values_by_trace(store, keys))
    assert rounds.count == 1
    for own, one in zip(found, values_by_trace(traces, keys), strict=True):
        assert (own.keys, own.texts) == (one.keys, one.texts)
        assert own.value.tolist() == one.value.tolist()
        assert own.trace.tolist() == one.trace.tolist()
    assert [len(one.keys) > 0 for one in found] == [True, True, True, False]


@pytest.mark.parametrize("count", COUNTS)
def test_two_stores_and_a_store_with_traces_in_memory(recordings, tmp_path, count):
    before, now = (side.head(200) for side in recordings) if count > 7 else recordings
    expected = tk.what_differs(now, before)
    assert expected.table["is_significant"].any()
    stores = [split(side, tmp_path / f"{at}.parquet", count, at) for at, side in enumerate((before, now))]
    alike(tk.what_differs(stores[1], stores[0]), expected)
    if count == 7:
        alike(tk.what_differs(now, stores[0]), expected)
        alike(tk.what_differs(stores[1], before), expected)
        with pytest.raises(ValueError, match="a selection within one set of traces, found two sets"):
            tk.what_differs(stores[1], stores[0]).values("tier")


@settings(max_examples=6, deadline=None)
@given(count=st.integers(1, 6), seed=st.integers(0, 2**31), order=st.randoms(use_true_random=False))
def test_any_parts_in_any_order(recordings, tmp_path_factory, count, seed, order):
    few = recordings[1].head(150)
    store = split(few, tmp_path_factory.mktemp("any") / "a.parquet", count, seed)
    numbers = list(range(store.part_count))
    order.shuffle(numbers)
    shuffled = TraceStore(store.path, store._marker, tuple(numbers))
    alike(tk.what_differs(shuffled, "slowest 20%"), tk.what_differs(few, "slowest 20%"))


def test_in_other_processes(recordings, tmp_path):
    store = split(recordings[1].head(200), tmp_path / "a.parquet", 3)
    alike(tk.what_differs(store, "slowest 20%", on=2), tk.what_differs(recordings[1].head(200), "slowest 20%"))
    with pytest.raises(ValueError, match="expected a TraceStore with on=, found a TraceSet"):
        tk.what_differs(recordings[1], "failed", on=2)


def test_rounds_read_a_store_as_often_as_the_docstring_says(recordings, tmp_path):
    rounds = Rounds()
    store = rounds.of(split(recordings[1], tmp_path / "a.parquet", 3))
    rounds.run([lambda: tk.what_differs(store, "slowest 20%", pairs=False)])
    assert rounds.count == 3
    rounds.run([lambda: tk.what_differs(store, "slowest 20%")])
    assert rounds.count == 5


def test_masks_by_trace_id_and_callables_choose_traces_of_a_store(recordings, tmp_path):
    traces = recordings[1].head(200)
    store = split(traces, tmp_path / "a.parquet", 3)
    by_id = pd.Series(np.arange(200) % 5 == 0, index=pd.Index(traces.trace_ids, name="trace_id"))
    alike(tk.what_differs(store, by_id), tk.what_differs(traces, by_id))
    with pytest.raises(TypeError, match="a condition, a callable or a mask by trace id for a store, found ndarray"):
        tk.what_differs(store, np.zeros(5, bool))
    with pytest.raises(ValueError, match=r"an endpoint, found 'GET /nothing'; \d+ endpoints"):
        tk.what_differs(store, "slowest 5% of GET /nothing")
    with pytest.raises(ValueError, match="traces on both sides, found none for 'duration_ns > 1e18'"):
        tk.what_differs(store, "duration_ns > 1e18")


def many_values(rng, n=3_000):
    """Requests of very many users, of whom one has every tenth request, and half of the slow ones; ids; numbers."""
    slow = rng.random(n) < 0.1
    is_heavy = np.where(slow, rng.random(n) < 0.5, rng.random(n) < 0.06)
    user = np.where(is_heavy, "heavy", np.char.add("u", (rng.integers(0, 400, n)).astype(str)))
    start = np.sort(rng.integers(0, 600, n)) * 10**9
    frame = pd.DataFrame(
        {"trace_id": [f"{rng.integers(1, 2**60):032x}" for _ in range(n)], "span_id": f"{1:016x}",
         "parent_span_id": None, "service_name": "shop", "name": "GET /", "kind": "SERVER", "start_ns": start,
         "end_ns": start + np.where(slow, 10**9, 10**7) + rng.integers(0, 10**6, n)}
    )  # fmt: skip
    frame["attributes.app.user"] = user
    frame["attributes.app.order"] = [f"o{at}" for at in range(n)]
    frame["attributes.app.size"] = rng.lognormal(3 + slow, 0.4, n)
    return tk.TraceSet.from_spans(frame)


def test_of_very_many_values_the_frequent_ones_are_compared(tmp_path, monkeypatch):
    traces = many_values(np.random.default_rng(3))
    exact = tk.what_differs(traces, "slowest 9%")
    monkeypatch.setattr(census, "MOST", 100)
    monkeypatch.setattr(thresholds, "MOST", 500)
    expected = tk.what_differs(traces, "slowest 9%")
    users, every = (found.table[found.table["key"] == "app.user"] for found in (expected, exact))
    often = users["selection_count"] + users["baseline_count"]
    total = traces.attribute("app.user").value_counts()
    assert set(users["value"]) == set(total.index[total * 100 > len(traces)]) < set(every["value"])
    assert (often * 100 > len(traces)).all()
    assert users.iloc[0]["value"] == "heavy"
    same(users.drop(columns="q_value").reset_index(drop=True),
         every[every["value"].isin(users["value"])].drop(columns="q_value").reset_index(drop=True))  # fmt: skip
    assert exact.skipped["key"].tolist() == ["app.order"]
    values, least = traces.attribute("app.user").nunique(), len(traces) // 100 + 1
    assert expected.skipped[["key", "reason", "distinct_count", "is_estimate"]].to_numpy().tolist() == [
        ["app.order", "identifier", 3_000, False], ["app.user", "rare values", values, False],
    ]  # fmt: skip
    assert expected.skipped["least_count"].tolist() == [pd.NA, least]
    said = f"of the {values:,} values of app.user only those were compared that occur at least {least} times"
    assert said in repr(expected)
    assert "compared" not in repr(exact)
    assert expected.thresholds.iloc[0]["threshold"] == pytest.approx(exact.thresholds.iloc[0]["threshold"], rel=1e-2)
    for seed, count in enumerate((1, 7, 40)):
        store = split(traces, tmp_path / f"{seed}.parquet", count, seed)
        found = tk.what_differs(store, "slowest 9%")
        counts = [pytest.approx(count, rel=0.4) for count in (3_000, values)]  # from 100 hashes
        assert found.skipped["distinct_count"].tolist() == counts
        assert found.skipped["is_estimate"].all()
        assert "of the about " in repr(found)
        alike(replace(found, skipped=expected.skipped), expected)


def test_states_do_not_grow_with_the_number_of_values(monkeypatch):
    monkeypatch.setattr(census, "MOST", 50)
    part = census.census(many_values(np.random.default_rng(4)))
    both = part.with_(part).with_(part)
    assert max(len(key.counts) for key in both.keys.values()) <= 50
    assert max(len(key.sketch) for key in both.keys.values() if key.sketch is not None) <= 50
    assert both.keys["app.user"].trace_count == 9_000


def test_the_number_of_values_is_estimated_to_a_percent():
    found = census._estimate(census._smallest(census._hashes([f"value {at}" for at in range(200_000)])))
    assert found == pytest.approx(200_000, rel=0.02)


def test_random_halves_of_a_store_do_not_differ(recordings, tmp_path):
    """As many recordings with a significant row as in memory: none."""
    rng = np.random.default_rng(8)
    traces = recordings[0]
    store = split(traces, tmp_path / "a.parquet", 4)
    for _ in range(3):
        half = pd.Series(rng.random(len(traces)) < 0.5, index=pd.Index(traces.trace_ids, name="trace_id"))
        found, expected = (tk.what_differs(side, half, pairs=False) for side in (store, traces))
        alike(found, expected)
        assert found.table["is_significant"].sum() == expected.table["is_significant"].sum() <= 1


def test_the_first_screen_says_which_rare_values_were_not_compared(monkeypatch):
    """Each of 150 tenants has 8 of 1,200 requests, all of which are slow: no tenant is frequent enough to be tried."""

    def side(seed, factor):
        rng, n = np.random.default_rng(seed), 1200
        took = (rng.lognormal(17, 0.2, n) * factor).astype(np.int64)
        start = 1_767_268_800_000_000_000 + seed * 3600 * 10**9 + np.arange(n) * 10**9
        frame = pd.DataFrame({"name": "GET /a", "service_name": "web", "kind": "SERVER"}, index=range(n))
        frame = frame.assign(trace_id=[f"{seed:016x}{at + 1:016x}" for at in range(n)], start_ns=start)
        frame = frame.assign(span_id=frame["trace_id"].str[16:], end_ns=start + took)
        return tk.TraceSet.from_spans(frame.assign(**{"attributes.app.tenant": [f"t{at % 150}" for at in range(n)]}))

    before, now = side(1, 1).with_weights(1), side(2, 1.5).with_weights(1)
    words = "Of the 150 values of app.tenant only those were compared that occur at least 13 times."
    assert words not in tk.investigate(now, before).first_screen["affected"].headline
    monkeypatch.setattr(census, "MOST", 100)
    assert words in tk.investigate(now, before).first_screen["affected"].headline
