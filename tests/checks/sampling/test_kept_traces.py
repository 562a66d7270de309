"""Sampling rules compared with the traces of a store: the findings in memory, from any number of parts."""

import functools
import pickle

import numpy as np
import pandas as pd
import pytest
from checks.sampling.simulators import hour, traces_of
from checks.sampling.test_configured_rate_partial_windows import LOCAL, world
from checks.sampling.test_sampling_bias import _beside, _by_second, _let_through, _reservoir_sampled
from checks.test_checks_of_stores import agree
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
from tests.loading.store.split_stores import COUNTS, split
from tracekit.checks.case import Case, build_case
from tracekit.checks.registry import CHECKS, run_check
from tracekit.checks.sampling.kept_traces import KeptTraces, _KeptOf
from tracekit.weights.rule_formats import sampling_rules

RATE, BIAS = (next(check for check in CHECKS if check.name == name) for name in ("rate.configured", "bias.reservoir"))


def found_in(check, traces, **inputs):
    return run_check(check, build_case(traces, **inputs))


def bucket():
    traces = _beside(np.random.default_rng(1), lambda start: _let_through(start, 1))
    return traces.with_weights("auto"), {}


def by_second():
    seconds, traces = _reservoir_sampled()
    return traces, {"requests": _by_second(seconds)}


RESERVOIRS = {
    "a reservoir": (lambda: (_reservoir_sampled()[1], {"rules": LOCAL}), "failed"),
    "no process": (lambda: (_reservoir_sampled(service_instance_id=None)[1], {"rules": LOCAL}), "not_assessable"),
    "only a signature": (lambda: (_reservoir_sampled()[1], {}), "warning"),
    "requests by the second": (by_second, "failed"),
    "a token bucket": (bucket, "warning"),
    "a token bucket with rules": (
        lambda: (bucket()[0], {"rules": {"version": 2, "rules": [], "default": {"fixed_target": 1, "rate": 0.2}}}),
        "inconclusive",
    ),
    "no reservoir": (lambda: (traces_of(np.random.default_rng(1), 50), {"rules": 0.05}), "ok"),
}


@functools.cache
def reservoir(name):
    return RESERVOIRS[name][0]()


@pytest.mark.parametrize("count", [1, 7])
@pytest.mark.parametrize("name", RESERVOIRS)
def test_reservoirs_are_found_in_parts_as_in_memory(name, count, tmp_path):
    traces, inputs = reservoir(name)
    store = split(traces, tmp_path / "a.parquet", count, seed=count)
    found, expected = (found_in(BIAS, each, **inputs) for each in (store, traces))
    agree(found, expected)
    assert [one.assumptions for one in found] == [one.assumptions for one in expected]
    assert expected[0].status == RESERVOIRS[name][1]


def counted(case):
    """The inputs of a world of counted requests."""
    times = case.counts.frame
    requests = pd.DataFrame({"time": pd.to_datetime(times["start_ns"], utc=True), "count": times["count"]})
    return case.traces, {"requests": requests}


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("part", ["all", "traffic", "recording"])
def test_rates_of_parts_are_compared_with_the_rules(part, count, tmp_path):
    traces, inputs = counted(world(3, part=part))
    store = split(traces, tmp_path / "a.parquet", count, seed=count)
    statuses = set()
    for rules in (LOCAL, 0.05, 0.5):
        found, expected = (found_in(RATE, each, rules=rules, **inputs) for each in (store, traces))
        agree(found, expected)
        assert [one.assumptions for one in found] == [one.assumptions for one in expected]
        statuses |= {one.status for one in expected}
    assert "failed" in statuses


def test_the_public_functions_take_rules_with_a_store(tmp_path):
    traces, inputs = counted(world(3))
    traces = traces.with_weights(20)
    store = split(traces, tmp_path / "a.parquet", 5)
    found, expected = (tk.sampling(each, rules=LOCAL, **inputs) for each in (store, traces))
    assert {"rate.configured", "bias.reservoir", "coverage.funnel"} <= {one.check for one in found}
    agree(found, expected)
    with_rules = tk.investigate(store, rules=LOCAL, **inputs, steps=["sampling"])
    assert "rate.configured" in {one.check for one in with_rules.findings}


@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(5)))
def test_kept_traces_add_up_in_any_order(order):
    rng = np.random.default_rng(3)
    start = hour(rng, seconds=20).start_ns
    columns = {"resource.telemetry.sdk.name": "X-Ray for Go", "resource.telemetry.sdk.language": "go"}
    columns["service_instance_id"] = [f"i-{at % 3}" for at in range(len(start))]
    traces = traces_of(rng, start_ns=start, **columns)
    state = _KeptOf(sampling_rules(LOCAL))
    states = [state(Case(traces.where(traces.forest.trace % 5 == at), known={})) for at in order]
    merged = functools.reduce(KeptTraces.plus, pickle.loads(pickle.dumps(states)))
    merged = merged.where(np.lexsort((merged.decisions.low, merged.decisions.high)))
    pd.testing.assert_frame_equal(frame_of(merged), frame_of(state(Case(traces))))


def frame_of(kept):
    """All columns of kept traces."""
    numbers = {name: getattr(kept.decisions, name) for name in ("high", "low", "start_ns", "rule", "otel")}
    names = {name: getattr(kept.decisions, name).series().astype(object) for name in ("process", "language")}
    return pd.DataFrame(numbers | names | {name: getattr(kept, name) for name in ("failed", "took_ns", "is_beyond")})
