"""Samplers that decide by trace id, found in the parts of a store: the findings of traces in memory."""

import functools
import pickle

import numpy as np
import pandas as pd
import pytest
from checks.sampling.simulators import random_ids, thinned_ids, traces_of, xray_ids
from checks.sampling.test_sampling_evidence import adaptive
from checks.test_checks_of_stores import agree
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
from tests.loading.store.split_stores import COUNTS, split
from tracekit.checks.case import Case
from tracekit.checks.registry import CHECKS, run_check
from tracekit.checks.sampling import root_ids
from tracekit.checks.sampling.root_ids import ROOT_IDS

(CHECK,) = (check for check in CHECKS if check.name == "id.forensic")
JAVA = "Java TraceIdRatio"


def two_services():
    rng = np.random.default_rng(7)
    halves = zip(thinned_ids(rng, 300, "Python TraceIdRatio", 0.1), random_ids(rng, 300), strict=True)
    return traces_of(rng, ids=tuple(map(np.concatenate, halves)), service=np.repeat(["cart", "mail"], 300))


def moved():
    ids, start = adaptive(np.random.default_rng(3))
    return traces_of(np.random.default_rng(1), ids=ids, start_ns=start)


def of_one_sdk():
    """Ids that leave out half of the space, as of a sampler at 50% or an id format, of a recorded SDK."""
    rng = np.random.default_rng(5)
    high, low = random_ids(rng, 600)
    named = {f"resource.telemetry.sdk.{part}": value for part, value in (("language", "go"), ("name", "otel"))}
    return traces_of(rng, ids=(high, low >> np.uint64(1)), **named)


def plain(ids):
    rng = np.random.default_rng(21)
    return traces_of(rng, ids=ids(rng, 800))


WORLDS = {
    "a sampler": (lambda: plain(lambda rng, n: thinned_ids(rng, n, JAVA, 0.05, 0.2)), "kept by Java TraceIdRatio at"),
    "a declared rate": (lambda: traces_of(np.random.default_rng(6), ids=thinned_ids(np.random.default_rng(6), 800, JAVA,
                                          0.05)).with_weights(20), "kept by Java TraceIdRatio at"),
    "two services": (two_services, "kept by"),
    "a rate that moves": (moved, "The rate changed"),
    "half of the space": (of_one_sdk, "uncertain"),
    "random ids": (lambda: plain(random_ids), "No trace-ID-based sampling detected"),
    "ids with times": (lambda: plain(xray_ids), "No trace-ID-based sampling detected"),
    "few traces": (lambda: traces_of(np.random.default_rng(2), 50), "100 traces that start in one service"),
}  # fmt: skip


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", WORLDS)
def test_samplers_are_found_in_parts_as_in_memory(name, count, tmp_path):
    traces, words = WORLDS[name][0](), WORLDS[name][1]
    store = split(traces, tmp_path / "a.parquet", count, seed=count)
    found, expected = (run_check(CHECK, Case(each)) for each in (store, traces))
    agree(found, expected)
    assert words in expected[0].headline


def test_the_public_function_makes_the_check_of_stores(tmp_path):
    traces = moved()
    store = split(traces, tmp_path / "a.parquet", 5)
    agree(*([one for one in tk.sampling(each) if one.check == "id.forensic"] for each in (store, traces)))


def test_of_many_traces_some_are_tested(tmp_path, monkeypatch):
    """At most 500 of 4,000, the same in any parts; the interval still has the rate."""
    monkeypatch.setattr(root_ids, "MOST", 500)
    ids = thinned_ids(np.random.default_rng(8), 4000, JAVA, 0.05, 0.1)
    traces = traces_of(np.random.default_rng(1), ids=ids)
    stores = [split(traces, tmp_path / f"{count}.parquet", count, seed=count) for count in (1, 5)]
    (one,), (seven,), (whole,) = (run_check(CHECK, Case(each)) for each in (*stores, traces))
    agree([seven], [one])
    assert one.assumptions == seven.assumptions
    n = seven.estimate.n
    assert 200 < n <= 500
    assert seven.assumptions[-1] == f"{n:,} of 4,000 traces of the service, chosen by a hash of their ids"
    assert not any("hash" in text for text in whole.assumptions)
    assert seven.estimate.low < 0.05 < seven.estimate.high
    assert len(pickle.dumps(ROOT_IDS.limit(ROOT_IDS.state(Case(traces, known={}))))) < 100 * 500


def test_no_sampler_is_named_in_a_choice_of_random_ids(monkeypatch):
    """The choice by a hash leaves no edge under any map."""
    monkeypatch.setattr(root_ids, "MOST", 400)
    for seed in range(20):
        traces = traces_of(np.random.default_rng(seed), 2000)
        state = ROOT_IDS.limit(ROOT_IDS.state(Case(traces, known={})))
        chosen = np.isin(np.arange(2000), np.searchsorted(traces.columns.spans.trace_hi, state.ids.high))
        (found,) = run_check(CHECK, Case(traces.where(chosen)))
        assert "No trace-ID-based sampling detected" in found.headline


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(6)), most=st.sampled_from([50, 10**6]))
def test_ids_add_up_in_any_order(order, most):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(root_ids, "MOST", most)
        traces = two_services()
        parts = [traces.where(traces.forest.trace % 6 == at) for at in order]
        states = [ROOT_IDS.limit(ROOT_IDS.state(Case(part, known={}))) for part in parts]
        merged = functools.reduce(ROOT_IDS.merge, states)
        whole = ROOT_IDS.limit(ROOT_IDS.state(Case(traces, known={})))
        merged, whole = (ROOT_IDS.finish(Case(traces), one) for one in (merged, whole))
        assert (merged.total, {**merged.level, None: 0}) == ({"cart": 300, "mail": 300}, {**whole.level, None: 0})
        pd.testing.assert_frame_equal(frame_of(merged), frame_of(whole))
        assert (len(frame_of(merged)) == 600) == (most > 600)


def frame_of(known):
    """The ids of a state with all that is known of them."""
    columns = {name: getattr(known.ids, name) for name in ("high", "low", "start_ns", "has_begun")}
    names = {name: getattr(known.ids, name).series().astype(object) for name in ("service", "language", "sdk")}
    return pd.DataFrame(columns | names | {"probability": known.probability, "is_by_ids": known.is_by_ids})
