"""Sampling weights of a store are those of the same traces in memory, whatever they are found from."""

import pickle

import numpy as np
import pandas as pd
import pytest
from checks.sampling.simulators import thinned_ids, traces_of

import tracekit as tk
from tests.loading.store.split_stores import same, split

ROUTES = ["/a", "/b"]
RESERVOIR = {"version": 2, "rules": [], "default": {"fixed_target": 1, "rate": 0.2}}
POLICIES = {
    "policies": [
        {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
        {"name": "slow", "type": "latency", "latency": {"threshold_ms": 300}},
        {"name": "rest", "type": "probabilistic", "probabilistic": {"sampling_percentage": 30}},
    ]
}


@pytest.fixture(scope="module")
def sampled():
    """Requests of two services, kept by their ids; some record a rate, all an attribute."""
    rng = np.random.default_rng(8)
    ids = thinned_ids(rng, 600, "Java TraceIdRatio", 0.2)
    columns = {"attributes.app.weight": rng.integers(1, 9, 600).astype(float), "http_route": rng.choice(ROUTES, 600)}
    columns["trace_state"] = np.where(np.arange(600) % 50 == 0, "ot=th:c", None)
    took, names = rng.lognormal(5, 1, 600).round(), np.repeat(["cart", "web"], 300)
    return traces_of(rng, ids=ids, took_ms=took, failed=rng.random(600) < 0.1, service=names, **columns)


@pytest.fixture(scope="module", params=[1, 7])
def store(sampled, request, tmp_path_factory):
    return split(sampled, tmp_path_factory.mktemp("stores") / "a.parquet", request.param)


def log_of(traces):
    ids = [*traces.trace_ids[::2], *(f"{n:032x}" for n in range(500))]
    return pd.DataFrame({"trace_id": ids, "route": np.resize(ROUTES, len(ids))})


SOURCES = {
    "rules": lambda _: {"FixedRate": 0.05},
    "a reservoir": lambda _: RESERVOIR,
    "policies": lambda _: POLICIES,
    "auto": lambda _: "auto",
    "recorded": lambda _: "recorded",
    "a name": lambda _: "trace IDs",
    "an attribute": lambda _: "app.weight",
    "a number": lambda _: 5,
    "by id": lambda traces: pd.Series(np.arange(1.0, 601), traces.trace_ids),
    "in order": lambda _: np.arange(1.0, 601),
    "counts": lambda _: pd.DataFrame({"route": ROUTES, "count": [9_000, 4_000]}),
    "a log": log_of,
}


@pytest.mark.parametrize("name", SOURCES)
def test_weights_are_those_of_a_trace_set(sampled, store, name):
    source = SOURCES[name](sampled)
    found, expected = store.with_weights(source), sampled.with_weights(source)
    whole = found.load()
    assert np.array_equal(whole.weights.value, expected.weights.value)
    assert whole.weights.source.series().tolist() == expected.weights.source.series().tolist()
    assert tk.latency(found).statement == tk.latency(expected).statement
    same(tk.latency(found).table, tk.latency(expected).table)


def test_calls_apply_in_their_order(sampled, store):
    """The rules of a reservoir look at the traces chosen so far, not at those chosen later."""
    middle = pd.Timestamp(int(np.median(sampled.columns.spans.start_ns)))
    for choose in (
        lambda traces: traces.where("service_name == 'web'").with_weights(RESERVOIR).between(middle),
        lambda traces: traces.between(middle).with_weights(RESERVOIR).where("service_name == 'web'"),
        lambda traces: traces.with_weights(5).with_weights(POLICIES),
        lambda traces: traces.with_weights(POLICIES).with_weights(5),
    ):
        found, expected = choose(store), choose(sampled)
        assert np.array_equal(found.load().weights.value, expected.weights.value)
        same(tk.latency(found).table, tk.latency(expected).table)
    some = store.where("http_route == '/a' and duration_ns > 900e6")  # in a few parts only
    assert tk.latency(some.with_weights("app.weight")).statement.startswith("weights from attribute app.weight:")


def test_a_sample_scales_weights_from_rules(sampled, tmp_path):
    store, rules = split(sampled, tmp_path / "a.parquet", 4), {"FixedRate": 0.2}
    for some in (store.sample(2).with_weights(rules), store.with_weights(rules).sample(2)):
        assert set(some.load().weights.value) == {
            8.0,
            10.0,
        }  # twice that of ot=th:c, which is recorded, and of the rule


def test_weights_go_to_other_processes(sampled, store):
    found = pickle.loads(pickle.dumps(store.with_weights(RESERVOIR)))
    expected = tk.latency(sampled.with_weights(RESERVOIR)).table
    same(tk.latency(found, on=2).table, expected)
    if store.part_count > 1:
        same(tk.latency(tk.open(store.path, on=2).with_weights(RESERVOIR)).table, expected)


def test_it_says_how_its_weights_were_set(store):
    found = store.with_weights({"FixedRate": 0.05}).where("is_error")
    assert found.made == "tk.open(\"a.parquet\").with_weights({'FixedRate': 0.05}).where('is_error')"
    assert repr(found).endswith(".with_weights({'FixedRate': 0.05}).where('is_error')")


@pytest.mark.parametrize("source", [[1.0, 2.0], {"rules": [{"what": 1}]}, "no.json", pd.DataFrame({"a": [1]}), "tail"])
def test_it_refuses_what_a_trace_set_refuses(sampled, store, source):
    with pytest.raises((ValueError, OSError, tk.TracekitError)) as expected:
        sampled.with_weights(source)
    with pytest.raises(expected.type) as found:
        tk.latency(store.with_weights(source))
    assert str(found.value) == str(expected.value)


@pytest.mark.parametrize("source", [0.5, {"d": 5.0}])
def test_wrong_weights_are_refused_when_a_part_is_read(store, source):
    with pytest.raises(ValueError, match="weights must be from 1 to 2\\^63; found"):
        tk.latency(store.with_weights(source))
