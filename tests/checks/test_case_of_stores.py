"""Sampling rules give the traces of a store the weights that they have in memory, however the traces are split."""

import functools
import operator
import pickle

import numpy as np
import pandas as pd
import pytest
from checks.sampling.simulators import EPOCH_NS, classic_reservoir, hour, random_ids, thinned_ids, traces_of
from checks.sampling.test_sampling_bias import LOCAL, TAIL, _beside, _let_through
from checks.test_checks_of_stores import agree
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
from tests.loading.store.split_stores import same, split
from tracekit.checks.case import build_case
from tracekit.loading.store.trace_store import TraceStore
from tracekit.stats.second_reservoir import SECOND_NS
from tracekit.weights.id_maps import ID_MAPS

OTEL = {"version": 2, "rules": [], "default": {"fixed_target": 1, "rate": 0.2}}


def kept_by_policies(**columns):
    """Errors, slow requests and 5% of the others, as a collector keeps them."""
    rng, n = np.random.default_rng(3), 12_000
    ids, failed, took = random_ids(rng, n), rng.random(n) < 0.01, rng.lognormal(5.5, 0.5, n)
    kept = (ID_MAPS["collector tail_sampling"](*ids) <= 0.05) | failed | (took >= 1000)
    some = tuple(half[kept] for half in ids)
    return traces_of(rng, ids=some, took_ms=took[kept].round(), failed=failed[kept], **columns)


def by_a_reservoir(**columns):
    """Ten minutes, of which a classic SDK keeps the first request of each second and 5% of the others."""
    rng = np.random.default_rng(5)
    asked = hour(rng, seconds=600)
    kept = classic_reservoir(rng, asked.start_ns, np.zeros(len(asked.start_ns), int), 1, 0.05)
    columns = {"resource.telemetry.sdk.name": "X-Ray for Python", "service_instance_id": "i-1"} | columns
    took, failed = asked.took_ms[kept].round(), asked.failed[kept]
    return traces_of(rng, start_ns=asked.start_ns[kept], took_ms=took, failed=failed, **columns)


def thinned(rate):
    """Three services, of which one was sampled at another rate."""
    rng = np.random.default_rng(6)
    ids = [thinned_ids(rng, 300, "Java TraceIdRatio", each) for each in (0.2, 0.2, rate)]
    names = np.repeat(["cart", "shop", "web"], 300)
    return traces_of(rng, ids=tuple(np.concatenate(half) for half in zip(*ids, strict=True)), service=names)


WORLDS = {
    "a reservoir": (by_a_reservoir, LOCAL, {"x-ray rule, order in the second"}),
    "no process": (lambda: by_a_reservoir(service_instance_id=None), LOCAL, {"unknown"}),
    "a token bucket": (
        lambda: _beside(
            np.random.default_rng(1), lambda start: _let_through(start, 1), start=np.linspace(0, 900, 2000) ** 1.001
        ),
        OTEL,
        {"x-ray rule, base sample", "outside the probability sample"},
    ),
    "a rate": (lambda: thinned(0.2), 0.2, {"rule, fixed rate"}),
    "a rate that ids of a service contradict": (lambda: thinned(0.05), 0.2, {"rule, fixed rate", "unknown"}),
    "policies": (kept_by_policies, TAIL, {"tail policy, drawn", "tail policy, certain"}),
    "policies behind marks of some": (
        lambda: kept_by_policies(trace_state=[None, *["ot=th:0"] * (len(kept_by_policies()) - 1)]),
        TAIL,
        {"tracestate ot=th, tail policy, drawn", "tracestate ot=th, tail policy, certain", "unknown"},
    ),
    "weights of some": (
        lambda: traces_of(np.random.default_rng(2), 200, **{"attributes.SampleRate": [7, None] * 100}),
        0.5,
        {"SampleRate", "rule, fixed rate"},
    ),
}


@functools.cache
def world(name):
    return WORLDS[name][0]()


def weights_of(traces):
    """Weight and source by trace id."""
    weights = traces.weights
    return pd.DataFrame({"weight": weights.value, "source": weights.source.series().to_numpy()}, index=traces.trace_ids)


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("name", WORLDS)
def test_weights_of_parts_are_those_in_memory(name, count, tmp_path):
    traces, rules = world(name), WORLDS[name][1]
    store = split(traces, tmp_path / "a.parquet", count, seed=count)
    found, expected = (build_case(each, rules=rules).weighted for each in (store, traces))
    parts = list(found.source.parts())
    assert sum(len(part) for part in parts) == len(traces)
    pd.testing.assert_frame_equal(pd.concat(map(weights_of, parts)).sort_index(), weights_of(expected.traces))
    assert set(weights_of(expected.traces)["source"]) == WORLDS[name][2]
    assert {part.weights.refusal for part in parts} == {expected.traces.weights.refusal}
    assert (found.obstacles, found.weights_call) == (expected.obstacles, expected.weights_call)
    assert found.weight_sources == expected.weight_sources


@pytest.mark.parametrize("name", ["a reservoir", "policies", "a rate that ids of a service contradict"])
def test_the_public_functions_weigh_a_store_by_rules(name, tmp_path):
    traces, rules = world(name), WORLDS[name][1]
    store = split(traces, tmp_path / "a.parquet", 3)
    agree(*(tk.sampling(each, rules=rules) for each in (store, traces)))
    biases = [tk.latency_bias(each, rules=rules) for each in (store, traces)]
    same(biases[0].curve, biases[1].curve)
    assert repr(biases[0]) == repr(biases[1])
    metrics = [tk.coverage(each, rules=rules).metrics for each in (store, traces)]
    same(*metrics)
    phases = [tk.start_phases(each, rules=rules) for each in (store, traces)]
    same(phases[0].table, phases[1].table)
    assert (phases[0].missing, phases[0].strength) == (phases[1].missing, pytest.approx(phases[1].strength))


@settings(max_examples=6, deadline=None)
@given(count=st.integers(1, 6), seed=st.integers(0, 2**31), order=st.randoms(use_true_random=False))
def test_the_order_of_parts_does_not_matter(tmp_path_factory, count, seed, order):
    traces = world("a reservoir").head(120)
    store = split(traces, tmp_path_factory.mktemp("any") / "a.parquet", count, seed)
    numbers = list(range(store.part_count))
    order.shuffle(numbers)
    shuffled = TraceStore(store.path, store._marker, tuple(numbers), on=1)
    found = build_case(shuffled, rules=LOCAL).weighted.source
    expected = build_case(traces, rules=LOCAL).weighted.traces
    pd.testing.assert_frame_equal(pd.concat(map(weights_of, found.parts())).sort_index(), weights_of(expected))


def test_weights_stay_with_conditions_and_parts(tmp_path):
    traces = world("a reservoir")
    store = split(traces, tmp_path / "a.parquet", 4).where("not is_error")
    expected = weights_of(build_case(traces.where("not is_error"), rules=LOCAL).weighted.traces)
    weighed = build_case(store, rules=LOCAL).weighted.source
    assert weighed.reduce(_weight_sum, operator.add) == pytest.approx(expected["weight"].sum())
    assert all(len(pickle.dumps(task)) < 40 * len(expected) for task in weighed.tasks), "each has its own weights only"
    late = weighed.between(pd.Timestamp(EPOCH_NS + 400 * SECOND_NS, unit="ns", tz="UTC")).only([2, 0])
    found = pd.concat(map(weights_of, late.parts()))
    assert 0 < len(found) < len(expected) / 2
    pd.testing.assert_frame_equal(found.sort_index(), expected.loc[found.sort_index().index])
    one = weighed.trace(found.index[3])
    assert weights_of(one).loc[found.index[3], "weight"] == expected.loc[found.index[3], "weight"]
    assert weighed.load().weights.value.tolist() == expected["weight"].tolist()


def _weight_sum(traces):
    return float(traces.weights.value.sum())


def test_late_traces_are_left_out_before_rules_weigh_the_others(tmp_path):
    traces = world("a rate")
    start = pd.Series(traces.columns.spans.start_ns[traces.forest.root_row], traces.trace_ids)
    received = start + np.random.default_rng(1).integers(1, 900, len(start)) * SECOND_NS
    given_ = {"received": received, "now": pd.Timestamp(start.max(), unit="ns"), "rules": 0.2}
    store = split(traces, tmp_path / "a.parquet", 3)
    cases = [build_case(each, **given_).complete.weighted for each in (store, traces)]
    found, expected = pd.concat(map(weights_of, cases[0].source.parts())), weights_of(cases[1].traces)
    assert 0 < len(expected) < len(traces)
    pd.testing.assert_frame_equal(found.sort_index(), expected)
